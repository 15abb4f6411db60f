// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gatehouse-go/gatehouse/internal/alloctest"
	"github.com/gatehouse-go/gatehouse/internal/racetest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Ceilings for a whole request through a gate: 4 allocations for a cached token, and
// for another one 7 more than the bare signature check.
func TestAllocations(t *testing.T) {
	for _, algorithm := range []jwtauth.Algorithm{jwtauth.HS256, jwtauth.RS256, jwtauth.PS256, jwtauth.ES256, jwtauth.EdDSA} {
		k := keyFor(algorithm)
		token := k.token(nil, nil)
		dot := strings.LastIndexByte(token, '.')
		signature := must(base64.RawURLEncoding.DecodeString(token[dot+1:]))
		c, key := secretConfig(jwtauth.HS256), any(secret)
		if k.public != nil {
			key, c = k.public, issuerConfig(func(i *jwtauth.Issuer) {
				i.Algorithms, i.Keys = []jwtauth.Algorithm{algorithm}, jwtauth.StaticKeys(jwtauth.Key{ID: "k1", Algorithm: algorithm, Public: k.public})
			})
		}
		bare := testing.AllocsPerRun(100, func() {
			if err := jwt.GetSigningMethod(string(algorithm)).Verify(token[:dot], signature, key); err != nil {
				t.Error(err)
			}
		})
		for entries, ceiling := range map[int]float64{0: 4, -1: bare + 7} {
			c.CacheEntries = entries
			h, r, w := serve(newAuthenticator(t, c)), get(token), httptest.NewRecorder()
			t.Run(string(algorithm), func(t *testing.T) { alloctest.AtMost(t, ceiling, func() { h.ServeHTTP(w, r) }) })
			equal(t, fmt.Sprintf("%s, CacheEntries %d: status", algorithm, entries), w.Code, 200)
		}
	}
}

// Rejecting a megabyte allocates as much as rejecting a few bytes.
func TestRejectingOversizedTokenAllocatesLittle(t *testing.T) {
	a := newAuthenticator(t, config())
	allocated := func(token string) uint64 {
		const runs = 100
		r := get(token)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			if _, err := a.Authenticate(r); err == nil {
				t.Error("Authenticate accepted an oversized token")
			}
		}
		runtime.ReadMemStats(&after)
		return (after.TotalAlloc - before.TotalAlloc) / runs
	}
	small := allocated("a.b.c")
	for _, huge := range []string{
		strings.Repeat("a", 1<<20), strings.Repeat(".", 1<<20), "e30." + strings.Repeat("a", 1<<20) + ".e30", strings.Repeat("a", 1<<20) + ".e30.e30",
	} {
		if got := allocated(huge); got > small+512 && !racetest.Enabled {
			t.Errorf("%d bytes are allocated for 1 MiB, want at most 512 more than the %d for a.b.c", got, small)
		}
	}
}
