// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/oauth"
)

func TestDiscoverRefuses(t *testing.T) {
	for name, change := range map[string]func(s *providertest.Server){
		"another issuer":     func(s *providertest.Server) { s.Metadata["issuer"] = "https://evil.example" },
		"issuer with slash":  func(s *providertest.Server) { s.Metadata["issuer"] = issuer + "/" },
		"no issuer":          func(s *providertest.Server) { delete(s.Metadata, "issuer") },
		"issuer a number":    func(s *providertest.Server) { s.Metadata["issuer"] = 1 },
		"no token endpoint":  func(s *providertest.Server) { delete(s.Metadata, "token_endpoint") },
		"token by http":      func(s *providertest.Server) { s.Metadata["token_endpoint"] = "http://as.example.com/token" },
		"endpoint of script": func(s *providertest.Server) { s.Metadata["authorization_endpoint"] = "javascript:alert(1)" },
		"keys by http":       func(s *providertest.Server) { s.Metadata["jwks_uri"] = "http://as.example.com/jwks" },
		"PKCE without S256":  func(s *providertest.Server) { s.Metadata["code_challenge_methods_supported"] = []string{"plain"} },
		"PKCE none":          func(s *providertest.Server) { s.Metadata["code_challenge_methods_supported"] = []string{} },
		"PKCE a text":        func(s *providertest.Server) { s.Metadata["code_challenge_methods_supported"] = "S256" },
		"iss a text":         func(s *providertest.Server) { s.Metadata["authorization_response_iss_parameter_supported"] = "true" },
		"issuer twice": func(s *providertest.Server) {
			s.Routes[wellKnown] = raw(200, `{"issuer":"`+issuer+`","issuer":"`+issuer+`","token_endpoint":"`+issuer+`/t"}`)
		},
		"no JSON":   func(s *providertest.Server) { s.Routes[wellKnown] = raw(200, "<html>") },
		"too large": func(s *providertest.Server) { s.Metadata["x"] = strings.Repeat("x", 256<<10) },
		"error":     func(s *providertest.Server) { s.Routes[wellKnown] = raw(500, "") },
		"not there": func(s *providertest.Server) { s.Routes[wellKnown] = raw(404, "") },
		"redirect elsewhere": func(s *providertest.Server) {
			s.Routes[wellKnown] = http.RedirectHandler("https://evil.example/", http.StatusFound).ServeHTTP
		},
		"redirect to http": func(s *providertest.Server) {
			s.Routes[wellKnown] = http.RedirectHandler("http://as.example.com/x", http.StatusFound).ServeHTTP
		},
		"redirect for ever": func(s *providertest.Server) {
			s.Routes[wellKnown] = http.RedirectHandler(wellKnown, http.StatusFound).ServeHTTP
		},
	} {
		s := providertest.New(t)
		change(s)
		p, err := s.Client().Provider(t.Context())
		if !errors.Is(err, oauth.ErrUnavailable) || p != (oauth.Provider{}) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
		if got := s.Count(wellKnown); got > 4 {
			t.Errorf("%s: asked %d times", name, got)
		}
	}
}

// TestDiscoverWhere: first as OpenID Connect has it, then as RFC 8414 does.
func TestDiscoverWhere(t *testing.T) {
	s := providertest.New(t)
	s.Metadata["issuer"] = issuer + "/tenant"
	s.Routes["/tenant/.well-known/openid-configuration"] = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/moved", http.StatusFound)
	}
	s.Routes["/moved"] = raw(404, "")
	s.Routes["/.well-known/oauth-authorization-server/tenant"] = func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, s.Metadata) }
	c := s.Config()
	c.Issuer += "/tenant"
	p, err := newClient(t, c).Provider(t.Context())
	if err != nil || p.TokenEndpoint != issuer+"/token" || !p.ResponseIssuer {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestDiscoverKeeps: metadata are kept for an hour, and for a day while there
// are no new ones.
func TestDiscoverKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := providertest.New(t)
		client := s.Client()
		ask := func(want int, good bool) {
			t.Helper()
			if _, err := client.Provider(t.Context()); (err == nil) != good {
				t.Errorf("%v", err)
			}
			if got := s.Count(wellKnown); got != want {
				t.Errorf("asked %d times, want %d", got, want)
			}
		}
		if s.Count(wellKnown) != 0 {
			t.Error("asked when it was made")
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
		time.Sleep(time.Minute)
		ask(4, true)
		time.Sleep(23 * time.Hour)
		ask(5, false)
		ask(6, false)
		delete(s.Routes, wellKnown)
		ask(7, true)
	})
}

