// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Covers RFC 8414 §3.1, §3.3.
func TestDiscovery(t *testing.T) {
	const openid, oauth = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	metadata := func(issuer, keys string) string { return `{"issuer":"` + issuer + `","jwks_uri":"` + keys + `"}` }
	pages := func(path, page string) map[string]string { return map[string]string{path: page} }
	valid := metadata(issuerURL, issuerURL+"/keys")
	const tenant = issuerURL + "/t/a"
	for _, test := range []struct {
		name   string
		issuer string
		pages  map[string]string
		cause  string // "" if the keys are found
	}{
		{"OpenID", issuerURL, pages(openid, valid), ""},
		{"OAuth", issuerURL, pages(oauth, valid), ""},
		{"OpenID, path", tenant, pages("/t/a"+openid, metadata(tenant, issuerURL+"/keys")), ""},
		{"OAuth, path", tenant, pages(oauth+"/t/a", metadata(tenant, issuerURL+"/keys")), ""},
		{"OpenID, slash", issuerURL + "/", pages(openid, metadata(issuerURL+"/", issuerURL+"/keys")), ""},
		{"OAuth, slash", issuerURL + "/", pages(oauth, metadata(issuerURL+"/", issuerURL+"/keys")), ""},
		{"OpenID is forbidden", issuerURL, map[string]string{openid: "400", oauth: valid}, ""},
		{"another issuer", issuerURL, pages(openid, metadata("https://evil.example.com", issuerURL+"/keys")), `names another issuer: "https://evil.example.com", not "` + issuerURL + `"`},
		{"issuer in capitals", issuerURL, pages(openid, metadata(strings.ToUpper(issuerURL), issuerURL+"/keys")), "names another issuer"},
		{"issuer with a slash", issuerURL, pages(openid, metadata(issuerURL+"/", issuerURL+"/keys")), "names another issuer"},
		{"no issuer", issuerURL, pages(openid, `{"jwks_uri":"`+issuerURL+`/keys"}`), "has no issuer"},
		{"issuer is a number", issuerURL, pages(openid, `{"issuer":1,"jwks_uri":"`+issuerURL+`/keys"}`), "has no issuer"},
		{"no jwks_uri", issuerURL, pages(openid, `{"issuer":"`+issuerURL+`"}`), "no jwks_uri"},
		{"http jwks_uri", issuerURL, pages(openid, metadata(issuerURL, "http://auth.example.com/keys")), "jwks_uri: plain http"},
		{"http jwks_uri on loopback", issuerURL, pages(openid, metadata(issuerURL, "http://127.0.0.1/keys")), "jwks_uri: plain http, named by a document that came over https"},
		{"http jwks_uri of a listed host", issuerURL, pages(openid, metadata(issuerURL, "http://keys:8080/keys")), "jwks_uri: plain http, named by a document that came over https"},
		{"http issuer, http keys", "http://keys:8080", pages(openid, metadata("http://keys:8080", "http://keys:8080/keys")), ""},
		{"http issuer, https keys", "http://keys:8080", pages(openid, metadata("http://keys:8080", issuerURL+"/keys")), ""},
		{"http issuer, keys at another port", "http://keys:8080", pages(openid, metadata("http://keys:8080", "http://keys/keys")), "jwks_uri: plain http"},
		{"file jwks_uri", issuerURL, pages(openid, metadata(issuerURL, "file:///keys")), "jwks_uri: not an absolute URL"},
		{"names in caps", issuerURL, pages(openid, strings.ToUpper(valid)), "has no issuer"},
		{"not an object", issuerURL, pages(openid, "[]"), "has no issuer"},
		{"HTML", issuerURL, pages(openid, "<html>"), `Content-Type "text/html"`},
		{"nothing", issuerURL, nil, openid + ": HTTP status 404; GET " + issuerURL + oauth + ": HTTP status 404"},
		{"OpenID fails, OAuth is not asked", issuerURL, map[string]string{openid: "500", oauth: valid}, openid + ": HTTP status 500"},
		{"OpenID moved, OAuth is not asked", issuerURL, map[string]string{openid: "304", oauth: valid}, openid + ": HTTP status 304"},
		{"no keys", issuerURL, pages(openid, metadata(issuerURL, issuerURL+"/none")), "/none: HTTP status 404"},
	} {
		s := &keyServer{serve: func(w http.ResponseWriter, r *http.Request) {
			page, ok := test.pages[r.URL.Path]
			if !strings.Contains(r.Header.Get("Accept"), "application/json") {
				t.Errorf("%s: GET %s with Accept %q, want JSON", test.name, r.URL, r.Header.Get("Accept"))
			}
			switch code, err := strconv.Atoi(page); {
			case err == nil:
				w.WriteHeader(code)
			case ok:
				document(page)(w, r)
			case r.URL.Path == "/keys":
				goodSet()(w, r)
			default:
				http.NotFound(w, r)
			}
		}}
		c := remoteConfig(s, func(c *jwtauth.Config) {
			c.Issuers[0].URL, c.Issuers[0].Keys = test.issuer, jwtauth.Discover()
			c.Issuers[0].PlainHTTPHosts = []string{"keys:8080"}
		})
		a := newAuthenticator(t, c)
		c.Issuers[0].PlainHTTPHosts[0] = "changed" // New has cloned it
		if test.cause == "" {
			check(t, a, test.name, token(nil, object{"iss": test.issuer}), "")
			continue
		}
		unavailable(t, a, test.name, token(nil, object{"iss": test.issuer}), test.cause)
	}
}

