package runner

import (
	"io"
	"time"

	"kvbench/engine/input"
	"kvbench/engine/jsonl"
)

// Done returns the number of successful results for each hash in a results file. bad is
// an error about the lines that are not results, or nil.
func Done(name string, watch input.Watch) (done map[string]int, bad, err error) {
	done = map[string]int{}
	wrong := strangers{name: name, hint: "such lines do not count as completed runs"}
	err = eachResult(name, watch, func(line []byte, number int) {
		switch hash, status := identity(line); {
		case hash == "":
			wrong.add(number)
		case status == OK:
			done[hash]++
		}
	})
	return done, wrong.err(), err
}

// Identity identifies the result of one run.
type Identity struct {
	hash   string
	status Status
	start  string
}

// Identify returns the identity of a record.
func Identify(r *Record) Identity {
	return Identity{r.Hash, r.Status, r.Start.Format(time.RFC3339Nano)}
}

// Known returns the identities of the results in a results file.
func Known(name string, watch input.Watch) (map[Identity]bool, error) {
	known := map[Identity]bool{}
	return known, eachResult(name, watch, func(line []byte, _ int) {
		in := jsonl.NewReader(line)
		var id Identity
		in.Object(func(name []byte) {
			switch string(name) {
			case "hash":
				id.hash = in.Text()
			case "status":
				id.status = Status(in.Text())
			case "start":
				id.start = in.Text()
			}
		})
		known[id] = true
	})
}

func eachResult(name string, watch input.Watch, f func(line []byte, number int)) error {
	file, err := input.Open(name, watch)
	if err != nil {
		return err
	}
	defer file.Close()
	for lines := jsonl.NewLines(file); ; {
		line, err := lines.Next()
		switch {
		case err == io.EOF:
			return nil
		case err == jsonl.ErrLong:
			return longLine(name, lines.Number)
		case err != nil:
			return err
		}
		f(line, lines.Number)
	}
}
