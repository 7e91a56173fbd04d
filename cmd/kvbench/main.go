// Kvbench plans and runs KV-cache transfer benchmarks for any LLM architecture.
package main

import (
	"os"

	"kvbench/cmd/kvbench/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
