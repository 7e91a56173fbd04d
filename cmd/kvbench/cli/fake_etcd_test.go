package cli_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
)

// fakeEtcd imitates the part of etcd that a job uses. After a while, it reports that it
// is healthy, unless FAKE_ETCD_SICK is set.
func fakeEtcd() {
	flags := map[string]string{}
	for i := 1; i < len(os.Args); i++ {
		name, value, ok := strings.Cut(os.Args[i], "=")
		if !ok && i+1 < len(os.Args) {
			i++
			value = os.Args[i]
		}
		flags[name] = value
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
	gateway()
	err := http.ListenAndServe(strings.TrimPrefix(flags["--listen-client-urls"], "http://"), nil)
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
