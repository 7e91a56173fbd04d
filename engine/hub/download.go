package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"kvbench/engine/diag"
)

const (
	maxRedirects = 5
	maxHeader    = 64 << 10
	maxReason    = 300 // maximum length of an error's text

	commitHeader = "X-Repo-Commit"
	codeHeader   = "X-Error-Code"
	noEntry      = "EntryNotFound"
)

var (
	errRedirects = fmt.Errorf("redirects more than %d times", maxRedirects)
	errDowngrade = errors.New("redirects from https to an unencrypted address")
)

// Download downloads the named files of the repository that are not in the cache. The first
// file must exist on the server; the others are optional. If downloads are disabled, having
// the first file in the cache is enough.
//
// Download writes the cache in huggingface_hub's layout: files are in the snapshot of their
// commit, and the reference to the commit is written last.
func (h *Hub) Download(r Repo, names ...string) error {
	_, err := h.Find(r, names[0])
	isThere := err == nil
	commit, _ := h.commit(r)
	more := names[1:]
	if isThere {
		if more = h.uncached(r, commit, more); len(more) == 0 || h.Offline != "" {
			return nil
		}
	}
	if h.Offline != "" {
		return diag.Errorf(diag.Pos{}, "%s: not downloaded, because %s is set", r, h.Offline)
	}
	if err := h.checkSettings(r); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.Timeout)
	defer cancel()
	if isThere {
		return h.getMore(ctx, r, commit, more)
	}
	main, err := h.get(ctx, r, r.revision(), names[0])
	if err != nil {
		return err
	}
	// Write the first file last, because Find looks for it to determine whether
	// the repository is in the cache.
	if err := h.getMore(ctx, r, main.commit, more); err != nil {
		return err
	}
	if err := h.keep(r, filepath.Join("snapshots", main.commit, names[0]), main.data); err != nil {
		return err
	}
	if r.revision() == main.commit {
		return nil
	}
	return h.keep(r, filepath.Join("refs", filepath.FromSlash(r.revision())), []byte(main.commit))
}

