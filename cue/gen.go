//go:build ignore

// Gen writes snapshot.json from the CUE files.
package main

import (
	"fmt"
	"os"

	"kvbench/engine/config"
)

func main() {
	data, err := config.Snapshot(os.DirFS("."), os.DirFS("../models"))
	if err == nil {
		err = os.WriteFile("snapshot.json", data, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
