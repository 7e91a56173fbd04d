package config

import (
	"bufio"
	"bytes"
	"io"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/encoding/json"

	"kvbench/engine/diag"
)

// maxResult bounds the length of a result. Real ones are some kilobytes.
const maxResult = 4 << 20

// Results checks a file of results, a JSON object a line, against the schema.
func (l *Loader) Results(name string) error {
	at := diag.Pos{File: name}
	f, err := open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	defs, err := l.defs()
	if err != nil {
		return err
	}
	def := defs.LookupPath(cue.ParsePath("#Result"))
	var errs diag.List
	lines := bufio.NewReaderSize(f, maxResult)
	for {
		at.Line++
		line, err := lines.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			return errs.Err()
		}
		switch {
		case err == io.EOF:
			errs = append(errs, diag.Errorf(at, "the last line is cut off").WithHint("kvbench profile --output moves it away"))
		case err == bufio.ErrBufferFull:
			return append(errs, diag.Errorf(at, "this line is longer than %d MiB: it is no result", maxResult>>20))
		case err != nil:
			return append(errs, diag.Errorf(diag.Pos{File: name}, "%s", reason(err)))
		case len(bytes.TrimSpace(line)) > 0:
			errs.Add(checkResult(def, at, line))
		}
	}
}

func checkResult(def cue.Value, at diag.Pos, line []byte) error {
	expr, err := json.Extract(at.File, line)
	if err != nil {
		return diag.Errorf(at, "this line is no JSON")
	}
	if _, ok := expr.(*ast.StructLit); !ok {
		return diag.Errorf(at, "this line is no JSON object")
	}
	// A context of its own, so that long files take no memory.
	err = cuecontext.New().BuildExpr(expr).Unify(def).Validate(cue.Concrete(true))
	list := diag.All(fromCUE(err, diag.Pos{File: at.File, Line: 1}))
	for _, d := range list {
		d.Pos.Line = at.Line
	}
	return diag.List(list).Err()
}
