// SPDX-License-Identifier: Apache-2.0

package cookie

import (
	"net/http"
	"net/textproto"
	"strings"
)

// maxHeaderOctets bounds the Cookie header that is read. Servers and proxies
// commonly accept 8 to 16 KB; four parts of a sealed cookie have 16.
const maxHeaderOctets = 64 << 10

// maxParts is how many cookies one value may be split into.
const maxParts = 4

// found is what a request has under one name: the cookie itself, then its
// parts.
type found struct {
	values [maxParts]string
	has    [maxParts]bool
}

// find looks for the cookie of a name and its parts, up to the given number. It
// refuses the request if one of them occurs twice.
//
//	RFC 6265bis §4.2.2: "servers SHOULD NOT rely upon the order in which these
//	cookies appear in the header field."
func (f *found) find(r *http.Request, base string, limit int) error {
	size := 0
	for _, line := range r.Header["Cookie"] {
		if size += len(line); size > maxHeaderOctets {
			return errOversized()
		}
		for line != "" {
			var name, value string
			name, value, line = next(line)
			i := partOf(name, base)
			if i < 0 || i >= limit {
				continue
			}
			if f.has[i] {
				return errDuplicate()
			}
			f.has[i], f.values[i] = true, value
		}
	}
	return nil
}

// next returns the first cookie of a Cookie header and the rest of the header.
//
//	RFC 6265bis §4.2.1: cookie-string = cookie-pair *( ";" SP cookie-pair )
//
// Names are read generously, as in net/http and in what the gate takes off a
// request, so that nothing is a cookie there and none here: white space around a
// name is no part of it, and a name alone has an empty value.
func next(line string) (name, value, rest string) {
	pair, rest, _ := strings.Cut(line, ";")
	name, value, _ = strings.Cut(textproto.TrimString(pair), "=")
	return textproto.TrimString(name), value, rest
}

// partOf returns which part of the cookie called base has the given name: 0 for
// the cookie itself, 1 for "base.1" and so on, and -1 for none.
func partOf(name, base string) int {
	rest, ok := strings.CutPrefix(name, base)
	switch {
	case !ok:
		return -1
	case rest == "":
		return 0
	case len(rest) == 2 && rest[0] == '.' && '1' <= rest[1] && rest[1] < '0'+maxParts:
		return int(rest[1] - '0')
	}
	return -1
}
