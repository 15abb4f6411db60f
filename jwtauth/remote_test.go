// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// eventually checks that valid is accepted within 15 seconds, while tokens with
// unknown kids come in.
func eventually(t *testing.T, a *jwtauth.Authenticator, valid string) {
	t.Helper()
	start := time.Now()
	for n := 0; reason(t, a, valid) != ""; n++ {
		reason(t, a, junk(n))
		if time.Since(start) > 15*time.Second {
			t.Fatal("the token is not accepted within 15 s")
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
	}
}

// While no key set is available the answer is 503 with Retry-After within six
// seconds, with one fetch at a time. Valid tokens are accepted within 15 seconds
// of the issuer's return.
func TestColdOutage(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{
		"down": down, "hanging": hanging, "5xx": serverError, "HTML": document("<html>"), "cut": document(`{"keys":[{`), "404": http.NotFound,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &keyServer{serve: fault}
			a := newAuthenticator(t, remoteConfig(s))
			h := serve(a)
			var requests sync.WaitGroup
			for range 50 {
				requests.Go(func() {
					start := time.Now()
					w := httptest.NewRecorder()
					h.ServeHTTP(w, get(token(nil, nil)))
					retry, err := strconv.Atoi(w.Header().Get("Retry-After"))
					if took := time.Since(start); w.Code != http.StatusServiceUnavailable || took > 6*time.Second || err != nil || retry < 1 || retry > 10 {
						t.Errorf("%s: status %d after %v, Retry-After %d (%v), want 503 within 6 s, 1 to 10", name, w.Code, took, retry, err)
					}
				})
			}
			requests.Wait()
			equal(t, name+": fetches for 50 requests", s.count(), 1)
			s.set(goodSet())
			eventually(t, a, token(nil, nil))
		})
	}
}

// A token that is rejected whatever its signature is causes no fetch.
func TestInvalidTokensCauseNoFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{serve: goodSet()}
		a := newAuthenticator(t, remoteConfig(s))
		past := object{"exp": time.Now().Unix() - 3600, "iat": time.Now().Unix() - 7200}
		for want, token := range map[gatehouse.Reason]string{
			jwtauth.ReasonExpired:       token(nil, past),
			jwtauth.ReasonAudience:      token(nil, object{"aud": "https://other.example.com"}),
			jwtauth.ReasonIssuer:        token(nil, object{"iss": "https://other.example.com"}),
			jwtauth.ReasonAlgorithm:     token(object{"alg": "HS256"}, nil),
			jwtauth.ReasonType:          token(object{"typ": "JWT"}, nil),
			jwtauth.ReasonHeader:        token(object{"jku": "https://evil.example.com"}, nil),
			gatehouse.ReasonUnconfirmed: token(nil, object{"cnf": object{"jkt": "x"}}),
			jwtauth.ReasonMalformed:     token(nil, nil) + "*",
		} {
			check(t, a, "no keys", token, want)
		}
		equal(t, "fetches for invalid tokens", s.count(), 0)
		check(t, a, "valid", token(nil, nil), "")
		time.Sleep(time.Minute)
		check(t, a, "unknown kid, expired", token(object{"kid": "junk"}, past), jwtauth.ReasonKey)
		time.Sleep(time.Hour)
		check(t, a, "after an idle hour, expired", token(nil, past), jwtauth.ReasonExpired)
		check(t, a, "after an idle hour, unknown kid, expired", token(object{"kid": "junk"}, past), jwtauth.ReasonExpired)
		equal(t, "fetches after one valid token", s.count(), 1)
	})
}

