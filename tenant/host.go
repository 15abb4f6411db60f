// SPDX-License-Identifier: Apache-2.0

package tenant

import (
	"net/http"
	"strings"

	"github.com/gatehouse-go/gatehouse"
)

// FromHost allows callers whose tenant is the one label in front of suffix in
// the host name of the request. With "example.com" the tenant of
// "acme.example.com" is "acme"; "example.com", "a.b.example.com",
// "acme.example.org" and "acme.example.com." name none.
//
// A port is left aside. Host names know no case, so the label is compared in
// lower case: a tenant whose name has capital letters has no host.
//
// The host is the Host header as it reached this server, [http.Request.Host].
// Behind a proxy see to it that the proxy hands it on; X-Forwarded-Host is not
// read, because any caller can send it.
//
// It panics if suffix is not a host name in lower case, without a port and
// without a dot at either end.
func FromHost(suffix string) gatehouse.Policy {
	for label := range strings.SplitSeq(suffix, ".") {
		if !isLabel(label) {
			panic("tenant: FromHost: malformed suffix")
		}
	}
	suffix = "." + suffix
	return func(r *http.Request, p gatehouse.Principal) error {
		return match(labelBefore(suffix, r.Host), p)
	}
}

// labelBefore returns the label in front of suffix, "" if host is anything but
// one label, suffix and perhaps a port.
func labelBefore(suffix, host string) string {
	if name, port, ok := strings.Cut(host, ":"); ok {
		if port == "" || strings.Trim(port, "0123456789") != "" {
			return ""
		}
		host = name
	}
	// Only ASCII: strings.ToLower would take the Kelvin sign for a k.
	if strings.ContainsFunc(host, func(r rune) bool { return r > 0x7f }) {
		return ""
	}
	label, ok := strings.CutSuffix(strings.ToLower(host), suffix)
	if !ok || !isLabel(label) {
		return ""
	}
	return label
}

// isLabel reports whether s is a label of a host name, in lower case.
//
//	RFC 1123 §2.1, RFC 952: <let-dig>[*[<let-dig-hyp>]<let-dig>]
func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
