// SPDX-License-Identifier: Apache-2.0

// Package cookies finds cookies in a request at a cost that hardly depends on the
// number of other cookies.
package cookies

import (
	"iter"
	"net/textproto"
	"strings"
)

// Named returns the name and value of the cookies whose name begins with prefix, in
// the values of the header Cookie.
//
//	RFC 6265bis §4.2.1: cookie-string = cookie-pair *( ";" SP cookie-pair )
//
// It reads names as leniently as net/http and the gate, which strips cookies, so that
// all three agree on what a cookie is: white space around a name is not part of it,
// and a name alone has an empty value.
func Named(header []string, prefix string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, line := range header {
			for {
				i := strings.Index(line, prefix)
				if i < 0 {
					break
				}
				before := textproto.TrimString(line[:i])
				var pair string
				pair, line, _ = strings.Cut(line[i:], ";")
				if before != "" && !strings.HasSuffix(before, ";") { // in a value, or within a name
					continue
				}
				name, value, _ := strings.Cut(textproto.TrimString(pair), "=")
				if !yield(textproto.TrimString(name), value) {
					return
				}
			}
		}
	}
}
