// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// clientAddr returns the address that a request comes from: that of the
// connection, or, behind a named proxy, the last one in X-Forwarded-For that is
// not that of a named proxy. Each proxy appends whom it has heard from, so what
// stands further left is the caller's word.
//
// Where that cannot be told the address is invalid, and no network holds it: a
// proxy that does not say for whom it speaks, or says it in a way that cannot
// be read.
func (k *Keys) clientAddr(r *http.Request) netip.Addr {
	addrPort, _ := netip.ParseAddrPort(r.RemoteAddr) // zero where that fails, and no proxy
	addr := addrPort.Addr().Unmap()
	list := strings.Join(r.Header["X-Forwarded-For"], ",")
	for more := true; more && contains(k.proxies, addr); {
		var entry string
		i := strings.LastIndexByte(list, ',')
		entry, more = strings.TrimSpace(list[i+1:]), i >= 0
		list = list[:max(i, 0)]
		addr = parseForwarded(entry)
	}
	return addr
}

// parseForwarded reads an address with or without a port.
func parseForwarded(entry string) netip.Addr {
	addr, err := netip.ParseAddr(entry)
	if err != nil {
		addrPort, _ := netip.ParseAddrPort(entry)
		addr = addrPort.Addr()
	}
	return addr.Unmap()
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// plainPrefixes returns copies of prefixes in the one form that [netip.Prefix]
// compares as people mean it: masked, and IPv4 where it is mapped into IPv6.
func plainPrefixes(prefixes []netip.Prefix) ([]netip.Prefix, error) {
	var plain []netip.Prefix
	for i, p := range prefixes {
		if p.Addr().Is4In6() {
			if p.Bits() < 96 {
				return nil, fmt.Errorf("[%d]: a part of the mapped IPv4 addresses", i)
			}
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if !p.IsValid() {
			return nil, errors.New("an invalid prefix")
		}
		plain = append(plain, p.Masked())
	}
	return plain, nil
}

// networkOf returns the network that stands for an address: of this many bits
// of IPv4, of that many of IPv6. It is zero for an address that is invalid.
func networkOf(addr netip.Addr, bits4, bits6 int) netip.Prefix {
	bits := bits6
	if addr.Is4() {
		bits = bits4
	}
	p, _ := addr.Prefix(bits)
	return p
}
