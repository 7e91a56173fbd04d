package cli

import "time"

// SetGuardTime sets how long work on one file may take.
func SetGuardTime(limit time.Duration) { guardTime = limit }
