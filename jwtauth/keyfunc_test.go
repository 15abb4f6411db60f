// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// keyStorage is a storage of a keyfunc that records the kids that KeyRead gets.
type keyStorage struct {
	jwkset.Storage
	read   []string
	found  func(context.Context) // called by KeyRead
	err    error                 // of KeyReadAll
	panics bool                  // in KeyReadAll
	slow   bool                  // takes a second to return what KeyReadAll has read
}

func (s *keyStorage) KeyRead(ctx context.Context, kid string) (jwkset.JWK, error) {
	s.read = append(s.read, kid)
	if s.found != nil {
		s.found(ctx)
	}
	return s.Storage.KeyRead(ctx, kid)
}

func (s *keyStorage) KeyReadAll(ctx context.Context) ([]jwkset.JWK, error) {
	switch {
	case s.panics:
		panic("storage")
	case s.err != nil:
		return nil, s.err
	}
	all, err := s.Storage.KeyReadAll(ctx)
	if s.slow {
		time.Sleep(time.Second)
	}
	return all, err
}

func (s *keyStorage) write(t *testing.T, a jwtauth.Algorithm, metadata jwkset.JWKMetadataOptions) {
	t.Helper()
	noError(t, s.KeyWrite(t.Context(), must(jwkset.NewJWKFromKey(keyFor(a).public, jwkset.JWKOptions{Metadata: metadata}))))
}

func newKeyfunc(t *testing.T, change ...func(*jwtauth.Config)) (*jwtauth.Authenticator, *keyStorage) {
	storage := &keyStorage{Storage: jwkset.NewMemoryStorage()}
	return newAuthenticator(t, remoteConfig(nil, append(change, func(c *jwtauth.Config) {
		c.Transport = nil
		c.Issuers[0].Keys = jwtauth.Keyfunc(must(keyfunc.New(keyfunc.Options{Storage: storage})))
	})...)), storage
}

func TestKeyfunc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dropped := make(map[string]bool)
		a, storage := newKeyfunc(t, func(c *jwtauth.Config) {
			c.Observer = gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
				_, what, _ := strings.Cut(fmt.Sprint(e.Cause), "key ")
				dropped[what] = e.Type == jwtauth.EventKeyDropped
				return nil
			})
		})
		storage.panics = true
		unavailable(t, a, "storage panics", token(nil, nil), "the call ended without a result: storage")
		unavailable(t, a, "no fetch was completed", token(nil, nil), "the fetch ended without a result")
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
		storage.write(t, jwtauth.RS256, jwkset.JWKMetadataOptions{KID: "alg", ALG: jwkset.AlgPS256})
		time.Sleep(time.Second)
		for kid, want := range map[string]gatehouse.Reason{
			"k1": "", "sig": "", "verify": "", "enc": jwtauth.ReasonKey, "sign": jwtauth.ReasonKey, "other": jwtauth.ReasonKey,
		} {
			time.Sleep(10 * time.Second) // MinInterval
			check(t, a, kid, token(object{"kid": kid}, nil), want)
		}
		check(t, a, "alg of the key", keyFor(jwtauth.PS256).token(object{"kid": "alg"}, nil), "")
		check(t, a, "another alg", keyFor(jwtauth.RS256).token(object{"kid": "alg"}, nil), jwtauth.ReasonKey)
		storage.write(t, jwtauth.ES384, jwkset.JWKMetadataOptions{KID: "k2"})
		if _, err := storage.KeyDelete(t.Context(), "k1"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		check(t, a, "deleted key", token(nil, nil), jwtauth.ReasonKey)
		noError(t, a.Close()) // waits for the events
		for n := range 2 {
			if want := fmt.Sprint(n, " is not for verifying signatures"); !dropped[want] {
				t.Errorf("events of dropped keys: %v, want one of key %s", dropped, want)
			}
		}
	})
}

