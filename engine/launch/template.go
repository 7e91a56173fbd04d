// Package launch uses templates from the data to write jobs that run plans on other machines,
// and turns the logs of such jobs into results.
package launch

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"

	"kvbench/engine/schema"
)

// compile compiles a template for files in a language. The compiled template quotes every
// value that it inserts.
func compile(name, text, quote string, parts map[string]string) (*template.Template, error) {
	lang, ok := languages[quote]
	if !ok {
		return nil, fmt.Errorf("%s: unknown language %q", name, quote)
	}
	t := template.New(name).Option("missingkey=error").Funcs(template.FuncMap{"list": list, "pairs": pairs, "seconds": seconds, "add": func(a, b int64) int64 { return a + b }, "roundup": roundUp})
	if _, err := t.Parse(text); err != nil {
		return nil, err
	}
	for _, part := range schema.Keys(parts) {
		if _, err := t.New(part).Parse(parts[part]); err != nil {
			return nil, err
		}
	}
	t.Funcs(template.FuncMap{"quoted": lang.value, "key": lang.key})
	for _, each := range t.Templates() {
		if each.Tree == nil {
			continue
		}
		w := &walker{tree: each.Tree, scan: lang.newScanner()}
		if err := w.list(each.Tree.Root); err != nil {
			return nil, err
		}
		if left := w.scan.state(); left != "" && quote == "shell" && strings.Trim(left, "#") != "" {
			return nil, fmt.Errorf("%s: the text ends within %q", each.Name(), left)
		}
	}
	return t, nil
}

// list splits a list at its commas.
func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// pairs parses a list such as a=1,b=2.
func pairs(text string) []Variable {
	var out []Variable
	for _, item := range list(text) {
		name, value, _ := strings.Cut(item, "=")
		out = append(out, Variable{name, value})
	}
	return out
}

// seconds parses a time limit, such as 90, 1:30:00 or 1-12, and returns the number of
// seconds.
func seconds(text string) int64 {
	units := []int64{60, 1} // MM:SS
	days, rest, ok := strings.Cut(text, "-")
	if ok {
		text, units = rest, []int64{3600, 60, 1}
	} else if days = "0"; strings.Count(text, ":") == 2 {
		units = []int64{3600, 60, 1}
	}
	total := whole(days) * 86400
	for i, part := range strings.Split(text, ":") {
		total += whole(part) * units[i]
	}
	return total
}

// whole parses a number. It returns 1<<32 for any larger number.
func whole(digits string) int64 {
	const most = 1 << 32
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return most
	}
	return min(n, most)
}

// roundUp rounds a number up to a multiple of a unit.
func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }

// walker changes a template so that it quotes the values that it inserts.
type walker struct {
	tree *parse.Tree
	scan scanner
}

func (w *walker) list(l *parse.ListNode) error {
	if l == nil {
		return nil
	}
	for i, n := range l.Nodes {
		var err error
		switch n := n.(type) {
		case *parse.TextNode:
			err = w.scan.text(string(n.Text))
		case *parse.ActionNode:
			quote := "quoted"
			if i+1 < len(l.Nodes) && isEqualSign(l.Nodes[i+1]) {
				quote = "key"
			}
			err = w.action(n, quote)
		case *parse.IfNode:
			err = w.branch(&n.BranchNode)
		case *parse.RangeNode:
			err = w.branch(&n.BranchNode)
		case *parse.WithNode:
			err = w.branch(&n.BranchNode)
		case *parse.TemplateNode:
			if state := w.scan.state(); strings.Trim(state, " \t") != "" {
				err = fmt.Errorf("a part is included within %q", state)
			}
		case *parse.CommentNode:
		default: // break, continue
			err = fmt.Errorf("%s is not supported", n)
		}
		if err != nil {
			at, context := w.tree.ErrorContext(n)
			return fmt.Errorf("%s: %s: %w", at, context, err)
		}
	}
	return nil
}

// isEqualSign reports whether a node is text that begins with a space and an equal sign.
func isEqualSign(n parse.Node) bool {
	text, ok := n.(*parse.TextNode)
	return ok && strings.HasPrefix(string(text.Text), " =")
}

func (w *walker) action(n *parse.ActionNode, quote string) error {
	if len(n.Pipe.Decl) > 0 { // a declaration inserts nothing
		return nil
	}
	if err := w.scan.insert(); err != nil {
		return err
	}
	quoted := parse.NewIdentifier(quote).SetTree(w.tree).SetPos(n.Pos)
	n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: n.Pos, Args: []parse.Node{quoted}})
	return nil
}

// branch checks that the scanner's state is the same after all paths through a branch.
func (w *walker) branch(n *parse.BranchNode) error {
	before := w.scan.clone()
	if err := w.list(n.List); err != nil {
		return err
	}
	after := w.scan.state()
	w.scan = before.clone()
	if err := w.list(n.ElseList); err != nil {
		return err
	}
	if w.scan.state() != after || n.NodeType == parse.NodeRange && after != before.state() {
		return fmt.Errorf("its branches end differently: one within %q, the other within %q", after, w.scan.state())
	}
	return nil
}

// fromOptions maps fields of a [Job] to the options that set them.
var fromOptions = map[string]string{"Nodes": "nodes", "Mounts": "mounts", "Resources": "resources"}

// options returns the options of the launch section that are read by a template or by the
// templates it includes.
func options(t *template.Template) []string {
	var names []string
	for _, each := range included(t) {
		for _, path := range fieldsOf(each.Root) {
			switch {
			case len(path) > 1 && path[0] == "Launch":
				names = append(names, path[1])
			case len(path) > 0 && fromOptions[path[0]] != "":
				names = append(names, fromOptions[path[0]])
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// included returns a template and all templates that it includes, directly or indirectly.
func included(t *template.Template) []*template.Template {
	list := []*template.Template{t}
	for i := 0; i < len(list); i++ {
		text := list[i].Root.String()
		for _, part := range t.Templates() {
			if part.Tree != nil && !slices.Contains(list, part) && strings.Contains(text, fmt.Sprintf("{{template %q", part.Name())) {
				list = append(list, part)
			}
		}
	}
	return list
}

// fieldsOf returns the paths of the fields that a part of a template reads.
func fieldsOf(n parse.Node) (paths [][]string) {
	add := func(nodes ...parse.Node) {
		for _, n := range nodes {
			paths = append(paths, fieldsOf(n)...)
		}
	}
	branch := func(b *parse.BranchNode) {
		add(b.Pipe, b.List)
		if b.ElseList != nil {
			add(b.ElseList)
		}
	}
	switch n := n.(type) {
	case *parse.ListNode:
		add(n.Nodes...)
	case *parse.ActionNode:
		add(n.Pipe)
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	case *parse.PipeNode:
		for _, c := range n.Cmds {
			add(c.Args...)
		}
	case *parse.FieldNode:
		paths = append(paths, n.Ident)
	case *parse.VariableNode:
		if len(n.Ident) > 1 {
			paths = append(paths, n.Ident[1:])
		}
	}
	return paths
}

// render executes a template.
func render(t *template.Template, data any) ([]byte, error) {
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
