package agent

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"calkeeper/internal/licensing"
)

const (
	searchLimit = 300 * time.Millisecond // for the client's address
	searchPause = 20 * time.Millisecond  // after which a connection that is only just there has sent what it is for
	maxFronts   = 64                     // connections that are looked at
)

var (
	errNoClient    = errors.New("the server that asks has no connection to a client")
	errManyClients = errors.New("several clients log on at once, and nothing tells which of them this logon belongs to")
)

// device returns the client device of a logon: of what PAM says, or else of the connections of the process that has called
// PAM. It says why if it does not know; the device is empty then.
func (a *Agent) device(ctx context.Context, e Environment, parent int) (licensing.Device, error) {
	name := e.RHost
	if len([]rune(name)) > licensing.MaxDeviceLength {
		name = ""
	}
	addr, ok := parseRHost(name)
	if ok {
		return addressDevice(addr), nil
	}
	if a.config.NamedDevice && name != "" {
		return licensing.Device{Name: name}, nil
	}
	addr, err := a.search(ctx, parent)
	if err != nil {
		return licensing.Device{Name: name}, err
	}
	d := addressDevice(addr)
	d.Name = name
	return d, nil
}

func addressDevice(addr netip.Addr) licensing.Device {
	return licensing.Device{ID: "ip:" + addr.WithZone("").Unmap().String()}
}

// parseRHost returns the address that PAM_RHOST is, if it is one: alone, in brackets, or with a port.
func parseRHost(rhost string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(rhost, "["), "]")); err == nil {
		return addr, true
	}
	if addr, err := netip.ParseAddrPort(rhost); err == nil {
		return addr.Addr(), true
	}
	return netip.Addr{}, false
}

// search looks for the address of the client for whom the process that is leader, or starts it, has called PAM.
func (a *Agent) search(ctx context.Context, parent int) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, searchLimit)
	defer cancel()
	caller, err := a.proc.leader(parent)
	if err != nil {
		return netip.Addr{}, err
	}
	for {
		addr, err := a.proc.client(ctx, caller.PID)
		if !errors.Is(err, errManyClients) {
			return addr, err
		}
		select {
		case <-ctx.Done():
			return netip.Addr{}, err
		case <-time.After(searchPause):
		}
	}
}

// front is a process that has a client, and asks the one that calls PAM: a child of xrdp.
type front struct {
	client  netip.Addr
	waiting bool // what it has sent is not read yet: another's turn
}

// client returns the address of the client whom a process serves. Its connections come from clients themselves, or from
// processes of the same machine: then the client is at the other end of such a process's own.
func (p procfs) client(ctx context.Context, pid int) (netip.Addr, error) {
	sockets, err := p.sockets(ctx, pid)
	if err != nil {
		return netip.Addr{}, err
	}
	connections, err := p.incoming(sockets, pid)
	if err != nil {
		return netip.Addr{}, err
	}
	if len(connections) > maxFronts {
		return netip.Addr{}, errManyClients
	}
	fronts := map[int]front{} // by process; those without one by negative numbers
	for i, c := range connections {
		process, found := -1-i, front{client: c.remote.Addr()}
		if peer, ok := peerOf(sockets, c); ok {
			if holder := p.holder(ctx, peer); holder != 0 {
				process = holder
			}
			if outside, err := p.incoming(sockets, process); err == nil && len(outside) == 1 {
				found.client = outside[0].remote.Addr()
			} else if len(outside) > 1 {
				return netip.Addr{}, errManyClients
			}
		}
		found.waiting = c.unread > 0 || fronts[process].waiting
		fronts[process] = found
	}
	// A connection that is not accepted yet is nobody's here. Who has made it waits, too.
	for _, s := range sockets {
		atOurs := func(c socket) bool { return c.local == s.local }
		peer, ok := peerOf(sockets, s)
		if !ok || s.state != tcpEstablished || s.inode != 0 || !slices.ContainsFunc(connections, atOurs) {
			continue
		}
		process := p.holder(ctx, peer)
		if f, known := fronts[process]; known {
			f.waiting = true
			fronts[process] = f
		}
	}
	if err := ctx.Err(); err != nil {
		return netip.Addr{}, err
	}
	return choose(fronts)
}

// peerOf returns the other end of a connection within this machine.
func peerOf(sockets []socket, s socket) (socket, bool) {
	i := slices.IndexFunc(sockets, func(peer socket) bool { return peer.local == s.remote && peer.remote == s.local })
	if i < 0 {
		return socket{}, false
	}
	return sockets[i], true
}

// choose returns the one client that is served; who waits is left out if not all do.
func choose(fronts map[int]front) (netip.Addr, error) {
	var served, all []netip.Addr
	for _, f := range fronts {
		all = append(all, f.client)
		if !f.waiting {
			served = append(served, f.client)
		}
	}
	if len(served) == 0 {
		served = all
	}
	slices.SortFunc(served, netip.Addr.Compare)
	switch served = slices.Compact(served); len(served) {
	case 0:
		return netip.Addr{}, errNoClient
	case 1:
		return served[0], nil
	}
	return netip.Addr{}, errManyClients
}

// incoming returns the connections that a process has accepted: something listens at their local address.
func (p procfs) incoming(sockets []socket, pid int) ([]socket, error) {
	inodes, err := p.inodes(pid)
	if err != nil {
		return nil, err
	}
	listening := map[netip.AddrPort]bool{}
	for _, s := range sockets {
		if s.state == tcpListen {
			listening[s.local] = true
		}
	}
	listened := func(at netip.AddrPort) bool {
		return listening[at] || listening[netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port())] ||
			listening[netip.AddrPortFrom(netip.IPv6Unspecified(), at.Port())]
	}
	var found []socket
	for _, s := range sockets {
		if s.state == tcpEstablished && s.inode != 0 && inodes[s.inode] && listened(s.local) {
			found = append(found, s)
		}
	}
	return found, nil
}
