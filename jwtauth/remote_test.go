// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
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
		equal(t, "fetches after one valid token", s.count(), 1)
	})
}

// Unknown kids cause one fetch in each MinInterval, and never delay a valid token.
func TestUnknownKids(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{serve: goodSet()}
		a := newAuthenticator(t, remoteConfig(s, func(c *jwtauth.Config) { c.CacheEntries = -1 }))
		check(t, a, "valid", token(nil, nil), "")
		start := time.Now()
		for n := range 1000 {
			check(t, a, "unknown kid", junk(n), jwtauth.ReasonKey)
			time.Sleep(100 * time.Millisecond)
		}
		if n, most := s.count(), int(time.Since(start)/(10*time.Second))+1; n > most {
			t.Errorf("%d fetches in %v, want at most %d", n, time.Since(start), most)
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
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("the token with an unknown kid waited %v, want at most 6 s", took)
		}
		// After a failed fetch it is unknown whether the issuer has the kid.
		check(t, a, "unknown kid after a failed fetch", junk(1), jwtauth.ReasonKeysUnavailable)
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

// A key that the refreshed set lacks or replaces verifies no token, cached tokens
// included. Tokens of the other keys remain valid and, if no key was withdrawn,
// cached.
func TestWithdrawnKey(t *testing.T) {
	kept := ecJWK("kept", keyFor(jwtauth.ES384))
	old := rsaJWK("k1", &rsaKey().PublicKey)
	other := must(rsa.GenerateKey(rand.Reader, 2048))
	for _, test := range []struct {
		name, next string
		want       gatehouse.Reason
	}{
		{"the same key", old, ""},
		{"another key", rsaJWK("k1", &other.PublicKey), jwtauth.ReasonSignature},
		{"another kid", rsaJWK("k2", &rsaKey().PublicKey), jwtauth.ReasonKey},
		{"another algorithm", rsaJWK("k1", &rsaKey().PublicKey, `,"alg":"PS256"`), jwtauth.ReasonKey},
		{"another kind", ecJWK("k1", keyFor(jwtauth.ES256)), jwtauth.ReasonKey},
		{"no key", "", jwtauth.ReasonKey},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &keyServer{serve: keySet(old, kept)}
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
			time.Sleep(5 * time.Minute)
			reason(t, a, keptToken) // starts the refresh and does not wait for it
			synctest.Wait()
			check(t, a, test.name+": old token", oldToken, test.want)
			check(t, a, test.name+": token of the kept key", keptToken, "")
			want := 3 // the kept token is verified again
			if test.want == "" {
				want = 2
			}
			equal(t, test.name+": verifications", verified, want)
		})
	}
}

// While the issuer is unavailable the last set is used up to MaxStale.
func TestStaleSet(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{
		"down": down, "hanging": hanging, "5xx": serverError, "empty set": keySet(), "not a set": document(`{"keys":null}`),
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &keyServer{serve: goodSet()}
			a := newAuthenticator(t, remoteConfig(s, func(c *jwtauth.Config) { c.Issuers[0].MaxLifetime = 7 * 24 * time.Hour }))
			cached := token(nil, object{"exp": time.Now().Unix() + 7*24*3600})
			check(t, a, name, cached, "")
			s.set(fault)
			for range 23 {
				time.Sleep(time.Hour)
				start := time.Now()
				check(t, a, name+", new token", token(nil, nil), "")
				check(t, a, name+", cached token", cached, "")
				equal(t, name+": wait of the tokens", time.Since(start), 0)
			}
			time.Sleep(time.Hour + time.Second)
			check(t, a, name+", new token after MaxStale", token(nil, nil), jwtauth.ReasonKeysUnavailable)
			check(t, a, name+", cached token after MaxStale", cached, jwtauth.ReasonKeysUnavailable)
			s.set(goodSet())
			time.Sleep(15 * time.Second)
			check(t, a, name+", after the return", cached, "")
		})
	}
}

