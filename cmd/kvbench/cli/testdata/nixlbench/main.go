// Nixlbench is the stand-in for nixlbench in tests.
package main

import "kvbench/cmd/kvbench/cli/testdata/standin"

func main() { standin.Main() }
