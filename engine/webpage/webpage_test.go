package webpage

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestLibrary checks that the chart library is the file from its npm package, uplot 1.6.32
// (integrity
// sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw==),
// and that the page's footer shows its version.
func TestLibrary(t *testing.T) {
	for name, want := range map[string]string{
		"uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
		"uPlot.min.css":     "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
		"LICENSE":           "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
	} {
		text, err := os.ReadFile("uplot/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(text)); got != want {
			t.Errorf("%s has the checksum %s, want %s", name, got, want)
		}
	}
	if !strings.Contains(chartScript, "(v1.6.32)") || !strings.Contains(pageText, "uPlot 1.6.32 (MIT License)") {
		t.Error("the version in the page's footer is not the library's version")
	}
	if files, _ := os.ReadDir("uplot"); len(files) != 3 {
		t.Errorf("%d files are in uplot", len(files))
	}
}

// nasty contains strings that, unescaped, would become markup or code, or would end a script.
var nasty = []string{
	"</script><img src=x onerror=alert(1)>", "<!--<script>", "\"'><b>bold</b>", "a&amp;b", "\u2028\u2029", "${alert(1)}", "\x00\x07\x1b[31m", "\u202eevil",
}

// TestHostile checks that no text in a page becomes markup.
func TestHostile(t *testing.T) {
	for _, text := range nasty {
		c := &Column{Key: "k", Label: text}
		c.Add(text)
		p := &Page{
			Kind: text, Title: text, About: []string{text}, Answer: []string{text}, Command: []string{text},
			Sections: []Section{{Title: text, Intro: text, Facts: []Fact{{text, text}}, Command: []string{text}, Tables: []Table{{
				Caption: text, Head: []Cell{{Text: text}}, Rows: [][]Cell{{{Text: text}, {Text: text, Head: true}}}, Note: text,
			}}}},
			Data: &Data{Name: text, Rows: 1, Columns: []*Column{c}, Charts: []Chart{{Title: text, Note: text}}},
		}
		var b bytes.Buffer
		if err := Write(&b, p); err != nil {
			t.Fatal(err)
		}
		page := b.String()
		for what, want := range map[string]int{"<script": 2, "</script>": 2, "<img": 0, "<b>": 1, "<!--": 0, "\x00": 0, "\x1b": 0, "\u2028": 0, "\u202e": 0} {
			if n := strings.Count(page, what); n != want {
				t.Errorf("%q: %d times %q, want %d", text, n, what, want)
			}
		}
	}
}

// TestPolicy checks that a page's content security policy allows only the page's own script
// and style.
func TestPolicy(t *testing.T) {
	for _, data := range []*Data{nil, {}} {
		var b bytes.Buffer
		if err := Write(&b, &Page{Data: data}); err != nil {
			t.Fatal(err)
		}
		policy := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)">`).FindStringSubmatch(b.String())
		if policy == nil || !regexp.MustCompile(`^default-src (&#39;)none(&#39;); script-src (&#39;)sha256-[0-9A-Za-z+/=&#;]{44,}(&#39;); style-src (&#39;)sha256-[0-9A-Za-z+/=&#;]{44,}(&#39;); base-uri (&#39;)none(&#39;); form-action (&#39;)none(&#39;)$`).MatchString(policy[1]) {
			t.Errorf("the policy is %q", policy)
		}
		if m := regexp.MustCompile(`\b(src|href)\s*=\s*"[^#][^"]*"|@import|\burl\(`).FindString(b.String()); m != "" {
			t.Errorf("the page refers to %s", m)
		}
	}
}

// TestNumbers checks how numbers are encoded.
func TestNumbers(t *testing.T) {
	text, err := Numbers{1, 4718592, 1207959552, 0.1, 16.925787, 1.0 / 3, math.NaN(), math.Inf(1), 1e300, -2}.MarshalJSON()
	if want := "[1,4718592,1207959552,0.1,16.92579,0.3333333,null,null,1e+300,-2]"; err != nil || string(text) != want {
		t.Errorf("%s, %v, want %s", text, err, want)
	}
}

// TestContrast checks that both color schemes meet WCAG 2.2, which requires a contrast ratio of
// at least 4.5 between text and its background, and of at least 3 for marks.
func TestContrast(t *testing.T) {
	light, dark, _ := strings.Cut(ownStyle, "prefers-color-scheme: dark")
	color := regexp.MustCompile(`--([a-z0-9-]+): (#[0-9a-f]{6});`)
	for scheme, style := range map[string]string{"light": light, "dark": dark} {
		colors := map[string]string{}
		for _, m := range color.FindAllStringSubmatch(style, -1) {
			colors[m[1]] = m[2]
		}
		check := func(front, back string, least float64) {
			a, b := luminance(t, colors[front]), luminance(t, colors[back])
			if got := (max(a, b) + 0.05) / (min(a, b) + 0.05); got < least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, want %.1f", scheme, front, back, got, least)
			}
		}
		for _, back := range []string{"bg", "card", "answer", "warn", "code", "h1", "h2", "h3", "h4", "h5"} {
			check("text", back, 4.5)
		}
		for _, back := range []string{"bg", "card"} {
			check("soft", back, 4.5)
			check("accent", back, 4.5)
			check("bad", back, 4.5)
		}
		for i := 1; i <= 8; i++ {
			check(fmt.Sprintf("c%d", i), "card", 3)
		}
	}
}

// luminance returns the relative luminance of a color.
func luminance(t *testing.T, color string) float64 {
	t.Helper()
	var r, g, b int
	if _, err := fmt.Sscanf(color, "#%02x%02x%02x", &r, &g, &b); err != nil {
		t.Fatalf("%q: %v", color, err)
	}
	linear := func(n int) float64 {
		c := float64(n) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(r) + 0.7152*linear(g) + 0.0722*linear(b)
}