// Redirects are followed within the origin only: package fetch has the policy.
func TestRedirects(t *testing.T) {
	for to, want := range map[string]gatehouse.Reason{
		"/moved": "", "https://evil.example.com/moved": jwtauth.ReasonKeysUnavailable, "/jwks.json": jwtauth.ReasonKeysUnavailable,
		"http://169.254.169.254/latest/meta-data/../moved/": jwtauth.ReasonKeysUnavailable,
	} {
		s := &keyServer{serve: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/moved" {
				goodSet()(w, r)
				return
			}
			http.Redirect(w, r, to, http.StatusFound)
		}}
		check(t, newAuthenticator(t, remoteConfig(s)), "redirect to "+to, token(nil, nil), want)
		if n := s.count(); n > 4 {
			t.Errorf("redirect to %s: %d requests, want at most 4", to, n)
		}
	}
}

// A set whose body is cut is not used, even if the part is valid.
func TestCutBody(t *testing.T) {
	a := newAuthenticator(t, remoteConfig(nil, func(c *jwtauth.Config) {
		c.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			response, err := respond(goodSet(), r)
			response.Body = io.NopCloser(io.MultiReader(response.Body, iotest.ErrReader(io.ErrUnexpectedEOF)))
			return response, err
		})
	}))
	check(t, a, "cut body", token(nil, nil), jwtauth.ReasonKeysUnavailable)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

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
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != time.Second {
			t.Errorf("Verify with a deadline of 1 s = %v after %v, want %v after 1 s", err, took, context.DeadlineExceeded)
		}
		check(t, a, "other request", token(nil, nil), "")
	})
}

func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{serve: hanging}
		a := newAuthenticator(t, remoteConfig(s))
		equal(t, "requests of New", s.count(), 0)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := a.Ready(ctx); err == nil || time.Since(start) != 100*time.Millisecond {
			t.Errorf("Ready with a deadline of 100 ms = %v after %v, want an error after 100 ms", err, time.Since(start))
		}
		if err := a.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "issuer "+issuerURL) {
			t.Errorf("Ready without keys = %v, want an error that names %s", err, issuerURL)
		}
		s.set(goodSet())
		time.Sleep(10 * time.Second)
		if err := errors.Join(a.Ready(t.Context()), newAuthenticator(t, config()).Ready(t.Context())); err != nil {
			t.Errorf("Ready with remote and with static keys = %v, want nil", err)
		}
	})
}

// Close cancels the running fetch and waits for it: a goroutine that is left in
// the bubble fails the test.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{serve: hanging}
		a := newAuthenticator(t, remoteConfig(s))
		var waiting sync.WaitGroup
		waiting.Go(func() { check(t, a, "during Close", token(nil, nil), jwtauth.ReasonKeysUnavailable) })
		synctest.Wait()
		start := time.Now()
		err := a.Close()
		waiting.Wait()
		if took := time.Since(start); err != nil || took != 0 {
			t.Errorf("Close = %v after %v, want nil at once", err, took)
		}
		time.Sleep(time.Minute)
		check(t, a, "after Close", token(nil, nil), jwtauth.ReasonKeysUnavailable)
		equal(t, "fetches after Close", s.count(), 1)
	})
}

