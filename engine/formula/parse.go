package formula

import (
	"errors"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/parser/lexer"

	"kvbench/engine/diag"
)

// The limits for one formula. They prevent hostile text from using too much time or memory.
// No real formula comes close to them.
const (
	maxText  = 4096 // bytes
	maxDepth = 200  // the maximum depth of the syntax tree
	maxNodes = 2000
)

// parsed is a formula's syntax.
type parsed struct {
	text  string
	root  ast.Node
	names []use // the first use of each identifier
}

// lexed is a formula's text, split into tokens.
type lexed struct {
	runes  []rune        // the text as characters; locations are offsets into it
	tokens []lexer.Token // all tokens except the end token
}

type use struct {
	name string
	off  int
}

// refused contains the words and operators that the parser accepts but formulas do not
// support. Each maps to a hint on what to write instead, if there is one.
var refused = map[string]string{
	"let":     "move that part into its own formula",
	";":       "a formula is a single expression",
	"=":       "write == to compare",
	"|":       "write f(x) instead of x | f()",
	"**":      "write out the product",
	"^":       "write out the product",
	"matches": "use contains, startsWith or endsWith",
	"?.":      "",
	"..":      "",
	"#":       "",
	"::":      "",
	"nil":     "",
}

// Names returns the names that a formula refers to, in the order of first use.
// It returns nil if the text is not a formula.
func Names(text string) []string {
	p, errs := (&unit{src: Source{Text: text}}).parse()
	if len(errs) > 0 {
		return nil
	}
	names := make([]string, len(p.names))
	for i, n := range p.names {
		names[i] = n.name
	}
	return names
}

// Indexed returns the names of lists and strings that a formula indexes with the given
// name, such as x in x[name].
func Indexed(text, name string) []string {
	p, errs := (&unit{src: Source{Text: text}}).parse()
	if len(errs) > 0 {
		return nil
	}
	var names []string
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		if m, ok := n.(*ast.MemberNode); ok {
			of, isName := m.Node.(*ast.IdentifierNode)
			by, byName := m.Property.(*ast.IdentifierNode)
			if isName && byName && by.Value == name && !slices.Contains(names, of.Value) {
				names = append(names, of.Value)
			}
		}
		children(n, walk)
	}
	walk(p.root)
	return names
}

// Compared returns the string literals that a formula compares with each name, such as
// x and y in name == "x" or name in ["x", "y"].
func Compared(text string) map[string][]string {
	p, errs := (&unit{src: Source{Text: text}}).parse()
	if len(errs) > 0 {
		return nil
	}
	found := map[string][]string{}
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		if b, ok := n.(*ast.BinaryNode); ok && slices.Contains([]string{"==", "!=", "in"}, b.Operator) {
			for _, sides := range [][2]ast.Node{{b.Left, b.Right}, {b.Right, b.Left}} {
				if name, ok := sides[0].(*ast.IdentifierNode); ok {
					found[name.Value] = append(found[name.Value], stringsIn(sides[1])...)
				}
			}
		}
		children(n, walk)
	}
	walk(p.root)
	return found
}

// stringsIn returns the value of a string literal, or the values of the string literals
// in a list.
func stringsIn(n ast.Node) []string {
	switch n := n.(type) {
	case *ast.StringNode:
		return []string{n.Value}
	case *ast.ArrayNode:
		var list []string
		for _, e := range n.Nodes {
			list = append(list, stringsIn(e)...)
		}
		return list
	}
	return nil
}

// Check reports the errors in a formula that can be found without knowing the kinds of
// its names. These are syntax errors and unknown functions.
func Check(name string, src Source) error {
	u := &unit{name, src}
	p, errs := u.parse()
	if len(errs) > 0 {
		return diag.List(errs).Err()
	}
	k := &checker{p: &Program{}, unit: u, syntax: p}
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		if call, ok := n.(*ast.CallNode); ok {
			if id, ok := call.Callee.(*ast.IdentifierNode); ok {
				k.known(id.Value, id.Location().From)
			}
		}
		if call, ok := n.(*ast.BuiltinNode); ok {
			k.known(call.Name, call.Location().From)
		}
		children(n, walk)
	}
	walk(p.root)
	var list diag.List
	for _, e := range k.errs {
		list = append(list, e.diag)
	}
	return list.Err()
}

