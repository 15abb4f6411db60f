// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// TestMetadataRejected: the issuer is compared character by character after JSON
// unescaping, all endpoints are https, and redirects stay in the origin.
//
// Covers RFC 6749 §3.1 (TLS); RFC 7009 §2 (TLS); RFC 7662 §4 (TLS); RFC 8414 §2
// (endpoints), §2.1, §3.2, §3.3, §4; RFC 9126 §2; ASVS 5.0 §10.5.3; OIDC
// Discovery §4.3; OIDC RP-Initiated Logout §2 (endpoint).
func TestMetadataRejected(t *testing.T) {
	set := func(name string, value any) func(*providertest.Server) {
		return func(s *providertest.Server) { s.Metadata[name] = value }
	}
	serve := func(h http.HandlerFunc) func(*providertest.Server) {
		return func(s *providertest.Server) { s.Routes[wellKnown] = h }
	}
	redirect := func(to string) func(*providertest.Server) {
		return serve(http.RedirectHandler(to, http.StatusFound).ServeHTTP)
	}
	tests := map[string]func(*providertest.Server){
		"no issuer":         set("issuer", nil),
		"issuer a number":   set("issuer", 1),
		"no token endpoint": func(s *providertest.Server) { delete(s.Metadata, "token_endpoint") }, // Covers RFC 8414 §2 (token_endpoint).
		"endpoint a script": set("authorization_endpoint", "javascript:alert(1)"),
		"PKCE without S256": set("code_challenge_methods_supported", []string{"plain"}), // Covers RFC 7636 §7.2; RFC 9700 §2.1.1 (support).
		"PKCE empty":        set("code_challenge_methods_supported", []string{}),        // Covers RFC 9700 §2.1.1 (support).
		"PKCE a text":       set("code_challenge_methods_supported", "S256"),
		"iss flag a text":   set("authorization_response_iss_parameter_supported", "true"),
		"bound flag a text": set("tls_client_certificate_bound_access_tokens", "true"),
		"issuer twice":      serve(raw(200, `{"issuer":"`+issuer+`","issuer":"`+issuer+`","token_endpoint":"`+issuer+`/t"}`)),
		"not JSON":          serve(raw(200, "<html>")), // Covers RFC 8414 §3.2.
		"too large":         set("x", strings.Repeat("x", 256<<10)),
		"status 404":        serve(raw(404, "")),
		"another origin":    redirect("https://evil.example/"),
		"another scheme":    redirect("http://as.example.com/x"),
		"redirect loop":     redirect(wellKnown),
	}
	for _, status := range []int{201, 203, 206, 500} {
		tests[fmt.Sprint("status ", status)] = func(s *providertest.Server) {
			serve(func(w http.ResponseWriter, _ *http.Request) { answer(w, status, s.Metadata) })(s)
			s.Routes["/.well-known/oauth-authorization-server"] = func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, s.Metadata) } // is not asked
		}
	}
	for _, name := range []string{
		"token_endpoint", "authorization_endpoint", "pushed_authorization_request_endpoint", "revocation_endpoint",
		"introspection_endpoint", "userinfo_endpoint", "end_session_endpoint", "jwks_uri",
	} {
		tests[name+" over http"] = set(name, "http://as.example.com/x")
		tests[name+" on loopback over http"] = set(name, "http://127.0.0.1:8080/x")
	}
	issuers := map[string]bool{ // as written in JSON -> accepted
		`https:\/\/as.example.com`: true, `\u0068ttps://as.example.com`: true,
		`HTTPS://as.example.com`: false, `https://as.example.com:443`: false, `https://as.example.com/`: false, `https://as.example.com\u0000`: false,
		`https://as.e\u0301xample.com`: false, `https://as.example.com\ud800`: false, `https%3a//as.example.com`: false, ` https://as.example.com`: false,
		`https://as.example.com#`: false, `https://as.example.com?tenant`: false, `https://evil.example`: false,
	}
	for written, good := range issuers {
		tests["issuer "+written] = serve(raw(200, `{"issuer":"`+written+`","token_endpoint":"https://as.example.com/token","more":{"x":[1]},"signed_metadata":"x"}`))
		if good {
			tests["issuer "+written+" (accepted)"] = tests["issuer "+written]
			delete(tests, "issuer "+written)
		}
	}
	for name, change := range tests {
		s := providertest.New(t)
		change(s)
		p, err := s.Client().Provider(t.Context())
		if good := strings.HasSuffix(name, "(accepted)"); good && err != nil || !good && (!errors.Is(err, oauth.ErrUnavailable) || p != (oauth.Provider{}) || !strings.HasPrefix(err.Error(), "oauth: discovery of "+issuer+": ")) {
			t.Errorf("%s: Provider = %+v, %v", name, p, err)
		}
		if endpoint, _, ok := strings.Cut(name, " o"); ok && strings.HasSuffix(name, " over http") && !strings.Contains(fmt.Sprint(err), endpoint) {
			t.Errorf("%s: Provider error = %v, want it to name %s", name, err, endpoint)
		}
		if got := s.Count(wellKnown); got > 4 {
			t.Errorf("%s: %d requests, want at most 4", name, got)
		}
	}
}