// Unknown kids cause one fetch in each MinInterval and never delay a valid token. In
// the meantime a token with an unknown kid is answered with 503 and Retry-After if it
// may be good, and with 401 if its claims are invalid.
func TestUnknownKids(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{serve: goodSet()}
		a := newAuthenticator(t, remoteConfig(s, func(c *jwtauth.Config) { c.CacheEntries = -1 }))
		check(t, a, "valid", token(nil, nil), "")
		expired := token(object{"kid": "junk"}, object{"exp": time.Now().Unix() - 60, "iat": time.Now().Unix() - 120})
		h, start := serve(a), time.Now()
		for n := range 500 {
			time.Sleep(100 * time.Millisecond)
			fetches, age := s.count(), time.Since(start)
			want, fetched := jwtauth.ReasonKeyPending, 0
			if age%(10*time.Second) == 0 {
				want, fetched = jwtauth.ReasonKey, 1
			}
			check(t, a, fmt.Sprint("unknown kid after ", age), junk(n), want)
			check(t, a, "unknown kid, expired", expired, jwtauth.ReasonKey)
			check(t, a, "no key for the alg", token(object{"kid": nil, "alg": "ES384"}, nil), want)
			equal(t, fmt.Sprint("fetches after ", age), s.count()-fetches, fetched)
			if fetched == 1 {
				continue
			}
			if _, err := a.Verify(t.Context(), junk(n)); rejected(t, err).Level != slog.LevelWarn {
				t.Fatalf("level of an unknown kid = %v, want %v", rejected(t, err).Level, slog.LevelWarn)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, get(junk(n)))
			retry := int((10*time.Second - age%(10*time.Second)) / time.Second)
			if got, _ := strconv.Atoi(w.Header().Get("Retry-After")); w.Code != http.StatusServiceUnavailable || got < max(1, retry) || got > retry+1 {
				t.Fatalf("after %v: status %d, Retry-After %d, want 503, %d", age, w.Code, got, retry)
			}
		}

		time.Sleep(time.Minute)
		s.set(hanging)
		start = time.Now()
		var waiting sync.WaitGroup
		waiting.Go(func() { check(t, a, "unknown kid, fetch hangs", junk(0), jwtauth.ReasonKeysUnavailable) })
		synctest.Wait()
		check(t, a, "valid while a fetch hangs", token(nil, object{"jti": "token-2"}), "")
		equal(t, "wait of the valid token for the fetch", time.Since(start), 0)
		waiting.Wait()
		equal(t, "wait of the token with an unknown kid", time.Since(start), 5*time.Second)
		// After a failed fetch it is unknown whether the issuer has the kid.
		check(t, a, "unknown kid after a failed fetch", junk(1), jwtauth.ReasonKeysUnavailable)
		// The failed fetch does not bring the next refresh forward.
		fetches := s.count()
		time.Sleep(time.Minute)
		check(t, a, "valid a minute after a failed fetch", token(nil, nil), "")
		synctest.Wait()
		equal(t, "fetches before the refresh is due", s.count()-fetches, 0)
	})
}

// A request whose fetch began before it cannot know whether the issuer has the kid by
// now, and waits for another fetch or gets 503.
func TestUnknownKidDuringFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthenticator(t, remoteConfig(&keyServer{serve: func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(3 * time.Second)
			goodSet()(w, r)
		}}))
		for range 2 { // without a set, and with one
			var requests sync.WaitGroup
			requests.Go(func() { check(t, a, "starts the fetch", junk(0), jwtauth.ReasonKey) })
			time.Sleep(time.Second)
			requests.Go(func() { check(t, a, "joins the fetch", junk(1), jwtauth.ReasonKeyPending) })
			requests.Wait()
			time.Sleep(10 * time.Second) // MinInterval
		}
	})
}

// At most 1,000 requests wait for a slow key set. A caller that hangs up is not a
// failure of the key set.
func TestWaitingRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthenticator(t, remoteConfig(&keyServer{serve: hanging}))
		ctx, hangUp := context.WithCancel(t.Context())
		valid := token(nil, nil)
		verify := func(want gatehouse.Reason, wait time.Duration) {
			start := time.Now()
			_, err := a.Verify(ctx, valid)
			if e := rejected(t, err); e.Reason != want || e.RetryAfter < time.Second || time.Since(start) != wait {
				t.Errorf("Verify = %v, RetryAfter %v, after %v, want %s after %v", err, e.RetryAfter, time.Since(start), want, wait)
			}
		}
		var requests sync.WaitGroup
		for range 1000 {
			requests.Go(func() { verify(jwtauth.ReasonCanceled, time.Second) })
		}
		synctest.Wait()
		verify(jwtauth.ReasonKeysUnavailable, 0)
		time.Sleep(time.Second)
		hangUp()
		requests.Wait()
	})
}

