// SPDX-License-Identifier: Apache-2.0

package cookie

import (
	"iter"
	"net/http"
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

// find returns the cookie of a name and its parts, up to the given number. It
// refuses the request if one of them occurs twice.
//
//	RFC 6265bis §4.2.2: "servers SHOULD NOT rely upon the order in which these
//	cookies appear in the header field."
func find(r *http.Request, name string, limit int) (found, error) {
	lines := r.Header["Cookie"]
	size := 0
	for _, line := range lines {
		size += len(line)
	}
	if size > maxHeaderOctets {
		return found{}, errOversized()
	}
	var f found
	for pair, value := range pairs(lines) {
		i := partOf(pair, name)
		if i < 0 || i >= limit {
			continue
		}
		if f.has[i] {
			return found{}, errDuplicate()
		}
		f.has[i], f.values[i] = true, value
	}
	return f, nil
}

// pairs yields the cookies of the Cookie headers in order.
//
//	RFC 6265bis §4.2.1: cookie-string = cookie-pair *( ";" SP cookie-pair )
//	"Servers MUST be tolerant of multiple cookie headers."
//
// White space around a name is no part of it, here as in net/http and in what
// the gate takes off a request, so that "name =x" is a cookie of that name. A
// pair without "=" has no name.
func pairs(lines []string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, line := range lines {
			for line != "" {
				var pair string
				pair, line, _ = strings.Cut(line, ";")
				name, value, ok := strings.Cut(pair, "=")
				if ok && !yield(strings.TrimSpace(name), strings.Trim(value, " \t")) {
					return
				}
			}
		}
	}
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