// The event and the error of a failed fetch name the address once and the cause.
func TestFetchFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for cause, fault := range map[string]http.HandlerFunc{"HTTP status 500": serverError, "unexpected EOF": down} {
			observer, causes := observe(t, jwtauth.EventFetchFailed)
			a := newAuthenticator(t, remoteConfig(&keyServer{serve: fault}, observer))
			_, err := a.Verify(t.Context(), token(nil, nil))
			want := "GET " + issuerURL + "/jwks.json: " + cause
			if e := rejected(t, err); e.Issuer != issuerURL || !strings.HasSuffix(e.Cause.Error(), ": "+want) || strings.Count(e.Cause.Error(), issuerURL) != 1 {
				t.Errorf("Verify error has issuer %q, cause %v, want %q, %q at the end", e.Issuer, e.Cause, issuerURL, want)
			}
			if got := causes(); !slices.Equal(got, []string{want}) {
				t.Errorf("causes of the events = %q, want %q", got, want)
			}
		}
	})
}

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
		{"another issuer", issuerURL, pages(openid, metadata("https://evil.example.com", issuerURL+"/keys")), "names another issuer"},
		{"issuer with a slash", issuerURL, pages(openid, metadata(issuerURL+"/", issuerURL+"/keys")), "names another issuer"},
		{"no issuer", issuerURL, pages(openid, `{"jwks_uri":"`+issuerURL+`/keys"}`), "has no issuer"},
		{"issuer is a number", issuerURL, pages(openid, `{"issuer":1,"jwks_uri":"`+issuerURL+`/keys"}`), "has no issuer"},
		{"no jwks_uri", issuerURL, pages(openid, `{"issuer":"`+issuerURL+`"}`), "no jwks_uri"},
		{"http jwks_uri", issuerURL, pages(openid, metadata(issuerURL, "http://auth.example.com/keys")), "jwks_uri: plain http"},
		{"file jwks_uri", issuerURL, pages(openid, metadata(issuerURL, "file:///keys")), "jwks_uri: not an absolute URL"},
		{"names in caps", issuerURL, pages(openid, strings.ToUpper(valid)), "has no issuer"},
		{"not an object", issuerURL, pages(openid, "[]"), "has no issuer"},
		{"HTML", issuerURL, pages(openid, "<html>"), `Content-Type "text/html"`},
		{"nothing", issuerURL, nil, oauth + ": HTTP status 404"},
		{"OpenID fails, OAuth is not asked", issuerURL, map[string]string{openid: "500", oauth: valid}, openid + ": HTTP status 500"},
		{"OpenID moved, OAuth is not asked", issuerURL, map[string]string{openid: "304", oauth: valid}, openid + ": HTTP status 304"},
		{"no keys", issuerURL, pages(openid, metadata(issuerURL, issuerURL+"/none")), "/none: HTTP status 404"},
	} {
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
		if test.cause == "" {
			check(t, a, test.name, token(nil, object{"iss": test.issuer}), "")
			continue
		}
		unavailable(t, a, test.name, token(nil, object{"iss": test.issuer}), test.cause)
	}
}

// The metadata is fetched again after a failed fetch of the key set, and for an
// unknown kid.
func TestDiscoveryFollowsMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		address, metadata := "/keys-1", 0
		s := &keyServer{serve: func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/.well-known/openid-configuration":
				metadata++
				document(`{"issuer":"`+issuerURL+`","jwks_uri":"`+issuerURL+address+`"}`)(w, r)
			case address:
				goodSet()(w, r)
			default:
				http.NotFound(w, r)
			}
		}}
		a := newAuthenticator(t, remoteConfig(s, func(c *jwtauth.Config) { c.Issuers[0].Keys = jwtauth.Discover() }))
		for _, step := range []struct {
			name  string
			after time.Duration
			want  int
		}{
			{"first fetch", 0, 1},
			{"refresh at the same address", 6 * time.Minute, 1},
			{"refresh after a move fails", 6 * time.Minute, 1},
			{"fetch after the failure", time.Minute, 2},
		} {
			time.Sleep(step.after)
			check(t, a, step.name, token(nil, object{"jti": step.name}), "")
			synctest.Wait()
			equal(t, step.name+": fetches of the metadata", metadata, step.want)
			if step.name == "refresh at the same address" {
				address = "/keys-2"
			}
		}
		time.Sleep(time.Minute)
		check(t, a, "unknown kid", junk(1), jwtauth.ReasonKey)
		equal(t, "unknown kid: fetches of the metadata", metadata, 3)
	})
}

// keyStorage is a storage of a keyfunc that records the kids that KeyRead gets.
type keyStorage struct {
	jwkset.Storage
	read   []string
	err    error // of KeyReadAll
	panics bool  // in KeyReadAll
}