// A failed fetch doubles the interval to the next one, up to a minute, or to Refresh if that
// is less and to MinInterval if that is more. A success resets it. The server may ask for a
// longer one. The interval counts from the start of the fetch.
func TestBackoff(t *testing.T) {
	retry := func(status int, seconds string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", seconds)
			w.WriteHeader(status)
		}
	}
	type phase struct {
		answer http.HandlerFunc
		until  int   // seconds after the start
		want   []int // the seconds of the fetches
	}
	for name, test := range map[string]struct {
		limits jwtauth.KeySets
		phases []phase
	}{
		"defaults": {jwtauth.KeySets{}, []phase{
			{serverError, 255, []int{0, 10, 30, 70, 130, 190, 250}},
			{goodSet(), 320, []int{310}},
			{down, 920, []int{610, 620, 640, 680, 740, 800, 860}}, // five minutes after the last good one
			{goodSet(), 980, []int{920}},
			{retry(http.StatusTooManyRequests, "45"), 1280, []int{1220, 1265}},
			{retry(http.StatusTooManyRequests, "3600"), 1380, []int{1310, 1370}},
		}},
		"slow failure": {jwtauth.KeySets{}, []phase{
			{func(w http.ResponseWriter, r *http.Request) { time.Sleep(4 * time.Second); serverError(w, r) }, 13, []int{0, 10}},
		}},
		"Refresh of 25 s":      {jwtauth.KeySets{Refresh: 25 * time.Second}, []phase{{serverError, 81, []int{0, 10, 30, 55, 80}}}},
		"Refresh of 5 s":       {jwtauth.KeySets{Refresh: 5 * time.Second}, []phase{{retry(500, "3"), 16, []int{0, 5, 10, 15}}}},
		"MinInterval of 110 s": {jwtauth.KeySets{MinInterval: 110 * time.Second}, []phase{{retry(500, "3"), 221, []int{0, 110, 220}}}},
	} {
		synctest.Test(t, func(t *testing.T) {
			start, s := time.Now(), new(keyServer)
			a := newAuthenticator(t, remoteConfig(s, func(c *jwtauth.Config) { c.KeySets = test.limits }))
			for _, phase := range test.phases {
				var fetches []int
				s.set(func(w http.ResponseWriter, r *http.Request) {
					fetches = append(fetches, int(time.Since(start)/time.Second))
					phase.answer(w, r)
				})
				for time.Since(start) < time.Duration(phase.until)*time.Second {
					reason(t, a, token(nil, nil))
					time.Sleep(time.Second)
					synctest.Wait()
				}
				equal(t, fmt.Sprintf("%s: fetches until second %d", name, phase.until), fetches, phase.want)
			}
		})
	}
}

// While the issuer does not answer, requests use the old set and do not wait for the
// fetches, which time out.
func TestOutageDelaysNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{serve: goodSet()}
		a := newAuthenticator(t, remoteConfig(s))
		check(t, a, "before the outage", token(nil, nil), "")
		s.set(hanging)
		start := time.Now()
		for range 1200 {
			check(t, a, "during the outage", token(nil, nil), "")
			time.Sleep(time.Second)
		}
		equal(t, "time of the requests", time.Since(start), 1200*time.Second)
	})
}

// A slow observer delays neither a request nor a fetch, and Close for 5 s only. It gets
// the events in order.
func TestSlowObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{serve: keySet(ecJWK("k1", keyFor(jwtauth.ES256)), "{}", "{}")} // two keys are dropped, with an event each
		var causes []string
		a := newAuthenticator(t, remoteConfig(s, func(c *jwtauth.Config) {
			c.Observer = gatehouse.ObserverFunc(func(ctx context.Context, e gatehouse.Event) error {
				causes = append(causes, e.Cause.Error())
				<-ctx.Done()
				return ctx.Err()
			})
		}))
		start := time.Now()
		for n := range 500 { // more events than are kept
			time.Sleep(10 * time.Second)
			check(t, a, "unknown kid", junk(n), jwtauth.ReasonKey)
			check(t, a, "valid", token(nil, nil), "")
		}
		equal(t, "fetches", s.count(), 500)
		equal(t, "time of the requests", time.Since(start), 5000*time.Second)
		start = time.Now()
		noError(t, a.Close())
		equal(t, "time of Close", time.Since(start), 5*time.Second)
		equal(t, "events that were kept", len(causes), 257)
		for n, cause := range causes {
			if want := fmt.Sprintf("key %d ", 1+n%2); !strings.HasPrefix(cause, want) {
				t.Fatalf("event %d has the cause %s, want that of %s", n, cause, want)
			}
		}
	})
}

