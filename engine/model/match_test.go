package model

import "testing"

// TestMayMatch checks that mayMatch returns true for every pattern that matches the name.
func TestMayMatch(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"deepseek_r1", "deepseek_r1", true},
		{"deepseek_r1", "DeepSeek_R1", true},
		{"deepseek_r1", "deepseek_v3", false},
		{"deepseek_r1", "deepseek", false},
		{"deepseek_r1", "deepsee\u212a_r1", true}, // the Kelvin sign is a k
		{`llama3\.1_[0-9]+b`, "LLAMA3.1_8B", true},
		{`llama3\.1_[0-9]+b`, "qwen3_8b", false},
		{"toys?", "toy", true},
		{"to{0,1}", "t", true},
		{"ab*", "a", true},
		{"ab*", "b", false},
		{"toy|game", "game", true},
		{"[a-z]+", "toy", true},
		{"(toy)", "toy", true},
		{"?", "toy", true},
	} {
		if got := mayMatch(test.pattern, test.name); got != test.want {
			t.Errorf("mayMatch(%q, %q) is %v", test.pattern, test.name, got)
		}
		if re, err := matcher(test.pattern); err == nil && re.MatchString(test.name) && !test.want {
			t.Errorf("%q matches %q", test.pattern, test.name)
		}
	}
}
