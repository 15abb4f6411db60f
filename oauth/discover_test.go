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

	"github.com/gatehouse-go/gatehouse/oauth"
)

const wellKnown = "/.well-known/openid-configuration"

func TestDiscoverRefuses(t *testing.T) {
	for name, change := range map[string]func(s *server){
		"another issuer":     func(s *server) { s.metadata["issuer"] = "https://evil.example" },
		"issuer with slash":  func(s *server) { s.metadata["issuer"] = issuer + "/" },
		"no issuer":          func(s *server) { delete(s.metadata, "issuer") },
		"issuer a number":    func(s *server) { s.metadata["issuer"] = 1 },
		"no token endpoint":  func(s *server) { delete(s.metadata, "token_endpoint") },
		"token by http":      func(s *server) { s.metadata["token_endpoint"] = "http://as.example.com/token" },
		"endpoint of script": func(s *server) { s.metadata["authorization_endpoint"] = "javascript:alert(1)" },
		"keys by http":       func(s *server) { s.metadata["jwks_uri"] = "http://as.example.com/jwks" },
		"PKCE without S256":  func(s *server) { s.metadata["code_challenge_methods_supported"] = []string{"plain"} },
		"PKCE none":          func(s *server) { s.metadata["code_challenge_methods_supported"] = []string{} },
		"PKCE a text":        func(s *server) { s.metadata["code_challenge_methods_supported"] = "S256" },
		"iss a text":         func(s *server) { s.metadata["authorization_response_iss_parameter_supported"] = "true" },
		"issuer twice": func(s *server) {
			s.routes[wellKnown] = raw(200, `{"issuer":"`+issuer+`","issuer":"`+issuer+`","token_endpoint":"`+issuer+`/t"}`)
		},
		"no JSON":   func(s *server) { s.routes[wellKnown] = raw(200, "<html>") },
		"too large": func(s *server) { s.metadata["x"] = strings.Repeat("x", 256<<10) },
		"error":     func(s *server) { s.routes[wellKnown] = raw(500, "") },
		"not there": func(s *server) { s.routes[wellKnown] = raw(404, "") },
		"redirect elsewhere": func(s *server) {
			s.routes[wellKnown] = http.RedirectHandler("https://evil.example/", http.StatusFound).ServeHTTP
		},
		"redirect to http": func(s *server) {
			s.routes[wellKnown] = http.RedirectHandler("http://as.example.com/x", http.StatusFound).ServeHTTP
		},
		"redirect for ever": func(s *server) { s.routes[wellKnown] = http.RedirectHandler(wellKnown, http.StatusFound).ServeHTTP },
	} {
		s := newServer(t)
		change(s)
		p, err := newClient(t, s.config()).Provider(t.Context())
		if !errors.Is(err, oauth.ErrUnavailable) || p != (oauth.Provider{}) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
		if got := s.count(wellKnown); got > 4 {
			t.Errorf("%s: asked %d times", name, got)
		}
	}
}

// TestDiscoverWhere: first as OpenID Connect has it, then as RFC 8414 does.
func TestDiscoverWhere(t *testing.T) {
	s := newServer(t)
	s.metadata["issuer"] = issuer + "/tenant"
	s.routes["/tenant/.well-known/openid-configuration"] = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/moved", http.StatusFound)
	}
	s.routes["/moved"] = raw(404, "")
	s.routes["/.well-known/oauth-authorization-server/tenant"] = func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, s.metadata) }
	c := s.config()
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
		s := newServer(t)
		client := newClient(t, s.config())
		ask := func(want int, good bool) {
			t.Helper()
			if _, err := client.Provider(t.Context()); (err == nil) != good {
				t.Errorf("%v", err)
			}
			if got := s.count(wellKnown); got != want {
				t.Errorf("asked %d times, want %d", got, want)
			}
		}
		if s.count(wellKnown) != 0 {
			t.Error("asked when it was made")
		}
		ask(1, true)
		time.Sleep(time.Hour - time.Second)
		ask(1, true)
		time.Sleep(time.Second)
		ask(2, true)
		s.routes[wellKnown] = raw(500, "")
		time.Sleep(time.Hour)
		ask(3, true)
		ask(3, true)
		time.Sleep(time.Minute)
		ask(4, true)
		time.Sleep(23 * time.Hour)
		ask(5, false)
		ask(6, false)
		delete(s.routes, wellKnown)
		ask(7, true)
	})
}

// TestDiscoverShared: those who ask at the same time ask once, and the one who
// goes does not end it for the others.
func TestDiscoverShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.routes[wellKnown] = func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			answer(w, 200, s.metadata)
		}
		client := newClient(t, s.config())
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
		if got := s.count(wellKnown); got != 1 {
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
		s := newServer(t)
		s.routes["/token"] = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		client := newClient(t, s.config())
		start := time.Now()
		_, err := client.Token(t.Context(), machineParams())
		if !errors.Is(err, oauth.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}
