// SPDX-License-Identifier: Apache-2.0

package clientaddr_test

import (
	"net/http"
	"net/netip"
	"slices"
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/clientaddr"
)

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func TestClient(t *testing.T) {
	networks, err := clientaddr.Normalize(prefixes("10.0.0.0/8", "2001:db8::/32"))
	if err != nil {
		t.Fatal(err)
	}
	proxies := clientaddr.Proxies(networks)
	for _, test := range []struct {
		name, remote string
		forwarded    []string
		want         string // "" is the invalid address
	}{
		{"direct", "192.0.2.1:99", nil, "192.0.2.1"},
		{"direct, mapped into IPv6", "[::ffff:192.0.2.1]:99", nil, "192.0.2.1"},
		{"direct, header ignored", "192.0.2.1:99", []string{"203.0.113.5"}, "192.0.2.1"},
		{"proxy", "10.0.0.1:99", []string{"203.0.113.5"}, "203.0.113.5"},
		{"proxy, mapped into IPv6", "[::ffff:10.0.0.1]:99", []string{"::ffff:203.0.113.5"}, "203.0.113.5"},
		{"proxy over IPv6", "[2001:db8::1]:99", []string{"2001:db9::5"}, "2001:db9::5"},
		{"last entry counts", "10.0.0.1:99", []string{"198.51.100.7, 203.0.113.5"}, "203.0.113.5"},
		{"last line counts", "10.0.0.1:99", []string{"198.51.100.7", "203.0.113.5"}, "203.0.113.5"},
		{"two proxies", "10.0.0.1:99", []string{"198.51.100.7, 203.0.113.5 ,\t10.0.0.2"}, "203.0.113.5"},
		{"with port", "10.0.0.1:99", []string{"203.0.113.5:4711"}, "203.0.113.5"},
		{"IPv6 with port", "10.0.0.1:99", []string{"[2001:db9::5]:4711"}, "2001:db9::5"},
		{"client in a proxy network", "10.0.0.1:99", []string{"10.0.0.3"}, "10.0.0.3"},
		{"malformed entry", "10.0.0.1:99", []string{"203.0.113.5, unknown"}, ""},
		{"empty entry", "10.0.0.1:99", []string{"203.0.113.5,"}, ""},
		{"empty entry first", "10.0.0.1:99", []string{",10.0.0.2"}, ""},
		{"no header", "10.0.0.1:99", nil, ""},
		{"malformed RemoteAddr", "pipe", []string{"203.0.113.5"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: test.remote, Header: http.Header{"X-Forwarded-For": test.forwarded}}
			got := proxies.Client(r)
			if want, _ := netip.ParseAddr(test.want); got != want {
				t.Errorf("Client(%s, %q) = %v, want %v", test.remote, test.forwarded, got, want)
			}
			if got := clientaddr.Proxies(nil).Client(&http.Request{RemoteAddr: "10.0.0.1:1", Header: r.Header}); got != netip.MustParseAddr("10.0.0.1") {
				t.Errorf("Client without proxies = %v, want 10.0.0.1", got)
			}
		})
	}
}

func TestNormalizeAndContains(t *testing.T) {
	networks, err := clientaddr.Normalize(prefixes("192.0.2.77/24", "::ffff:198.51.100.0/120", "2001:db8:1:2::3/48"))
	if want := prefixes("192.0.2.0/24", "198.51.100.0/24", "2001:db8:1::/48"); err != nil || !slices.Equal(networks, want) {
		t.Fatalf("Normalize = %v, %v, want %v", networks, err, want)
	}
	for addr, want := range map[string]bool{
		"192.0.2.1": true, "198.51.100.9": true, "2001:db8:1:ffff::": true, "192.0.3.1": false, "2001:db8:2::": false,
	} {
		if got := clientaddr.Contains(networks, netip.MustParseAddr(addr)); got != want {
			t.Errorf("Contains(%s) = %t, want %t", addr, got, want)
		}
	}
	if clientaddr.Contains(prefixes("0.0.0.0/0", "::/0"), netip.Addr{}) {
		t.Error("Contains(invalid address) = true, want false")
	}
	if all, err := clientaddr.Normalize(prefixes("::ffff:0:0/96")); err != nil || !slices.Equal(all, prefixes("0.0.0.0/0")) {
		t.Errorf("Normalize(::ffff:0:0/96) = %v, %v, want 0.0.0.0/0", all, err)
	}
	for invalid, want := range map[netip.Prefix]string{
		{}: "[0]: invalid network", netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 33): "[0]: invalid network",
		netip.MustParsePrefix("::ffff:10.0.0.0/95"): "[0]: ::ffff:10.0.0.0/95 is wider than the IPv4-mapped range ::ffff:0:0/96",
	} {
		if got, err := clientaddr.Normalize([]netip.Prefix{invalid}); err == nil || err.Error() != want {
			t.Errorf("Normalize(%v) = %v, %v, want %s", invalid, got, err, want)
		}
	}
}

func TestNetwork(t *testing.T) {
	for addr, want := range map[string]string{"192.0.2.77": "192.0.2.0/24", "2001:db8:1:2:3::4": "2001:db8:1::/48"} {
		if got := clientaddr.Network(netip.MustParseAddr(addr), 24, 48); got.String() != want {
			t.Errorf("Network(%s, 24, 48) = %v, want %s", addr, got, want)
		}
	}
	if got := clientaddr.Network(netip.Addr{}, 24, 48); got.IsValid() {
		t.Errorf("Network(invalid address) = %v, want an invalid one", got)
	}
}

func TestListRoundTrip(t *testing.T) {
	for _, want := range [][]netip.Prefix{nil, prefixes("0.0.0.0/0"), prefixes("10.1.2.3/8", "2001:db8::/32", "::ffff:10.0.0.0/104")} {
		if got, err := clientaddr.ParseList(clientaddr.FormatList(want)); err != nil || !slices.Equal(got, want) {
			t.Errorf("ParseList(FormatList(%v)) = %v, %v", want, got, err)
		}
	}
	for _, text := range []string{" ", "10.0.0.0", "10.0.0.0/8 ", "10.0.0.0/8  10.0.0.0/8", "10.0.0.0/8,10.0.0.0/9", "everywhere"} {
		if got, err := clientaddr.ParseList(text); err == nil {
			t.Errorf("ParseList(%q) = %v, want an error", text, got)
		}
	}
}
