package cli

import (
	"slices"

	"kvbench/engine/diag"
	"kvbench/engine/model"
	"kvbench/engine/plan"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
	"kvbench/engine/sweep"
)

// point is a plan together with the outcomes of its runs.
type point struct {
	*plan.Plan
	refused error
	records []*runner.Brief
}

// points contains the plans of a command that runs plans or writes a job.
type points struct {
	list   []point
	axes   []*schema.Field // fields with several values
	knobs  []*schema.Flag  // nixlbench flags with several values
	failed bool            // whether some plans cannot be created
}

// plans creates the plans for all points. If some of them cannot be created, it reports
// the errors immediately, because running the other plans may take hours.
func (a *app) plans(c *command, release, from string, fit bool) (*points, error) {
	p := &points{}
	knobs, err := c.knobs(a.schema)
	if err != nil {
		return nil, err
	}
	given, err := c.knobValues(a.schema, release, knobs)
	if err != nil {
		return nil, err
	}
	jobs, err := a.prepare(c, plan.NewPlanners(a.schema, release, from), false, given)
	expectLong()
	if err != nil && len(jobs) == 0 {
		return nil, err
	}
	a.report(err)
	p.failed = err != nil
	asked := jobs
	jobs, sweep, err := a.spread(p, jobs)
	if err != nil && len(jobs) == 0 {
		return nil, err
	} else if err != nil {
		a.report(err)
		p.failed = true
	}
	type source struct {
		model *model.Model
		file  string
	}
	warned := map[source]bool{}
	var failures, warnings reasons
	for i, j := range jobs {
		j.Fit, j.Least = fit, fit
		done := a.guard.enter(j.Model.File)
		plans, err := j.Planner.Plans(j.Request)
		done()
		if err != nil {
			p.failed = true
			err = about(j.Request, err)
			if len(jobs) == 1 && len(plans) == 0 {
				return nil, err
			}
			if sweep == nil {
				a.report(err)
			} else {
				failures.add(err, uint64(i))
			}
		}
		if len(plans) == 0 {
			continue
		}
		if of := (source{j.Model, j.Config.File}); !warned[of] {
			warned[of] = true
			whole := asked[slices.IndexFunc(asked, func(i plan.Item) bool { return i.Model == of.model && i.Config.File == of.file })]
			shown := planShown(plans[0])
			shown.Runs = true
			a.warnMissing(whole, quantityNames(plans[0]), shown)
		}
		if sweep == nil {
			a.warn(plans)
		}
		for _, pl := range plans {
			for _, w := range pl.Warnings {
				if sweep != nil {
					warnings.add(w, uint64(i))
				}
			}
			pt := point{Plan: pl}
			for i := range pl.Violations {
				w := pl.Violations[i].Warning()
				w.Severity = diag.Error
				pt.refused = w
				a.print.Print(w)
			}
			p.list = append(p.list, pt)
		}
	}
	for _, f := range warnings {
		a.print.Print(counted(sweep, f, sweep.Points, manyWarned))
	}
	for _, f := range failures {
		a.print.Print(counted(sweep, f, sweep.Points, manyNotRun))
	}
	if len(p.list) == 0 {
		return nil, errShown
	}
	return p, nil
}

const manyNotRun = "%d of %d plans cannot be created because of this; the numbers are from the first: %s"

// reasons contains errors or warnings, each with the number of points in a sweep that it
// applies to.
type reasons []sweep.Failed

func (r *reasons) add(err error, point uint64) {
	i := slices.IndexFunc(*r, func(f sweep.Failed) bool { return diag.Kind(f.Err) == diag.Kind(err) })
	if i < 0 {
		*r = append(*r, sweep.Failed{Err: err, First: point})
		i = len(*r) - 1
	}
	(*r)[i].Count++
}

// maxPoints is the maximum number of plans to run.
const maxPoints = 10_000

// spread returns an item for each point if fields or nixlbench flags have several values. If
// some points cannot be created, it returns the others along with an error. If nothing
// has several values, it returns the jobs unchanged and a nil sweep.
func (a *app) spread(p *points, jobs []plan.Item) ([]plan.Item, *sweep.Sweep, error) {
	for i := range a.schema.Fields {
		f := &a.schema.Fields[i]
		if slices.ContainsFunc(jobs, func(j plan.Item) bool { return j.Config.Varies(f.Var) }) {
			p.axes = append(p.axes, f)
		}
	}
	p.knobs = knobsOf(jobs)
	if p.axes == nil && p.knobs == nil {
		return jobs, nil, nil
	}
	s, left, err := sweep.New(jobs, sweep.Options{})
	if err != nil {
		return nil, nil, err
	}
	if s.Points > maxPoints {
		return nil, nil, diag.Usagef("there are %d plans to run, but at most %d are allowed", s.Points, maxPoints).
			WithHint("run '%s plan' to list all plans, and select some of them", program)
	}
	all := make([]plan.Item, s.Points)
	for i := range all {
		all[i].Request, all[i].Planner = s.Request(uint64(i))
	}
	return all, s, left
}
