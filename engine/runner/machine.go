package runner

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
)

// server is one of the servers in a list of endpoints.
type server struct{ text, host, port string }

// servers parses a list of endpoints: URLs, or hosts with or without a port.
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
		address = address[strings.LastIndexByte(address, '@')+1:] // without user name and password
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			host, port = strings.Trim(address, "[]"), "2379"
		}
		list = append(list, server{text, strings.Replace(host, "%25", "%", 1), port})
	}
	return list
}

// Place is the location of a server relative to this machine.
type Place int

// These are the possible locations of a server.
const (
	// Loopback means this machine, under a name such as localhost that refers to a
	// different machine when used elsewhere.
	Loopback Place = iota
	// Here means this machine, under a name or address that other machines may be able to
	// use.
	Here
	// Away means another machine.
	Away
)

// machine determines whether a host is this machine.
type machine struct {
	name      string
	addresses []netip.Addr
	lookup    func(ctx context.Context, host string) ([]netip.Addr, error)
}

// thisMachine describes this machine.
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

// place determines where a host is. If the host's name cannot be resolved, place returns
// [Away].
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

// farthest is the farthest server in a list: the first server that is Away, or else the
// first that is Here. If all servers are Loopback, the server field is the whole list.
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