// TestDiscoveryPaths: OIDC Discovery first, then RFC 8414.
//
// Covers RFC 8414 §3.1; OIDC Discovery §4.
func TestDiscoveryPaths(t *testing.T) {
	for status, path := range map[int]string{400: "/tenant", 404: "/tenant/", 499: "/tenant"} {
		s := providertest.New(t)
		s.Metadata["issuer"] = issuer + path
		s.Routes["/tenant/.well-known/openid-configuration"] = func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/moved", http.StatusFound)
		}
		s.Routes["/moved"] = raw(status, "")
		s.Routes["/.well-known/oauth-authorization-server/tenant"] = func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, s.Metadata) }
		c := s.Config()
		c.Issuer += path
		p, err := newClient(t, c).Provider(t.Context())
		if err != nil || p.TokenEndpoint != issuer+"/token" || !p.ResponseIssuer {
			t.Errorf("%d: Provider = %+v, %v, want the token endpoint and ResponseIssuer", status, p, err)
		}
	}
}

// TestSupportsPrompt: a server that does not say what it supports may support all.
func TestSupportsPrompt(t *testing.T) {
	s := providertest.New(t)
	for want, listed := range map[bool]any{true: []string{"none", "login", "consent"}, false: []string{"none", "select_account"}} {
		s.Metadata["prompt_values_supported"] = listed
		if p := must(s.Client().Provider(t.Context())); p.SupportsPrompt("login") != want {
			t.Errorf("SupportsPrompt(login) with %v = %t, want %t", listed, !want, want)
		}
	}
	if p := (oauth.Provider{Issuer: issuer}); !p.SupportsPrompt("login") {
		t.Error("SupportsPrompt(login) without a list = false, want true")
	}
}

// TestMetadataAreCached: for an hour, and for a day while discovery fails.
func TestMetadataAreCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := providertest.New(t)
		client := s.Client()
		ask := func(want int, good bool) {
			t.Helper()
			if p, err := client.Provider(t.Context()); (err == nil) != good || (p.TokenEndpoint != "") != good {
				t.Errorf("Provider = %+v, %v, want metadata: %t", p, err, good)
			}
			if got := s.Count(wellKnown); got != want {
				t.Errorf("%d requests, want %d", got, want)
			}
		}
		if s.Count(wellKnown) != 0 {
			t.Error("New made a request")
		}
		ask(1, true)
		time.Sleep(time.Hour - time.Second)
		ask(1, true)
		time.Sleep(time.Second)
		ask(2, true)
		s.Routes[wellKnown] = raw(500, "")
		time.Sleep(time.Hour)
		ask(3, true)
		ask(3, true)
		time.Sleep(time.Second)
		ask(4, true)
		time.Sleep(23*time.Hour - time.Second)
		ask(5, false)
		ask(5, false)
		delete(s.Routes, wellKnown)
		ask(5, false)
		time.Sleep(4 * time.Second)
		ask(6, true)
		time.Sleep(time.Hour)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := client.Provider(ended); err == nil {
			t.Error("Provider(ended) error = nil, want one: the caller can make no request")
		}
	})
}

