package cli_test

import (
	"net/http"
	"net/http/httptest"
	"path"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// hub DIR sets HF_ENDPOINT to a server for the files in a folder. The files are named
// OWNER/NAME/FILE. The server accepts any revision except "none", and requires a token for
// repositories whose name begins with "gated".
func hub(ts *testscript.TestScript, _ bool, args []string) {
	dir := http.Dir(ts.MkAbs(args[0]))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		repo, rest, _ := strings.Cut(r.URL.Path, "/resolve/")
		switch {
		case strings.HasPrefix(path.Base(repo), "gated") && r.Header.Get("Authorization") != "Bearer hf_good":
			w.WriteHeader(http.StatusUnauthorized)
			return
		case strings.HasPrefix(rest, "none/"):
			w.Header().Set("X-Error-Code", "RevisionNotFound")
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("X-Repo-Commit", "0123456789abcdef0123456789abcdef01234567")
		r.URL.Path = repo + "/" + path.Base(rest)
		http.FileServer(dir).ServeHTTP(w, r)
	}))
	ts.Defer(s.Close)
	ts.Setenv("HF_ENDPOINT", s.URL)
}
