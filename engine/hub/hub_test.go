package hub_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kvbench/engine/diag"
	"kvbench/engine/hub"
)

const (
	commit = "0123456789abcdef0123456789abcdef01234567"
	other  = "89abcdef0123456789abcdef0123456789abcdef"
	config = `{"model_type": "llama"}`
	quant  = `{"quantization": {"quant_algo": "FP8"}}`
	main   = "config.json"
	more   = "hf_quant_config.json"
)

func TestParse(t *testing.T) {
	for word, want := range map[string]hub.Repo{
		"hf:Qwen/Qwen3-8B":                {Owner: "Qwen", Name: "Qwen3-8B"},
		"hf:meta-llama/Llama-3.1-8B@main": {Owner: "meta-llama", Name: "Llama-3.1-8B", Revision: "main"},
		"hf:a/b@refs/pr/1":                {Owner: "a", Name: "b", Revision: "refs/pr/1"},
		"hf:a/b@" + commit:                {Owner: "a", Name: "b", Revision: commit},
		"hf:0-hero/_x":                    {Owner: "0-hero", Name: "_x"},
	} {
		got, err := hub.Parse(word)
		if err != nil || got != want || got.String() != word {
			t.Errorf("%s: %+v, %v", word, got, err)
		}
	}
	for _, word := range []string{
		"hf:", "hf:/", "hf:a", "hf:a/", "hf:/b", "hf:a/b/c", "hf:../../etc/passwd", "hf:../b", "hf:a/..", "hf:a/.",
		"hf:a/b@", "hf:a/b@..", "hf:a/b@x/../y", "hf:a/b@/x", "hf:a/b@x/", "hf:a/b@x//y", "hf:a/b@.", "hf:a/b@-x",
		"hf:a/b@x@y", "hf:a--b/c", "hf:a/b--c", "hf:a/b c", "hf:a/b?x", "hf:a/b#x", "hf:a/b%2f", "hf:a\\b/c", "hf:a/b\n",
		"hf:a/b@x\x00", "hf:é/b", "hf:-a/b", "hf:a/" + strings.Repeat("x", 97), "hf:a/b@" + strings.Repeat("x", 201),
	} {
		got, err := hub.Parse(word)
		if err == nil {
			t.Errorf("%q: %+v", word, got)
			continue
		}
		if !diag.All(err)[0].Usage {
			t.Errorf("%q: not a fault of the command line: %v", word, err)
		}
	}
}

