package cli

import "time"

// SetGuardTime sets how long work on one file may take.
func SetGuardTime(limit time.Duration) { guardTime = limit }

// SetProgressTime sets the minimum time between changes of a sweep's progress line.
func SetProgressTime(least time.Duration) { progressTime = least }