// texts is the cache for the syntax of formulas, keyed by their text. Many formulas have the
// same text, and programs for several architectures contain the same formulas.
var texts struct {
	sync.Mutex
	known map[string]*parsed
	bytes int // the total length of the formulas in known
}

// maxTexts is the maximum total length, in bytes, of the cached formulas. It is
// far more than kvbench's own formulas need, and limits the memory that untrusted
// files can use.
const maxTexts = 128 << 10

// parse parses the unit's text and returns its syntax or its errors. It caches the syntax
// of formulas that the simple function cannot parse.
func (u *unit) parse() (*parsed, []*diag.Diag) {
	if p := simple(u.src.Text); p != nil {
		return p, nil
	}
	texts.Lock()
	p := texts.known[u.src.Text]
	texts.Unlock()
	if p != nil {
		return p, nil
	}
	p, errs := u.parseText()
	if len(errs) > 0 {
		return nil, errs
	}
	texts.Lock()
	defer texts.Unlock()
	if texts.known == nil {
		texts.known = map[string]*parsed{}
	}
	if texts.bytes += len(u.src.Text); texts.bytes <= maxTexts {
		texts.known[u.src.Text] = p
	}
	return p, nil
}

// parseText parses the unit's text and returns its syntax or its errors.
func (u *unit) parseText() (*parsed, []*diag.Diag) {
	text := u.src.Text
	at := func(off int) place { return place{u, off} }
	fail := func(d *diag.Diag) (*parsed, []*diag.Diag) { return nil, []*diag.Diag{d} }

	switch {
	case len(text) > maxText:
		// Omit the text, which would be too long to show.
		d := place{&unit{u.name, Source{Pos: u.src.Pos}}, 0}.errorf("the formula is %d bytes long; at most %d are allowed", len(text), maxText)
		d.Caret = 0
		return fail(d)
	case !utf8.ValidString(text):
		return fail(at(0).errorf("the formula is not valid UTF-8"))
	case strings.TrimSpace(text) == "":
		return fail(at(0).errorf("the formula is empty"))
	}

	if !isPlain(text) {
		if _, errs := u.scan(); len(errs) > 0 {
			return nil, errs
		}
	}
	tree, err := parser.Parse(text)
	if err != nil {
		l, errs := u.scan()
		if len(errs) > 0 {
			return nil, errs
		}
		return fail(l.syntaxError(at, err))
	}
	p := &parsed{text: text, root: tree.Node}
	if d := p.measure(at); d != nil {
		return fail(d)
	}
	return p, nil
}

// simple returns the syntax of a formula that consists only of a whole number, a string,
// true or false, a name, or a table entry selected by a name. It returns nil for other
// formulas. It saves time, because the parser takes 2 µs per formula and half of all
// evaluated formulas are this simple.
func simple(text string) *parsed {
	if text == "" || len(text) > maxSimple {
		return nil
	}
	p := &parsed{text: text}
	at := func(n ast.Node, from, to int) ast.Node {
		n.SetLocation(file.Location{From: from, To: to})
		return n
	}
	name := func(from, to int) ast.Node {
		n := &ast.IdentifierNode{Value: text[from:to]}
		if len(p.names) == 0 || p.names[0].name != n.Value {
			p.names = append(p.names, use{n.Value, from})
		}
		return at(n, from, to)
	}
	last, n := len(text)-1, len(wordAt(text))
	switch c := text[0]; {
	case text == "true" || text == "false":
		p.root = at(&ast.BoolNode{Value: text == "true"}, 0, n)
	case isDigit(c):
		if number, err := strconv.Atoi(text); err == nil && last < 18 {
			p.root = at(&ast.IntegerNode{Value: number}, 0, n)
		}
	case c == '\'' || c == '"':
		if last > 0 && text[last] == c && !strings.ContainsAny(text[1:last], "\\\n"+text[:1]) && utf8.ValidString(text) {
			p.root = at(&ast.StringNode{Value: text[1:last]}, 0, utf8.RuneCountInString(text))
		}
	case n == len(text):
		if isName(text) {
			p.root = name(0, n)
		}
	case n > 0 && text[n] == '[' && text[last] == ']' && isName(text[:n]) && isName(text[n+1:last]):
		p.root = at(&ast.MemberNode{Node: name(0, n), Property: name(n+1, last)}, n, n+1)
	}
	if p.root == nil {
		return nil
	}
	return p
}

// maxSimple is the maximum length of a simple formula.
const maxSimple = 200

