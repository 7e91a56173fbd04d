package cli

import "time"

// SetGuardTime changes how long the work on one file may take.
func SetGuardTime(limit time.Duration) { guardTime = limit }
