package cli_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// browser is a Chromium with one tab that a test controls. The test uses the DevTools
// protocol over a pair of pipes, which needs neither a port nor a library.
type browser struct {
	t       *testing.T
	in      io.Writer
	session string
	folder  string // of downloads

	mu       sync.Mutex
	last     int
	replies  map[int]chan reply
	loaded   chan bool
	problems []string // errors and warnings in the console
	requests []string // URLs that the page requested
}

type reply struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// chromium returns the path of a browser, or skips the test. If it skips the test, it
// prints a message on stderr, because skipped tests are otherwise silent.
func chromium(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped, because it starts a browser")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	fmt.Fprintf(os.Stderr, "%s is skipped: no Chromium is installed\n", t.Name())
	t.Skip("Chromium is not installed")
	return ""
}

// newBrowser starts a browser, and closes it at the end of the test.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	path := chromium(t)
	toBrowser, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, fromBrowser, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile := t.TempDir()
	cmd := exec.Command(path, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
		"--user-data-dir="+profile, "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{toBrowser, fromBrowser} // file descriptors 3 and 4
	cmd.Env = append(os.Environ(), "HOME="+profile)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toBrowser.Close()
	fromBrowser.Close()
	b := &browser{t: t, in: in, folder: t.TempDir(), replies: map[int]chan reply{}, loaded: make(chan bool, 1)}
	done := make(chan bool)
	go b.read(out, done)
	t.Cleanup(func() {
		b.send("", "Browser.close", nil)
		timer := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		timer.Stop()
		in.Close()
		out.Close()
		<-done
	})
	var target struct{ TargetID string }
	b.ask("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.ask("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.ask(domain+".enable", nil, nil)
	}
	return b
}

// read receives replies and events, each of which ends with a zero byte.
func (b *browser) read(out io.Reader, done chan bool) {
	defer close(done)
	messages := bufio.NewReaderSize(out, 1<<20)
	for {
		text, err := messages.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			ID     int
			Method string
			Params json.RawMessage
			reply
		}
		if json.Unmarshal(bytes.TrimSuffix(text, []byte{0}), &m) != nil {
			continue
		}
		b.mu.Lock()
		if c := b.replies[m.ID]; m.ID > 0 && c != nil {
			c <- m.reply
			delete(b.replies, m.ID)
		}
		b.event(m.Method, m.Params)
		b.mu.Unlock()
	}
}

func (b *browser) event(method string, params json.RawMessage) {
	var p struct {
		Type    string
		Entry   struct{ Level, Text string }
		Request struct{ URL string }
	}
	json.Unmarshal(params, &p)
	switch method {
	case "Page.loadEventFired":
		select {
		case b.loaded <- true:
		default:
		}
	case "Runtime.exceptionThrown":
		b.problems = append(b.problems, string(params))
	case "Runtime.consoleAPICalled":
		if p.Type == "error" || p.Type == "warning" || p.Type == "assert" {
			b.problems = append(b.problems, string(params))
		}
	case "Log.entryAdded":
		if p.Entry.Level == "error" || p.Entry.Level == "warning" {
			b.problems = append(b.problems, p.Entry.Text)
		}
	case "Network.requestWillBeSent":
		b.requests = append(b.requests, p.Request.URL)
	}
}

func (b *browser) send(session, method string, params any) chan reply {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	c := make(chan reply, 1)
	b.replies[b.last] = c
	m := map[string]any{"id": b.last, "method": method}
	if params != nil {
		m["params"] = params
	}
	if session != "" {
		m["sessionId"] = session
	}
	text, err := json.Marshal(m)
	if err != nil {
		b.t.Fatal(err)
	}
	b.in.Write(append(text, 0))
	return c
}

