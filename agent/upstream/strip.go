// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net/http"
	"slices"
	"strings"
)

// credentials are the request headers that carry a credential of the caller, with their
// standard or product, and headers with which the caller could act in the application's
// account at the provider.
var credentials = []string{
	"Authorization", "Proxy-Authorization", // RFC 9110
	"Cookie", "Cookie2",
	"Dpop",                             // RFC 9449
	"Client-Cert", "Client-Cert-Chain", // RFC 9440
	"X-Forwarded-Client-Cert", "X-Ssl-Client-Cert", // Envoy, nginx
	"Signature", "Signature-Input", // RFC 9421
	"X-Api-Key", "Api-Key", "X-Goog-Api-Key", "Ocp-Apim-Subscription-Key",
	"X-Auth-Token", "X-Access-Token", "X-Csrf-Token",
	"X-Amz-Security-Token", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Accesstoken", "X-Amzn-Oidc-Identity",
	"X-Goog-Iap-Jwt-Assertion", "Cf-Access-Jwt-Assertion", "Cf-Access-Client-Id", "Cf-Access-Client-Secret",
	"X-Forwarded-Access-Token", "X-Auth-Request-Access-Token", "X-Ms-Token-Aad-Access-Token",
	// Two callers may use the same key, and one would get the response of the other. With
	// such a header net/http also repeats a POST.
	"Idempotency-Key", "X-Idempotency-Key",
}

// connection are the headers of a single connection, RFC 9110 §7.6.1. Servers ignore the
// headers that Connection lists, so the caller could remove the credential of the
// upstream with Connection.
var connection = []string{"Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Upgrade", "Http2-Settings"}

// responseCredentials are response headers that set or request credentials. The caller
// must not receive them.
var responseCredentials = []string{
	"Set-Cookie", "Set-Cookie2", "Www-Authenticate", "Proxy-Authenticate", "Authentication-Info", "Proxy-Authentication-Info", "Dpop-Nonce",
}

// stripped are the request headers that are never forwarded.
var stripped = func() map[string]bool {
	all := make(map[string]bool)
	for _, name := range slices.Concat(credentials, connection) {
		all[name] = true
	}
	return all
}()

// withoutCredentials returns a copy of the header without credentials. It ignores case,
// and removes names with underscores too, because some servers read them as hyphens.
func withoutCredentials(header http.Header, more []string) http.Header {
	out := make(http.Header, len(header)+2)
	for name, values := range header {
		canonical := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
		if !stripped[canonical] && !slices.Contains(more, canonical) {
			out[name] = values
		}
	}
	return out
}
