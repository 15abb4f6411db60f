// SPDX-License-Identifier: Apache-2.0

package networks_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/gatehouse-go/gatehouse/store/internal/networks"
)

func TestRoundTrip(t *testing.T) {
	for _, want := range [][]netip.Prefix{
		nil,
		{netip.MustParsePrefix("0.0.0.0/0")},
		{netip.MustParsePrefix("10.1.2.3/8"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("::ffff:10.0.0.0/104")},
	} {
		got, err := networks.Parse(networks.Text(want))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v became %v, %v", want, got, err)
		}
	}
}

func TestParseDamaged(t *testing.T) {
	for _, text := range []string{" ", "10.0.0.0", "10.0.0.0/8 ", "10.0.0.0/8  10.0.0.0/8", "10.0.0.0/8,10.0.0.0/9", "everywhere"} {
		if got, err := networks.Parse(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}