// The metadata is fetched before each fetch of the key set, so that an issuer that
// moves its set withdraws the keys of the old address.
func TestDiscoveryFollowsMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		address := "/keys-1"
		s := &keyServer{serve: func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/.well-known/openid-configuration":
				document(`{"issuer":"`+issuerURL+`","jwks_uri":"`+issuerURL+address+`"}`)(w, r)
			case "/keys-1":
				goodSet()(w, r)
			case "/keys-2":
				keySet(ecJWK("k2", keyFor(jwtauth.ES256)))(w, r)
			}
		}}
		a := newAuthenticator(t, remoteConfig(s, func(c *jwtauth.Config) { c.Issuers[0].Keys = jwtauth.Discover() }))
		check(t, a, "first address", token(nil, nil), "")
		address = "/keys-2"
		time.Sleep(305 * time.Second)
		check(t, a, "key of the second address", token(object{"kid": "k2"}, nil), "")
		time.Sleep(time.Second)
		check(t, a, "key of the first address", token(object{"kid": "k1"}, nil), jwtauth.ReasonKeyPending)
	})
}

// Plain http is for loopback addresses and the listed hosts, whose redirects stay at
// the same host and port.
func TestPlainHTTPHosts(t *testing.T) {
	for url, want := range map[string]string{ // part of the error of New, or the reason
		"http://keys:8080/keys": "", "http://KEYS:8080/keys": "", "http://plain/keys": "", "http://127.0.0.1:1/keys": "",
		"http://keys/keys": "PlainHTTPHosts", "http://keys:80801/keys": "PlainHTTPHosts", "http://a.keys:8080/keys": "PlainHTTPHosts",
		"http://plain:8080/keys": "PlainHTTPHosts", "http://keys:8080/to/https://keys:8080": "unavailable", "http://keys:8080/to/http://plain": "unavailable",
		"http://keys:8080/to/http://keys:8080": "",
	} {
		s := &keyServer{serve: func(w http.ResponseWriter, r *http.Request) {
			if _, to, moved := strings.Cut(r.URL.Path, "/to/"); moved {
				http.Redirect(w, r, to+"/keys", http.StatusFound) //nolint:gosec // the test names the targets
				return
			}
			goodSet()(w, r)
		}}
		a, err := jwtauth.New(remoteConfig(s, func(c *jwtauth.Config) {
			c.Issuers[0].Keys, c.Issuers[0].PlainHTTPHosts = jwtauth.RemoteKeys(url), []string{"keys:8080", "plain:80"}
		}))
		if err == nil {
			_, err = a.Verify(t.Context(), token(nil, nil))
			_ = a.Close()
		}
		if got := fmt.Sprint(err); (err == nil) != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: error = %v, want %q in it", url, err, want)
		}
	}
}