// TestEnvironment checks that environment variables are interpreted as in huggingface_hub.
func TestEnvironment(t *testing.T) {
	home := t.TempDir()
	write(t, filepath.Join(home, "token"), " from-file\r\n")
	write(t, filepath.Join(home, "hf", "token"), "from-home\n")
	for _, test := range []struct {
		env               string
		cache, token      string
		endpoint, offline string
	}{
		{"HOME=/h", "/h/.cache/huggingface/hub", "", "https://huggingface.co", ""},
		{"HOME=/h XDG_CACHE_HOME=/x", "/x/huggingface/hub", "", "https://huggingface.co", ""},
		{"HOME=/h XDG_CACHE_HOME=/x HF_HOME=~/hf", "/h/hf/hub", "", "https://huggingface.co", ""},
		{"HOME=/h HF_HOME=/y HUGGINGFACE_HUB_CACHE=/z", "/z", "", "https://huggingface.co", ""},
		{"HOME=/h HF_HOME=/y HUGGINGFACE_HUB_CACHE=/z HF_HUB_CACHE=$HOME/c", "/h/c", "", "https://huggingface.co", ""},
		{"HOME=/h HF_HUB_CACHE=/c/$UNSET_/d HF_ENDPOINT=http://mirror:8/hf//", "/c/${UNSET_}/d", "", "http://mirror:8/hf", ""},
		{"HOME=/h HF_HUB_CACHE=/c HF_TOKEN=a HUGGING_FACE_HUB_TOKEN=b", "/c", "a", "https://huggingface.co", ""},
		{"HOME=/h HF_HUB_CACHE=/c HF_TOKEN= HUGGING_FACE_HUB_TOKEN=b", "/c", "b", "https://huggingface.co", ""},
		{"HOME=/h HF_HUB_CACHE=/c HF_TOKEN_PATH=" + home + "/token", "/c", "from-file", "https://huggingface.co", ""},
		{"HOME=/h HF_HUB_CACHE=/c HF_HOME=" + home + "/hf", "/c", "from-home", "https://huggingface.co", ""},
		{"HOME=/h HF_HUB_CACHE=/c HF_TOKEN=a HF_HUB_DISABLE_IMPLICIT_TOKEN=1", "/c", "", "https://huggingface.co", ""},
		{"HOME=/h HF_HUB_CACHE=/c HF_HUB_OFFLINE=yes", "/c", "", "https://huggingface.co", "HF_HUB_OFFLINE"},
		{"HOME=/h HF_HUB_CACHE=/c TRANSFORMERS_OFFLINE=1", "/c", "", "https://huggingface.co", "TRANSFORMERS_OFFLINE"},
		{"HOME=/h HF_HUB_CACHE=/c HF_HUB_OFFLINE=0", "/c", "", "https://huggingface.co", ""},
		{"HOME=/h HF_HUB_CACHE=/c HF_TOKEN_PATH=/dev/zero", "/c", "", "https://huggingface.co", ""},
	} {
		t.Run(test.env, func(t *testing.T) {
			for _, name := range []string{"HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_ENDPOINT", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN"} {
				t.Setenv(name, "")
			}
			for _, pair := range strings.Fields(test.env) {
				name, value, _ := strings.Cut(pair, "=")
				t.Setenv(name, value)
			}
			h := hub.FromEnv()
			if h.Cache != test.cache || h.Token != test.token || h.Endpoint != test.endpoint || h.Offline != test.offline {
				t.Errorf("got %+v", h)
			}
		})
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func parse(t *testing.T, word string) hub.Repo {
	t.Helper()
	r, err := hub.Parse(word)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestFind checks that files are found in a cache with huggingface_hub's layout, including
// files that are links.
func TestFind(t *testing.T) {
	cache := t.TempDir()
	repo := filepath.Join(cache, "models--Qwen--Qwen3-8B")
	write(t, filepath.Join(repo, "blobs", "abc"), config)
	link := func(target, name string) {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	link("../../blobs/abc", filepath.Join(repo, "snapshots", commit, main))
	link("../../blobs/gone", filepath.Join(repo, "snapshots", other, main))
	write(t, filepath.Join(repo, "refs", "main"), commit)
	write(t, filepath.Join(repo, "refs", "gone"), other+"\n")
	write(t, filepath.Join(repo, "refs", "refs", "pr", "1"), commit)
	write(t, filepath.Join(repo, "refs", "dangling"), strings.Repeat("f", 40))
	write(t, filepath.Join(repo, "refs", "odd"), "../../../../etc")
	write(t, filepath.Join(repo, "refs", "large"), strings.Repeat("f", 101))
	if err := os.MkdirAll(filepath.Join(repo, "snapshots", strings.Repeat("a", 40), main), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(cache, "models--a--b", "refs", "main"), commit) // nothing else
	write(t, filepath.Join(cache, "datasets--a--b", "refs", "main"), commit)
	h := &hub.Hub{Cache: cache}
	file := filepath.Join(repo, "snapshots", commit, main)
	for word, want := range map[string]string{
		"hf:Qwen/Qwen3-8B":                            "",
		"hf:Qwen/Qwen3-8B@main":                       "",
		"hf:Qwen/Qwen3-8B@refs/pr/1":                  "",
		"hf:Qwen/Qwen3-8B@" + commit:                  "",
		"hf:Qwen/Qwen3-8B@gone":                       "it is a link to a file that no longer exists",
		"hf:Qwen/Qwen3-8B@dangling":                   "the snapshot of revision dangling does not contain this file",
		"hf:Qwen/Qwen3-8B@odd":                        "refs/odd does not contain a commit",
		"hf:Qwen/Qwen3-8B@large":                      "the cache does not have revision large",
		"hf:Qwen/Qwen3-8B@refs":                       "the cache does not have revision refs",
		"hf:Qwen/Qwen3-8B@v1":                         "the cache does not have revision v1",
		"hf:Qwen/Qwen3-8B@" + strings.Repeat("a", 40): "it is not a regular file",
		"hf:a/b": "the snapshot of revision main does not contain this file",
		"hf:a/c": "config.json not found in the Hugging Face cache, " + cache,
	} {
		got, err := h.Find(parse(t, word), main)
		switch {
		case want == "" && (err != nil || got != file):
			t.Errorf("%s: %s, %v", word, got, err)
		case want != "" && (err == nil || !strings.HasSuffix(err.Error(), want)):
			t.Errorf("%s: %v, want %s", word, err, want)
		}
	}
	if got := h.Repos(main); !slices.Equal(got, []string{"hf:Qwen/Qwen3-8B"}) {
		t.Errorf("cached: %v", got)
	}
}

// serve runs a server on this machine, and returns a hub that downloads from it.
func serve(t *testing.T, handler http.HandlerFunc) *hub.Hub {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return &hub.Hub{Cache: filepath.Join(t.TempDir(), "hub"), Endpoint: s.URL, Token: "hf_secret", Timeout: 10 * time.Second}
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestDownload checks that downloaded files are saved in the cache, where huggingface_hub
// and the next run of kvbench find them.
func TestDownload(t *testing.T) {
	var asked []string
	h := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.EscapedPath())
		if r.Header.Get("Authorization") != "Bearer hf_secret" {
			t.Errorf("authorization %q", r.Header.Get("Authorization"))
		}
		w.Header().Set("X-Repo-Commit", commit)
		switch filepath.Base(r.URL.Path) {
		case main:
			fmt.Fprint(w, config)
		case more:
			fmt.Fprint(w, quant)
		}
	})
	r := parse(t, "hf:Qwen/Qwen3-8B@refs/pr/1")
	if err := h.Download(r, main, more); err != nil {
		t.Fatal(err)
	}
	if want := []string{"/Qwen/Qwen3-8B/resolve/refs%2Fpr%2F1/config.json", "/Qwen/Qwen3-8B/resolve/" + commit + "/hf_quant_config.json"}; !slices.Equal(asked, want) {
		t.Errorf("requested %v", asked)
	}
	file, err := h.Find(r, main)
	if err != nil {
		t.Fatal(err)
	}
	repo := filepath.Join(h.Cache, "models--Qwen--Qwen3-8B")
	if want := filepath.Join(repo, "snapshots", commit, main); file != want || read(t, file) != config {
		t.Errorf("%s contains %s", file, read(t, file))
	}
	if got := read(t, filepath.Join(filepath.Dir(file), more)); got != quant {
		t.Errorf("%s contains %s", more, got)
	}
	if got := read(t, filepath.Join(repo, "refs", "refs", "pr", "1")); got != commit {
		t.Errorf("the reference is %s", got)
	}
	var all []string
	filepath.WalkDir(h.Cache, func(path string, d os.DirEntry, err error) error {
		if !d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if len(all) != 3 {
		t.Errorf("more was written: %v", all)
	}
}

// TestRepair checks that a link to a missing file is replaced, and that its target is
// not touched.
func TestRepair(t *testing.T) {
	h := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if filepath.Base(r.URL.Path) == more {
			w.Header().Set("X-Error-Code", "EntryNotFound")
			w.WriteHeader(404)
			return
		}
		w.Header().Set("X-Repo-Commit", commit)
		fmt.Fprint(w, config)
	})
	dir := filepath.Join(h.Cache, "models--a--b", "snapshots", commit)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../blobs/gone", filepath.Join(dir, main)); err != nil {
		t.Fatal(err)
	}
	r := parse(t, "hf:a/b")
	if err := h.Download(r, main, more); err != nil {
		t.Fatal(err)
	}
	file, err := h.Find(r, main)
	if err != nil || read(t, file) != config {
		t.Errorf("%s: %v", file, err)
	}
	if _, err := os.Lstat(filepath.Join(h.Cache, "models--a--b", "blobs")); err == nil {
		t.Error("the target of the link was written")
	}
	if _, err := os.Lstat(filepath.Join(dir, more)); err == nil {
		t.Error(more, "is there")
	}
}

// TestComplete checks that a file that is missing from the cache is downloaded at the
// cached commit, and that a file that is missing on the server is requested only once.
func TestComplete(t *testing.T) {
	var asked []string
	found, code := true, ""
	h := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		if !found {
			w.Header().Set("X-Error-Code", code)
			w.WriteHeader(404)
			return
		}
		w.Header().Set("X-Repo-Commit", other)
		fmt.Fprint(w, quant)
	})
	r := parse(t, "hf:a/b")
	dir := filepath.Join(h.Cache, "models--a--b")
	write(t, filepath.Join(dir, "refs", "main"), other)
	write(t, filepath.Join(dir, "snapshots", other, main), config)
	file := filepath.Join(dir, "snapshots", other, more)
	download := func(want ...string) {
		t.Helper()
		asked = nil
		if err := h.Download(r, main, more); err != nil {
			t.Error(err)
		}
		if !slices.Equal(asked, want) {
			t.Errorf("requested %v, want %v", asked, want)
		}
	}
	ask := "/a/b/resolve/" + other + "/" + more
	h.Offline = "HF_HUB_OFFLINE"
	download() // only the cache is available
	h.Offline = ""
	download(ask)
	if got := read(t, file); got != quant {
		t.Errorf("%s contains %q", more, got)
	}
	download()

	os.Remove(file)
	found = false
	download(ask) // a 404 response that does not say what is missing
	download(ask)
	code = "EntryNotFound"
	download(ask)
	download()
	if _, err := os.Lstat(filepath.Join(dir, ".no_exist", other, more)); err != nil {
		t.Error(err)
	}
	// If kvbench cannot find out whether a file exists, it must report an error, because the
	// file could affect every number.
	os.RemoveAll(filepath.Join(dir, ".no_exist"))
	h.Endpoint = "http://127.0.0.1:1"
	if err := h.Download(r, main, more); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("the error is %v", err)
	}
}

