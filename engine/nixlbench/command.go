// Package nixlbench writes the command that runs a plan: as an argument list
// and as text for a POSIX shell.
package nixlbench

import (
	"strings"

	"kvbench/engine/formula"
	"kvbench/engine/plan"
)

// Program is the program's name.
const Program = "nixlbench"

// Mask stands for a secret in shown commands.
const Mask = "********"

// Args gives the arguments of the flags that the plan emits, each as one or
// two words.
func Args(flags []plan.Flag) [][]string {
	var args [][]string
	for _, f := range flags {
		if f.Emit {
			args = append(args, words(f.Name, f.Value))
		}
	}
	return args
}

// words writes a flag. A boolean never takes its value as a word of its own:
// the flag parser would turn it on and drop the word.
func words(name string, v formula.Value) []string {
	switch {
	case v.Kind == formula.Bool && v.Bool:
		return []string{"--" + name}
	case v.Kind == formula.Bool:
		return []string{"--" + name + "=false"}
	}
	return []string{"--" + name, v.Text()}
}

// Masked gives the flags with secrets replaced by [Mask], and whether a
// secret that the command needs was among them.
func Masked(flags []plan.Flag) ([]plan.Flag, bool) {
	out := make([]plan.Flag, len(flags))
	copy(out, flags)
	masked := false
	for i := range out {
		if f := &out[i]; f.Secret && f.Value.Str != "" {
			f.Value.Str = Mask
			masked = masked || f.Emit
		}
	}
	return out, masked
}

// Shell gives the command as text for a POSIX shell, one flag a line.
func Shell(flags []plan.Flag) string {
	var b strings.Builder
	b.WriteString(Program)
	for _, words := range Args(flags) {
		b.WriteString(" \\\n    ")
		for i, w := range words {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(Quote(w))
		}
	}
	b.WriteByte('\n')
	return b.String()
}

// Quote writes a string as one word for a POSIX shell.
func Quote(s string) string {
	plain := func(r rune) bool {
		return r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_@%+=:,./-", r))
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'"'"'`) + "'"
}
