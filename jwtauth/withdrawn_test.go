// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// changingKeys is a source of keys whose document a test replaces. bound is the
// documented time for which a withdrawn key verifies.
type changingKeys struct {
	bound time.Duration
	open  func(t *testing.T, c *jwtauth.Config) (replace func(document string))
}

var changing = map[string]changingKeys{
	"RemoteKeys": {305 * time.Second, func(_ *testing.T, c *jwtauth.Config) func(string) {
		return serveChanging(c, jwtauth.RemoteKeys(issuerURL+"/keys"))
	}},
	"Discover": {305 * time.Second, func(_ *testing.T, c *jwtauth.Config) func(string) {
		return serveChanging(c, jwtauth.Discover())
	}},
	"KeyFile": {305 * time.Second, func(t *testing.T, c *jwtauth.Config) func(string) {
		name := filepath.Join(t.TempDir(), "keys.json")
		c.Issuers[0].Keys = jwtauth.KeyFile(name)
		return func(document string) { noError(t, os.WriteFile(name, []byte(document), 0o600)) }
	}},
	"Keyfunc": {time.Second, func(t *testing.T, c *jwtauth.Config) func(string) {
		storage := jwkset.NewMemoryStorage()
		c.Issuers[0].Keys = jwtauth.Keyfunc(must(keyfunc.New(keyfunc.Options{Storage: storage})))
		return func(document string) {
			var set jwkset.JWKSMarshal
			noError(t, json.Unmarshal([]byte(document), &set))
			var keys []jwkset.JWK
			for _, k := range set.Keys {
				keys = append(keys, must(jwkset.NewJWKFromMarshal(k, jwkset.JWKMarshalOptions{Private: true}, jwkset.JWKValidateOptions{SkipAll: true})))
			}
			noError(t, storage.KeyReplaceAll(t.Context(), keys))
		}
	}},
}

// serveChanging serves the metadata, and the set after 4 s.
func serveChanging(c *jwtauth.Config, keys jwtauth.Keys) func(string) {
	s := new(keyServer)
	c.Transport, c.Issuers[0].Keys = s, keys
	return func(set string) {
		s.set(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/keys" {
				<-time.After(4 * time.Second)
				document(set)(w, r)
				return
			}
			document(`{"issuer":"`+issuerURL+`","jwks_uri":"`+issuerURL+`/keys"}`)(w, r)
		})
	}
}

// A withdrawn key verifies no longer than documented, new and cached tokens, whether
// the process is busy or idle, and whatever the new set has in its place. A document
// that is not a key set withdraws nothing.
func TestWithdrawnKeyBound(t *testing.T) {
	key := keyFor(jwtauth.ES256)
	set := func(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }
	for name, test := range map[string]struct {
		next     string
		left     bool // the new set has a usable key
		withdrew bool
	}{
		"another key":             {set(ecJWK("k2", key)), true, true},
		"only another algorithm":  {set(rsaJWK("k1", &rsaKey().PublicKey)), false, true},
		"only for encryption":     {set(ecJWK("k1", key, `,"use":"enc"`)), false, true},
		"no key":                  {set(), false, true},
		"private half":            {set(ecJWK("k1", key, `,"d":"`+b64(must(ecKey()[jwtauth.ES256].Bytes()))+`"`)), false, true},
		"not a set":               {"<html>", true, false},
		"null":                    {`{"keys":null}`, true, false},
		"too many keys for a set": {set(strings.Split(strings.Repeat("{},", 100)+"{}", ",")...), true, false},
	} {
		for source, keys := range changing {
			if !test.withdrew && source == "Keyfunc" {
				continue // the keyfunc reads the document
			}
			for _, step := range []time.Duration{keys.bound / 61, keys.bound} { // busy and idle
				t.Run(fmt.Sprint(source, "/", name, "/", step), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						var replace func(string)
						var events atomic.Int64
						a := newAuthenticator(t, config(func(c *jwtauth.Config) {
							replace = keys.open(t, c)
							replace(set(ecJWK("k1", key)))
							c.Observer = gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
								if e.Type == jwtauth.EventKeysWithdrawn {
									events.Add(1)
								}
								return nil
							})
						}))
						cached := token(nil, object{"exp": time.Now().Unix() + 3600})
						var first sync.WaitGroup
						first.Go(func() { check(t, a, "before", cached, "") })
						synctest.Wait()
						start := time.Now()
						replace(test.next) // while the old set is on its way
						first.Wait()
						for time.Since(start) < keys.bound {
							time.Sleep(min(step, keys.bound-time.Since(start)))
							age, want := time.Since(start), !test.withdrew
							fresh, again := reason(t, a, token(nil, nil)) == "", reason(t, a, cached) == ""
							if (fresh != want || again != want) && (want || age >= keys.bound) {
								t.Fatalf("after %v: new token accepted %t, cached token accepted %t, want %t from %v on", age, fresh, again, want, keys.bound)
							}
						}
						_ = a.Close()
						if got, want := events.Load() == 1, test.withdrew && !test.left; got != want {
							t.Errorf("%d events of type %s, want one if the set has no key left", events.Load(), jwtauth.EventKeysWithdrawn)
						}
					})
				})
			}
		}
	}
}