// TestRedirect checks that a file may come from another host, but that this host never
// receives the token and does not determine the commit.
func TestRedirect(t *testing.T) {
	cdn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, values := range r.Header {
			if strings.Contains(strings.Join(values, " "), "hf_secret") {
				t.Errorf("%s: the token is sent to another host", name)
			}
		}
		w.Header().Set("X-Repo-Commit", other)
		fmt.Fprint(w, config)
	}))
	defer cdn.Close()
	// The same host name with another port is a different server.
	h := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/old/") {
			http.Redirect(w, r, strings.Replace(r.URL.Path, "/old/", "/new/", 1), http.StatusTemporaryRedirect)
			return
		}
		if r.Header.Get("Authorization") == "" {
			t.Error("a redirect on the same server loses the token")
		}
		if filepath.Base(r.URL.Path) == more {
			w.WriteHeader(404)
			return
		}
		w.Header().Set("X-Repo-Commit", commit)
		http.Redirect(w, r, cdn.URL+"/x", http.StatusFound)
	})
	r := parse(t, "hf:old/b")
	if err := h.Download(r, main, more); err != nil {
		t.Fatal(err)
	}
	file, err := h.Find(r, main)
	if err != nil || filepath.Base(filepath.Dir(file)) != commit {
		t.Errorf("%s: %v", file, err)
	}
}

