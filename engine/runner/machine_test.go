package runner

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// testMachine returns a machine whose names and addresses can be looked up without a
// network.
func testMachine(t *testing.T) *machine {
	names := map[string]string{
		"node1.cluster": "10.0.0.7",
		"node2.cluster": "10.0.0.8",
		"alias":         "127.0.1.1",
		"both":          "10.0.0.8 10.0.0.7",
		"six":           "2001:db8::7",
	}
	return &machine{
		name:      "Node1",
		addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("fe80::7")},
		lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			if host == "" || strings.Trim(host, "0123456789.:") == "" {
				t.Errorf("the test looks up %q", host)
			}
			var ips []netip.Addr
			for _, text := range strings.Fields(names[host]) {
				ips = append(ips, netip.MustParseAddr(text))
			}
			if ips == nil {
				return nil, errors.New("no such host")
			}
			return ips, nil
		},
	}
}

// TestFarthest checks where kvbench thinks that etcd is, depending on the endpoints that
// the user specified.
func TestFarthest(t *testing.T) {
	const own = "http://127.0.0.1:2379"
	tests := []struct {
		endpoints, server string
		place             Place
	}{
		{"", "", Loopback},
		{own, own, Loopback},
		{"localhost", "localhost", Loopback},
		{"http://LOCALHOST.:2379", "http://LOCALHOST.:2379", Loopback},
		{"http://etcd.localhost:2379", "http://etcd.localhost:2379", Loopback},
		{"http://127.8.9.10:2379", "http://127.8.9.10:2379", Loopback},
		{"https://[::1]:2379", "https://[::1]:2379", Loopback},
		{"::1", "::1", Loopback},
		{"[::1]", "[::1]", Loopback},
		{"http://[::ffff:127.0.0.1]:2379", "http://[::ffff:127.0.0.1]:2379", Loopback},
		{"http://0.0.0.0:2379", "http://0.0.0.0:2379", Loopback},
		{"http://:2379", "http://:2379", Loopback},
		{"http://10.0.0.7:2379", "http://10.0.0.7:2379", Here},
		{"10.0.0.7", "10.0.0.7", Here},
		{"http://[2001:db8::7]:2379/", "http://[2001:db8::7]:2379/", Here},
		{"http://[fe80::7%25eth0]:2379", "http://[fe80::7%25eth0]:2379", Here},
		{"http://node1:2379", "http://node1:2379", Here},
		{"http://node1.cluster.:2379", "http://node1.cluster.:2379", Here},
		{"http://root:pw@alias:2379/v3", "http://root:pw@alias:2379/v3", Here},
		{"http://both:2379", "http://both:2379", Here},
		{"http://six:2379", "http://six:2379", Here},
		{"http://10.0.0.8:2379", "http://10.0.0.8:2379", Away},
		{"https://node2.cluster:2379", "https://node2.cluster:2379", Away},
		{"http://[2001:db8::8]:2379", "http://[2001:db8::8]:2379", Away},
		{"http://unknown:2379", "http://unknown:2379", Away},
		{"http://localhost.example:2379", "http://localhost.example:2379", Away},
		{own + ",http://10.0.0.8:2379", "http://10.0.0.8:2379", Away},
		{"http://10.0.0.8:2379; " + own, "http://10.0.0.8:2379", Away},
		{own + ",http://10.0.0.7:2379", "http://10.0.0.7:2379", Here},
		{own + ",http://[::1]:2379", own + ",http://[::1]:2379", Loopback},
		{" , ; ", " , ; ", Loopback},
	}
	for _, test := range tests {
		if got := testMachine(t).farthest(t.Context(), test.endpoints); got != (farthest{test.server, test.place}) {
			t.Errorf("%q: %+v, want %s at place %d", test.endpoints, got, test.server, test.place)
		}
	}
}

// TestServers checks the hosts and ports in lists of servers.
func TestServers(t *testing.T) {
	tests := map[string]string{
		"http://127.0.0.1:1":        "127.0.0.1 1",
		"localhost":                 "localhost 2379",
		"https://[::1]:2380/health": "::1 2380",
		"[::1]":                     "::1 2379",
		"http://u@h:7?x":            "h 7",
		"a,b:1;c":                   "a 2379|b 1|c 2379",
	}
	for endpoints, want := range tests {
		var got []string
		for _, s := range servers(endpoints) {
			got = append(got, s.host+" "+s.port)
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%s: %q, want %q", endpoints, got, want)
		}
	}
}
