package model_test

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestMain makes garbage collection rare: the tests use little memory, but would spend
// up to half of their processor time on collecting it.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	os.Exit(m.Run())
}