func (s *keyStorage) KeyRead(ctx context.Context, kid string) (jwkset.JWK, error) {
	s.read = append(s.read, kid)
	return s.Storage.KeyRead(ctx, kid)
}

func (s *keyStorage) KeyReadAll(ctx context.Context) ([]jwkset.JWK, error) {
	switch {
	case s.panics:
		panic("storage")
	case s.err != nil:
		return nil, s.err
	}
	return s.Storage.KeyReadAll(ctx)
}

func (s *keyStorage) write(t *testing.T, a jwtauth.Algorithm, metadata jwkset.JWKMetadataOptions) {
	t.Helper()
	noError(t, s.KeyWrite(t.Context(), must(jwkset.NewJWKFromKey(keyFor(a).public, jwkset.JWKOptions{Metadata: metadata}))))
}

func newKeyfunc(t *testing.T) (*jwtauth.Authenticator, *keyStorage) {
	storage := &keyStorage{Storage: jwkset.NewMemoryStorage()}
	return newAuthenticator(t, remoteConfig(nil, func(c *jwtauth.Config) {
		c.Transport = nil
		c.Issuers[0].Keys = jwtauth.Keyfunc(must(keyfunc.New(keyfunc.Options{Storage: storage})))
	})), storage
}

func TestKeyfunc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, storage := newKeyfunc(t)
		storage.panics = true
		check(t, a, "storage panics", token(nil, nil), jwtauth.ReasonKeysUnavailable)
		check(t, a, "no fetch was completed", token(nil, nil), jwtauth.ReasonKeysUnavailable)
		storage.panics = false
		check(t, a, "empty storage", token(nil, nil), jwtauth.ReasonKeysUnavailable)
		for _, metadata := range []jwkset.JWKMetadataOptions{
			{KID: "k1"},
			{KID: "enc", USE: jwkset.UseEnc},
			{KID: "sign", KEYOPS: []jwkset.KEYOPS{jwkset.KeyOpsSign}},
			{KID: "sig", USE: jwkset.UseSig},
			{KID: "verify", KEYOPS: []jwkset.KEYOPS{jwkset.KeyOpsSign, jwkset.KeyOpsVerify}},
		} {
			storage.write(t, jwtauth.ES256, metadata)
		}
		time.Sleep(time.Second)
		for kid, want := range map[string]gatehouse.Reason{
			"k1": "", "sig": "", "verify": "", "enc": jwtauth.ReasonKey, "sign": jwtauth.ReasonKey, "other": jwtauth.ReasonKey,
		} {
			check(t, a, kid, token(object{"kid": kid}, nil), want)
		}
		storage.write(t, jwtauth.ES384, jwkset.JWKMetadataOptions{KID: "k2"})
		if _, err := storage.KeyDelete(t.Context(), "k1"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		reason(t, a, token(nil, nil)) // starts the refresh
		synctest.Wait()
		check(t, a, "deleted key", token(nil, nil), jwtauth.ReasonKey)
	})
}

// KeyRead makes the storage look for a new key, at most once in each MinInterval.
// A storage that fails is unavailable.
func TestKeyfuncLooksForUnknownKid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, storage := newKeyfunc(t)
		storage.write(t, jwtauth.ES256, jwkset.JWKMetadataOptions{KID: "k0"})
		check(t, a, "k0", token(object{"kid": "k0"}, nil), "")
		for _, kid := range []string{"k1", "k2"} {
			time.Sleep(time.Second)
			check(t, a, kid, token(object{"kid": kid}, nil), jwtauth.ReasonKey)
		}
		if !slices.Equal(storage.read, []string{"k1"}) {
			t.Errorf("KeyRead was called for %q, want k1 only", storage.read)
		}
		storage.err = errors.New("broken")
		time.Sleep(time.Second)
		unavailable(t, a, "broken storage", token(nil, nil), "read the keyfunc's storage: broken")
	})
}