// TestDiscoverShared: those who ask at the same time ask once, and the one who
// goes does not end it for the others.
func TestDiscoverShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := providertest.New(t)
		s.Routes[wellKnown] = func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			answer(w, 200, s.Metadata)
		}
		client := s.Client()
		var group sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		group.Go(func() {
			if _, err := client.Provider(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("the first: %v", err)
			}
		})
		synctest.Wait()
		for range 20 {
			group.Go(func() {
				if _, err := client.Provider(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		cancel()
		group.Wait()
		if got := s.Count(wellKnown); got != 1 {
			t.Errorf("asked %d times", got)
		}
	})
}

// TestClose: it ends what is under way, and nothing begins afterwards.
func TestClose(t *testing.T) {
	stopped := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(stopped)
	}))
	t.Cleanup(server.Close)
	began := make(chan struct{})
	c := oauth.Config{Issuer: server.URL, ClientID: "x", Auth: oauth.Public, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		close(began)
		return http.DefaultTransport.RoundTrip(r)
	})}
	client := newClient(t, c)
	done := make(chan error)
	go func() {
		_, err := client.Provider(context.Background())
		done <- err
	}()
	<-began
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("under way: %v", err)
	}
	if _, err := client.Provider(t.Context()); !errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("closed: %v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestTimeout: a server that says nothing holds nobody up.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := providertest.New(t)
		s.Routes["/token"] = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		client := s.Client()
		start := time.Now()
		_, err := client.Token(t.Context(), machineParams())
		if !errors.Is(err, oauth.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// TestEndpointsAreHTTPS: metadata with one address in the clear are not used.
func TestEndpointsAreHTTPS(t *testing.T) {
	for _, name := range []string{
		"token_endpoint", "authorization_endpoint", "pushed_authorization_request_endpoint", "revocation_endpoint",
		"introspection_endpoint", "userinfo_endpoint", "end_session_endpoint", "jwks_uri",
	} {
		s := providertest.New(t)
		s.Metadata[name] = "https://as.example.com/x"
		if _, err := s.Client().Provider(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		s.Metadata[name] = "http://as.example.com/x"
		if p, err := s.Client().Provider(t.Context()); !errors.Is(err, oauth.ErrUnavailable) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// TestMetadataStatus: only a 200 brings metadata.
func TestMetadataStatus(t *testing.T) {
	for status, good := range map[int]bool{200: true, 201: false, 203: false, 206: false} {
		s := providertest.New(t)
		s.Routes[wellKnown] = func(w http.ResponseWriter, _ *http.Request) { answer(w, status, s.Metadata) }
		if _, err := s.Client().Provider(t.Context()); (err == nil) != good {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// TestMetadataStrings: strings are compared by their code points once the escapes
// of JSON are off, and without any normalization.
func TestMetadataStrings(t *testing.T) {
	for written, good := range map[string]bool{
		`https:\/\/as.example.com`:      true,
		`\u0068ttps://as.example.com`:   true,
		`HTTPS://as.example.com`:        false,
		`https://as.example.com:443`:    false,
		`https://as.example.com/`:       false,
		`https://as.example.com\u0000`:  false,
		`https://as.e\u0301xample.com`:  false,
		`https://as.example.com\ud800`:  false,
		`https%3a//as.example.com`:      false,
		` https://as.example.com`:       false,
		`https://as.example.com#`:       false,
		`https://as.example.com?tenant`: false,
	} {
		s := providertest.New(t)
		s.Routes[wellKnown] = raw(200, `{"issuer":"`+written+`","token_endpoint":"https://as.example.com/token","more":{"x":[1]},"signed_metadata":"x"}`)
		if _, err := s.Client().Provider(t.Context()); (err == nil) != good {
			t.Errorf("%s: %v", written, err)
		}
	}
}