// KeyRead makes the storage look for a new key, at most once in each MinInterval, and
// delays no other token. A storage that fails is unavailable.
func TestKeyfuncLooksForUnknownKid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, storage := newKeyfunc(t)
		storage.write(t, jwtauth.ES256, jwkset.JWKMetadataOptions{KID: "k0"})
		valid := token(object{"kid": "k0"}, nil)
		check(t, a, "k0", valid, "")
		time.Sleep(time.Second)
		check(t, a, "k1", token(object{"kid": "k1"}, nil), jwtauth.ReasonKey)
		time.Sleep(time.Second)
		_, err := a.Verify(t.Context(), token(object{"kid": "k2"}, nil))
		if e := rejected(t, err); e.Reason != jwtauth.ReasonKeyPending || e.RetryAfter != 9*time.Second {
			t.Errorf("k2: Verify = %v, RetryAfter %v, want %s, 9s", err, e.RetryAfter, jwtauth.ReasonKeyPending)
		}
		time.Sleep(9 * time.Second)
		storage.found = func(context.Context) { storage.write(t, jwtauth.ES384, jwkset.JWKMetadataOptions{KID: "k3"}) }
		check(t, a, "k3, which the lookup finds", keyFor(jwtauth.ES384).token(object{"kid": "k3"}, nil), "")
		equal(t, "kids that KeyRead got", storage.read, []string{"k1", "k3"})

		time.Sleep(10 * time.Second)
		storage.found = func(ctx context.Context) { <-ctx.Done() }
		var waiting sync.WaitGroup
		start := time.Now()
		waiting.Go(func() { reason(t, a, junk(0)) })
		for range 30 {
			time.Sleep(100 * time.Millisecond)
			check(t, a, "valid during a slow lookup", valid, "")
			check(t, a, "unknown kid during a slow lookup", junk(1), jwtauth.ReasonKeyPending)
		}
		equal(t, "time of the other requests", time.Since(start), 3*time.Second)
		waiting.Wait()
		equal(t, "time of the slow lookup", time.Since(start), 5*time.Second)

		time.Sleep(10 * time.Second)
		storage.found = func(context.Context) {
			time.Sleep(time.Second)
			storage.err = errors.New("broken")
		}
		unavailable(t, a, "unknown kid, broken after the lookup", junk(2), "read the keyfunc's storage: broken")
		time.Sleep(25 * time.Hour)
		unavailable(t, a, "broken storage", token(nil, nil), "read the keyfunc's storage: broken")
	})
}

// A read that began before the lookup has found the key is not the one to wait for.
func TestKeyfuncReadsAfterTheLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, storage := newKeyfunc(t)
		storage.write(t, jwtauth.ES256, jwkset.JWKMetadataOptions{KID: "k0"})
		check(t, a, "k0", token(object{"kid": "k0"}, nil), "")
		time.Sleep(5*time.Minute - time.Second) // the next read is due in a second
		storage.slow = true
		storage.found = func(context.Context) {
			time.Sleep(time.Second)
			go func() { reason(t, a, token(object{"kid": "k0"}, object{"jti": "token-2"})) }()
			synctest.Wait() // the read has begun
			storage.write(t, jwtauth.ES384, jwkset.JWKMetadataOptions{KID: "k1"})
		}
		check(t, a, "k1, which the lookup finds during the read", keyFor(jwtauth.ES384).token(object{"kid": "k1"}, nil), "")
	})
}

// A lookup that takes too long is an error, and no request waits for that of another. Close
// ends it.
func TestKeyfuncSlowLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, storage := newKeyfunc(t, func(c *jwtauth.Config) {
			c.KeySets.MinInterval, c.KeySets.FetchTimeout = time.Second, 10*time.Second
		})
		storage.write(t, jwtauth.ES256, jwkset.JWKMetadataOptions{KID: "k0"})
		check(t, a, "k0", token(object{"kid": "k0"}, nil), "")
		storage.found = func(ctx context.Context) { <-ctx.Done() }
		for _, end := range []time.Duration{10 * time.Second, 5 * time.Second} {
			start := time.Now()
			var waiting sync.WaitGroup
			waiting.Go(func() { check(t, a, "k1", token(object{"kid": "k1"}, nil), jwtauth.ReasonKeysUnavailable) })
			time.Sleep(2 * time.Second)
			check(t, a, "k2 during the lookup of k1", token(object{"kid": "k2"}, nil), jwtauth.ReasonKeyPending)
			equal(t, "time until the answer for k2", time.Since(start), 2*time.Second)
			if end < 10*time.Second {
				time.AfterFunc(end-2*time.Second, func() { noError(t, a.Close()) })
			}
			waiting.Wait()
			equal(t, "time of the lookup", time.Since(start), end)
		}
		check(t, a, "k3 after Close", token(object{"kid": "k3"}, nil), jwtauth.ReasonKeysUnavailable)
		a, storage = newKeyfunc(t)
		storage.write(t, jwtauth.ES256, jwkset.JWKMetadataOptions{KID: "k0"})
		check(t, a, "k0", token(object{"kid": "k0"}, nil), "")
		noError(t, a.Close())
		check(t, a, "k1 after Close, keys just read", token(object{"kid": "k1"}, nil), jwtauth.ReasonKeysUnavailable)
	})
}