// TestNoToken checks that the token is not sent to another machine over plain http.
func TestNoToken(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token is sent unencrypted")
		}
		w.WriteHeader(401)
	}))
	defer proxy.Close()
	h := serve(t, nil)
	h.Endpoint = "http://mirror.invalid"
	transport := http.DefaultTransport.(*http.Transport)
	defer func(old func(*http.Request) (*url.URL, error)) { transport.Proxy = old }(transport.Proxy)
	transport.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy.URL) }
	err := h.Download(parse(t, "hf:a/b"), main)
	if err == nil || !strings.Contains(err.Error(), "kvbench sends only over https") {
		t.Error(err)
	}
}

// TestProxy checks that messages distinguish an unreachable proxy from an unreachable
// server.
func TestProxy(t *testing.T) {
	h := serve(t, nil)
	h.Endpoint = "http://mirror.invalid"
	transport := http.DefaultTransport.(*http.Transport)
	defer func(old func(*http.Request) (*url.URL, error)) { transport.Proxy = old }(transport.Proxy)
	transport.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse("http://user:pw_secret@127.0.0.1:1") }
	err := h.Download(parse(t, "hf:a/b"), main)
	if err == nil || !strings.HasPrefix(err.Error(), "hf:a/b: http://mirror.invalid cannot be reached through the proxy: ") {
		t.Fatal(err)
	}
	if strings.Contains(err.Error(), "pw_secret") {
		t.Errorf("the password is shown: %v", err)
	}
}