// getMore downloads optional files of a commit. It records which of them do not exist.
func (h *Hub) getMore(ctx context.Context, r Repo, commit string, names []string) error {
	for _, name := range names {
		a, err := h.get(ctx, r, commit, name)
		switch {
		case a.status == http.StatusNotFound && a.code == noEntry:
			err = h.keep(r, filepath.Join(absent, commit, name), nil)
		case a.status == http.StatusNotFound:
			err = nil
		case err == nil:
			err = h.keep(r, filepath.Join("snapshots", commit, name), a.data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkSettings rejects invalid settings in the environment. Its errors do not show
// anything that may contain a secret.
func (h *Hub) checkSettings(r Repo) error {
	if strings.HasPrefix(h.Cache, "~") {
		return diag.Errorf(diag.Pos{}, "%s: unknown home folder: set HF_HOME to a folder for the Hugging Face cache", r)
	}
	u, err := url.Parse(h.Endpoint)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return diag.Errorf(diag.Pos{}, "%s: HF_ENDPOINT is not a URL: expected a URL such as %s", r, defaultEndpoint)
	case u.User != nil:
		return diag.Errorf(diag.Pos{}, "%s: HF_ENDPOINT contains a user name: put a token in HF_TOKEN instead", r)
	}
	if strings.ContainsFunc(h.Token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return diag.Errorf(diag.Pos{}, "%s: the Hugging Face token contains characters that are not valid in a token: check HF_TOKEN", r)
	}
	return nil
}

// answer is the server's response: a file and the commit that contains it.
type answer struct {
	status int
	code   string // the error code of the response, if any
	data   []byte
	commit string
}

// get downloads a file.
func (h *Hub) get(ctx context.Context, r Repo, revision, name string) (a answer, err error) {
	wrong := func(format string, args ...any) *diag.Diag {
		return diag.Errorf(diag.Pos{}, "%s: %s %s", r, h.Endpoint, fmt.Sprintf(format, args...))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.Endpoint+"/"+r.id()+"/resolve/"+url.PathEscape(revision)+"/"+name, nil)
	if err != nil {
		return a, wrong("cannot be queried: %v", err)
	}
	req.Header.Set("User-Agent", "kvbench")
	if h.sendsToken(req.URL) {
		req.Header.Set("Authorization", "Bearer "+h.Token)
	}
	// Only the server itself can report the commit, not a server that it redirects to.
	seen := func(resp *http.Response) {
		if a.commit == "" && origin(resp.Request.URL) == origin(req.URL) {
			a.commit = resp.Header.Get(commitHeader)
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = maxHeader
	transport.DisableKeepAlives = true
	client := &http.Client{Transport: transport, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		seen(next.Response)
		if origin(next.URL) != origin(req.URL) {
			next.Header.Del("Authorization")
		}
		switch {
		case len(via) > maxRedirects:
			return errRedirects
		case via[len(via)-1].URL.Scheme == "https" && next.URL.Scheme != "https":
			return errDowngrade
		}
		return nil
	}}
	resp, err := client.Do(req)
	if err != nil {
		return a, h.failed(ctx, wrong, err)
	}
	defer resp.Body.Close()
	seen(resp)
	a.status, a.code = resp.StatusCode, resp.Header.Get(codeHeader)
	if resp.StatusCode != http.StatusOK {
		return a, h.refused(wrong, resp, r, name)
	}
	a.data, err = io.ReadAll(io.LimitReader(resp.Body, MaxFile+1))
	text := bytes.TrimSpace(bytes.TrimPrefix(a.data, []byte("\ufeff")))
	switch {
	case err != nil:
		return a, h.failed(ctx, wrong, err)
	case len(a.data) > MaxFile:
		return a, wrong("returned a %s larger than %d MiB", name, MaxFile>>20)
	case len(text) == 0 || text[0] != '{' || text[len(text)-1] != '}':
		d := wrong("did not return a JSON object for %s", name)
		if bytes.HasPrefix(text, []byte("<")) {
			d.WithHint("it returned a web page: check for a proxy or a login page")
		}
		return a, d
	case !isCommit(a.commit):
		return a, wrong("did not report the commit of %s", name).WithHint("set HF_ENDPOINT to a server that responds the way %s does", defaultEndpoint)
	case isCommit(revision) && a.commit != revision:
		return a, wrong("returned a different commit from %s", revision)
	}
	return a, nil
}

// origin identifies the server that a token may be sent to.
func origin(u *url.URL) string { return u.Scheme + "://" + strings.ToLower(u.Host) }

// sendsToken reports whether to send the token to the server. It returns false if others
// could read the token in transit.
func (h *Hub) sendsToken(u *url.URL) bool {
	host := u.Hostname()
	ip := net.ParseIP(host)
	return h.Token != "" && (u.Scheme == "https" || host == "localhost" || ip != nil && ip.IsLoopback())
}

// failed returns an error that explains why there was no response.
func (h *Hub) failed(ctx context.Context, wrong func(string, ...any) *diag.Diag, err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // omit the URL, because the message begins with the address
	}
	switch timeout, ok := errors.AsType[net.Error](err); {
	case ctx.Err() != nil || ok && timeout.Timeout():
		return wrong("did not answer within %v", h.Timeout)
	case errors.Is(err, errRedirects) || errors.Is(err, errDowngrade):
		return wrong("%v", err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return wrong("closed the connection before the file was complete")
	}
	// The text may quote the response, which may in turn repeat the token from
	// the request.
	text := err.Error()
	if h.Token != "" {
		text = strings.ReplaceAll(text, h.Token, "…")
	}
	text = diag.Printable(text[:min(len(text), maxReason)])
	switch op, ok := errors.AsType[*net.OpError](err); {
	case ok && op.Op == "proxyconnect":
		return wrong("cannot be reached through the proxy: %s", text).WithHint("check HTTPS_PROXY and NO_PROXY")
	case ok && op.Op == "dial":
		return wrong("cannot be reached: %s", text).WithHint("set HF_ENDPOINT to use another server, or HTTPS_PROXY to use a proxy")
	}
	return wrong("returned an invalid response: %s", text)
}

// refused returns the error for a response that does not contain the file.
func (h *Hub) refused(wrong func(string, ...any) *diag.Diag, resp *http.Response, r Repo, name string) error {
	const login = "set HF_TOKEN to a token that can read this model"
	page := h.Endpoint + "/" + r.id()
	switch code := resp.Header.Get(codeHeader); {
	case code == "GatedRepo":
		d := wrong("restricts this model to users who accepted its terms (%d)", resp.StatusCode)
		return d.WithHint("accept the terms at %s, and set HF_TOKEN", page)
	case resp.StatusCode == http.StatusUnauthorized && h.Token == "":
		return wrong("does not have this model, or restricts access to it (401)").WithHint("check the name; %s", login)
	case resp.StatusCode == http.StatusUnauthorized && !h.sendsToken(resp.Request.URL):
		return wrong("requires a token (401), which kvbench sends only over https")
	case resp.StatusCode == http.StatusUnauthorized:
		return wrong("does not have this model, or does not accept the token (401)").WithHint("check the name; %s", login)
	case resp.StatusCode == http.StatusForbidden:
		return wrong("denies access (403)").WithHint("%s; see %s", login, page)
	case resp.StatusCode == http.StatusProxyAuthRequired:
		return wrong("is behind a proxy that requires a password (407)").WithHint("you can include the password in HTTPS_PROXY")
	case resp.StatusCode == http.StatusTooManyRequests:
		return wrong("is rate-limiting requests (429)").WithHint("try again later, or with a token in HF_TOKEN")
	case resp.StatusCode == http.StatusNotFound && code == "RevisionNotFound":
		return wrong("does not have revision %s of this model (404)", r.revision())
	case resp.StatusCode == http.StatusNotFound && code == "RepoNotFound":
		return wrong("does not have this model (404)").WithHint("check the name")
	case resp.StatusCode == http.StatusNotFound && code == noEntry:
		return wrong("does not have %s for this model (404)", name)
	case resp.StatusCode == http.StatusNotFound:
		return wrong("did not find the model, the revision or %s (404)", name).WithHint("check the name")
	}
	return wrong("answered with status %d", resp.StatusCode)
}

// keep saves a file of the repository in the cache. It does not replace an existing file of
// a commit, because its content cannot change.
func (h *Hub) keep(r Repo, name string, data []byte) error {
	file := filepath.Join(h.folder(r), name)
	if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && strings.HasPrefix(name, "snapshots") {
		return nil
	}
	if err := replace(file, data); err != nil {
		return diag.Errorf(diag.Pos{File: file}, "cannot be written: %v", diag.Cause(err)).WithHint("set HF_HOME or HF_HUB_CACHE to use another folder for the Hugging Face cache")
	}
	return nil
}

// replace writes a file atomically.
func replace(file string, data []byte) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".kvbench-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // does nothing after the file is renamed
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
