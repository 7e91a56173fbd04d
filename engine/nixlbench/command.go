// Package nixlbench creates the command that runs a plan, identifies the
// release of an installed nixlbench by its flags, and parses its output.
package nixlbench

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
)

// Program is the program's name.
const Program = "nixlbench"

// Mask is shown in place of each secret in displayed commands.
const Mask = "********"

// Args returns the arguments for the flags to emit. Each flag becomes one or two words.
func Args(flags []fit.Flag) [][]string {
	var args [][]string
	for _, f := range flags {
		if f.Emit {
			args = append(args, words(f.Name, f.Value))
		}
	}
	return args
}

// words formats a flag. The value of a Boolean flag is never a separate word, because the
// flag parser would set the flag to true and ignore the word.
func words(name string, v formula.Value) []string {
	switch {
	case v.Kind == formula.Bool && v.Bool:
		return []string{"--" + name}
	case v.Kind == formula.Bool:
		return []string{"--" + name + "=false"}
	}
	return []string{"--" + name, v.Text()}
}

// Masked returns the flags with secrets replaced by [Mask], and reports whether the command
// needs any of those secrets.
func Masked(flags []fit.Flag) ([]fit.Flag, bool) {
	out := make([]fit.Flag, len(flags))
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

// Command is the command of a plan: the words that start the program, its
// flags, and its environment.
type Command struct {
	Program []string
	Env     []string // NAME=value
	Flags   []fit.Flag
}

// NewCommand returns the command that runs the program with the flags. A flag that the
// program can also read from an environment variable is passed in that variable, where
// other users cannot see its value.
func NewCommand(program []string, flags []fit.Flag) Command {
	c := Command{Program: program, Flags: slices.Clone(flags)}
	for i := range c.Flags {
		if f := &c.Flags[i]; f.Env != "" && f.Emit && f.Value.Str != "" {
			c.Env = append(c.Env, f.Env+"="+f.Value.Str)
			f.Emit = false
		}
	}
	return c
}

// Argv returns the command's words.
func (c *Command) Argv() []string {
	return append(slices.Clone(c.Program), slices.Concat(Args(c.Flags)...)...)
}

// Shell returns the command as text for a POSIX shell, one flag per line.
func (c *Command) Shell() string {
	var words []string
	for _, env := range c.Env {
		name, value, _ := strings.Cut(env, "=")
		words = append(words, name+"="+Quote(value))
	}
	for _, w := range c.Program {
		words = append(words, Quote(w))
	}
	return shell(strings.Join(words, " "), c.Flags)
}

// Shell returns the command for these flags as text for a POSIX shell, one flag per line.
// It does not move any flags to the environment.
func Shell(flags []fit.Flag) string { return shell(Program, flags) }

func shell(program string, flags []fit.Flag) string {
	var b strings.Builder
	b.WriteString(program)
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

// Quote quotes a string as one word for a POSIX shell, on one line. A word with
// characters that a terminal or a CI runner would interpret is written as $'…' with
// escapes. This form works in bash and zsh, and has been part of POSIX since 2024.
func Quote(s string) string {
	hidden := func(r rune) bool { return r == '\t' || diag.IsHidden(r) }
	if strings.ContainsFunc(s, hidden) || !utf8.ValidString(s) || strings.Contains(s, "##") {
		return quoteEscaped(s)
	}
	plain := func(r rune) bool {
		return r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_@%+=:,./-", r))
	}
	if s != "" && !strings.HasPrefix(s, "::") && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'"'"'`) + "'"
}

// quoteEscaped formats a string as $'…'. It escapes bytes in octal, because only octal
// escapes mean the same in every shell and locale, whatever follows them.
func quoteEscaped(s string) string {
	short := map[rune]string{'\n': `\n`, '\r': `\r`, '\t': `\t`, '\'': `\'`, '\\': `\\`}
	var b strings.Builder
	b.WriteString("$'")
	for i, r := range s {
		_, size := utf8.DecodeRuneInString(s[i:])
		switch text := short[r]; {
		case text != "":
			b.WriteString(text)
		case diag.IsHidden(r), r == utf8.RuneError && size == 1, r == '#':
			for _, c := range []byte(s[i : i+size]) {
				fmt.Fprintf(&b, `\%03o`, c)
			}
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('\'')
	return b.String()
}

// Split splits a command into words the way a POSIX shell does. Anything that
// needs a real shell (variables, pipes, patterns) is an error.
func Split(command string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord := false
	quote := byte(0)
	escaped := false
	for _, c := range []byte(command) {
		switch {
		case escaped:
			if quote == '"' && !strings.ContainsRune("\"\\$`", rune(c)) {
				word.WriteByte('\\')
			}
			word.WriteByte(c)
			escaped = false
		case quote != '\'' && c == '\\':
			escaped, inWord = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote == '\'':
			word.WriteByte(c)
		case strings.ContainsRune("$`", rune(c)), quote == 0 && strings.ContainsRune("|&;<>()*?[]{}~#\n", rune(c)):
			return nil, fmt.Errorf("%q must be quoted, because no shell interprets the command", c)
		case quote != 0:
			word.WriteByte(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == ' ' || c == '\t':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if quote != 0 || escaped {
		return nil, errors.New("unterminated quotation")
	}
	if inWord {
		words = append(words, word.String())
	}
	if len(words) == 0 {
		return nil, errors.New("the command is empty")
	}
	return words, nil
}