// A new key is accepted after at most MinInterval, whatever other tokens come in.
func TestNewKeyIsFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{serve: goodSet()}
		a := newAuthenticator(t, remoteConfig(s))
		reason(t, a, junk(0))
		s.set(keySet(ecJWK("k1", keyFor(jwtauth.ES256)), ecJWK("k2", keyFor(jwtauth.ES384))))
		eventually(t, a, keyFor(jwtauth.ES384).token(object{"kid": "k2"}, nil))
	})
}

// A new set can help a token only if this one has no key with its kid.
func TestKeyOfAnotherAlgorithm(t *testing.T) {
	unnamed := strings.Replace(ecJWK("", keyFor(jwtauth.ES256)), `"kid":"",`, "", 1)
	for _, test := range []struct {
		name string
		kid  any
		want gatehouse.Reason
	}{
		{"kid of another algorithm", "k1", jwtauth.ReasonKey},
		{"unknown kid", "k3", jwtauth.ReasonKeyPending},
		{"beginning of a kid", "k", jwtauth.ReasonKeyPending},
		{"no kid", nil, jwtauth.ReasonKeyPending},
	} {
		a := newAuthenticator(t, remoteConfig(&keyServer{serve: keySet(ecJWK("k1", keyFor(jwtauth.ES256)), unnamed, ecJWK("k2", keyFor(jwtauth.ES512)))}))
		check(t, a, "valid", token(nil, nil), "")
		check(t, a, test.name, keyFor(jwtauth.ES384).token(object{"kid": test.kid}, nil), test.want)
	}
}

// A key that the refreshed set lacks or replaces verifies no token, cached tokens
// included. Tokens of the other keys remain valid and, if no key was withdrawn,
// cached.
func TestWithdrawnKey(t *testing.T) {
	kept := ecJWK("kept", keyFor(jwtauth.ES384))
	old := rsaJWK("k1", &rsaKey().PublicKey, `,"alg":"RS256"`)
	other := must(rsa.GenerateKey(rand.Reader, 2048))
	for _, test := range []struct {
		name, next string
		want       gatehouse.Reason
	}{
		{"the same key", old, ""},
		{"another key", rsaJWK("k1", &other.PublicKey), jwtauth.ReasonSignature},
		{"another key for the algorithm", rsaJWK("k1", &other.PublicKey, `,"alg":"RS256"`), jwtauth.ReasonSignature},
		{"another kid", rsaJWK("k2", &rsaKey().PublicKey), jwtauth.ReasonKey},
		{"a beginning of the kid", rsaJWK("k", &rsaKey().PublicKey, `,"alg":"RS256"`), jwtauth.ReasonKey},
		{"another algorithm", rsaJWK("k1", &rsaKey().PublicKey, `,"alg":"PS256"`), jwtauth.ReasonKey},
		{"another kind", ecJWK("k1", keyFor(jwtauth.ES256)), jwtauth.ReasonKey},
		{"no key", "", jwtauth.ReasonKey},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &keyServer{serve: keySet(kept, old)}
			verified := 0
			a := newAuthenticator(t, remoteConfig(s, func(c *jwtauth.Config) {
				c.Issuers[0].Principal = func(_ gatehouse.Claims, p gatehouse.Principal) (gatehouse.Principal, error) {
					verified++
					return p, nil
				}
			}))
			hour := object{"exp": time.Now().Unix() + 3600}
			oldToken, keptToken := keyFor(jwtauth.RS256).token(nil, hour), keyFor(jwtauth.ES384).token(object{"kid": "kept"}, hour)
			check(t, a, test.name, oldToken, "")
			check(t, a, test.name, keptToken, "")
			if test.next == "" {
				s.set(keySet(kept))
			} else {
				s.set(keySet(test.next, kept))
			}
			for range 2 {
				time.Sleep(5 * time.Minute)
				reason(t, a, keptToken) // starts the refresh and does not wait for it
				synctest.Wait()
			}
			hits := a.Stats().CacheHits
			check(t, a, test.name+": old token", oldToken, test.want)
			check(t, a, test.name+": old token, again", oldToken, test.want)
			if test.want != "" {
				equal(t, test.name+": cache hits", a.Stats().CacheHits-hits, 1) // the one that has found the key withdrawn
			}
			check(t, a, test.name+": token of the kept key", keptToken, "")
			want := 3 // the kept token is verified again
			if test.want == "" {
				want = 2
			}
			equal(t, test.name+": verifications", verified, want)
		})
	}
}

