package cli

import "time"

// SetGuardTime sets how long work on one file may take.
func SetGuardTime(limit time.Duration) { guardTime = limit }

// SetProgressTime sets how often the progress line of a sweep changes at most.
func SetProgressTime(least time.Duration) { progressTime = least }
