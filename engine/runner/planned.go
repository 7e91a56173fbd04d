package runner

import (
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
)

// Planned is what a run needs on the machine where it will take place.
type Planned struct {
	nixlbench.Needs
	// Side is the memory of a machine that only initiators or only targets run on, in
	// bytes.
	Side int64
	// Timeout is its time limit in seconds, or 0 if it is unlimited.
	Timeout int64
}

// Plan determines what a run that a job starts needs. All its processes are started by
// the job.
func (s *Session) Plan(pl *plan.Plan) (*Planned, error) {
	rules, err := s.rulesFor(pl)
	if err != nil {
		return nil, err
	}
	facts := jobFacts()
	needs, err := rules.Needs(pl, pl.Flags, &facts)
	if err != nil {
		return nil, err
	}
	timeout := rules.Timeout(pl, pl.Flags, &facts)
	facts.Launch = LaunchSingle
	alone, err := rules.Needs(pl, pl.Flags, &facts)
	return &Planned{needs, max(alone.Memory, needs.Memory-alone.Memory), timeout}, err
}

// jobFacts are the facts about a run of a job before it starts.
func jobFacts() nixlbench.Facts {
	return nixlbench.Facts{Rank: -1, Launch: LaunchPair, EtcdLocal: true}
}