// While the issuer is unavailable the last set is used up to MaxStale, and not for a
// nanosecond more.
func TestStaleSet(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{
		"down": down, "hanging": hanging, "5xx": serverError, "not a set": document(`{"keys":null}`),
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &keyServer{serve: goodSet()}
			a := newAuthenticator(t, remoteConfig(s, func(c *jwtauth.Config) { c.Issuers[0].MaxLifetime = 7 * 24 * time.Hour }))
			cached, begun := token(nil, object{"exp": time.Now().Unix() + 7*24*3600}), time.Now()
			check(t, a, name, cached, "")
			s.set(fault)
			for range 23 {
				time.Sleep(time.Hour)
				start := time.Now()
				check(t, a, name+", new token", token(nil, nil), "")
				check(t, a, name+", cached token", cached, "")
				if took := time.Since(start); took != 0 && (name != "hanging" || took != 5*time.Second) {
					t.Errorf("%s: the tokens waited %v, want 0, or 5 s for the first fetch in an hour", name, took)
				}
			}
			time.Sleep(24*time.Hour - time.Since(begun))
			if name != "hanging" {
				check(t, a, name+", new token at MaxStale", token(nil, nil), "")
				noError(t, a.Ready(t.Context()))
			}
			time.Sleep(time.Nanosecond)
			unavailable(t, a, name+", new token after MaxStale", token(nil, nil), "older than KeySets.MaxStale\njwtauth: the last fetch of the key set failed: ")
			check(t, a, name+", cached token after MaxStale", cached, jwtauth.ReasonKeysUnavailable)
			if err := a.Ready(t.Context()); err == nil {
				t.Errorf("%s: Ready after MaxStale = nil, want an error", name)
			}
			s.set(goodSet())
			time.Sleep(time.Minute)
			check(t, a, name+", after the return", cached, "")
		})
	}
}

// A redirect of the key set is followed within the origin of its address only.
func TestRedirects(t *testing.T) {
	for to, want := range map[string]gatehouse.Reason{"/moved": "", "https://evil.example.com/moved": jwtauth.ReasonKeysUnavailable} {
		s := &keyServer{serve: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/moved" {
				goodSet()(w, r)
				return
			}
			http.Redirect(w, r, to, http.StatusFound)
		}}
		check(t, newAuthenticator(t, remoteConfig(s)), "redirect to "+to, token(nil, nil), want)
	}
}

// A request that ends does not cancel the fetch for the others.
func TestFetchSurvivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthenticator(t, remoteConfig(&keyServer{serve: func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(3 * time.Second)
			goodSet()(w, r)
		}}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := a.Verify(ctx, token(nil, nil)) // starts the fetch
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != time.Second || rejected(t, err).Reason != jwtauth.ReasonKeysUnavailable {
			t.Errorf("Verify with a deadline of 1 s = %v after %v, want %s after 1 s", err, took, jwtauth.ReasonKeysUnavailable)
		}
		check(t, a, "other request", token(nil, nil), "")
		time.Sleep(time.Minute)
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		if _, err := a.Verify(ctx, junk(0)); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("Verify of an unknown kid with a deadline of 1 s = %v after %v, want %v after 1 s", err, time.Since(start), context.DeadlineExceeded)
		}
	})
}

