// Package hub finds model files from Hugging Face in the local cache of huggingface_hub
// and, on request, downloads them from the server.
package hub

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"kvbench/engine/diag"
	"kvbench/engine/input"
)

// Scheme is the prefix that marks the name of a model as a Hugging Face repository.
const Scheme = "hf:"

const (
	defaultEndpoint = "https://huggingface.co"
	defaultRevision = "main"

	// MaxFile is the maximum size of a file.
	MaxFile = 8 << 20

	repoFolder  = "models--"
	separator   = "--" // between owner and name
	maxRevision = 200
	maxRef      = 100 // maximum size of a file that contains a commit
	maxToken    = 4096
	absent      = ".no_exist" // folder that records which files do not exist in a commit
)

// Repo is a model repository at a revision.
type Repo struct {
	Owner, Name string
	Revision    string // a branch, a tag or a commit; "" for the main branch
}

// These patterns are compiled on demand, because most commands do not need them.
var (
	wordPattern     = pattern(`^[A-Za-z0-9_]([A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$`)
	revisionPattern = pattern(`^[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_][A-Za-z0-9._+-]*)*$`)
	commitPattern   = pattern(`^[0-9a-f]{40}$`)
)

func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

func isCommit(s string) bool { return commitPattern().MatchString(s) }

// Parse parses hf:OWNER/NAME or hf:OWNER/NAME@REVISION.
func Parse(word string) (Repo, error) {
	id, revision, hasRevision := strings.Cut(strings.TrimPrefix(word, Scheme), "@")
	var r Repo
	var ok bool
	r.Owner, r.Name, ok = strings.Cut(id, "/")
	wrong := func(s string) bool {
		return !wordPattern().MatchString(s) || strings.Contains(s, "--") || strings.Contains(s, "..")
	}
	switch {
	case !ok || wrong(r.Owner) || wrong(r.Name):
		return r, diag.Usagef("%q is not a repository: expected %sOWNER/NAME or %sOWNER/NAME@REVISION", word, Scheme, Scheme)
	case hasRevision && revision == "":
		return r, diag.Usagef("%q: a revision is missing after the @", word)
	case hasRevision && (!revisionPattern().MatchString(revision) || strings.Contains(revision, "..") || len(revision) > maxRevision):
		return r, diag.Usagef("%q: %q is not a revision: expected a branch, a tag or a commit", word, revision)
	}
	r.Revision = revision
	return r, nil
}

// String returns the repository in the form that [Parse] accepts.
func (r Repo) String() string {
	s := Scheme + r.id()
	if r.Revision != "" {
		s += "@" + r.Revision
	}
	return s
}

func (r Repo) id() string { return r.Owner + "/" + r.Name }

func (r Repo) revision() string {
	if r.Revision == "" {
		return defaultRevision
	}
	return r.Revision
}

// Hub consists of the local cache and the server to download files from.
type Hub struct {
	Cache    string // the folder
	Endpoint string
	Token    string
	Offline  string // the variable that disables downloads, or ""
	Timeout  time.Duration
}

// FromEnv returns the hub configured by the environment, following the rules of
// huggingface_hub.
func FromEnv() *Hub {
	home := variable("HF_HOME")
	if home == "" {
		caches := variable("XDG_CACHE_HOME")
		if caches == "" {
			caches = expand("~/.cache")
		}
		home = filepath.Join(caches, "huggingface")
	}
	h := &Hub{
		Cache:    first(variable("HF_HUB_CACHE"), variable("HUGGINGFACE_HUB_CACHE"), filepath.Join(home, "hub")),
		Endpoint: strings.TrimRight(first(os.Getenv("HF_ENDPOINT"), defaultEndpoint), "/"),
		Timeout:  30 * time.Second,
	}
	for _, name := range []string{"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
		if h.Offline == "" && isTrue(name) {
			h.Offline = name
		}
	}
	h.Token = clean(first(os.Getenv("HF_TOKEN"), os.Getenv("HUGGING_FACE_HUB_TOKEN")))
	if h.Token == "" {
		h.Token = readToken(first(variable("HF_TOKEN_PATH"), filepath.Join(home, "token")))
	}
	if isTrue("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
		h.Token = ""
	}
	return h
}

// readToken reads the token file that logging in to Hugging Face creates.
func readToken(file string) string {
	data, large, err := input.ReadAll(file, maxToken, nil)
	if err != nil || large {
		return ""
	}
	return clean(string(data))
}

