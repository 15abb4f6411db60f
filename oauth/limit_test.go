// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// calls are the requests that have limits, by the path of their endpoint.
var calls = map[string]func(context.Context, *oauth.Client) error{
	wellKnown: func(ctx context.Context, c *oauth.Client) error { _, err := c.Provider(ctx); return err },
	"/par": func(ctx context.Context, c *oauth.Client) error {
		_, err := c.Authorize(ctx, oauth.AuthorizationRequest{RedirectURI: redirect})
		return err
	},
	"/token": func(ctx context.Context, c *oauth.Client) error {
		_, err := c.Refresh(ctx, oauth.Tokens{Refresh: secret("r")})
		return err
	},
	"/introspect": func(ctx context.Context, c *oauth.Client) error {
		_, err := c.Introspect(ctx, secret("t"), "")
		return err
	},
	"/revoke": func(ctx context.Context, c *oauth.Client) error { return c.Revoke(ctx, secret("t"), "") },
}

func newLimited(t testing.TB) (*providertest.Server, *oauth.Client) {
	s := providertest.New(t)
	s.Metadata["pushed_authorization_request_endpoint"] = issuer + "/par"
	s.Routes["/par"] = raw(201, `{"request_uri":"urn:x","expires_in":60}`)
	s.Routes["/introspect"] = raw(200, `{"active":false}`)
	s.Routes["/revoke"] = raw(200, ``)
	return s, s.Client()
}

// TestCallsAreShared: concurrent calls share one request, which a caller that goes away
// does not cancel.
func TestCallsAreShared(t *testing.T) {
	for path, body := range map[string]string{wellKnown: "", "/token": `{"access_token":"a","token_type":"Bearer"}`, "/introspect": `{"active":true,"sub":"alice","aud":"` + api + `"}`} {
		synctest.Test(t, func(t *testing.T) {
			s, client := newLimited(t)
			source := must(client.ClientCredentials(oauth.CredentialsRequest{}))
			introspector := newIntrospector(t, nil, oauth.IntrospectionEndpoint{Client: client, Audiences: []string{api}})
			call := map[string]func(context.Context) error{
				wellKnown: func(ctx context.Context) error { _, err := client.Provider(ctx); return err },
				"/token":  func(ctx context.Context) error { _, err := source.Token(ctx); return err },
				"/introspect": func(ctx context.Context) error {
					_, err := introspector.Authenticate(opaque("o").WithContext(ctx))
					return err
				},
			}[path]
			s.Routes[path] = func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(time.Second)
				if body == "" {
					answer(w, 200, s.Metadata)
					return
				}
				raw(200, body)(w, r)
			}
			var group sync.WaitGroup
			ctx, cancel := context.WithCancel(t.Context())
			group.Go(func() {
				if err := call(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("%s: error of the canceled call = %v, want %v", path, err, context.Canceled)
				}
			})
			synctest.Wait()
			for range 50 {
				group.Go(func() {
					if err := call(t.Context()); err != nil {
						t.Errorf("%s: error = %v", path, err)
					}
				})
			}
			synctest.Wait()
			cancel()
			group.Wait()
			if got := s.Count(path); got != 1 {
				t.Errorf("%s: %d requests, want 1", path, got)
			}
		})
	}
}

// TestFailuresBackOff: after a failure no request is sent for a second, and for
// twice as long after each further one, up to a minute. A success resets it.
func TestFailuresBackOff(t *testing.T) {
	for path, call := range calls {
		synctest.Test(t, func(t *testing.T) {
			s, client := newLimited(t)
			answers := s.Routes[path]
			ask := func(requests int, wait time.Duration) {
				t.Helper()
				before := s.Count(path)
				err := call(t.Context(), client)
				if got := s.Count(path) - before; got != requests || oauth.RetryAfter(err) != wait {
					t.Errorf("%s: error = %v, retry after %v, %d requests; want %v, %d", path, err, oauth.RetryAfter(err), got, wait, requests)
				}
				notSent := "oauth: " + map[string]string{
					wellKnown: "discovery", "/par": "pushed authorization request", "/token": "token", "/introspect": "introspection", "/revoke": "revocation",
				}[path] + " endpoint: request not sent: "
				if wait > 0 && (!errors.Is(err, oauth.ErrUnavailable) || !strings.Contains(err.Error(), "503") || !strings.HasPrefix(err.Error(), notSent)) {
					t.Errorf("%s: error = %v, want %v, %q and the cause", path, err, oauth.ErrUnavailable, notSent)
				}
			}
			for range 2 {
				s.Routes[path] = down
				for _, pause := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
					ask(1, 0)
					ask(0, pause*time.Second)
					time.Sleep(pause*time.Second - 1)
					ask(0, 1)
					time.Sleep(time.Nanosecond)
				}
				if s.Routes[path] = answers; answers == nil {
					delete(s.Routes, path)
				}
				ask(1, 0)
				time.Sleep(25 * time.Hour) // the metadata are too old
			}
		})
	}
}