// TestClose: it cancels running requests, and later calls send none.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for path, call := range map[string]func(*oauth.Client) error{
			wellKnown: func(c *oauth.Client) error { _, err := c.Provider(context.Background()); return err },
			"/jwks": func(c *oauth.Client) error {
				_, err := c.VerifyLogoutToken(context.Background(), providertest.LogoutToken("logout+jwt", nil))
				return err
			},
		} {
			s := providertest.New(t)
			open, idle := 0, 0
			s.Routes[path] = func(w http.ResponseWriter, r *http.Request) { open++; hanging(w, r); open-- }
			running, client := make(chan error), s.Client(func(c *oauth.Config) {
				c.Transport = idler{s, func() {
					if idle++; open > 0 {
						t.Errorf("%s: idle connections are closed while a request runs", path)
					}
				}}
			})
			go func() { running <- call(client) }()
			synctest.Wait()
			start := time.Now()
			if err := client.Close(); err != nil || idle != 1 {
				t.Errorf("%s: Close error = %v, idle connections closed %d times, want once", path, err, idle)
			}
			if err := <-running; !errors.Is(err, oauth.ErrUnavailable) || time.Since(start) != 0 {
				t.Errorf("%s: error of the running call = %v after %v, want %v at once", path, err, time.Since(start), oauth.ErrUnavailable)
			}
			if err := call(client); !errors.Is(err, oauth.ErrUnavailable) || s.Count(path) != 1 {
				t.Errorf("%s: error after Close = %v after %d requests, want %v after 1", path, err, s.Count(path), oauth.ErrUnavailable)
			}
		}
		s := providertest.New(t)
		client := s.Client(keyless)
		source := must(client.ClientCredentials(oauth.CredentialsRequest{}))
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		if _, err := source.Token(t.Context()); err == nil || s.Count("/token") != 0 {
			t.Errorf("Token after Close: error = %v after %d requests, want one after 0", err, s.Count("/token"))
		}
	})
}

// idler is a transport with idle connections.
type idler struct {
	http.RoundTripper
	close func()
}

func (i idler) CloseIdleConnections() { i.close() }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestTimeout: a request ends after 10 s.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := providertest.New(t)
		s.Routes["/token"] = hanging
		s.Metadata["dpop_signing_alg_values_supported"] = []string{"ES256"}
		for _, key := range []*dpop.Key{nil, must(dpop.GenerateKey())} {
			client := s.Client(func(c *oauth.Config) { c.DPoP = key })
			start := time.Now()
			_, err := client.Token(t.Context(), machineParams())
			if !errors.Is(err, oauth.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
				t.Errorf("Token error = %v after %v, want %v after 10s", err, time.Since(start), context.DeadlineExceeded)
			}
			if !strings.HasPrefix(err.Error(), "oauth: token endpoint: ") {
				t.Errorf("Token error = %v, want it to name the endpoint", err)
			}
		}
		// Discovery and the request for a token together end after twice as long.
		slow := func(status int) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(9 * time.Second)
				answer(w, status, s.Metadata)
			}
		}
		s.Routes[wellKnown], s.Routes["/.well-known/oauth-authorization-server"] = slow(404), slow(200)
		source, start := must(s.Client().ClientCredentials(oauth.CredentialsRequest{})), time.Now()
		if _, err := source.Token(t.Context()); err == nil || time.Since(start) != 20*time.Second {
			t.Errorf("Token error = %v after %v, want one after 20s", err, time.Since(start))
		}
	})
}
