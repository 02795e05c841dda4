package auth

import (
	"net"
	"net/http"
	"net/netip"
)

// AddressOf returns the IP address of host:port, as net/http has it of a caller, without what an IPv6 address has for this machine only.
func AddressOf(hostPort string) string {
	a, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		return hostPort
	}
	return a.Addr().Unmap().WithZone("").String()
}

// NetworkOf returns the address of a caller, or the network of an IPv6 address within which one machine can choose addresses.
func NetworkOf(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	return netip.PrefixFrom(a, 64).Masked().String()
}

// fromLoopback tells whether both ends of the connection are on this machine's loopback interface.
func fromLoopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return isLoopback(r.RemoteAddr) && ok && isLoopback(local.String())
}

func isLoopback(hostPort string) bool {
	a, err := netip.ParseAddrPort(hostPort)
	return err == nil && a.Addr().Unmap().IsLoopback()
}