// TestRefused checks the messages about a server's responses. It also checks that nothing is
// saved in the cache, and that no message contains the token.
func TestRefused(t *testing.T) {
	status := func(code int, errorCode string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if errorCode != "" {
				w.Header().Set("X-Error-Code", errorCode)
			}
			w.Header().Set("X-Error-Message", "hf_secret")
			w.WriteHeader(code)
			fmt.Fprint(w, r.Header.Get("Authorization"))
		}
	}
	body := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Repo-Commit", commit)
			fmt.Fprint(w, text)
		}
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"401":       {status(401, ""), "does not have this model, or does not accept the token (401)"},
		"gated":     {status(403, "GatedRepo"), "restricts this model to users who accepted its terms (403)"},
		"403":       {status(403, ""), "denies access (403)"},
		"404":       {status(404, ""), "did not find the model, the revision or config.json (404)"},
		"repo":      {status(404, "RepoNotFound"), "does not have this model (404)"},
		"revision":  {status(404, "RevisionNotFound"), "does not have revision main of this model (404)"},
		"entry":     {status(404, "EntryNotFound"), "does not have config.json for this model (404)"},
		"proxy":     {status(407, ""), "is behind a proxy that requires a password (407)"},
		"429":       {status(429, ""), "is rate-limiting requests (429)"},
		"503":       {status(503, ""), "answered with status 503"},
		"204":       {status(204, ""), "answered with status 204"},
		"304":       {status(304, ""), "answered with status 304"},
		"page":      {body("<!DOCTYPE html><html>log in</html>"), "did not return a JSON object for config.json"},
		"empty":     {body(""), "did not return a JSON object for config.json"},
		"list":      {body("[1]"), "did not return a JSON object for config.json"},
		"cut":       {body(`{"a": [`), "did not return a JSON object for config.json"},
		"loop":      {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) }, "redirects more than 5 times"},
		"no commit": {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, config) }, "did not report the commit of config.json"},
		"odd commit": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Repo-Commit", "../../x")
			fmt.Fprint(w, config)
		}, "did not report the commit of config.json"},
		"short": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, config)
		}, "closed the connection before the file was complete"},
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Repo-Commit", commit)
			line := []byte("{" + strings.Repeat(" ", 1<<16))
			for range 1 << 14 { // 1 GiB
				if _, err := w.Write(line); err != nil {
					return
				}
			}
			t.Error("the whole response was read")
		}, "returned a config.json larger than 8 MiB"},
		"headers": {func(w http.ResponseWriter, r *http.Request) {
			for i := range 100 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 1<<10))
			}
		}, "returned an invalid response: "},
		"nothing": {func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, "returned an invalid response: EOF"},
		"malformed": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Odd", "\x1b[31m"+r.Header.Get("Authorization"))
		}, `returned an invalid response: net/http: HTTP/1.x transport connection broken: malformed MIME header line: "X-Odd: \x1b[31mBearer …"`},
		"location": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://[::"+r.Header.Get("Authorization"))
			w.WriteHeader(302)
		}, "returned an invalid response: "},
		"second": {func(w http.ResponseWriter, r *http.Request) {
			if filepath.Base(r.URL.Path) == more {
				w.WriteHeader(500)
				return
			}
			body(config)(w, r)
		}, "answered with status 500"},
	} {
		t.Run(name, func(t *testing.T) {
			h := serve(t, test.handler)
			r := parse(t, "hf:a/b")
			err := h.Download(r, main, more)
			if err == nil || !strings.HasPrefix(err.Error(), "hf:a/b: "+h.Endpoint+" "+test.want) {
				t.Fatalf("%v, want %s", err, test.want)
			}
			if text := err.Error() + strings.Join(diag.All(err)[0].Hints, "\n"); strings.Contains(text, "hf_secret") {
				t.Errorf("the token is shown: %s", text)
			}
			if _, err := h.Find(r, main); err == nil {
				t.Error("a file is in the cache")
			}
		})
	}
}