// ask sends a command and waits for its result.
func (b *browser) ask(method string, params, result any) {
	b.t.Helper()
	select {
	case r := <-b.send(b.session, method, params):
		if r.Error != nil {
			b.t.Fatalf("%s: %s", method, r.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(r.Result, result); err != nil {
				b.t.Fatal(err)
			}
		}
	case <-time.After(60 * time.Second):
		b.t.Fatalf("%s: the browser did not answer", method)
	}
}

// open opens a file in a window of the given width and with the given color scheme, light
// or dark.
func (b *browser) open(file string, width int, scheme string) {
	b.t.Helper()
	b.size(width, 900)
	b.scheme(scheme)
	b.ask("Page.navigate", map[string]any{"url": "file://" + file}, nil)
	select {
	case <-b.loaded:
	case <-time.After(60 * time.Second):
		b.t.Fatalf("%s did not load", file)
	}
}

// scheme sets the user's preferred color scheme.
func (b *browser) scheme(name string) {
	b.t.Helper()
	b.ask("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]any{{"name": "prefers-color-scheme", "value": name}}}, nil)
}

func (b *browser) size(width, height int) {
	b.t.Helper()
	b.ask("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
}

// eval evaluates a JavaScript expression and stores the value. If the value is a promise,
// eval waits for its result.
func (b *browser) eval(expression string, value any) {
	b.t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.ask("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &r)
	if r.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, r.ExceptionDetails)
	}
	if value != nil && r.Result.Value != nil {
		if err := json.Unmarshal(r.Result.Value, value); err != nil {
			b.t.Fatalf("%s: %v: %s", expression, err, r.Result.Value)
		}
	}
}

func (b *browser) text(expression string) string {
	b.t.Helper()
	var s string
	b.eval(expression, &s)
	return s
}

func (b *browser) number(expression string) float64 {
	b.t.Helper()
	var x float64
	b.eval(expression, &x)
	return x
}

// waitFor waits up to two seconds for the text of an expression to equal want, and returns
// the text. The wait is necessary because browsers handle input only with the next frame.
func (b *browser) waitFor(expression, want string) string {
	b.t.Helper()
	got := ""
	for range 40 {
		if got = b.text(expression); got == want {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return got
}

// mouse moves the mouse to a place in the window, and clicks if click is set.
func (b *browser) mouse(x, y float64, click bool) {
	b.t.Helper()
	kinds := []string{"mouseMoved"}
	if click {
		kinds = append(kinds, "mousePressed", "mouseReleased")
	}
	for _, kind := range kinds {
		b.ask("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}, nil)
	}
}

func (b *browser) key(name string) {
	b.t.Helper()
	text := ""
	if name == "Enter" {
		text = "\r"
	}
	b.ask("Input.dispatchKeyEvent", map[string]any{"type": "keyDown", "key": name, "text": text}, nil)
	b.ask("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": name}, nil)
}

// download clicks on an element and returns the file that it saves.
func (b *browser) download(selector string) string {
	b.t.Helper()
	b.ask("Page.setDownloadBehavior", map[string]any{"behavior": "allow", "downloadPath": b.folder}, nil)
	before, _ := filepath.Glob(filepath.Join(b.folder, "*"))
	b.eval(fmt.Sprintf("document.querySelector(%q).click()", selector), nil)
	for range 200 {
		files, _ := filepath.Glob(filepath.Join(b.folder, "*.csv"))
		for _, f := range files {
			if text, err := os.ReadFile(f); err == nil && !slices.Contains(before, f) && len(text) > 0 && !strings.HasSuffix(f, ".crdownload") {
				return string(text)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.t.Fatalf("a click on %s did not save a file", selector)
	return ""
}

// save saves a screenshot of the whole page, for people to look at, if KVBENCH_PAGES is
// set to a folder.
func (b *browser) save(name string) {
	b.t.Helper()
	dir := os.Getenv("KVBENCH_PAGES")
	if dir == "" {
		return
	}
	width, height := int(b.number("innerWidth")), int(b.number("document.documentElement.scrollHeight"))
	b.size(width, min(height, 12_000))
	defer b.size(width, 900)
	var shot struct{ Data string }
	b.ask("Page.captureScreenshot", nil, &shot)
	b.write(filepath.Join(dir, name+".png"), shot.Data)
}

// print returns the page as a PDF.
func (b *browser) print() []byte {
	b.t.Helper()
	var pdf struct{ Data string }
	b.ask("Page.printToPDF", map[string]any{"printBackground": true}, &pdf)
	text, err := base64.StdEncoding.DecodeString(pdf.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	return text
}

func (b *browser) write(file, coded string) {
	b.t.Helper()
	text, err := base64.StdEncoding.DecodeString(coded)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o755)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// check checks that the page did not use the network, that it did not cause console
// messages, and that it fits its window. It then clears the recorded requests and
// messages.
func (b *browser) check(what string) {
	b.t.Helper()
	var wide []string
	b.eval(`[...document.querySelectorAll("body *")].filter(e => {
		if (e.closest(".scroll, .offscreen, .skip, pre, canvas, .u-wrap")) return false;
		const r = e.getBoundingClientRect();
		return r.width > 0 && (r.right > document.documentElement.clientWidth + 0.5 || r.left < -0.5);
	}).map(e => e.tagName + "." + e.className)`, &wide)
	if len(wide) > 0 || b.number("document.documentElement.scrollWidth - document.documentElement.clientWidth") > 0 {
		b.t.Errorf("%s: these elements are wider than the window: %v", what, wide)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, url := range b.requests {
		if !strings.HasPrefix(url, "file://") || !strings.HasSuffix(url, ".html") {
			b.t.Errorf("%s: the page requested %s", what, url)
		}
	}
	for _, p := range b.problems {
		b.t.Errorf("%s: %s", what, p)
	}
	b.requests, b.problems = nil, nil
}
