// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// pathResult is one path against the floor of its own.
type pathResult struct {
	result
	floor, target string
}

const lookup = "SHA-256, sharded map, request clone with the header map copied"

// path measures one path.
type path func(passes int, burst time.Duration) (pathResult, error)

var (
	commonPaths = []path{
		seenToken, seenRS256, unseenCompatible, missingToken("HS256"), missingToken("EdDSA"), apiKey, pepperedKey,
		sealedCookie, sessionRace, refuseMuch, twoCores,
	}
	growthPaths = []path{keysInUse, cachedTokens, severalKids, collection}
	boundPaths  = []path{seenCertificateToken, boundToken, seenBoundToken, twoCoresBound}
)

func races(paths []path, passes int, burst time.Duration) ([]pathResult, error) {
	var all []pathResult
	for _, path := range paths {
		r, err := path(passes, burst)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// seenToken is a token that is in the cache.
func seenToken(passes int, burst time.Duration) (pathResult, error) {
	m, err := newMaterial("ES256")
	if err != nil {
		return pathResult{}, err
	}
	h, err := protect(m, 10_000, ok)
	if err != nil {
		return pathResult{}, err
	}
	list := requests(m.tokens)
	results, err := race([]contestant{
		serving("floor", newLookupFloor(m.tokens, "Authorization", len("Bearer "), ok), list),
		serving("JWT seen before, full gate", h, list),
	}, passes, burst)
	if err != nil {
		return pathResult{}, err
	}
	return pathResult{results[1], lookup, "1.3"}, nil
}

// seenRS256 is one of 1,024 tokens that are in the cache, against the signature.
func seenRS256(passes int, burst time.Duration) (pathResult, error) {
	m, err := newMaterialOf("RS256", 2*distinct, 1)
	if err != nil {
		return pathResult{}, err
	}
	h, err := protect(m, 10_000, ok)
	if err != nil {
		return pathResult{}, err
	}
	warm := serving("", h, requests(m.tokens))
	for n := range m.tokens {
		if err := warm.work(n); err != nil {
			return pathResult{}, err
		}
	}
	return againstSignature("RS256 seen before, 1,024 tokens, full gate", "0.045", m, h, passes, burst)
}

// unseenCompatible is a token of an issuer with the profile Compatible.
func unseenCompatible(passes int, burst time.Duration) (pathResult, error) {
	m, err := newMaterial("HS256")
	if err != nil {
		return pathResult{}, err
	}
	m.profile = jwtauth.Compatible
	h, err := protect(m, -1, ok)
	if err != nil {
		return pathResult{}, err
	}
	return againstSignature("HS256 not seen before, Compatible, full gate", "3.5", m, h, passes, burst)
}

func againstSignature(name, target string, m *material, h http.Handler, passes int, burst time.Duration) (pathResult, error) {
	floor, err := signatureFloor(m)
	if err != nil {
		return pathResult{}, err
	}
	results, err := race([]contestant{{name: "floor", work: floor}, serving(name, h, requests(m.tokens))}, passes, burst)
	if err != nil {
		return pathResult{}, err
	}
	return pathResult{results[1], "bare signature check", target}, nil
}

// missingToken is a token that the cache has evicted, against one without a cache.
func missingToken(algorithm string) path {
	return func(passes int, burst time.Duration) (pathResult, error) {
		m, err := newMaterial(algorithm)
		if err != nil {
			return pathResult{}, err
		}
		list := requests(m.tokens)
		off, err := protect(m, -1, ok)
		if err != nil {
			return pathResult{}, err
		}
		on, err := protect(m, distinct/8, ok)
		if err != nil {
			return pathResult{}, err
		}
		results, err := race([]contestant{
			serving("floor", off, list), serving(algorithm+" not in the cache, full gate", on, list),
		}, passes, burst)
		if err != nil {
			return pathResult{}, err
		}
		return pathResult{results[1], "the same without a cache", "1.05"}, nil
	}
}

// apiKey is an API key of the in-memory store, without a cache.
func apiKey(passes int, burst time.Duration) (pathResult, error) {
	return keyRace("API key, in-memory store, full gate", "1.9", nil, passes, burst)
}

// pepperedKey is the same with a pepper.
func pepperedKey(passes int, burst time.Duration) (pathResult, error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	peppers := []apikey.Pepper{{Version: 1, Secret: gatehouse.NewSecret(secret)}}
	return keyRace("the same with a pepper", "2.3", peppers, passes, burst)
}

func keyRace(name, target string, peppers []apikey.Pepper, passes int, burst time.Duration) (pathResult, error) {
	texts, h, err := issueKeys(distinct, peppers)
	if err != nil {
		return pathResult{}, err
	}
	list := keyRequests(texts)
	results, err := race([]contestant{
		serving("floor", newLookupFloor(texts, "X-Api-Key", 0, ok), list), serving(name, h, list),
	}, passes, burst)
	if err != nil {
		return pathResult{}, err
	}
	return pathResult{results[1], lookup, target}, nil
}

// issueKeys returns the texts of new keys, and a gate that accepts them.
func issueKeys(n int, peppers []apikey.Pepper) ([]string, http.Handler, error) {
	keys, err := apikey.New(apikey.Config{Store: apikey.NewMemory(n), Prefix: "bench", Peppers: peppers})
	if err != nil {
		return nil, nil, err
	}
	g, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{keys}, Realm: "bench"})
	if err != nil {
		return nil, nil, err
	}
	texts := make([]string, n)
	for i := range texts {
		issued, err := keys.Create(context.Background(), apikey.Request{Owner: "ci", Lifetime: time.Hour})
		if err != nil {
			return nil, nil, err
		}
		texts[i] = string(issued.Secret.Reveal())
	}
	return texts, g.Handler(ok), nil
}