// TestBackOffAsTheServerAsks: for the time of its Retry-After, up to a minute.
func TestBackOffAsTheServerAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for asked, want := range map[string]time.Duration{"7": 7 * time.Second, "3600": time.Minute} {
			for _, path := range []string{wellKnown, "/par"} {
				s, client := newLimited(t)
				s.Routes[path] = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Retry-After", asked)
					down(w, r)
				}
				_ = calls[path](t.Context(), client)
				if err := calls[path](t.Context(), client); oauth.RetryAfter(err) != want {
					t.Errorf("%s, Retry-After %s: error = %v, want a retry after %v", path, asked, err, want)
				}
			}
		}
	})
}

// TestWhatBacksOff: a caller cannot stop the requests of others with a forged code or
// token, with acr_values that the server cannot digest, or by hanging up. A server that does
// not answer in time is down, also if the caller has set the time.
func TestWhatBacksOff(t *testing.T) {
	canceled := func(*http.Request) {}
	for name, test := range map[string]struct {
		route http.HandlerFunc
		pause bool // whether it begins one
	}{
		"overload":      {raw(429, ""), true},
		"gateway":       {raw(502, ""), true},
		"timeout":       {raw(504, ""), true},
		"our mistake":   {raw(401, `{"error":"invalid_client"}`), true},
		"our grant":     {raw(400, `{"error":"unauthorized_client"}`), true},
		"server error":  {raw(500, ""), false},
		"redirect":      {raw(302, ""), false},
		"other mistake": {raw(400, `{"error":"invalid_request"}`), false},
		"forged":        {raw(400, `{"error":"invalid_grant"}`), false},
		"caller went":   {func(_ http.ResponseWriter, r *http.Request) { canceled(r) }, false},
		"no answer":     {hanging, true},
		"deadline":      {hanging, true},
		"too large":     {raw(200, string(make([]byte, 300<<10))), true},
	} {
		synctest.Test(t, func(t *testing.T) {
			for _, path := range []string{"/par", "/token", "/introspect"} {
				s, client := newLimited(t)
				s.Routes[path] = test.route
				limit := time.Hour
				if name == "deadline" {
					limit = 3 * time.Second
				}
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				canceled = func(*http.Request) { cancel() }
				if err := calls[path](ctx, client); err == nil {
					t.Errorf("%s: %s: no error", name, path)
				}
				_ = calls[path](t.Context(), client)
				if got := s.Count(path) == 1; got != test.pause {
					t.Errorf("%s: %s: %d requests, want a pause: %t", name, path, s.Count(path), test.pause)
				}
				cancel()
			}
		})
	}
}

// TestCodesStopNoGrants: codes, which anonymous callers send, have limits of their own, and
// so have introspection and revocation.
func TestCodesStopNoGrants(t *testing.T) {
	l := newLogin(t)
	for _, path := range []string{"/token", "/introspect", "/revoke"} {
		l.Routes[path] = down
	}
	if _, err := l.redeem(); err == nil {
		t.Error("Redeem: no error")
	}
	for _, path := range []string{"/introspect", "/revoke"} {
		if err := calls[path](t.Context(), l.client); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
	l.Routes["/token"] = raw(200, `{"access_token":"a","token_type":"Bearer","issued_token_type":"`+oauth.TypeAccessToken+`"}`)
	_, err1 := l.client.Refresh(t.Context(), oauth.Tokens{Refresh: secret("r")})
	_, err2 := l.client.Token(t.Context(), machineParams())
	_, err3 := l.client.Exchange(t.Context(), oauth.ExchangeRequest{Subject: secret("s")})
	_, err4 := must(l.client.ClientCredentials(oauth.CredentialsRequest{})).Token(t.Context())
	for n, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			t.Errorf("grant %d: error = %v", n, err)
		}
	}
	l.begin()
	_, err := l.redeem()
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code != gatehouse.CodeTemporarilyUnavailable || e.RetryAfter <= 0 || l.Count("/token") != 5 {
		t.Errorf("Redeem error = %+v after %d token requests, want 503 with RetryAfter after 5", err, l.Count("/token"))
	}
}

