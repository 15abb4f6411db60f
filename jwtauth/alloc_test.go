// SPDX-License-Identifier: Apache-2.0

//go:build !race

package jwtauth_test

import (
	"encoding/base64"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Ceilings of allocations for a whole request through a gate: 5 for a token in
// the cache; for any other, 10 beyond those of the bare signature check, and 20
// in all but where the check alone comes near that.
func TestAllocations(t *testing.T) {
	for _, algorithm := range []jwtauth.Algorithm{jwtauth.HS256, jwtauth.RS256, jwtauth.PS256, jwtauth.ES256, jwtauth.EdDSA} {
		k := keyFor(algorithm)
		token := k.sign(goodHeader(algorithm).with(nil), goodClaims().with(nil))
		input, signature := token[:strings.LastIndexByte(token, '.')], must(base64.RawURLEncoding.DecodeString(token[strings.LastIndexByte(token, '.')+1:]))
		var key any = k.public
		if key == nil {
			key = secret
		}
		bare := testing.AllocsPerRun(100, func() {
			if err := jwt.GetSigningMethod(string(algorithm)).Verify(input, signature, key); err != nil {
				t.Error(err)
			}
		})
		for entries, ceiling := range map[int]float64{0: 5, -1: bare + 10} {
			h := serve(t, newAuthenticator(t, config(func(c *jwtauth.Config) {
				c.CacheEntries = entries
				c.Issuers[0].Algorithms = []jwtauth.Algorithm{algorithm}
				if k.public == nil {
					c.Issuers[0].Keys = jwtauth.SharedSecret(gatehouse.NewSecret(secret))
				} else {
					c.Issuers[0].Keys = jwtauth.StaticKeys(jwtauth.Key{ID: "k1", Algorithm: algorithm, Public: k.public})
				}
			})))
			r, w := get(token), httptest.NewRecorder()
			got := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) })
			t.Logf("%s, cache %d: %v allocations, %v of them for the bare check", algorithm, entries, got, bare)
			if w.Code != 200 || got > ceiling || got > 20 && bare < 10 {
				t.Errorf("%s, cache %d: %v allocations, at most %v (status %d)", algorithm, entries, got, ceiling, w.Code)
			}
		}
	}
}

// To refuse a megabyte costs what it costs to refuse a word.
func TestRefusingMuchAllocatesLittle(t *testing.T) {
	a := newAuthenticator(t, config())
	allocated := func(token string) uint64 {
		const runs = 100
		r := get(token)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			if _, err := a.Authenticate(r); err == nil {
				t.Error("accepted")
			}
		}
		runtime.ReadMemStats(&after)
		return (after.TotalAlloc - before.TotalAlloc) / runs
	}
	small := allocated("a.b.c")
	for _, huge := range []string{
		strings.Repeat("a", 1<<20), strings.Repeat(".", 1<<20), "e30." + strings.Repeat("a", 1<<20) + ".e30", strings.Repeat("a", 1<<20) + ".e30.e30",
	} {
		if got := allocated(huge); got > small+512 {
			t.Errorf("%d bytes for a megabyte, %d for a word", got, small)
		}
	}
}
