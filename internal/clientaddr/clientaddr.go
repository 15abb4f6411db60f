// SPDX-License-Identifier: Apache-2.0

// Package clientaddr finds the IP address of a client, even behind trusted proxies, and
// compares addresses with networks.
package clientaddr

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the networks of the reverse proxies that are trusted to append the address
// of their client to X-Forwarded-For. Create them with [Normalize]. The zero value trusts
// no proxy.
type Proxies []netip.Prefix

// Client returns the IP address of the client of r: that of the connection, or,
// behind a trusted proxy, the last entry of X-Forwarded-For that is not the
// address of a trusted proxy. Each proxy appends the address of its peer; entries
// further left are client-supplied and untrusted.
//
// The address is invalid, and no network contains it, if RemoteAddr is not an
// address or if a trusted proxy sends no entry or a malformed one.
func (p Proxies) Client(r *http.Request) netip.Addr {
	addrPort, _ := netip.ParseAddrPort(r.RemoteAddr) // on failure the invalid Addr, which is no proxy
	addr := addrPort.Addr().Unmap()
	list := strings.Join(r.Header["X-Forwarded-For"], ",")
	for more := true; more && Contains(p, addr); {
		var entry string
		i := strings.LastIndexByte(list, ',')
		entry, more = strings.TrimSpace(list[i+1:]), i >= 0
		list = list[:max(i, 0)]
		addr = parse(entry)
	}
	return addr
}

// parse reads an address with or without a port.
func parse(entry string) netip.Addr {
	addr, err := netip.ParseAddr(entry)
	if err != nil {
		addrPort, _ := netip.ParseAddrPort(entry)
		addr = addrPort.Addr()
	}
	return addr.Unmap()
}

// Contains reports whether one of the normalized networks contains addr. An
// invalid address is in no network.
func Contains(networks []netip.Prefix, addr netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// Normalize returns a copy of networks in the form that [Contains] needs: masked,
// and IPv4 networks that are mapped into IPv6 as IPv4. The error names the index
// of a network that is invalid or is a part of the mapped range.
func Normalize(networks []netip.Prefix) ([]netip.Prefix, error) {
	var normalized []netip.Prefix
	for i, n := range networks {
		if n.Addr().Is4In6() {
			if n.Bits() < 96 {
				return nil, fmt.Errorf("[%d]: %v is wider than the IPv4-mapped range ::ffff:0:0/96", i, n)
			}
			n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
		}
		if !n.IsValid() {
			return nil, fmt.Errorf("[%d]: invalid network", i)
		}
		normalized = append(normalized, n.Masked())
	}
	return normalized, nil
}

// Network returns the network of addr with bits4 bits for IPv4 and bits6 bits for
// IPv6, for counters by network. It is the zero Prefix if addr is invalid.
func Network(addr netip.Addr, bits4, bits6 int) netip.Prefix {
	bits := bits6
	if addr.Is4() {
		bits = bits4
	}
	n, _ := addr.Prefix(bits)
	return n
}

// FormatList writes networks as text, one space between.
func FormatList(networks []netip.Prefix) string {
	texts := make([]string, len(networks))
	for i, n := range networks {
		texts[i] = n.String()
	}
	return strings.Join(texts, " ")
}

// ParseList reads the text of [FormatList]. Everything else is an error, because
// an empty list of networks allows every address.
func ParseList(text string) ([]netip.Prefix, error) {
	if text == "" {
		return nil, nil
	}
	var networks []netip.Prefix
	for word := range strings.SplitSeq(text, " ") {
		n, err := netip.ParsePrefix(word)
		if err != nil {
			return nil, errors.New("malformed list of networks")
		}
		networks = append(networks, n)
	}
	return networks, nil
}
