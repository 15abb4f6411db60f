// SPDX-License-Identifier: Apache-2.0

package cookie_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-go/gatehouse/cookie"
)

// Covers RFC 6454 §6.2.
func TestTrustedOriginErrors(t *testing.T) {
	const (
		form     = "not an origin: write a scheme, a host and a port only"
		spelling = "not an origin as browsers write it: use lower case ASCII, no wildcard"
	)
	for origin, want := range map[string]string{
		"https://app.example.com":       "",
		"https://app.example.com:8443":  "",
		"http://localhost:3000":         "",
		"http://localhost:443":          "",
		"https://app.example.com:80":    "",
		"http://127.0.0.1:3000":         "",
		"http://[::1]:3000":             "",
		"http://[::1]":                  "",
		"https://xn--bcher-kva.example": "",
		"https://under_score.example":   "",

		"":                                "required",
		"*":                               "not an absolute URL",
		"null":                            "not an absolute URL",
		"app.example.com":                 "not an absolute URL",
		"https://":                        "not an absolute URL",
		"file:///x":                       "not an absolute URL",
		"ftp://app.example.com":           "not an https URL",
		"http://app.example.com":          "plain http is for loopback addresses only",
		"https://u:p@app.example.com":     "has user information in it",
		"https://app.example.com#x":       "has a fragment",
		"https://app.example.com/":        form,
		"https://app.example.com/x":       form,
		"https://app.example.com?x":       form,
		"https://app.example.com?":        form,
		"HTTPS://app.example.com":         form,
		"https://App.example.com":         spelling,
		"https://*.example.com":           spelling,
		"https://bücher.example":          spelling,
		"https://app.example.com:":        "empty port",
		"https://app.example.com:443":     "leave out the default port 443, as browsers do",
		"http://localhost:80":             "leave out the default port 80, as browsers do",
		"https://app.example.com:0443":    "invalid port 0443",
		"https://app.example.com:6553600": "invalid port 6553600",
	} {
		c, err := cookie.NewCrossSite(cookie.CrossSiteConfig{TrustedOrigins: []string{"https://ok.example.com", origin}})
		if want == "" {
			if err != nil {
				t.Errorf("NewCrossSite(%q) error = %v, want nil", origin, err)
			}
			continue
		}
		if want = "cookie: CrossSiteConfig.TrustedOrigins[1]: " + want; err == nil || err.Error() != want || c != nil {
			t.Errorf("NewCrossSite(%q) error = %v, want %s", origin, err, want)
		}
	}
	_, err := cookie.NewCrossSite(cookie.CrossSiteConfig{TrustedOrigins: []string{"a", "https://ok.example.com", "*"}})
	const want = "cookie: CrossSiteConfig.TrustedOrigins[0]: not an absolute URL\ncookie: CrossSiteConfig.TrustedOrigins[2]: not an absolute URL"
	if err == nil || err.Error() != want {
		t.Errorf("NewCrossSite error = %v, want %s", err, want)
	}
}

