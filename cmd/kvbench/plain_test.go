package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// unplain lists phrases that native writers would not use, and what to write instead.
var unplain = []struct {
	phrase  *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`\bstray word`), "unexpected argument"},
	{regexp.MustCompile(`\bmends?\b`), "fix"},
	{regexp.MustCompile(`\bbears? on\b`), "affect"},
	{regexp.MustCompile(`\bpassed over\b`), "skipped"},
	{regexp.MustCompile(`\btaken for\b`), "using the default"},
	{regexp.MustCompile(`\b(is|are) wanted\b`), "expected"},
	{regexp.MustCompile(`: wants? (a|an|at|one|the|true)\b`), "expected"},
	{regexp.MustCompile(`\b(this|it|that) is no [a-z]+\b`), "not a"},
	{regexp.MustCompile(`\bworked out\b`), "computed"},
	{regexp.MustCompile(`\bwas told\b`), "say what happened"},
	{regexp.MustCompile(`\bgives another\b`), "overrides it"},
	{regexp.MustCompile(`\bruns it all the same\b`), "anyway"},
	{regexp.MustCompile(`\bis there already\b`), "already exists"},
	{regexp.MustCompile(`\bof strangers\b`), "untrusted"},
	{regexp.MustCompile(`\bexpected a text\b`), "expected a string"},
	{regexp.MustCompile(`\b(could|may) not be kept\b`), "cannot be saved"},
	{regexp.MustCompile(`\ban? (file of results|text times)\b`), "results file, multiplying a string"},
	{regexp.MustCompile(`\bthe file of --[a-z]`), "the --x file"},
	{regexp.MustCompile(`\b(says nothing|is known) of\b`), "does not define, known about"},
	{regexp.MustCompile(`\bknows no (such|GPU)\b`), "does not know"},
	{regexp.MustCompile(`\bmeet there\b`), "use to find each other"},
	{regexp.MustCompile(`\bthe command does without\b`), "omitted from the command"},
	{regexp.MustCompile(`\bat hand\b`), "being counted"},
	{regexp.MustCompile(`\bone JSON object a line\b`), "per line"},
	{regexp.MustCompile(`\bbyte an element\b`), "per element"},
	{regexp.MustCompile(`\bis not as JSON has it\b`), "invalid"},
	{regexp.MustCompile(`\bkvbench (models|vet|plan|nixlbench) (lists|says|shows|checks)\b`), "run 'kvbench models' to list"},
	{regexp.MustCompile(`\bnothing is downloaded\b`), "not downloaded"},
	{regexp.MustCompile(`\b(is|are) not part of formulas\b`), "not supported in formulas"},
	{regexp.MustCompile(`\bas long as it likes\b`), "no limit"},
	{regexp.MustCompile(`\bhas no other to start\b`), "needs two processes"},
}

// TestPlainEnglish checks text that users read: the README, the guides, the help, and strings
// in the code and in CUE files.
func TestPlainEnglish(t *testing.T) {
	quoted := regexp.MustCompile("\"(?:[^\"\\\\]|\\\\.)*\"|`[^`]*`")
	seen := 0
	look := func(file, text string) {
		seen++
		for _, u := range unplain {
			if found := u.phrase.FindString(text); found != "" {
				t.Errorf("%s: %q should be %q", file, found, u.instead)
			}
		}
	}
	err := filepath.WalkDir("../..", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(file, "_test.go") {
			return err
		}
		whole := filepath.Ext(file) == ".md" || filepath.Base(filepath.Dir(file)) == "help" || filepath.Base(filepath.Dir(file)) == "start"
		if !whole && filepath.Ext(file) != ".go" && filepath.Ext(file) != ".cue" {
			return nil
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if whole {
			look(file, string(data))
			return nil
		}
		for line := range strings.Lines(string(data)) {
			if strings.HasPrefix(strings.TrimSpace(line), "//") {
				continue
			}
			for _, text := range quoted.FindAllString(line, -1) {
				look(file, text)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 1000 {
		t.Errorf("only %d texts were found", seen)
	}
}
