// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"runtime"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// few and many are 1,024 and 102,400, fewer in a test.
func few() int  { return 2 * distinct }
func many() int { return 200 * distinct }

// keysInUse is the time of a request if many API keys are in use, against a few. The
// target is what a bare map of that size costs.
func keysInUse(passes int, burst time.Duration) (pathResult, error) {
	var gates, maps [2]contestant
	for i, n := range []int{few(), many()} {
		texts, h, err := issueKeys(n, nil)
		if err != nil {
			return pathResult{}, err
		}
		list := keyRequests(texts)
		gates[i] = serving("API keys in use, 102,400 over 1,024", h, list)
		maps[i] = serving("", newLookupFloor(texts, "X-Api-Key", 0, ok), list)
	}
	return growth(gates, maps, passes, burst)
}

// cachedTokens is the same for tokens in the cache.
func cachedTokens(passes int, burst time.Duration) (pathResult, error) {
	var gates, maps [2]contestant
	for i, n := range []int{few(), many()} {
		m, err := newMaterialOf("HS256", n, 1)
		if err != nil {
			return pathResult{}, err
		}
		h, err := protect(m, 4*many(), ok)
		if err != nil {
			return pathResult{}, err
		}
		list := requests(m.tokens)
		gates[i] = serving("tokens in the cache, 102,400 over 1,024", h, list)
		maps[i] = serving("", newLookupFloor(m.tokens, "Authorization", len("Bearer "), ok), list)
	}
	return growth(gates, maps, passes, burst)
}

// growth races the second of each against the first.
func growth(gates, maps [2]contestant, passes int, burst time.Duration) (pathResult, error) {
	for _, c := range []contestant{gates[0], gates[1]} {
		for n := range many() {
			if err := c.work(n); err != nil {
				return pathResult{}, err
			}
		}
	}
	bare, err := race(maps[:], passes, burst)
	if err != nil {
		return pathResult{}, err
	}
	results, err := race(gates[:], passes, burst)
	if err != nil {
		return pathResult{}, err
	}
	return pathResult{results[1], "the same with 1,024", "a bare map: " + bare[1].ratio()}, nil
}

// severalKids are tokens of eight keys, against those of one.
func severalKids(passes int, burst time.Duration) (pathResult, error) {
	var gates [2]contestant
	for i, kids := range []int{1, 8} {
		m, err := newMaterialOf("HS256", distinct, kids)
		if err != nil {
			return pathResult{}, err
		}
		h, err := protect(m, -1, ok)
		if err != nil {
			return pathResult{}, err
		}
		gates[i] = serving("HS256 not seen before, 8 kids over 1", h, requests(m.tokens))
	}
	results, err := race(gates[:], passes, burst)
	if err != nil {
		return pathResult{}, err
	}
	return pathResult{results[1], "the same with one kid", "1.02"}, nil
}

// collection is one garbage collection on one core, with a million tokens in the cache,
// against one with as many texts in a bare map.
func collection(passes int, _ time.Duration) (pathResult, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	n := min(1_000_000, 2000*distinct)
	collect := func() float64 {
		start, used := time.Now(), cpuTime()
		runtime.GC()
		if useCPUTime {
			return (cpuTime() - used).Seconds()
		}
		return time.Since(start).Seconds()
	}
	empty := collect()
	texts := make(map[int]string, n)
	for i := range n {
		texts[i] = fmt.Sprintf("%01000d", i)
	}
	var bare []float64
	for range passes {
		bare = append(bare, max(collect()-empty, 1e-6))
	}
	runtime.KeepAlive(texts)
	a, err := fullCache(n)
	if err != nil {
		return pathResult{}, err
	}
	var ratios, seconds []float64
	for i := range passes {
		took := max(collect()-empty, 1e-6)
		seconds, ratios = append(seconds, took), append(ratios, took/bare[i])
	}
	runtime.KeepAlive(a)
	name := fmt.Sprintf("one collection with %d cached tokens, one core: %.2f s", n, result{}.spread(seconds).median)
	return pathResult{result{name: name}.spread(ratios), "as many texts of 1,000 bytes in a map", "0.2 s"}, nil
}

// fullCache returns an authenticator with so many tokens in its cache. It signs them
// itself, because golang-jwt would need most of the time of the benchmark.
func fullCache(n int) (*jwtauth.Authenticator, error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	a, err := jwtauth.New(jwtauth.Config{
		CacheEntries: n,
		Issuers: []jwtauth.Issuer{{
			URL: issuerURL, Audiences: []string{audience}, Algorithms: []jwtauth.Algorithm{jwtauth.HS256},
			Keys: jwtauth.SharedSecret(gatehouse.NewSecret(secret)),
		}},
	})
	if err != nil {
		return nil, err
	}
	header, now := b64([]byte(`{"alg":"HS256","typ":"at+jwt","kid":"k1"}`)), time.Now().Unix()
	mac := hmac.New(sha256.New, secret)
	for i := range n {
		input := header + "." + b64(fmt.Appendf(nil, `{"iss":%q,"aud":%q,"sub":"7b0c3ff6-2a5c-4c0f-8b6e-%012d","client_id":"web-frontend",`+
			`"iat":%d,"exp":%d,"jti":"b2f1c5b4-7c1d-4f7a-9b57-%012d","scope":"profile reports:read reports:write","tenant":"acme"}`,
			issuerURL, audience, i, now, now+3600, i))
		mac.Reset()
		mac.Write([]byte(input))
		if _, err := a.Verify(context.Background(), input+"."+b64(mac.Sum(nil))); err != nil {
			return nil, err
		}
	}
	return a, nil
}
