// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"sync"
)

// signatureFloor checks the signatures of the tokens with the standard library
// and does nothing else: no reading, no claims, no request.
func signatureFloor(m *material) (func(n int) error, error) {
	type signed struct{ input, signature []byte }
	all := make([]signed, 0, len(m.tokens))
	for _, token := range m.tokens {
		dot := strings.LastIndexByte(token, '.')
		signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
		if err != nil {
			return nil, err
		}
		all = append(all, signed{[]byte(token[:dot]), signature})
	}
	check := func(s signed) bool {
		switch m.algorithm {
		case "HS256":
			h := hmac.New(sha256.New, m.secret)
			h.Write(s.input)
			return hmac.Equal(h.Sum(nil), s.signature)
		case "RS256":
			sum := sha256.Sum256(s.input)
			return rsa.VerifyPKCS1v15(m.public.(*rsa.PublicKey), crypto.SHA256, sum[:], s.signature) == nil
		case "PS256":
			sum := sha256.Sum256(s.input)
			return rsa.VerifyPSS(m.public.(*rsa.PublicKey), crypto.SHA256, sum[:], s.signature, nil) == nil
		case "ES256":
			sum := sha256.Sum256(s.input)
			r, t := new(big.Int).SetBytes(s.signature[:32]), new(big.Int).SetBytes(s.signature[32:])
			return ecdsa.Verify(m.public.(*ecdsa.PublicKey), sum[:], r, t)
		}
		return ed25519.Verify(m.public.(ed25519.PublicKey), s.input, s.signature)
	}
	return func(n int) error {
		if !check(all[n%len(all)]) {
			return errors.New("a good signature was refused")
		}
		return nil
	}, nil
}

// lookupFloor is what no cache of tokens or keys can do without: hash the
// credential, look the hash up in one of several maps, and hand on a copy of
// the request with a principal in its context and the credential off it.
type lookupFloor struct {
	shards [64]struct {
		mu      sync.Mutex
		entries map[[32]byte]any
	}
	next http.Handler
	name string // of the header
	skip int    // of the value of the header
}

func newLookupFloor(credentials []string, name string, skip int, next http.Handler) *lookupFloor {
	f := &lookupFloor{next: next, name: name, skip: skip}
	for _, credential := range credentials {
		sum := sha256.Sum256([]byte(credential))
		s := &f.shards[sum[0]%64]
		if s.entries == nil {
			s.entries = make(map[[32]byte]any)
		}
		s.entries[sum] = f
	}
	return f
}

func (f *lookupFloor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sum := sha256.Sum256([]byte(r.Header.Get(f.name)[f.skip:]))
	s := &f.shards[sum[0]%64]
	s.mu.Lock()
	found := s.entries[sum]
	s.mu.Unlock()
	if found == nil {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	next := r.WithContext(context.WithValue(r.Context(), contextKey{}, found))
	next.Header = make(http.Header, len(r.Header))
	for name, values := range r.Header {
		if name != f.name {
			next.Header[name] = values
		}
	}
	f.next.ServeHTTP(w, next)
}
