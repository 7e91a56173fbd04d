package launch

import (
	"bytes"
	"encoding/json"

	"kvbench/engine/runner"
)

// ManifestName is the file of a job that says what its points are, one JSON object per
// line.
const ManifestName = "manifest.ndjson"

// Entry is a line of the manifest: a point, and the record of its run as far as it is
// known before the run.
type Entry struct {
	ID         string         `json:"point"`
	Processes  int            `json:"processes"`
	Initiators int            `json:"initiators"`
	Targets    int            `json:"targets"`
	Record     *runner.Record `json:"record"`
}

func manifest(j *Job) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, p := range j.Points {
		if err := enc.Encode(p.Entry); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