// TestSlow checks that there is a time limit for a server that never responds or never
// finishes.
func TestSlow(t *testing.T) {
	for name, begin := range map[string]string{"no answer": "", "no end": `{"a":`} {
		t.Run(name, func(t *testing.T) {
			done := make(chan bool)
			h := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if begin != "" {
					fmt.Fprint(w, begin)
					w.(http.Flusher).Flush()
				}
				select {
				case <-done:
				case <-r.Context().Done():
				}
			})
			defer close(done)
			h.Timeout = 100 * time.Millisecond
			start := time.Now()
			err := h.Download(parse(t, "hf:a/b"), main)
			if err == nil || !strings.HasSuffix(err.Error(), "did not answer within 100ms") {
				t.Error(err)
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// TestSettings checks that invalid settings in the environment are not shown if they may be
// secret, and that they prevent requests.
func TestSettings(t *testing.T) {
	for _, test := range []struct {
		set  func(h *hub.Hub)
		want string
	}{
		{func(h *hub.Hub) { h.Endpoint = "ftp://example.org" }, "HF_ENDPOINT is not a URL"},
		{func(h *hub.Hub) { h.Endpoint = "huggingface.co" }, "HF_ENDPOINT is not a URL"},
		{func(h *hub.Hub) { h.Endpoint = "https://" }, "HF_ENDPOINT is not a URL"},
		{func(h *hub.Hub) { h.Endpoint = "https://me:hf_secret@example.org" }, "HF_ENDPOINT contains a user name"},
		{func(h *hub.Hub) { h.Endpoint = "https://example.org/?token=hf_secret" }, "HF_ENDPOINT is not a URL"},
		{func(h *hub.Hub) { h.Token = "hf_secret\x01" }, "the Hugging Face token contains characters"},
		{func(h *hub.Hub) { h.Token = "hf_secret é" }, "the Hugging Face token contains characters"},
		{func(h *hub.Hub) { h.Offline = "HF_HUB_OFFLINE" }, "not downloaded, because HF_HUB_OFFLINE is set"},
		{func(h *hub.Hub) { h.Cache = "~/.cache/huggingface/hub" }, "unknown home folder"},
		{func(h *hub.Hub) { h.Endpoint = "http://127.0.0.1:1" }, "http://127.0.0.1:1 cannot be reached"},
	} {
		h := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the server received a request") })
		test.set(h)
		err := h.Download(parse(t, "hf:a/b"), main)
		if err == nil || !strings.HasPrefix(err.Error(), "hf:a/b: "+test.want) {
			t.Errorf("%v, want %s", err, test.want)
			continue
		}
		if text := err.Error() + strings.Join(diag.All(err)[0].Hints, "\n"); strings.Contains(text, "hf_secret") {
			t.Errorf("a secret is shown: %s", text)
		}
	}
}

// TestUnwritable checks the error message for a cache that cannot be written to.
func TestUnwritable(t *testing.T) {
	h := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Repo-Commit", commit)
		fmt.Fprint(w, config)
	})
	write(t, h.Cache, "a file")
	err := h.Download(parse(t, "hf:a/b"), main)
	if err == nil || !strings.HasSuffix(err.Error(), "cannot be written: not a directory") {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"hf:Qwen/Qwen3-8B", "hf:a/b@refs/pr/1", "hf:../../etc/passwd", "hf:a/b@..", "hf:", "@/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, word string) {
		r, err := hub.Parse(word)
		if err != nil {
			return
		}
		for _, part := range []string{r.Owner, r.Name, r.Revision} {
			if part != "" && !filepath.IsLocal(part) {
				t.Errorf("%q: %+v leaves the cache", word, r)
			}
		}
		if again, err := hub.Parse(r.String()); err != nil || again != r {
			t.Errorf("%q: %v, %v", word, again, err)
		}
	})
}
