package plan_test

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestMain makes garbage collection rare, because the tests use little memory but would
// otherwise spend up to half of their processor time on garbage collection.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	os.Exit(m.Run())
}