func keyRequests(texts []string) []*http.Request {
	list := requests(texts)
	for n, r := range list {
		r.Header.Del("Authorization")
		r.Header.Set("X-Api-Key", texts[n])
	}
	return list
}

// sealedCookie is a cookie of 300 bytes that is opened.
func sealedCookie(passes int, burst time.Duration) (pathResult, error) {
	key := make([]byte, chacha20poly1305.KeySize)
	_, _ = rand.Read(key) // never fails
	ring, err := cookie.NewKeyring(gatehouse.NewSecret(key))
	if err != nil {
		return pathResult{}, err
	}
	sealed, err := cookie.NewSealed(cookie.SealedConfig{
		Cookie: cookie.Config{Name: "bench"}, Keys: ring, Purpose: "benchmark", Lifetime: time.Hour,
	})
	if err != nil {
		return pathResult{}, err
	}
	value := make([]byte, 300)
	response := httptest.NewRecorder()
	if err := sealed.Set(response, httptest.NewRequest(http.MethodGet, "/", http.NoBody), value); err != nil {
		return pathResult{}, err
	}
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	for _, c := range response.Result().Cookies() {
		r.AddCookie(c)
	}

	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return pathResult{}, err
	}
	data := []byte("__Host-Http-bench, benchmark")
	nonce := make([]byte, chacha20poly1305.NonceSizeX, 400)
	_, _ = rand.Read(nonce)
	text := base64.RawURLEncoding.EncodeToString(aead.Seal(nonce, nonce, value, data))
	results, err := race([]contestant{
		{name: "floor", work: func(int) error {
			b, err := base64.RawURLEncoding.DecodeString(text)
			if err != nil {
				return err
			}
			_, err = aead.Open(nil, b[:chacha20poly1305.NonceSizeX], b[chacha20poly1305.NonceSizeX:], data)
			return err
		}},
		{name: "sealed cookie of 300 bytes, opened", work: func(int) error {
			_, err := sealed.Open(r)
			return err
		}},
	}, passes, burst)
	if err != nil {
		return pathResult{}, err
	}
	return pathResult{results[1], "base64 and XChaCha20-Poly1305", "1.05"}, nil
}

// refuseMuch is a megabyte of nothing, against a word of nothing.
func refuseMuch(passes int, burst time.Duration) (pathResult, error) {
	m, err := newMaterial("ES256")
	if err != nil {
		return pathResult{}, err
	}
	h, err := protect(m, 10_000, ok)
	if err != nil {
		return pathResult{}, err
	}
	refusing := func(name, token string) contestant {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+token)
		w := &sink{header: make(http.Header)}
		return contestant{name: name, work: func(int) error {
			clear(w.header)
			h.ServeHTTP(w, r)
			if w.status != http.StatusUnauthorized {
				return errors.New("was not refused")
			}
			return nil
		}}
	}
	results, err := race([]contestant{
		refusing("floor", "a.b.c"),
		refusing("refusing 1 MB of token, answer included", strings.Repeat("a", 1<<20)),
	}, passes, burst)
	if err != nil {
		return pathResult{}, err
	}
	return pathResult{results[1], "refusing the token a.b.c, answer included", "1"}, nil
}

// twoCores is the throughput of two cores in units of that of one.
func twoCores(passes int, burst time.Duration) (pathResult, error) {
	m, err := newMaterial("ES256")
	if err != nil {
		return pathResult{}, err
	}
	h, err := protect(m, 10_000, ok)
	if err != nil {
		return pathResult{}, err
	}
	var work [3]func(int) error
	for i := range work {
		work[i] = serving("", h, requests(m.tokens)).work
	}
	return scaling("JWT seen before, two cores over one", "1.9", 1024, work, passes, burst)
}

// scaling is the throughput of two cores in units of that of one. The first work is for
// the one core, the others for the two.
//
// Two workers with requests of their own do one unit each; the time of a pair over the
// time of one is 1 with perfect scaling, and 2 with none. They share nothing while they
// work, and work for a chunk that is long enough that to start them and to wait for the
// second one does not count.
//
// The collector runs at nine times the heap that is in use. At twice the heap, which is
// small here, it runs in every chunk and stops both cores, so that even a loop that
// only allocates as much as a request has no use of a second core.
func scaling(name, target string, chunk int, work [3]func(int) error, passes int, burst time.Duration) (pathResult, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	if runtime.GOMAXPROCS(0) < 2 {
		return pathResult{}, errors.New("one core only")
	}
	warm := 1 + distinct/chunk
	several := func(work func(int) error, n int) error {
		for i := range chunk {
			if err := work(n*chunk + i); err != nil {
				return err
			}
		}
		return nil
	}
	pair := contestant{name: name, cores: 2, warm: warm, work: func(n int) error {
		var group sync.WaitGroup
		errs := make([]error, 2)
		for w := range errs {
			group.Go(func() { errs[w] = several(work[1+w], n) })
		}
		group.Wait()
		return errors.Join(errs...)
	}}
	single := contestant{name: "floor", cores: 1, warm: warm, work: func(n int) error { return several(work[0], n) }}
	results, err := race([]contestant{single, pair}, passes, burst)
	if err != nil {
		return pathResult{}, err
	}
	r := results[1].under(2)
	r.allocations, r.bytes = r.allocations/float64(2*chunk), r.bytes/float64(2*chunk)
	return pathResult{r, "throughput of one core", target}, nil
}