func clean(token string) string {
	return strings.TrimSpace(strings.NewReplacer("\r", "", "\n", "").Replace(token))
}

func isTrue(name string) bool {
	return slices.Contains([]string{"1", "ON", "YES", "TRUE"}, strings.ToUpper(os.Getenv(name)))
}

// variable returns the path in an environment variable.
func variable(name string) string { return expand(os.Getenv(name)) }

// expand replaces ~ and variables in a path. Variables that are not set are left in the path,
// in the form ${NAME}.
func expand(path string) string {
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || rest[0] == '/') {
		if home, err := os.UserHomeDir(); err == nil {
			path = home + rest
		}
	}
	return os.Expand(path, func(name string) string {
		if v, ok := os.LookupEnv(name); ok {
			return v
		}
		return "${" + name + "}"
	})
}

func first(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

// Host returns the name of the server, without anything that may be secret.
func (h *Hub) Host() string {
	u, err := url.Parse(h.Endpoint)
	if err != nil || u.Host == "" {
		return "the server in HF_ENDPOINT"
	}
	return u.Host
}

func (h *Hub) folder(r Repo) string {
	return filepath.Join(h.Cache, repoFolder+r.Owner+separator+r.Name)
}

func (h *Hub) snapshot(r Repo, commit string) string {
	return filepath.Join(h.folder(r), "snapshots", commit)
}

// Find returns the path of one of the repository's files in the cache. If the file is not
// there, the error explains why.
func (h *Hub) Find(r Repo, name string) (string, error) {
	missing := func(why string) error {
		d := diag.Errorf(diag.Pos{}, "%s: %s not found in the Hugging Face cache, %s", r, name, diag.Printable(h.Cache))
		if why != "" {
			d.Msg += ": " + why
		}
		return d
	}
	if _, err := os.Stat(h.folder(r)); err != nil {
		return "", missing("")
	}
	commit, why := h.commit(r)
	if why != "" {
		return "", missing(why)
	}
	file := filepath.Join(h.snapshot(r, commit), name)
	// The files in a snapshot are links to other files, which may no longer
	// exist.
	switch info, err := os.Stat(file); {
	case err == nil && info.Mode().IsRegular():
		return file, nil
	case err == nil:
		return "", missing("it is not a regular file")
	}
	if _, err := os.Lstat(file); err == nil {
		return "", missing("it is a link to a file that no longer exists")
	}
	return "", missing("the snapshot of revision " + r.revision() + " does not contain this file")
}

// commit returns the commit that the revision refers to in the cache, or the reason why
// there is none.
func (h *Hub) commit(r Repo) (commit, why string) {
	if commit = r.revision(); isCommit(commit) {
		return commit, ""
	}
	ref := filepath.Join(h.folder(r), "refs", filepath.FromSlash(commit))
	info, err := os.Stat(ref)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxRef {
		return "", "the cache does not have revision " + commit
	}
	data, _, err := input.ReadAll(ref, maxRef, nil)
	if err != nil {
		return "", diag.All(err)[0].Text()
	}
	if commit = strings.TrimSpace(string(data)); !isCommit(commit) {
		return "", "refs/" + r.revision() + " does not contain a commit"
	}
	return commit, ""
}

// uncached returns the files that are neither in the cache for this commit nor recorded
// there as missing on the server.
func (h *Hub) uncached(r Repo, commit string, names []string) (list []string) {
	at := Repo{Owner: r.Owner, Name: r.Name, Revision: commit}
	for _, name := range names {
		_, err := h.Find(at, name)
		if _, none := os.Lstat(filepath.Join(h.folder(r), absent, commit, name)); err != nil && none != nil {
			list = append(list, name)
		}
	}
	return list
}

// Repos lists the repositories in the cache that contain the named file, each in the form
// that [Parse] accepts.
func (h *Hub) Repos(name string) []string {
	folders, _ := os.ReadDir(h.Cache)
	var list []string
	for _, f := range folders {
		id, ok := strings.CutPrefix(f.Name(), repoFolder)
		if !ok {
			continue
		}
		r, err := Parse(strings.Replace(id, separator, "/", 1))
		if err != nil {
			continue
		}
		if _, err := h.Find(r, name); err == nil {
			list = append(list, r.String())
		}
	}
	return list
}
