// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// respond answers a request as a handler would over a network whose clock is
// that of the test.
func respond(serve http.HandlerFunc, r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(w, r)
	}()
	select {
	case <-done:
	case <-r.Context().Done():
		<-done
		return nil, r.Context().Err()
	}
	if w.Code == statusCut {
		return nil, io.ErrUnexpectedEOF
	}
	response := w.Result()
	response.Request = r
	return response, nil
}

const statusCut = 999 // stands for a connection that is cut

func down(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(statusCut) }

func hanging(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func serverError(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusInternalServerError)
}

func goodSet() http.HandlerFunc { return keySet(ecJWK("k1", keyFor(jwtauth.ES256))) }

func junk(n int) string { return token(object{"kid": "junk-" + strconv.Itoa(n)}, nil) }

// While the keys cannot be had at all the answer is 503 with Retry-After,
// within six seconds, with one fetch at a time; good tokens work again within
// 15 seconds of the issuer's return.
func TestColdOutage(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{
		"down": down, "hanging": hanging, "5xx": serverError, "HTML": document("<html>"), "cut": document(`{"keys":[{`),
		"404": http.NotFound,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &keyServer{serve: fault}
				a := newAuthenticator(t, remoteConfig(s))
				h := serve(t, a)
				var requests sync.WaitGroup
				for range 50 {
					requests.Go(func() {
						start := time.Now()
						w := httptest.NewRecorder()
						h.ServeHTTP(w, get(token(nil, nil)))
						if w.Code != http.StatusServiceUnavailable || time.Since(start) > 6*time.Second {
							t.Errorf("%d after %v", w.Code, time.Since(start))
						}
						if wait, err := strconv.Atoi(w.Header().Get("Retry-After")); err != nil || wait < 1 || wait > 10 {
							t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
						}
					})
				}
				requests.Wait()
				if n := s.count(); n != 1 {
					t.Errorf("%d fetches for 50 requests", n)
				}

				s.set(goodSet())
				back := time.Now()
				for n := 0; reason(t, a, token(nil, nil)) != ""; n++ {
					reason(t, a, junk(n))
					if time.Since(back) > 15*time.Second {
						t.Fatal("not back after 15 s")
					}
					time.Sleep(100 * time.Millisecond)
				}
			})
		})
	}
}

// A token that is refused whatever its signature causes no fetch.
func TestOnlyPlausibleTokensCauseFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{serve: goodSet()}
		a := newAuthenticator(t, remoteConfig(s))
		past := object{"exp": time.Now().Unix() - 3600, "iat": time.Now().Unix() - 7200}
		for want, implausible := range map[gatehouse.Reason]string{
			jwtauth.ReasonExpired:       token(nil, past),
			jwtauth.ReasonAudience:      token(nil, object{"aud": "https://other.example.com"}),
			jwtauth.ReasonIssuer:        token(nil, object{"iss": "https://other.example.com"}),
			jwtauth.ReasonAlgorithm:     token(object{"alg": "HS256"}, nil),
			jwtauth.ReasonType:          token(object{"typ": "JWT"}, nil),
			jwtauth.ReasonHeader:        token(object{"jku": "https://evil.example.com"}, nil),
			gatehouse.ReasonUnconfirmed: token(nil, object{"cnf": object{"jkt": "x"}}),
			jwtauth.ReasonMalformed:     token(nil, nil) + "*",
		} {
			if got := reason(t, a, implausible); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		if n := s.count(); n != 0 {
			t.Errorf("%d fetches", n)
		}
		if got := reason(t, a, token(nil, nil)); got != "" {
			t.Fatal(got)
		}
		time.Sleep(time.Minute)
		if got := reason(t, a, token(object{"kid": "junk"}, past)); got != jwtauth.ReasonKey || s.count() != 1 {
			t.Errorf("got %q, %d fetches", got, s.count())
		}
	})
}

