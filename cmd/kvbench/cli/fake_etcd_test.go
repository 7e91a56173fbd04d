package cli_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
)

// fakeEtcd imitates the part of etcd that a job uses: after a while, it reports
// that it is healthy. With FAKE_ETCD_SICK, it never does.
func fakeEtcd() {
	flags := map[string]string{}
	for i := 1; i+1 < len(os.Args); i += 2 {
		flags[os.Args[i]] = os.Args[i+1]
	}
	for _, name := range []string{"--data-dir", "--advertise-client-urls", "--listen-peer-urls", "--initial-cluster"} {
		if flags[name] == "" {
			fmt.Fprintln(os.Stderr, "missing", name)
			os.Exit(1)
		}
	}
	if log := os.Getenv("FAKE_ETCD_LOG"); log != "" {
		os.WriteFile(log, fmt.Appendln(nil, os.Getpid()), 0o644)
	}
	asked := 0
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		asked++
		if asked < 3 || os.Getenv("FAKE_ETCD_SICK") != "" {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"health":"false","reason":"RAFT NO LEADER"}`)
			return
		}
		fmt.Fprint(w, `{"health":"true","reason":""}`)
	})
	err := http.ListenAndServe(strings.TrimPrefix(flags["--listen-client-urls"], "http://"), nil)
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