// wordAt returns the name or number at the beginning of a string, or "".
func wordAt(text string) string {
	n := 0
	for n < len(text) && (isLetter(text[n]) || isDigit(text[n])) {
		n++
	}
	return text[:n]
}

// isName reports whether a string is a name and nothing else.
func isName(text string) bool {
	if text == "" || !isLetter(text[0]) || len(wordAt(text)) < len(text) || slices.Contains(reserved, text) {
		return false
	}
	_, bad := refused[text]
	return !bad
}

// isPlain reports whether a formula is certain to contain nothing that scan would reject.
// Most formulas are plain, and therefore need not be scanned before they are parsed.
func isPlain(text string) bool {
	for i := 0; i < len(text); {
		c, next := text[i], byte(' ')
		if i+1 < len(text) {
			next = text[i+1]
		}
		n := 1
		switch {
		case isLetter(c):
			n = len(wordAt(text[i:]))
			_, bad := refused[text[i:i+n]]
			if bad || i+n < len(text) && strings.IndexByte("\"'`", text[i+n]) >= 0 {
				return false
			}
		case isDigit(c):
			for i+n < len(text) && isDigit(text[i+n]) {
				n++
			}
			if n > 18 || i+n < len(text) && (text[i+n] == '.' || isLetter(text[i+n])) {
				return false
			}
		case c == '"' || c == '\'':
			end := strings.IndexByte(text[i+1:], c)
			if end < 0 || strings.ContainsAny(text[i+1:i+1+end], "\\\n") {
				return false
			}
			n = end + 2
		case strings.IndexByte("<>=!", c) >= 0:
			if next == '=' {
				n = 2
			} else if c == '=' {
				return false
			}
		case c == '&' || c == '|':
			if n = 2; next != c {
				return false
			}
		case strings.IndexByte("*/.?:", c) >= 0:
			if strings.IndexByte("*/.?:0123456789", next) >= 0 && (c == '.' || !isDigit(next)) {
				return false
			}
		case strings.IndexByte(" \t\n()[]{},+-%", c) < 0:
			return false
		}
		i += n
	}
	return true
}

