// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
)

// htu is compared with the configured origin and the path of the request, in the
// normal form of RFC 3986, and with nothing that the client sends.
//
// Covers RFC 9449 §4.3 (htu, normalization).
func TestURLs(t *testing.T) {
	c := newClient("ES256")
	for _, test := range []struct {
		origin, request, htu string
		ok                   bool
	}{
		{origin, "/reports", "https://api.example.com/reports", true},
		{origin, "/reports", "HTTPS://API.example.COM/reports", true},
		{origin, "/reports", "https://api.example.com:443/reports", true},
		{origin, "/reports", "https://api.example.com:/reports", true},
		{"https://API.example.com:443", "/reports", "https://api.example.com/reports", true},
		{origin, "/reports?page=2", "https://api.example.com/reports", true},
		{origin, "/reports?page=2", "https://api.example.com/reports?page=2", true},
		{origin, "/reports?page=2", "https://api.example.com/reports?page=3#x", true},
		{origin, "/", "https://api.example.com/", true},
		{origin, "/", "https://api.example.com", true},
		{origin, "/?a", "https://api.example.com?a", true},
		{origin, "/%72eports", "https://api.example.com/reports", true},
		{origin, "/reports", "https://api.example.com/r%65p%6frts", true},
		{origin, "/a%2fb", "https://api.example.com/a%2Fb", true},
		{origin, "/a/./b", "https://api.example.com/a/b", true},
		{origin, "/a/b", "https://api.example.com/x/../a/b", true},
		{origin, "/a/b", "https://api.example.com/%2e%2E/a/b", true},
		{origin, "/a/", "https://api.example.com/a/b/..", true},
		{origin, "/a/", "https://api.example.com/a/.", true},
		{origin, "/a//b", "https://api.example.com/a//b", true},
		{origin, "/a//b", "https://api.example.com/a//c/../b", true},
		{origin, "/..a/.b", "https://api.example.com/..a/.b", true},
		{origin, "http://other.example/reports", "https://api.example.com/reports", true},
		{"http://localhost:8080", "/reports", "http://localhost:8080/reports", true},
		{"http://localhost", "/reports", "http://localhost:80/reports", true},
		{"https://[2001:db8::1]", "/reports", "https://[2001:DB8::1]:443/reports", true},

		{origin, "/reports", "", false},
		{origin, "/reports", "/reports", false},
		{origin, "/reports", "api.example.com/reports", false},
		{origin, "/reports", "//api.example.com/reports", false},
		{origin, "/reports", "http://api.example.com/reports", false},
		{origin, "/reports", "http://api.example.com:443/reports", false},
		{origin, "/reports", "https://api.example.com:80/reports", false},
		{origin, "/reports", "https://api.example.com:8443/reports", false},
		{origin, "/reports", "https://api.example.com:0443/reports", false},
		{origin, "/reports", "https://other.example.com/reports", false},
		{origin, "/reports", "https://api.example.com.attacker.example/reports", false},
		{origin, "/reports", "https://api.example.com@attacker.example/reports", false},
		{origin, "/reports", "https://user@api.example.com/reports", false},
		{origin, "/reports", "https://api.example.com./reports", false},
		{origin, "/reports", `https://api.example.com\reports`, false},
		{origin, "/reports", "https:///reports", false},
		{origin, "/reports", "https://api.example.com/Reports", false},
		{origin, "/reports", "https://api.example.com/reports/", false},
		{origin, "/reports/", "https://api.example.com/reports", false},
		{origin, "/reports", "https://api.example.com//reports", false},
		{origin, "/reports", "https://api.example.com/report", false},
		{origin, "/reports", "https://api.example.com/reports/1", false},
		{origin, "/reports", "https://api.example.com/", false},
		{origin, "/reports", "https://api.example.com", false},
		{origin, "/reports", "https://api.example.com/reports%", false},
		{origin, "/reports", "https://api.example.com/reports%7", false},
		{origin, "/reports", "https://api.example.com/%zzreports", false},
		{origin, "/reports", "https://api.example.com/reports ", false},
		{origin, "/reports", " https://api.example.com/reports", false},
		{origin, "/reports", "https://api.example.com/reports%00", false},
		{origin, "/a%2fb", "https://api.example.com/a/b", false},
		{origin, "/a%252fb", "https://api.example.com/a%2fb", false},
		{origin, "/a%3Fb", "https://api.example.com/a?b", false},
		{origin, "/a%3Bb", "https://api.example.com/a;b", false},
		{origin, "/..a/.b", "https://api.example.com/a/b", false},
	} {
		v := newVerifier(func(c *dpop.Config) { c.PublicOrigin = test.origin })
		want := dpop.ReasonURL
		if test.ok {
			want = ""
		}
		t.Run(test.request+" "+test.htu, func(t *testing.T) {
			r := request("GET", test.request, c.proof(nil, object{"htu": test.htu}))
			// Nothing of this counts.
			r.Host, r.TLS = "attacker.example", &tls.ConnectionState{}
			for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto", "X-Original-Url", "Forwarded"} {
				r.Header.Set(name, "http://attacker.example/x")
			}
			check(t, v, r, c.jkt, want)
		})
	}
}

func TestPathOfRequest(t *testing.T) {
	c := newClient("ES256")
	confirm := func(v *dpop.Verifier, want gatehouse.Reason) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) { check(t, v, inner, c.jkt, want) })
	}
	// A handler in front removes a part of the path: the client has sent it.
	r := request("GET", "/api/reports", c.proof(nil, object{"htu": origin + "/api/reports"}))
	http.StripPrefix("/api", confirm(newVerifier(), "")).ServeHTTP(nil, r)
	r = request("GET", "/api/reports", c.proof(nil, object{"htu": origin + "/reports"}))
	http.StripPrefix("/api", confirm(newVerifier(), dpop.ReasonURL)).ServeHTTP(nil, r)

	// An adapter to another transport has no request line.
	r = request("GET", "/a%2fb", c.proof(nil, object{"htu": origin + "/a%2Fb"}))
	r.RequestURI = ""
	check(t, newVerifier(), r, c.jkt, "")

	// A proxy in front has removed a part of the path.
	v := newVerifier(func(c *dpop.Config) { c.Path = func(r *http.Request) string { return "/public" + r.URL.EscapedPath() } })
	check(t, v, request("GET", "/reports", c.proof(nil, object{"htu": origin + "/public/reports"})), c.jkt, "")
	check(t, v, request("GET", "/reports", c.proof(nil, nil)), c.jkt, dpop.ReasonURL)
	for path, htu := range map[string]string{"reports": "/reports", "/%zz": "/%zz", "/%yy": "/%zz", "/caf\u00e9": "/caf\u00e9"} {
		v = newVerifier(func(c *dpop.Config) { c.Path = func(*http.Request) string { return path } })
		check(t, v, request("GET", "/reports", c.proof(nil, object{"htu": origin + htu})), c.jkt, dpop.ReasonURL)
	}
}