// Unknown kids cause one fetch per interval, and never hold up a good token.
func TestJunkKids(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{serve: goodSet()}
		a := newAuthenticator(t, remoteConfig(s, func(c *jwtauth.Config) { c.CacheEntries = -1 }))
		good := token(nil, nil)
		if got := reason(t, a, good); got != "" {
			t.Fatal(got)
		}
		start := time.Now()
		for n := range 1000 {
			if got := reason(t, a, junk(n)); got != jwtauth.ReasonKey {
				t.Fatalf("got %q", got)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n, most := s.count(), int(time.Since(start)/(10*time.Second))+1; n > most {
			t.Errorf("%d fetches in %v", n, time.Since(start))
		}

		// With a fetch under way that hangs, good tokens do not wait.
		time.Sleep(time.Minute)
		s.set(hanging)
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if got := reason(t, a, junk(0)); got != jwtauth.ReasonKeysUnavailable {
				t.Errorf("got %q", got)
			}
		})
		synctest.Wait()
		now := time.Now()
		if got := reason(t, a, token(nil, object{"jti": "token-2"})); got != "" || time.Since(now) != 0 {
			t.Errorf("got %q after %v", got, time.Since(now))
		}
		waiting.Wait()
		if time.Since(now) > 6*time.Second {
			t.Errorf("the junk was answered after %v", time.Since(now))
		}
		// The fetch has failed, so it cannot be told whether a kid is unknown.
		if got := reason(t, a, junk(1)); got != jwtauth.ReasonKeysUnavailable {
			t.Errorf("got %q", got)
		}
	})
}

// A rotated key works at the latest when the interval is over, junk or no junk.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{serve: goodSet()}
		a := newAuthenticator(t, remoteConfig(s))
		reason(t, a, junk(0))
		s.set(keySet(ecJWK("k1", keyFor(jwtauth.ES256)), ecJWK("k2", keyFor(jwtauth.ES384))))
		k := keyFor(jwtauth.ES384)
		rotated := k.sign(goodHeader(k.algorithm).with(object{"kid": "k2"}), goodClaims().with(nil))
		start := time.Now()
		for n := 1; reason(t, a, rotated) != ""; n++ {
			reason(t, a, junk(n))
			if time.Since(start) > 15*time.Second {
				t.Fatal("not accepted after 15 s")
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}

// A withdrawn key stops verifying as soon as the new set is read, also for
// tokens in the cache, and also if nothing but cached tokens is ever sent.
func TestWithdrawal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{serve: keySet(ecJWK("k1", keyFor(jwtauth.ES256)), ecJWK("k2", keyFor(jwtauth.ES384)))}
		a := newAuthenticator(t, remoteConfig(s))
		old := token(nil, object{"exp": time.Now().Unix() + 3600})
		k := keyFor(jwtauth.ES384)
		kept := k.sign(goodHeader(k.algorithm).with(object{"kid": "k2"}), goodClaims().with(object{"exp": time.Now().Unix() + 3600}))
		for _, token := range []string{old, kept, old, kept} {
			if got := reason(t, a, token); got != "" {
				t.Fatal(got)
			}
		}
		s.set(keySet(ecJWK("k2", keyFor(jwtauth.ES384))))
		time.Sleep(5 * time.Minute)
		reason(t, a, kept) // notices that the set is old, and does not wait
		synctest.Wait()
		if got := reason(t, a, old); got != jwtauth.ReasonKey {
			t.Errorf("the withdrawn key still verifies: %q", got)
		}
		if got := reason(t, a, kept); got != "" {
			t.Errorf("the other key does not: %q", got)
		}
	})
}

// A key in whose place another one stands is withdrawn too, however alike they
// are; one that is only published anew is not.
func TestReplacedKey(t *testing.T) {
	k := keyFor(jwtauth.RS256)
	other := must(rsa.GenerateKey(rand.Reader, 2048))
	for _, test := range []struct {
		name, next string
		want       gatehouse.Reason
	}{
		{"the same", rsaJWK("k1", &rsaKey().PublicKey), ""},
		{"another key", rsaJWK("k1", &other.PublicKey), jwtauth.ReasonSignature},
		{"another name", rsaJWK("k2", &rsaKey().PublicKey), jwtauth.ReasonKey},
		{"another algorithm", rsaJWK("k1", &rsaKey().PublicKey, `,"alg":"PS256"`), jwtauth.ReasonKey},
		{"another kind", ecJWK("k1", keyFor(jwtauth.ES256)), jwtauth.ReasonKey},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &keyServer{serve: keySet(rsaJWK("k1", &rsaKey().PublicKey))}
				a := newAuthenticator(t, remoteConfig(s))
				old := k.sign(goodHeader(k.algorithm).with(nil), goodClaims().with(object{"exp": time.Now().Unix() + 3600}))
				before, err := a.Verify(t.Context(), old)
				if err != nil {
					t.Fatal(err)
				}
				s.set(keySet(test.next))
				time.Sleep(5 * time.Minute)
				reason(t, a, old)
				synctest.Wait()
				if got := reason(t, a, old); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
				if after, _ := a.Verify(t.Context(), old); (after == before) != (test.want == "") {
					t.Error("the cache has forgotten what is still good")
				}
			})
		})
	}
}