func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{serve: hanging}
		a := newAuthenticator(t, remoteConfig(s, twoIssuers))
		equal(t, "requests of New", s.count(), 0)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := a.Ready(ctx); err == nil || time.Since(start) != 100*time.Millisecond {
			t.Errorf("Ready with a deadline of 100 ms = %v after %v, want an error after 100 ms", err, time.Since(start))
		}
		if got := fmt.Sprint(a.Ready(t.Context())); !strings.Contains(got, "issuer "+issuerURL) || !strings.Contains(got, "issuer "+otherURL) {
			t.Errorf("Ready without keys = %s, want an error that names %s and %s", got, issuerURL, otherURL)
		}
		s.set(goodSet())
		time.Sleep(10 * time.Second)
		if err := errors.Join(a.Ready(t.Context()), newAuthenticator(t, config()).Ready(t.Context())); err != nil {
			t.Errorf("Ready with remote and with static keys = %v, want nil", err)
		}
		for range 8 {
			if sets := a.Stats().KeySets; len(sets) != 2 || sets[0].Issuer != issuerURL || sets[1].Issuer != otherURL {
				t.Fatalf("KeySets = %v, want those of %s and %s", sets, issuerURL, otherURL)
			}
		}
	})
}

// Close cancels the running fetches and waits for them: a goroutine that is left in
// the bubble fails the test.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := remoteConfig(&keyServer{serve: hanging}, twoIssuers)
		for _, closed := range []interface {
			Ready(context.Context) error
			Close() error
		}{must(jwtauth.New(c)), must(jwtauth.NewVerifier(jwtauth.VerifierConfig{Issuer: c.Issuers[0], Transport: c.Transport}))} {
			start := time.Now()
			time.AfterFunc(time.Second, func() { noError(t, closed.Close()) })
			if err := closed.Ready(t.Context()); err == nil || time.Since(start) != time.Second {
				t.Errorf("Ready of a %T that is closed = %v after %v, want an error after 1 s", closed, err, time.Since(start))
			}
		}
		s := &keyServer{serve: hanging}
		observer, causes := observe(t, jwtauth.EventFetchFailed)
		a := newAuthenticator(t, remoteConfig(s, observer))
		var waiting sync.WaitGroup
		waiting.Go(func() { check(t, a, "during Close", token(nil, nil), jwtauth.ReasonKeysUnavailable) })
		synctest.Wait()
		start := time.Now()
		err := a.Close()
		waiting.Wait()
		if took := time.Since(start); err != nil || took != 0 {
			t.Errorf("Close = %v after %v, want nil at once", err, took)
		}
		equal(t, "events of canceled fetches", len(causes()), 1)
		time.Sleep(time.Minute)
		check(t, a, "after Close", token(nil, nil), jwtauth.ReasonKeysUnavailable)
		equal(t, "fetches after Close", s.count(), 1)
		a = newAuthenticator(t, remoteConfig(&keyServer{serve: goodSet()}))
		check(t, a, "before Close", token(nil, nil), "")
		noError(t, a.Close())
		time.Sleep(time.Minute)
		check(t, a, "unknown kid after Close", junk(0), jwtauth.ReasonKeysUnavailable)
	})
}

// The event and the error of a failed fetch name the address once and the cause.
func TestFetchFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for cause, fault := range map[string]http.HandlerFunc{"HTTP status 500": serverError, "unexpected EOF": down} {
			observer, causes := observe(t, jwtauth.EventFetchFailed)
			a := newAuthenticator(t, remoteConfig(&keyServer{serve: fault}, observer))
			_, err := a.Verify(t.Context(), token(nil, nil))
			synctest.Wait()
			time.Sleep(10 * time.Second) // MinInterval
			reason(t, a, token(nil, nil))
			synctest.Wait()
			want := "GET " + issuerURL + "/jwks.json: " + cause
			if e := rejected(t, err); e.Issuer != issuerURL || !strings.HasSuffix(e.Cause.Error(), ": "+want) || strings.Count(e.Cause.Error(), issuerURL) != 1 {
				t.Errorf("Verify error has issuer %q, cause %v, want %q, %q at the end", e.Issuer, e.Cause, issuerURL, want)
			}
			equal(t, "causes of the events", causes(), []string{want, want})
		}
	})
}
