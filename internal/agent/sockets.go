package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Bounds of what is read of sockets.
const (
	maxTable   = 16 << 20 // bytes of one table
	maxLine    = 512      // bytes of one line of it
	maxHandles = 1 << 14  // open files of one process
)

// States of a TCP socket in the tables.
const (
	tcpEstablished = 0x01
	tcpListen      = 0x0A
)

// socket is a line of /proc/net/tcp or tcp6.
type socket struct {
	local, remote netip.AddrPort // IPv4 addresses as such, also those of tcp6
	state         uint8
	unread        uint64 // bytes that have come, and nobody has read
	owner         uint32
	inode         uint64 // 0 for none
}

// sockets returns the TCP sockets of the network namespace of a process.
func (p procfs) sockets(ctx context.Context, pid int) ([]socket, error) {
	var all []socket
	for _, name := range []string{"tcp", "tcp6"} {
		f, err := os.Open(filepath.Join(string(p), strconv.Itoa(pid), "net", name))
		if errors.Is(err, os.ErrNotExist) && name == "tcp6" {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, err
		}
		all, err = readSockets(ctx, io.LimitReader(f, maxTable), all)
		f.Close()
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// readSockets appends the sockets of a table. A line that is none is left out.
func readSockets(ctx context.Context, r io.Reader, all []socket) ([]socket, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, maxLine), maxLine)
	for n := 0; lines.Scan(); n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if s, err := parseSocket(lines.Bytes()); err == nil {
			all = append(all, s)
		}
	}
	return all, lines.Err()
}

// parseSocket reads a line of /proc/net/tcp or tcp6: number, local and remote address, state, send and receive queue, timer,
// retransmissions, user, timeout, inode.
func parseSocket(line []byte) (s socket, err error) {
	fields := bytes.Fields(line)
	if len(fields) < 10 {
		return s, fmt.Errorf("a socket has at least 10 fields, not %d", len(fields))
	}
	var errs [6]error
	s.local, errs[0] = parseAddress(string(fields[1]))
	s.remote, errs[1] = parseAddress(string(fields[2]))
	state, err := strconv.ParseUint(string(fields[3]), 16, 8)
	s.state, errs[2] = uint8(state), err
	_, unread, _ := strings.Cut(string(fields[4]), ":")
	s.unread, errs[3] = strconv.ParseUint(unread, 16, 64)
	owner, err := strconv.ParseUint(string(fields[7]), 10, 32)
	s.owner, errs[4] = uint32(owner), err
	s.inode, errs[5] = strconv.ParseUint(string(fields[9]), 10, 64)
	return s, errors.Join(errs[:]...)
}

// parseAddress reads an address as the kernel writes it: the words of the address, in its own byte order, and the port.
func parseAddress(text string) (netip.AddrPort, error) {
	address, port, ok := strings.Cut(text, ":")
	words, err := hex.DecodeString(address)
	if err != nil || !ok || len(words) != 4 && len(words) != 16 {
		return netip.AddrPort{}, fmt.Errorf("%q is no address of a socket", text)
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q has no port", text)
	}
	for i := 0; i < len(words); i += 4 {
		binary.NativeEndian.PutUint32(words[i:], binary.BigEndian.Uint32(words[i:]))
	}
	addr, _ := netip.AddrFromSlice(words)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}

// inodes returns the sockets that a process has open.
func (p procfs) inodes(pid int) (map[uint64]bool, error) {
	dir := filepath.Join(string(p), strconv.Itoa(pid), "fd")
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(maxHandles)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	found := map[uint64]bool{}
	for _, name := range names {
		target, err := os.Readlink(filepath.Join(dir, name))
		if err != nil {
			continue // it was closed meanwhile
		}
		number, ok := strings.CutPrefix(target, "socket:[")
		if inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64); ok && err == nil {
			found[inode] = true
		}
	}
	return found, nil
}

// holder returns the process that has a socket open, 0 if it finds none in time. Processes of the socket's owner come first.
func (p procfs) holder(ctx context.Context, s socket) int {
	pids, err := p.pids()
	if err != nil {
		return 0
	}
	for _, owned := range []bool{true, false} {
		for _, pid := range pids {
			if ctx.Err() != nil {
				return 0
			}
			if (ownerOf(filepath.Join(string(p), strconv.Itoa(pid))) == int64(s.owner)) != owned {
				continue
			}
			if inodes, err := p.inodes(pid); err == nil && inodes[s.inode] {
				return pid
			}
		}
	}
	return 0
}