func isLetter(c byte) bool { return c == '_' || 'a' <= c|' ' && c|' ' <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

// scan reads the tokens before the parser does. It rejects unsupported operators that the
// parser would accept, comments (including //, an operator in Python) that the parser
// would skip, and invalid numbers that the parser would report at the wrong position.
func (u *unit) scan() (*lexed, []*diag.Diag) {
	at := func(off int) place { return place{u, off} }
	p := &lexed{runes: []rune(u.src.Text)}
	var errs []*diag.Diag
	lex := lexer.New()
	lex.Reset(file.NewSource(u.src.Text))
	end := 0 // the end of the previous token
	for {
		tok, err := lex.Next()
		if err == io.EOF || err == nil && tok.Kind == lexer.EOF {
			if off, ok := p.comment(end, len(p.runes)); ok {
				errs = append(errs, commentError(at(off)))
			}
			break
		}
		if err != nil {
			return nil, append(errs, p.lexError(at, end, err))
		}
		if off, ok := p.comment(end, tok.From); ok {
			errs = append(errs, commentError(at(off)))
		}
		end = tok.To
		// A word after a dot is always the key of a table.
		afterDot := len(p.tokens) > 0 && p.tokens[len(p.tokens)-1].Is(lexer.Operator, ".")
		p.tokens = append(p.tokens, tok)
		switch tok.Kind {
		case lexer.Number:
			if _, err := parseNumber(tok.Value); err != nil {
				errs = append(errs, at(tok.From).errorf("%v", err))
			}
		case lexer.Bytes:
			errs = append(errs, at(tok.From).errorf("byte strings are not supported in formulas"))
		case lexer.Operator, lexer.Identifier:
			if hint, ok := refused[tok.Value]; ok && !afterDot {
				errs = append(errs, at(tok.From).errorf("%q is not supported in formulas", tok.Value).HintUnlessEmpty(hint))
			}
		}
	}
	return p, errs
}

// comment returns the offset of a comment between two tokens, if there is one.
func (p *lexed) comment(from, to int) (off int, ok bool) {
	i := slices.Index(p.runes[from:to], '/')
	return from + i, i >= 0
}

func commentError(at place) *diag.Diag {
	return at.errorf("comments are not supported in formulas").WithHint("to divide and round down, write div(a, b)")
}

// lexError rewrites an error from the lexer. end is where the last valid token ended.
func (p *lexed) lexError(at func(int) place, end int, err error) *diag.Diag {
	for end < len(p.runes) && unicode.IsSpace(p.runes[end]) {
		end++
	}
	var fe *file.Error
	if !errors.As(err, &fe) {
		return at(end).errorf("%v", err)
	}
	switch msg := fe.Message; {
	case strings.HasPrefix(msg, "unrecognized character"):
		off := min(fe.From, len(p.runes)-1)
		d := at(off).errorf("unexpected character %q", string(p.runes[off]))
		if sign := map[rune]string{'×': "*", '·': "*", '÷': "/", '−': "-", '≤': "<=", '≥': ">="}[p.runes[off]]; sign != "" {
			d.WithHint("write %s", sign)
		}
		return d
	case strings.HasPrefix(msg, "bad number syntax: "):
		return at(end).errorf("invalid number %s", strings.TrimPrefix(msg, "bad number syntax: "))
	case strings.Contains(msg, "not terminated"):
		return at(end).errorf("unterminated string")
	case strings.Contains(msg, "escape"):
		return at(end).errorf("invalid escape sequence in the string")
	case strings.Contains(msg, "comment"):
		return commentError(at(end))
	default:
		return at(end).errorf("%s", msg)
	}
}

// syntaxError rewrites an error from the parser.
func (p *lexed) syntaxError(at func(int) place, err error) *diag.Diag {
	last := p.tokens[len(p.tokens)-1]
	var fe *file.Error
	if !errors.As(err, &fe) {
		return at(0).errorf("%v", err)
	}
	i := slices.IndexFunc(p.tokens, func(t lexer.Token) bool { return t.From == fe.From })
	// The lexer places its end token on the last character.
	atEnd := strings.HasSuffix(fe.Message, "token EOF") || fe.Message == "unexpected end of expression"
	switch {
	case atEnd || i < 0:
		d := at(last.To).errorf("unexpected end of formula")
		open := 0
		for _, t := range p.tokens {
			open += map[string]int{"(": 1, "[": 1, ")": -1, "]": -1}[t.Value]
		}
		if open > 0 {
			return d.WithHint("a ) or ] is missing")
		}
		return d.WithHint("a value is missing at the end")
	case strings.Contains(fe.Message, "coalesce"):
		op := p.text(i, i+1)
		return at(fe.From).errorf("parentheses are missing around the ?? or around what follows it").
			WithHint("write (x ?? y) %s z, or x ?? (y %s z)", op, op)
	case fe.Message == "expected name":
		return at(fe.From).errorf("unexpected %q after a dot", p.text(i, i+1))
	case strings.HasPrefix(fe.Message, "a map key"):
		return at(fe.From).errorf("maps are not supported in formulas")
	default:
		return at(fe.From).errorf("unexpected %s", quoteToken(p.text(i, i+1)))
	}
}

func quoteToken(s string) string {
	if strings.HasPrefix(s, `"`) {
		return s
	}
	return `"` + s + `"`
}

// text returns the source text of the tokens from i up to, but not including, j.
func (p *lexed) text(i, j int) string {
	return string(p.runes[p.tokens[i].From:p.tokens[j-1].To])
}

// part returns the text between two offsets.
func (p *parsed) part(from, to int) string {
	return p.text[byteOffset(p.text, from):byteOffset(p.text, to)]
}

// measure rejects trees that are too large, and collects the names in use. Because the
// parser shares nodes, such as the b in a < b < c, a short formula can become a huge
// tree. Therefore, counting stops at the limit.
func (p *parsed) measure(at func(int) place) *diag.Diag {
	nodes := 0
	var err *diag.Diag
	var walk func(n ast.Node, depth int)
	walk = func(n ast.Node, depth int) {
		if nodes++; err != nil || n == nil {
			return
		}
		switch {
		case depth > maxDepth:
			err = at(n.Location().From).errorf("nested more than %d levels deep", maxDepth)
			return
		case nodes > maxNodes:
			err = at(n.Location().From).errorf("the formula has more than %d parts", maxNodes)
			return
		}
		id, ok := n.(*ast.IdentifierNode)
		if ok && !slices.ContainsFunc(p.names, func(u use) bool { return u.name == id.Value }) {
			p.names = append(p.names, use{id.Value, id.Location().From})
		}
		children(n, func(c ast.Node) { walk(c, depth+1) })
	}
	walk(p.root, 1)
	return err
}

// children calls f for each operand of n, in order. It skips function names, because
// functions are not variables.
func children(n ast.Node, f func(ast.Node)) {
	all := func(nodes []ast.Node) {
		for _, c := range nodes {
			f(c)
		}
	}
	switch n := n.(type) {
	case *ast.UnaryNode:
		f(n.Node)
	case *ast.BinaryNode:
		f(n.Left)
		f(n.Right)
	case *ast.ConditionalNode:
		f(n.Cond)
		f(n.Exp1)
		f(n.Exp2)
	case *ast.MemberNode:
		f(n.Node)
		f(n.Property)
	case *ast.ArrayNode:
		all(n.Nodes)
	case *ast.BuiltinNode:
		all(n.Arguments)
	case *ast.CallNode:
		if _, ok := n.Callee.(*ast.IdentifierNode); !ok {
			f(n.Callee)
		}
		all(n.Arguments)
	case *ast.ChainNode:
		f(n.Node)
	case *ast.PredicateNode:
		f(n.Node)
	case *ast.SliceNode:
		f(n.Node)
		f(n.From)
		f(n.To)
	case *ast.MapNode:
		all(n.Pairs)
	case *ast.PairNode:
		f(n.Key)
		f(n.Value)
	case *ast.SequenceNode:
		all(n.Nodes)
	}
}

// start returns the offset of the first character of n, ignoring parentheses. It does not
// use the node's own location, which is that of the node's operator, and is meaningless
// for a conditional.
func start(n ast.Node) int {
	switch m := n.(type) {
	case *ast.UnaryNode:
		// The parser turns "x not in y" into "not (x in y)", with the location of "in".
		return min(m.Location().From, start(m.Node))
	case *ast.BinaryNode:
		return start(m.Left)
	case *ast.MemberNode:
		return start(m.Node)
	case *ast.SliceNode:
		return start(m.Node)
	case *ast.ConditionalNode:
		return start(m.Cond)
	case *ast.CallNode:
		return start(m.Callee)
	}
	return n.Location().From
}

// sides returns the operands, as text, to the left and right of the operator at offset
// off, without any parentheses that enclose the whole comparison.
func (p *lexed) sides(off int) (left, right string) {
	op := slices.IndexFunc(p.tokens, func(t lexer.Token) bool { return t.From == off })
	open := 0
	for _, t := range p.tokens[:op] {
		switch {
		case t.Is(lexer.Bracket, "(", "[", "{"):
			open++
		case t.Kind == lexer.Bracket:
			open--
		}
	}
	return p.text(open, op), p.text(op+1, len(p.tokens)-open)
}

// parseNumber returns the exact value of a number token. The parser's value may be inexact,
// because it represents decimals as floats.
func parseNumber(token string) (Rat, error) {
	text := strings.ToLower(strings.ReplaceAll(token, "_", ""))
	bad := errors.New("bad number " + strconv.Quote(token))
	large := errors.New(token + " does not fit in 64 bits")

	if len(text) > 1 && text[0] == '0' && strings.IndexByte("xob", text[1]) >= 0 {
		n, err := strconv.ParseInt(text, 0, 64)
		switch {
		case errors.Is(err, strconv.ErrRange):
			return Rat{}, large
		case err != nil:
			return Rat{}, bad
		}
		return Int(n), nil
	}

	digits, exponent, hasExponent := strings.Cut(text, "e")
	whole, fraction, _ := strings.Cut(digits, ".")
	digits = whole + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return Rat{}, bad
	}
	e := 0
	if hasExponent {
		var err error
		e, err = strconv.Atoi(exponent)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return Rat{}, bad
		}
	}
	// The value is digits * 10^e, where digits neither begins nor ends with 0.
	digits = strings.TrimLeft(digits, "0")
	if digits == "" {
		return Rat{}, nil
	}
	e -= len(fraction)
	n := len(digits)
	digits = strings.TrimRight(digits, "0")
	e += n - len(digits)
	// 10^19 is too large. digits is not divisible by 10, so digits * 10^-63 has a
	// denominator of at least 2^63.
	if e > 18 || e < -62 {
		return Rat{}, large
	}
	r, ok := new(big.Rat).SetString(digits + "e" + strconv.Itoa(e))
	switch {
	case !ok:
		return Rat{}, bad
	case !r.Num().IsInt64() || !r.Denom().IsInt64():
		return Rat{}, large
	}
	return Frac(r.Num().Int64(), r.Denom().Int64())
}