// The server is https://app.example.com and trusts https://spa.example.com.
//
// Covers RFC 10017 §6.1.3.3; ASVS 5.0 §3.5.1; RFC 6455 §10.2.
func TestCheck(t *testing.T) {
	const (
		own     = "https://app.example.com"
		trusted = "https://spa.example.com"
		evil    = "https://evil.example.net"
	)
	c := newCrossSite(t, trusted, "http://localhost:3000")
	type h = []string
	for _, test := range []struct {
		name    string
		method  string
		headers h
		ok      bool
	}{
		// A page of the server, or no page.
		{"own form", "POST", h{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Origin", own}, true},
		{"own fetch", "DELETE", h{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Origin", own}, true},
		{"own fetch without Origin", "PUT", h{"Sec-Fetch-Site", "same-origin"}, true},
		{"own form, reloaded by the user", "POST", h{"Sec-Fetch-Site", "none", "Origin", own}, true},
		{"own form of an older browser", "POST", h{"Origin", own}, true},
		{"own image", "GET", h{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "no-cors"}, true},
		{"address bar", "GET", h{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"}, true},
		{"GET of an older browser or a program", "GET", nil, true},
		{"HEAD of a program", "HEAD", nil, true},
		{"OPTIONS of a program", "OPTIONS", nil, true},
		{"own fetch of an older browser", "GET", h{"Origin", own}, true},

		// A page of a trusted origin.
		{"trusted fetch, same site", "POST", h{"Sec-Fetch-Site", "same-site", "Origin", trusted}, true},
		{"trusted fetch, other site", "POST", h{"Sec-Fetch-Site", "cross-site", "Origin", trusted}, true},
		{"trusted fetch of an older browser", "POST", h{"Origin", trusted}, true},
		{"trusted fetch with GET", "GET", h{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors", "Origin", trusted}, true},
		{"trusted loopback page of an older browser", "POST", h{"Origin", "http://localhost:3000"}, true},
		{"trusted, but of another scheme", "POST", h{"Sec-Fetch-Site", "cross-site", "Origin", "http://spa.example.com"}, false},
		{"trusted, but of another port", "POST", h{"Sec-Fetch-Site", "same-site", "Origin", trusted + ":8443"}, false},
		{"trusted, but longer", "POST", h{"Sec-Fetch-Site", "cross-site", "Origin", trusted + ".evil.net"}, false},
		{"trusted, but in upper case", "POST", h{"Sec-Fetch-Site", "cross-site", "Origin", "https://SPA.example.com"}, false},
		{"trusted image, which has no Origin", "GET", h{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"}, false},

		// A page of another origin.
		{"cross-site form", "POST", h{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Origin", evil}, false},
		{"form of a sibling host", "POST", h{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate", "Origin", "https://sibling.example.com"}, false},
		{"form from a sandbox", "POST", h{"Sec-Fetch-Site", "cross-site", "Origin", "null"}, false},
		{"form from https to http", "POST", h{"Origin", "null"}, false},
		{"cross-site form of an older browser", "POST", h{"Origin", evil}, false},
		{"cross-site fetch with another method", "PATCH", h{"Sec-Fetch-Site", "cross-site", "Origin", evil}, false},
		{"extension method", "REPORT", h{"Sec-Fetch-Site", "cross-site", "Origin", evil}, false},
		{"own Origin, but Sec-Fetch-Site is cross-site", "POST", h{"Sec-Fetch-Site", "cross-site", "Origin", own}, false},
		{"unknown Sec-Fetch-Site", "POST", h{"Sec-Fetch-Site", "same-planet", "Origin", own}, false},
		{"own host over plain http, older browser", "POST", h{"Origin", "http://app.example.com"}, false},
		{"own host, scheme that ends in https, older browser", "POST", h{"Origin", "x-https://app.example.com"}, false},
		{"own host, another port, older browser", "POST", h{"Origin", own + ":8443"}, false},
		{"Origin that is no URL", "POST", h{"Origin", "%"}, false},

		// Unknown or ambiguous origin.
		{"POST with neither header", "POST", nil, false},
		{"DELETE with neither header", "DELETE", nil, false},
		{"POST with empty headers", "POST", h{"Sec-Fetch-Site", "", "Origin", ""}, false},
		{"no method", "", nil, false},
		{"get in lower case", "get", nil, false},
		{"two Origins", "POST", h{"Origin", own, "Origin", evil}, false},
		{"two Origins, one Sec-Fetch-Site", "POST", h{"Sec-Fetch-Site", "same-origin", "Origin", own, "Origin", evil}, false},
		{"two Sec-Fetch-Sites", "POST", h{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Site", "cross-site"}, false},
		{"two Sec-Fetch-Sites with GET", "GET", h{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Site", "cross-site"}, false},

		// Safe methods.
		{"link from elsewhere", "GET", h{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, true},
		{"link from a sibling host", "GET", h{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate"}, true},
		{"cross-site image", "GET", h{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, false},
		{"script tag of a sibling host", "GET", h{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "script"}, false},
		{"cross-site fetch", "GET", h{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Origin", evil}, false},
		{"cross-site fetch with HEAD", "HEAD", h{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Origin", evil}, false},
		{"cross-site fetch with OPTIONS", "OPTIONS", h{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Origin", evil}, false},
		{"cross-site fetch of an older browser", "GET", h{"Origin", evil}, false},
		{"fetch from a sandbox, older browser", "GET", h{"Origin", "null"}, false},

		// Upgrades.
		{"own WebSocket", "GET", h{"Upgrade", "websocket", "Origin", own}, true},
		{"own WebSocket, newer browser", "GET", h{"Upgrade", "websocket", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "websocket", "Origin", own}, true},
		{"trusted WebSocket", "GET", h{"Upgrade", "websocket", "Origin", trusted}, true},
		{"trusted WebSocket, newer browser", "GET", h{"Upgrade", "websocket", "Sec-Fetch-Site", "same-site", "Origin", trusted}, true},
		{"own WebSocket over HTTP/2", "CONNECT", h{":protocol", "websocket", "Origin", own}, true},
		{"cross-site WebSocket", "GET", h{"Upgrade", "websocket", "Origin", evil}, false},
		{"cross-site WebSocket, newer browser", "GET", h{"Upgrade", "websocket", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "websocket", "Origin", evil}, false},
		{"WebSocket that calls itself a navigation", "GET", h{"Upgrade", "websocket", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Origin", evil}, false},
		{"WebSocket of a sibling host", "GET", h{"Upgrade", "websocket", "Sec-Fetch-Site", "same-site", "Origin", "https://sibling.example.com"}, false},
		{"WebSocket from a sandbox", "GET", h{"Upgrade", "websocket", "Origin", "null"}, false},
		{"WebSocket from plain http", "GET", h{"Upgrade", "websocket", "Origin", "http://app.example.com"}, false},
		{"WebSocket of a program", "GET", h{"Upgrade", "websocket"}, false},
		{"WebSocket from the address bar", "GET", h{"Upgrade", "websocket", "Sec-Fetch-Site", "none"}, false},
		{"WebSocket in another case", "GET", h{"Upgrade", "WebSocket", "Origin", evil}, false},
		{"WebSocket in a list", "GET", h{"Upgrade", "h2c, websocket", "Origin", evil}, false},
		{"another upgrade", "GET", h{"Upgrade", "h2c"}, false},
		{"cross-site WebSocket over HTTP/2", "CONNECT", h{":protocol", "websocket", "Origin", evil}, false},
		{"WebSocket of a program over HTTP/2", "CONNECT", h{":protocol", "websocket"}, false},
		{"WebSocket over HTTP/2 from the address bar", "CONNECT", h{":protocol", "websocket", "Sec-Fetch-Site", "none"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRequest(http.MethodGet, test.headers...)
			r.Method = test.method
			before := r.Header.Clone()
			err := c.Check(r)
			if test.ok != (err == nil) {
				t.Errorf("Check error = %v, want accepted %t", err, test.ok)
			}
			if err != nil {
				wantError(t, err, 403, cookie.ReasonCrossSite)
				if errors.Unwrap(err) == nil {
					t.Error("Check error has no cause")
				}
			}
			if r.Method != test.method || len(r.Header) != len(before) {
				t.Error("Check changed the request")
			}
			if err == nil && strict(t, trusted, "http://localhost:3000").Check(r) != nil {
				t.Error("Check accepts a request that net/http rejects")
			}
		})
	}
}

func strict(tb testing.TB, trusted ...string) *http.CrossOriginProtection {
	tb.Helper()
	p := http.NewCrossOriginProtection()
	for _, origin := range trusted {
		if err := p.AddTrustedOrigin(origin); err != nil {
			tb.Fatal(err)
		}
	}
	return p
}

// Behind a proxy that terminates TLS, the scheme of the server is unknown. A request
// of HTTP/1.0 may have no Host, which must not equal the Origin null.
func TestCheckWithoutTLSOrHost(t *testing.T) {
	c := newCrossSite(t)
	for _, test := range []struct {
		name, host string
		tls        *tls.ConnectionState
		method     string
		headers    []string
		ok         bool
	}{
		{"own page over http", "app.example.com", nil, "POST", []string{"Origin", "http://app.example.com"}, true},
		{"own page over https", "app.example.com", nil, "POST", []string{"Origin", "https://app.example.com"}, true},
		{"cross-site over http", "app.example.com", nil, "POST", []string{"Origin", "http://evil.example.net"}, false},
		{"cross-site over https", "app.example.com", nil, "POST", []string{"Origin", "https://evil.example.net"}, false},
		{"null", "app.example.com", nil, "POST", []string{"Origin", "null"}, false},
		{"POST without origin", "app.example.com", nil, "POST", nil, false},
		{"CONNECT without origin", "app.example.com", nil, "CONNECT", nil, false},
		{"WebSocket without origin", "app.example.com", nil, "GET", []string{"Upgrade", "websocket"}, false},
		{"POST without Host", "", nil, "POST", []string{"Origin", "null"}, false},
		{"GET without Host", "", nil, "GET", []string{"Origin", "null"}, false},
		{"POST without Host over TLS", "", &tls.ConnectionState{}, "POST", []string{"Origin", "null"}, false},
		{"GET without Host over TLS", "", &tls.ConnectionState{}, "GET", []string{"Origin", "null"}, false},
	} {
		r := newRequest(test.method, test.headers...)
		r.Host, r.TLS = test.host, test.tls
		if err := c.Check(r); test.ok && err != nil {
			t.Errorf("Check(%s) error = %v, want nil", test.name, err)
		} else if !test.ok {
			wantError(t, err, 403, cookie.ReasonCrossSite)
		}
	}
}

// Check rejects every request that net/http rejects.
func FuzzCheck(f *testing.F) {
	f.Add("POST", "cross-site", "navigate", "https://evil.example.net", "websocket", true)
	f.Add("GET", "", "", "null", "", false)
	f.Add("CONNECT", "none", "", "", "", true)
	c := newCrossSite(f, "https://spa.example.com")
	f.Fuzz(func(t *testing.T, method, site, mode, origin, upgrade string, secure bool) {
		r := newRequest(http.MethodGet)
		r.Method = method
		for name, value := range map[string]string{"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Origin": origin, "Upgrade": upgrade} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		if !secure {
			r.TLS = nil
		}
		err := c.Check(r)
		if err == nil {
			if refused := strict(t, "https://spa.example.com").Check(r); refused != nil {
				t.Fatalf("Check accepts, net/http rejects: %v", refused)
			}
			if upgrade != "" && site != "same-origin" && origin == "" {
				t.Fatal("Check accepts an upgrade of unknown origin")
			}
			return
		}
		wantError(t, err, 403, cookie.ReasonCrossSite)
	})
}

// TestFraming: a page of another origin cannot show a page of the user in a frame.
func TestFraming(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		check := must(cookie.NewCrossSite(cookie.CrossSiteConfig{AllowFraming: allowed}))
		for _, site := range []string{"none", "same-origin", "same-site", "cross-site", ""} {
			for _, destination := range []string{"document", "iframe", "frame", "fencedframe", "object", "embed", ""} {
				r := httptest.NewRequest(http.MethodGet, "https://app.example.com/", http.NoBody)
				r.Header.Set("Sec-Fetch-Mode", "navigate")
				r.Header.Set("Sec-Fetch-Site", site)
				r.Header.Set("Sec-Fetch-Dest", destination)
				foreign := site != "none" && site != "same-origin"
				want := !allowed && foreign && destination != "document" && destination != ""
				if err := check.Check(r); (err != nil) != want {
					t.Errorf("AllowFraming %t: Check(%s from %s) error = %v, want one: %t", allowed, destination, site, err, want)
				}
			}
		}
	}
}
