// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"crypto/tls"
	"net/http"
	"slices"
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
		origin, request string
		is, isNot       []string
	}{
		{origin, "/reports", []string{
			"https://api.example.com/reports", "HTTPS://API.example.COM/reports", "https://api.example.com:443/reports", "https://api.example.com:/reports",
			"https://api.example.com/r%65p%6frts",
		}, []string{
			"", "/reports", "api.example.com/reports", "//api.example.com/reports", "http://api.example.com/reports", "http://api.example.com:443/reports",
			"https://api.example.com:80/reports", "https://api.example.com:8443/reports", "https://api.example.com:0443/reports",
			"https://other.example.com/reports", "https://api.example.com.attacker.example/reports", "https://api.example.com@attacker.example/reports",
			"https://user@api.example.com/reports", "https://api.example.com./reports", `https://api.example.com\reports`, "https:///reports",
			"https://api.example.com/Reports", "https://api.example.com/reports/", "https://api.example.com//reports", "https://api.example.com/report",
			"https://api.example.com/reports/1", "https://api.example.com/", "https://api.example.com", "https://api.example.com/reports%",
			"https://api.example.com/reports%7", "https://api.example.com/%zzreports", "https://api.example.com/%z0reports", "https://api.example.com/%0zreports", "https://api.example.com/reports ", " https://api.example.com/reports",
			"https://api.example.com/reports%00",
		}},
		{"https://API.example.com:443", "/reports", []string{"https://api.example.com/reports"}, nil},
		{"http://localhost:8080", "/reports", []string{"http://localhost:8080/reports"}, nil},
		{"http://localhost", "/reports", []string{"http://localhost:80/reports"}, nil},
		{"https://[2001:db8::1]", "/reports", []string{"https://[2001:DB8::1]:443/reports"}, nil},
		{origin, "http://other.example/reports", []string{"https://api.example.com/reports"}, nil},
		{origin, "/reports?page=2", []string{
			"https://api.example.com/reports", "https://api.example.com/reports?page=2", "https://api.example.com/reports?page=3#x", "https://api.example.com/reports#x", "https://api.example.com/reports#x?page=2",
		}, nil},
		{origin, "/", []string{"https://api.example.com/", "https://api.example.com"}, nil},
		{origin, "/?a", []string{"https://api.example.com?a"}, nil},
		{origin, "/reports/", nil, []string{"https://api.example.com/reports"}},
		{origin, "/%72eports", []string{"https://api.example.com/reports"}, nil},
		{origin, "/a%2fb", []string{"https://api.example.com/a%2Fb"}, []string{
			"https://api.example.com/a/b", "https://api.example.com/a2Fb", "https://api.example.com/a%3Fb", "https://api.example.com/a%2Cb", "https://api.example.com/a%F2b",
		}},
		{origin, "/a%2D%2ab", []string{"https://api.example.com/a-%2Ab"}, nil},
		{origin, "/a%2d%2E%5f%7Eb", []string{"https://api.example.com/a-._~b"}, nil},
		{origin, "/a%0b%20c", []string{"https://api.example.com/a%0B%20c"}, nil},
		{origin, "/a%252fb", nil, []string{"https://api.example.com/a%2fb"}},
		{origin, "/a%3Fb", nil, []string{"https://api.example.com/a?b"}},
		{origin, "/a%3Bb", nil, []string{"https://api.example.com/a;b"}},
		{origin, "/a/./b", []string{"https://api.example.com/a/b"}, nil},
		{origin, "/a/b", []string{"https://api.example.com/x/../a/b", "https://api.example.com/%2e%2E/a/b"}, nil},
		{origin, "/a/", []string{"https://api.example.com/a/b/..", "https://api.example.com/a/."}, nil},
		{origin, "/a//b", []string{"https://api.example.com/a//b", "https://api.example.com/a//c/../b"}, nil},
		{origin, "/..a/.b", []string{"https://api.example.com/..a/.b"}, []string{"https://api.example.com/a/b"}},
	} {
		v := newVerifier(func(c *dpop.Config) { c.PublicOrigin = test.origin })
		for i, htu := range slices.Concat(test.is, test.isNot) {
			want := dpop.ReasonURL
			if i < len(test.is) {
				want = ""
			}
			t.Run(test.request+" "+htu, func(t *testing.T) {
				r := request("GET", test.request, c.proof(nil, object{"htu": htu}))
				// Nothing of this counts.
				r.Host, r.TLS = "attacker.example", &tls.ConnectionState{}
				for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto", "X-Original-Url", "Forwarded"} {
					r.Header.Set(name, "http://attacker.example/x")
				}
				check(t, v, r, c.jkt, want)
			})
		}
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
	check(t, v, request("GET", "/reports", c.valid()), c.jkt, dpop.ReasonURL)
	for path, htu := range map[string]string{"reports": "/reports", "/%zz": "/%zz", "/%yy": "/%zz", "xa/./b": "/a/b", "/caf\u00e9": "/caf\u00e9"} {
		v = newVerifier(func(c *dpop.Config) { c.Path = func(*http.Request) string { return path } })
		check(t, v, request("GET", "/reports", c.proof(nil, object{"htu": origin + htu})), c.jkt, dpop.ReasonURL)
	}
}
