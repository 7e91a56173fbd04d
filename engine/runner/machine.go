package runner

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
)

// server is one of the servers that endpoints name.
type server struct{ text, host, port string }

// servers takes a list of endpoints apart: URLs, or hosts with or without a port.
func servers(endpoints string) []server {
	var list []server
	for _, text := range strings.FieldsFunc(endpoints, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		address := text
		if _, rest, ok := strings.Cut(address, "://"); ok {
			address = rest
		}
		if i := strings.IndexAny(address, "/?#"); i >= 0 {
			address = address[:i]
		}
		address = address[strings.LastIndexByte(address, '@')+1:] // behind a user's name
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			host, port = strings.Trim(address, "[]"), "2379"
		}
		list = append(list, server{text, strings.Replace(host, "%25", "%", 1), port})
	}
	return list
}

// Place is where a server is, seen from this machine.
type Place int

// The places of a server.
const (
	// Loopback is this machine, under a name that means another one elsewhere.
	Loopback Place = iota
	// Here is this machine, under a name that others may have for it, too.
	Here
	// Away is another machine.
	Away
)

// machine reports whether a host is this machine.
type machine struct {
	name      string
	addresses []netip.Addr
	lookup    func(ctx context.Context, host string) ([]netip.Addr, error)
}

// thisMachine looks at this machine.
func thisMachine() *machine {
	m := &machine{lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	}}
	m.name, _ = os.Hostname()
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				m.addresses = append(m.addresses, ip.Unmap())
			}
		}
	}
	return m
}

// place finds out where a host is. One whose name cannot be resolved is away.
func (m *machine) place(ctx context.Context, host string) Place {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		return m.placeOf(ip)
	}
	switch {
	case host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost"):
		return Loopback
	case host == strings.ToLower(m.name):
		return Here
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	ips, _ := m.lookup(ctx, host)
	for _, ip := range ips {
		if m.placeOf(ip) != Away {
			return Here
		}
	}
	return Away
}

func (m *machine) placeOf(ip netip.Addr) Place {
	ip = ip.Unmap().WithZone("")
	if ip.IsLoopback() || ip.IsUnspecified() {
		return Loopback
	}
	for _, own := range m.addresses {
		if own == ip {
			return Here
		}
	}
	return Away
}

// farthest is the first of several servers that is away, else one that is here,
// else any.
type farthest struct {
	server string
	place  Place
}

func (m *machine) farthest(ctx context.Context, endpoints string) farthest {
	at := farthest{server: endpoints}
	for _, s := range servers(endpoints) {
		if p := m.place(ctx, s.host); p > at.place {
			at = farthest{s.text, p}
		}
		if at.place == Away {
			break
		}
	}
	return at
}