// TestFloodOfCodesIsBounded: anonymous callers can send any number of codes, also after
// a while without any.
func TestFloodOfCodesIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogin(t)
		for range 2 {
			for n := range 150 {
				l.begin()
				if _, err := l.redeem(); (err == nil) != (n < 100) {
					t.Fatalf("code %d in a second: Redeem error = %v, want one after 100", n+1, err)
				}
			}
			time.Sleep(time.Minute)
		}
		if got := l.Count("/token"); got != 200 {
			t.Errorf("%d token requests, want 200", got)
		}
	})
}

// TestAnswerEndsTheBackOff: a server that answers, be it with an error, is up.
func TestAnswerEndsTheBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := newLimited(t)
		for _, answer := range []http.HandlerFunc{down, down, raw(400, `{"error":"invalid_grant"}`), down} {
			s.Routes["/token"] = answer
			_ = calls["/token"](t.Context(), client)
			time.Sleep(time.Minute)
		}
		s.Routes["/token"] = down
		_ = calls["/token"](t.Context(), client)
		if err := calls["/token"](t.Context(), client); oauth.RetryAfter(err) != 2*time.Second {
			t.Errorf("error = %v, want a retry after 2 s, after two failures since the answer", err)
		}
	})
}

// TestFloodIsBounded: however many callers there are, at most 32 requests run, 1,000
// callers wait, and a second has 100 pushed requests after the first 100.
func TestFloodIsBounded(t *testing.T) {
	for path, most := range map[string]int{"/par": 200, "/introspect": 320 + 32 + 1000} {
		synctest.Test(t, func(t *testing.T) {
			s, client := newLimited(t)
			var running, highest, refused atomic.Int64
			answers := s.Routes[path]
			s.Routes[path] = func(w http.ResponseWriter, r *http.Request) {
				for n, old := running.Add(1), highest.Load(); n > old && !highest.CompareAndSwap(old, n); {
					old = highest.Load()
				}
				time.Sleep(100 * time.Millisecond)
				running.Add(-1)
				answers(w, r)
			}
			_, _ = client.Provider(t.Context())
			var group sync.WaitGroup
			for range 3000 {
				time.Sleep(time.Second / 3000)
				group.Go(func() {
					if err := calls[path](t.Context(), client); err != nil {
						if refused.Add(1); !errors.Is(err, oauth.ErrUnavailable) || oauth.RetryAfter(err) <= 0 {
							t.Errorf("%s: error = %v, want %v with a time", path, err, oauth.ErrUnavailable)
						}
					}
				})
			}
			group.Wait()
			if n := s.Count(path); n > most || n < 100 || int64(n)+refused.Load() != 3000 || highest.Load() > 32 {
				t.Errorf("%s: %d requests, %d at once, %d refused", path, n, highest.Load(), refused.Load())
			}
			time.Sleep(time.Second)
			if err := calls[path](t.Context(), client); err != nil {
				t.Errorf("%s: error after the flood = %v", path, err)
			}
		})
	}
}

// TestGrantsHaveNoRate: the program itself causes refreshes, so they have no rate.
func TestGrantsHaveNoRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client := newLimited(t)
		for range 150 {
			for _, path := range []string{"/token", "/introspect", "/revoke"} {
				if err := calls[path](t.Context(), client); err != nil {
					t.Fatalf("%s: error = %v", path, err)
				}
			}
		}
	})
}

// TestWaitersAreBounded: 1,000 callers wait for one shared request, and others fail at
// once.
func TestWaitersAreBounded(t *testing.T) {
	for _, path := range []string{wellKnown, "/token"} {
		synctest.Test(t, func(t *testing.T) {
			s := providertest.New(t)
			s.Routes[path] = hanging
			client := s.Client()
			source := must(client.ClientCredentials(oauth.CredentialsRequest{}))
			call := map[string]func() error{
				wellKnown: func() error { _, err := client.Provider(t.Context()); return err },
				"/token":  func() error { _, err := source.Token(t.Context()); return err },
			}[path]
			start := time.Now()
			var atOnce atomic.Int64
			var group sync.WaitGroup
			for range 1100 {
				group.Go(func() {
					if err := call(); err != nil && time.Since(start) == 0 {
						atOnce.Add(1)
					}
				})
			}
			group.Wait()
			if n := atOnce.Load(); n != 100 {
				t.Errorf("%s: %d of 1100 callers failed at once, want 100", path, n)
			}
		})
	}
}

// TestOutageCountsOnce: requests that fail at the same time begin one pause, and those
// that wait for them are not sent.
func TestOutageCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := newLimited(t)
		s.Routes["/introspect"] = func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(100 * time.Millisecond)
			down(w, r)
		}
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() { _ = calls["/introspect"](t.Context(), client) })
		}
		group.Wait()
		if err := calls["/introspect"](t.Context(), client); oauth.RetryAfter(err) != time.Second || s.Count("/introspect") != 32 {
			t.Errorf("error = %v after %d requests, want a retry after 1 s after 32", err, s.Count("/introspect"))
		}
	})
}

