// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// boundToken is a DPoP-bound token with a proof, neither of which was seen before,
// against the two bare signature checks.
func boundToken(passes int, burst time.Duration) (pathResult, error) {
	return boundRace("DPoP-bound JWT with a proof, full gate", -1, "two bare signature checks", "1.10", passes, burst)
}

// seenBoundToken is a DPoP-bound token that is in the cache, with a new proof.
func seenBoundToken(passes int, burst time.Duration) (pathResult, error) {
	return boundRace("the same, JWT seen before", 10_000, "one bare signature check", "1.15", passes, burst)
}

func boundRace(name string, cache int, floor, target string, passes int, burst time.Duration) (pathResult, error) {
	b, err := newBound(cache)
	if err != nil {
		return pathResult{}, err
	}
	bare := contestant{name: "floor", work: func(n int) error {
		n %= distinct
		if cache < 0 && !verifies(b.m.public.(*ecdsa.PublicKey), b.m.tokens[n]) {
			return errors.New("a good token was refused")
		}
		if !verifies(b.public, b.proofs[n]) {
			return errors.New("a good proof was refused")
		}
		return nil
	}}
	results, err := race([]contestant{bare, {name: name, work: b.request}}, passes, burst)
	if err != nil {
		return pathResult{}, err
	}
	return pathResult{results[1], floor, target}, nil
}

// verifies checks an ES256 signature with the standard library and does nothing else.
func verifies(public *ecdsa.PublicKey, token string) bool {
	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		return false
	}
	sum := sha256.Sum256([]byte(token[:dot]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	return ecdsa.Verify(public, sum[:], r, s)
}

// bound sends requests with DPoP-bound tokens.
type bound struct {
	m       *material
	key     *dpop.Key
	public  *ecdsa.PublicKey
	serve   contestant
	list    []*http.Request
	proofs  []string
	renewed time.Time
}

func newBound(cache int) (*bound, error) {
	m, err := newMaterial("ES256")
	if err != nil {
		return nil, err
	}
	own, err := newMaterial("ES256")
	if err != nil {
		return nil, err
	}
	private := own.private.(*ecdsa.PrivateKey)
	key, err := dpop.NewKey(dpop.ES256, private)
	if err != nil {
		return nil, err
	}
	for n, token := range m.tokens {
		claims := jwt.MapClaims{}
		if _, _, err := jwt.NewParser().ParseUnverified(token, claims); err != nil {
			return nil, err
		}
		claims["cnf"] = map[string]any{"jkt": key.Thumbprint()}
		again := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
		again.Header["typ"], again.Header["kid"] = "at+jwt", "k1"
		if m.tokens[n], err = again.SignedString(m.private); err != nil {
			return nil, err
		}
	}
	proofs, err := dpop.New(dpop.Config{PublicOrigin: audience, Replays: &unused{store: dpop.NewMemory(0)}})
	if err != nil {
		return nil, err
	}
	tokens, err := jwtauth.New(jwtauth.Config{
		Issuers: []jwtauth.Issuer{{
			URL: issuerURL, Audiences: []string{audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.RemoteKeys(m.jwksURL),
		}},
		CacheEntries: cache, Confirmers: []gatehouse.Confirmer{proofs},
	})
	if err != nil {
		return nil, err
	}
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens}, Realm: "bench"})
	if err != nil {
		return nil, err
	}
	b := &bound{m: m, key: key, public: &private.PublicKey, list: requests(m.tokens), proofs: make([]string, distinct)}
	b.serve = serving("", gate.Handler(ok), b.list)
	return b, b.renew()
}

// renew makes new proofs, before the old ones are too old.
func (b *bound) renew() error {
	target, err := url.Parse(audience + "/reports")
	if err != nil {
		return err
	}
	for n, token := range b.m.tokens {
		if b.proofs[n], err = b.key.Proof(dpop.ProofRequest{Method: http.MethodGet, URL: target, AccessToken: token}); err != nil {
			return err
		}
		b.list[n].Header["Authorization"] = []string{"DPoP " + token}
		b.list[n].Header["Dpop"] = []string{b.proofs[n]}
	}
	b.renewed = time.Now()
	return nil
}

func (b *bound) request(n int) error {
	if n%distinct == 0 && time.Since(b.renewed) > 30*time.Second {
		if err := b.renew(); err != nil {
			return err
		}
	}
	return b.serve.work(n)
}

// unused is a store in memory to which each key is new, and which does not fill up.
type unused struct {
	store *dpop.Memory
	n     uint64
}

func (u *unused) Insert(ctx context.Context, key [32]byte, _ time.Duration) (bool, error) {
	u.n++
	binary.BigEndian.PutUint64(key[8:], u.n)
	return u.store.Insert(ctx, key, 100*time.Millisecond)
}
