package launch

import (
	"bytes"
	"encoding/json"

	"kvbench/engine/runner"
)

// ManifestName is the name of the file that describes a job's points, one JSON object per
// line.
const ManifestName = "manifest.ndjson"

// Entry is a line of the manifest. It describes a point, and contains the parts of the record
// that are known before the run.
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
