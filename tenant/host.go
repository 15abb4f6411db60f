// SPDX-License-Identifier: Apache-2.0

package tenant

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

// FromHost allows callers whose tenant is the single label before suffix in the host
// name of the request. With the suffix "example.com", "acme.example.com" names the
// tenant "acme", and "example.com", "a.b.example.com", "acme.example.org" and
// "acme.example.com." name none.
//
// The port is ignored. Host names are case-insensitive, so the label is compared
// in lower case: a tenant with upper-case letters in its name has no host.
//
// The host is [http.Request.Host], the Host header that reached this server. A
// proxy must pass it on; X-Forwarded-Host is not read, because clients can send it.
//
// It panics if suffix is not a host name in lower case, without a port and
// without a dot at either end.
func FromHost(suffix string) gatehouse.Policy {
	for label := range strings.SplitSeq(suffix, ".") {
		if !isLabel(label) {
			panic(fmt.Sprintf("tenant: FromHost: got %q, want a host name in lower case, such as %q", suffix, "example.com"))
		}
	}
	suffix = "." + suffix
	return gatehouse.PolicyFunc(func(r *http.Request, p gatehouse.Principal) error {
		return match(labelBefore(suffix, r.Host), p)
	})
}

// labelBefore returns the label before suffix, "" if host is not one label,
// suffix and an optional port.
func labelBefore(suffix, host string) string {
	if name, port, ok := strings.Cut(host, ":"); ok {
		if port == "" || strings.Trim(port, "0123456789") != "" {
			return ""
		}
		host = name
	}
	if !text.IsVisible(host) { // strings.ToLower maps the Kelvin sign to k
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