// TestOldMetadataServeMeanwhile: one caller waits for discovery, and the others get the
// metadata that are due.
func TestOldMetadataServeMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := newLimited(t)
		_, _ = client.Provider(t.Context())
		time.Sleep(2 * time.Hour)
		s.Routes[wellKnown] = hanging
		go func() { _, _ = client.Provider(t.Context()) }()
		synctest.Wait()
		begun := time.Now()
		if _, err := client.Provider(t.Context()); err != nil || time.Since(begun) > 0 {
			t.Errorf("Provider error = %v after %v, want none at once", err, time.Since(begun))
		}
	})
}

// TestWaitingCallerGoes: a caller that goes away while it waits frees its place.
func TestWaitingCallerGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, client := newLimited(t)
		release := make(chan struct{})
		s.Routes["/introspect"] = func(w http.ResponseWriter, r *http.Request) {
			<-release
			raw(200, `{"active":false}`)(w, r)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range 32 {
			group.Go(func() { _ = calls["/introspect"](t.Context(), client) })
		}
		synctest.Wait()
		for range 1000 {
			group.Go(func() {
				if err := calls["/introspect"](ctx, client); !errors.Is(err, context.Canceled) {
					t.Errorf("error = %v, want %v", err, context.Canceled)
				}
			})
		}
		synctest.Wait()
		if err := calls["/introspect"](t.Context(), client); oauth.RetryAfter(err) == 0 {
			t.Errorf("error of caller 1,033 = %v, want that it is refused", err)
		}
		cancel()
		synctest.Wait()
		short, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if err := calls["/introspect"](short, client); !errors.Is(err, context.DeadlineExceeded) { // no failure of the server
			t.Errorf("error of a caller that waits for 1 s = %v, want %v", err, context.DeadlineExceeded)
		}
		group.Go(func() {
			if err := calls["/introspect"](t.Context(), client); err != nil {
				t.Errorf("error after the others went = %v", err)
			}
		})
		synctest.Wait()
		close(release)
		group.Wait()
		if s.Count("/introspect") != 33 {
			t.Errorf("%d requests, want 33", s.Count("/introspect"))
		}
		for range 200 { // a call whose caller has gone may find a free place, and keeps none
			_ = calls["/introspect"](ctx, client)
		}
		if err := calls["/introspect"](t.Context(), client); err != nil {
			t.Errorf("error after calls of callers that went = %v", err)
		}
	})
}

// TestPauseOfOtherCodes: a malformed answer about one user begins no pause, and a
// transaction that was used before does not shorten one.
func TestPauseOfOtherCodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := providertest.New(t)
		first, asked := true, 0
		var transaction *oauth.Transaction
		client := s.Client(func(c *oauth.Config) {
			c.Once = func(_ context.Context, state string) (bool, error) {
				if asked++; state != transaction.State {
					t.Errorf("Once with the state %q, want %q", state, transaction.State)
				}
				return first, nil
			}
		})
		redeem := func() (err error) {
			t.Helper()
			transaction, err = client.Authorize(t.Context(), oauth.AuthorizationRequest{RedirectURI: redirect})
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Redeem(t.Context(), transaction, s.Authorize(transaction.URL))
			return err
		}
		s.Routes["/token"] = raw(200, `{"access_token":"a","token_type":"Bearer","scope":"\n"}`)
		for n := range 2 {
			if err := redeem(); err == nil || s.Count("/token") != n+1 {
				t.Errorf("Redeem error = %v after %d requests, want a malformed answer after %d", err, s.Count("/token"), n+1)
			}
		}
		s.Routes["/token"] = down
		for _, pause := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
			_ = redeem()
			before := asked
			e, ok := errors.AsType[*gatehouse.Error](redeem())
			if !ok || e.RetryAfter != pause || asked != before {
				t.Errorf("Redeem error = %+v, %d calls of Once, want a retry after %v, 0: the code can be sent later", e, asked-before, pause)
			}
			time.Sleep(pause)
			first = false
			sent := s.Count("/token")
			for range 2 {
				if err := redeem(); reasonOf(err) != oauth.ReasonTransaction || s.Count("/token") != sent {
					t.Errorf("Redeem of a used transaction error = %v after %d requests, want reason %s after none", err, s.Count("/token")-sent, oauth.ReasonTransaction)
				}
			}
			first = true
		}
	})
}