// While the issuer is down a warm set is used up to the bound, and not after.
func TestStale(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{
		"down": down, "hanging": hanging, "5xx": serverError, "empty set": keySet(), "nonsense": document(`{"keys":null}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &keyServer{serve: goodSet()}
				a := newAuthenticator(t, remoteConfig(s, func(c *jwtauth.Config) { c.Issuers[0].MaxLifetime = 7 * 24 * time.Hour }))
				cached := token(nil, object{"exp": time.Now().Unix() + 7*24*3600})
				if got := reason(t, a, cached); got != "" {
					t.Fatal(got)
				}
				s.set(fault)
				for range 23 {
					time.Sleep(time.Hour)
					start := time.Now()
					if got := reason(t, a, token(nil, nil)); got != "" || time.Since(start) != 0 {
						t.Fatalf("got %q after %v", got, time.Since(start))
					}
					if got := reason(t, a, cached); got != "" {
						t.Fatal(got)
					}
				}
				time.Sleep(time.Hour + time.Second)
				for _, token := range []string{cached, token(nil, nil)} {
					if got := reason(t, a, token); got != jwtauth.ReasonKeysUnavailable {
						t.Errorf("past the bound: %q", got)
					}
				}
				s.set(goodSet())
				time.Sleep(15 * time.Second)
				if got := reason(t, a, cached); got != "" {
					t.Errorf("after the return: %q", got)
				}
			})
		})
	}
}

// Redirects are followed within the origin only, and not for ever.
func TestRedirects(t *testing.T) {
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/moved" {
				goodSet()(w, r)
				return
			}
			http.Redirect(w, r, to, http.StatusFound)
		}
	}
	for to, want := range map[string]gatehouse.Reason{
		issuerURL + "/moved":                                "",
		"/moved":                                            "",
		"https://evil.example.com/moved":                    jwtauth.ReasonKeysUnavailable,
		"http://auth.example.com/moved":                     jwtauth.ReasonKeysUnavailable,
		"https://auth.example.com:8443/moved":               jwtauth.ReasonKeysUnavailable,
		"https://user@auth.example.com/moved":               jwtauth.ReasonKeysUnavailable,
		"https://auth.example.com.evil.example/moved":       jwtauth.ReasonKeysUnavailable,
		"http://169.254.169.254/latest/meta-data/../moved/": jwtauth.ReasonKeysUnavailable,
		"/jwks.json":                                        jwtauth.ReasonKeysUnavailable,
	} {
		s := &keyServer{serve: redirect(to)}
		a := newAuthenticator(t, remoteConfig(s))
		if got := reason(t, a, token(nil, nil)); got != want || s.count() > 4 {
			t.Errorf("%s: got %q after %d requests", to, got, s.count())
		}
	}
}

// A set whose end did not arrive is not one, even if it reads like one.
func TestCutBody(t *testing.T) {
	a := newAuthenticator(t, remoteConfig(nil, func(c *jwtauth.Config) {
		c.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			response, err := respond(goodSet(), r)
			response.Body = io.NopCloser(io.MultiReader(response.Body, iotest.ErrReader(io.ErrUnexpectedEOF)))
			return response, err
		})
	}))
	if got := reason(t, a, token(nil, nil)); got != jwtauth.ReasonKeysUnavailable {
		t.Errorf("got %q", got)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A caller who gives up ends its own waiting and nobody else's.
func TestImpatientCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(3 * time.Second)
			goodSet()(w, r)
		}
		a := newAuthenticator(t, remoteConfig(&keyServer{serve: slow}))
		var patient sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := a.Verify(ctx, token(nil, nil)) // starts the fetch
		patient.Go(func() {
			if got := reason(t, a, token(nil, nil)); got != "" {
				t.Errorf("the patient caller got %q", got)
			}
		})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		patient.Wait()
	})
}

func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{serve: hanging}
		a := newAuthenticator(t, remoteConfig(s))
		if s.count() != 0 {
			t.Fatal("New has called the network")
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := a.Ready(ctx); err == nil || time.Since(start) != 100*time.Millisecond {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		if err := a.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "issuer "+issuerURL) {
			t.Errorf("got %v", err)
		}
		s.set(goodSet())
		time.Sleep(10 * time.Second)
		if err := a.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		if err := newAuthenticator(t, config()).Ready(t.Context()); err != nil {
			t.Errorf("static keys: %v", err)
		}
	})
}

// Close ends the fetch under way and waits for it: in the bubble, a goroutine
// that were left would fail the test.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{serve: hanging}
		a := newAuthenticator(t, remoteConfig(s))
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if got := reason(t, a, token(nil, nil)); got != jwtauth.ReasonKeysUnavailable {
				t.Errorf("got %q", got)
			}
		})
		synctest.Wait()
		start := time.Now()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		waiting.Wait()
		if time.Since(start) != 0 {
			t.Errorf("took %v", time.Since(start))
		}
		time.Sleep(time.Minute)
		if got := reason(t, a, token(nil, nil)); got != jwtauth.ReasonKeysUnavailable || s.count() != 1 {
			t.Errorf("after Close: %q, %d fetches", got, s.count())
		}
	})
}

// What is reported and what is said of a failed fetch is enough to act on.
func TestOutageIsExplained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var reported []error
		a := newAuthenticator(t, remoteConfig(&keyServer{serve: serverError}, func(c *jwtauth.Config) {
			c.Observer = gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
				mu.Lock()
				defer mu.Unlock()
				if e.Type != jwtauth.EventFetchFailed || e.Issuer != issuerURL || e.Level != slog.LevelWarn {
					t.Errorf("event %+v, want jwtauth_fetch_failed of %s as a warning", e, issuerURL)
				}
				reported = append(reported, e.Cause)
				return errors.New("the observer fails")
			})
		}))
		_, err := a.Verify(t.Context(), token(nil, nil))
		e, ok := errors.AsType[*gatehouse.Error](err)
		if !ok || e.Issuer != issuerURL || !strings.Contains(e.Cause.Error(), "HTTP status 500") {
			t.Errorf("got %v, cause %v", err, e.Cause)
		}
		unreachable := newAuthenticator(t, remoteConfig(&keyServer{serve: down}))
		if _, err := unreachable.Verify(t.Context(), token(nil, nil)); strings.Count(errors.Unwrap(err).Error(), issuerURL) != 1 {
			t.Errorf("the address is there more than once: %v", errors.Unwrap(err))
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(reported) != 1 || !strings.Contains(reported[0].Error(), issuerURL+"/jwks.json") {
			t.Errorf("reported %v", reported)
		}
	})
}

func TestDiscovery(t *testing.T) {
	const openid, oauth = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	metadata := func(issuer, keys string) string { return `{"issuer":"` + issuer + `","jwks_uri":"` + keys + `"}` }
	good := metadata(issuerURL, issuerURL+"/keys")
	for _, test := range []struct {
		name   string
		issuer string
		pages  map[string]string
		cause  string // "" if it is found
	}{
		{"OpenID", issuerURL, map[string]string{openid: good}, ""},
		{"OAuth", issuerURL, map[string]string{oauth: good}, ""},
		{"OpenID, path", issuerURL + "/t/a", map[string]string{"/t/a" + openid: metadata(issuerURL+"/t/a", issuerURL+"/keys")}, ""},
		{"OAuth, path", issuerURL + "/t/a", map[string]string{oauth + "/t/a": metadata(issuerURL+"/t/a", issuerURL+"/keys")}, ""},
		{"OpenID, slash", issuerURL + "/", map[string]string{openid: metadata(issuerURL+"/", issuerURL+"/keys")}, ""},
		{"other issuer", issuerURL, map[string]string{openid: metadata("https://evil.example.com", issuerURL+"/keys")}, "names another issuer"},
		{"slash too many", issuerURL, map[string]string{openid: metadata(issuerURL+"/", issuerURL+"/keys")}, "names another issuer"},
		{"no issuer", issuerURL, map[string]string{openid: `{"jwks_uri":"` + issuerURL + `/keys"}`}, "has no issuer"},
		{"issuer is a number", issuerURL, map[string]string{openid: `{"issuer":1,"jwks_uri":"` + issuerURL + `/keys"}`}, "has no issuer"},
		{"no jwks_uri", issuerURL, map[string]string{openid: `{"issuer":"` + issuerURL + `"}`}, "no jwks_uri"},
		{"plain jwks_uri", issuerURL, map[string]string{openid: metadata(issuerURL, "http://auth.example.com/keys")}, "jwks_uri: plain http"},
		{"file jwks_uri", issuerURL, map[string]string{openid: metadata(issuerURL, "file:///keys")}, "jwks_uri: not an absolute URL"},
		{"folded", issuerURL, map[string]string{openid: strings.ToUpper(good)}, "has no issuer"},
		{"not an object", issuerURL, map[string]string{openid: "[]"}, "has no issuer"},
		{"HTML", issuerURL, map[string]string{openid: "<html>"}, `Content-Type "text/html"`},
		{"nothing", issuerURL, nil, oauth + ": HTTP status 404"},
		{"broken, and not asked elsewhere", issuerURL, map[string]string{openid: "500", oauth: good}, openid + ": HTTP status 500"},
		{"moved, and not asked elsewhere", issuerURL, map[string]string{openid: "304", oauth: good}, openid + ": HTTP status 304"},
		{"no keys", issuerURL, map[string]string{openid: metadata(issuerURL, issuerURL+"/none")}, "/none: HTTP status 404"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &keyServer{serve: func(w http.ResponseWriter, r *http.Request) {
				page, ok := test.pages[r.URL.Path]
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
			a := newAuthenticator(t, remoteConfig(s, func(c *jwtauth.Config) {
				c.Issuers[0].URL, c.Issuers[0].Keys = test.issuer, jwtauth.Discover()
			}))
			_, err := a.Verify(t.Context(), token(nil, object{"iss": test.issuer}))
			if test.cause == "" {
				if err != nil {
					t.Errorf("got %v, %v", err, errors.Unwrap(err))
				}
				return
			}
			if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Reason != jwtauth.ReasonKeysUnavailable || !strings.Contains(e.Cause.Error(), test.cause) {
				t.Errorf("got %v, %v", err, errors.Unwrap(err))
			}
		})
	}
}

// Where the key set has moved is found out again when a fetch fails and when a
// key is missing.
func TestDiscoveryFollowsMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		at := "/keys-1"
		fetched := map[string]int{}
		s := &keyServer{serve: func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			fetched[r.URL.Path]++
			switch r.URL.Path {
			case "/.well-known/openid-configuration":
				document(`{"issuer":"`+issuerURL+`","jwks_uri":"`+issuerURL+at+`"}`)(w, r)
			case at:
				goodSet()(w, r)
			default:
				http.NotFound(w, r)
			}
		}}
		a := newAuthenticator(t, remoteConfig(s, func(c *jwtauth.Config) { c.Issuers[0].Keys = jwtauth.Discover() }))
		step := func(to string, wantMetadata int) {
			t.Helper()
			if got := reason(t, a, token(nil, object{"jti": rand4()})); got != "" {
				t.Fatal(got)
			}
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			at = to
			if n := fetched["/.well-known/openid-configuration"]; n != wantMetadata {
				t.Errorf("asked for the metadata %d times, want %d", n, wantMetadata)
			}
		}
		step("/keys-1", 1)
		time.Sleep(6 * time.Minute)
		step("/keys-2", 1) // a refresh, from where the set was
		time.Sleep(6 * time.Minute)
		step("/keys-2", 1) // fails
		time.Sleep(time.Minute)
		step("/keys-2", 2) // asks again
		time.Sleep(time.Minute)
		reason(t, a, junk(1))
		step("/keys-2", 3)
	})
}

func rand4() string { return strconv.FormatInt(time.Now().UnixNano(), 36) }

// A keyfunc that the program has is used for its keys, and for nothing else.
func TestKeyfunc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := jwkset.NewMemoryStorage()
		write := func(kid string, k pair, change func(*jwkset.JWKMetadataOptions)) {
			metadata := jwkset.JWKMetadataOptions{KID: kid}
			if change != nil {
				change(&metadata)
			}
			jwk := must(jwkset.NewJWKFromKey(k.public, jwkset.JWKOptions{Metadata: metadata}))
			if err := storage.KeyWrite(t.Context(), jwk); err != nil {
				t.Fatal(err)
			}
		}
		k := must(keyfunc.New(keyfunc.Options{Storage: storage}))
		a := newAuthenticator(t, remoteConfig(nil, func(c *jwtauth.Config) {
			c.Transport = nil
			c.Issuers[0].Keys = jwtauth.Keyfunc(k)
		}))
		if got := reason(t, a, token(nil, nil)); got != jwtauth.ReasonKeysUnavailable {
			t.Errorf("empty storage: %q", got)
		}
		write("k1", keyFor(jwtauth.ES256), nil)
		write("enc", keyFor(jwtauth.ES256), func(m *jwkset.JWKMetadataOptions) { m.USE = jwkset.UseEnc })
		write("ops", keyFor(jwtauth.ES256), func(m *jwkset.JWKMetadataOptions) { m.KEYOPS = []jwkset.KEYOPS{jwkset.KeyOpsSign} })
		time.Sleep(time.Second)
		if got := reason(t, a, token(nil, nil)); got != "" {
			t.Errorf("got %q", got)
		}
		for _, kid := range []string{"enc", "ops", "other"} {
			if got := reason(t, a, token(object{"kid": kid}, nil)); got != jwtauth.ReasonKey {
				t.Errorf("%s: got %q", kid, got)
			}
		}
		write("use", keyFor(jwtauth.ES256), func(m *jwkset.JWKMetadataOptions) { m.USE = jwkset.UseSig })
		write("both", keyFor(jwtauth.ES256), func(m *jwkset.JWKMetadataOptions) {
			m.KEYOPS = []jwkset.KEYOPS{jwkset.KeyOpsSign, jwkset.KeyOpsVerify}
		})
		for _, kid := range []string{"use", "both"} {
			if got := reason(t, a, token(object{"kid": kid}, nil)); got != "" {
				t.Errorf("%s: got %q", kid, got)
			}
		}
		write("k2", keyFor(jwtauth.ES384), nil)
		if _, err := storage.KeyDelete(t.Context(), "k1"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		reason(t, a, token(nil, nil))
		synctest.Wait()
		if got := reason(t, a, token(nil, nil)); got != jwtauth.ReasonKey {
			t.Errorf("a deleted key: %q", got)
		}
	})
}

// Asking a keyfunc's storage for a kid that it lacks is what makes it look; a
// storage that cannot be read is an outage.
func TestKeyfuncLooksForNewKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := &lookingStorage{Storage: jwkset.NewMemoryStorage()}
		jwk := must(jwkset.NewJWKFromKey(keyFor(jwtauth.ES256).public, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: "k0"}}))
		if err := storage.KeyWrite(t.Context(), jwk); err != nil {
			t.Fatal(err)
		}
		a := newAuthenticator(t, remoteConfig(nil, func(c *jwtauth.Config) {
			c.Transport = nil
			c.Issuers[0].Keys = jwtauth.Keyfunc(must(keyfunc.New(keyfunc.Options{Storage: storage})))
		}))
		if got := reason(t, a, token(object{"kid": "k0"}, nil)); got != "" {
			t.Fatal(got)
		}
		time.Sleep(time.Second)
		if got := reason(t, a, token(nil, nil)); got != jwtauth.ReasonKey {
			t.Errorf("got %q", got)
		}
		time.Sleep(time.Second)
		if got := reason(t, a, junk(1)); got != jwtauth.ReasonKey {
			t.Errorf("got %q", got)
		}
		storage.mu.Lock()
		if len(storage.asked) != 1 || storage.asked[0] != "k1" { // and not again so soon
			t.Errorf("asked for %q", storage.asked)
		}
		storage.broken = true
		storage.mu.Unlock()
		time.Sleep(time.Second)
		_, err := a.Verify(t.Context(), token(nil, nil))
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Reason != jwtauth.ReasonKeysUnavailable ||
			!strings.Contains(e.Cause.Error(), "read the keyfunc's storage: broken") {
			t.Errorf("got %v, %v", err, errors.Unwrap(err))
		}
	})
}

// lookingStorage notes what it is asked for, and fails to read once broken.
type lookingStorage struct {
	jwkset.Storage
	mu     sync.Mutex
	asked  []string
	broken bool
}

func (s *lookingStorage) KeyRead(ctx context.Context, kid string) (jwkset.JWK, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, kid)
	return s.Storage.KeyRead(ctx, kid)
}

func (s *lookingStorage) KeyReadAll(ctx context.Context) ([]jwkset.JWK, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return nil, errors.New("broken")
	}
	return s.Storage.KeyReadAll(ctx)
}
