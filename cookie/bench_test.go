// SPDX-License-Identifier: Apache-2.0

package cookie_test

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/gatehouse-go/gatehouse/cookie"
)

// floor is the least that opening a sealed cookie can be: base64 and
// XChaCha20-Poly1305, with an associated data.
func floor(tb testing.TB, value []byte) func() []byte {
	tb.Helper()
	key := make([]byte, chacha20poly1305.KeySize)
	_, _ = rand.Read(key)
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		tb.Fatal(err)
	}
	data := []byte("__Host-Http-bench, benchmark")
	nonce := make([]byte, chacha20poly1305.NonceSizeX, 400)
	_, _ = rand.Read(nonce)
	text := base64.RawURLEncoding.EncodeToString(aead.Seal(nonce, nonce, value, data))
	return func() []byte {
		sealed, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			tb.Fatal(err)
		}
		plain, err := aead.Open(nil, sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:], data)
		if err != nil {
			tb.Fatal(err)
		}
		return plain
	}
}

// request returns a request with the cookies that set has put into a response.
func request(tb testing.TB, set func(http.ResponseWriter) error) *http.Request {
	tb.Helper()
	w := newResponse()
	if err := set(w); err != nil {
		tb.Fatal(err)
	}
	r := newRequest(http.MethodGet)
	newBrowser(tb).receive(w).send(r)
	return r
}

func benchSealed(tb testing.TB, size int) (*cookie.Sealed, *http.Request, []byte) {
	tb.Helper()
	s := newSealed(tb, cookie.SealedConfig{
		Cookie: cookie.Config{Name: "bench"}, Keys: newRing(tb, 1), Purpose: "benchmark", Lifetime: time.Hour,
	})
	value := make([]byte, size)
	r := request(tb, func(w http.ResponseWriter) error { return s.Set(w, newRequest(http.MethodGet), value) })
	return s, r, value
}

// versus reports how much longer path takes than base, as the median of short
// turns that they take, so that what else the machine does weighs on both.
func versus(b *testing.B, base, path func()) {
	b.Helper()
	const turn = 64
	timed := func(f func()) float64 {
		start := time.Now()
		for range turn {
			f()
		}
		return float64(time.Since(start))
	}
	var ratios []float64
	for b.Loop() {
		least := timed(base)
		ratios = append(ratios, timed(path)/least)
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "x-floor")
	b.ReportMetric(0, "ns/op")
}

// The cookie of 300 bytes by which performance is judged: Open at most 1.1 times
// the floor.
func BenchmarkOpen(b *testing.B) {
	s, r, value := benchSealed(b, 300)
	least := floor(b, value)
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			least()
		}
	})
	b.Run("sealed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Open(r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ratio", func(b *testing.B) {
		versus(b, func() { least() }, func() { _, _ = s.Open(r) })
	})
}

func BenchmarkCheck(b *testing.B) {
	c := newCrossSite(b)
	protection := http.NewCrossOriginProtection()
	r := newRequest(http.MethodPost, "Sec-Fetch-Site", "same-origin")
	b.Run("check", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = c.Check(r)
		}
	})
	b.Run("ratio", func(b *testing.B) {
		versus(b, func() { _ = protection.Check(r) }, func() { _ = c.Check(r) })
	})
}
