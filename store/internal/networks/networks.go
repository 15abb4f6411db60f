// SPDX-License-Identifier: Apache-2.0

// Package networks writes lists of networks as text and reads them.
package networks

import (
	"errors"
	"net/netip"
	"strings"
)

// Text returns the prefixes with a space between.
func Text(prefixes []netip.Prefix) string {
	texts := make([]string, len(prefixes))
	for i, p := range prefixes {
		texts[i] = p.String()
	}
	return strings.Join(texts, " ")
}

// Parse reads what Text has written, and nothing else: a list that cannot be
// read must not become the empty one, which means everywhere.
func Parse(text string) ([]netip.Prefix, error) {
	if text == "" {
		return nil, nil
	}
	var prefixes []netip.Prefix
	for word := range strings.SplitSeq(text, " ") {
		p, err := netip.ParsePrefix(word)
		if err != nil {
			return nil, errors.New("a network is damaged")
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, nil
}
