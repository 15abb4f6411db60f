// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/internal/alloctest"
)

// every is a replay store to which each key is new.
type every struct{}

func (every) Insert(context.Context, [32]byte, time.Duration) (bool, error) { return true, nil }

// What a request costs, beside the 12 allocations of crypto/ecdsa for a signature: the
// proof, its claims, and the signature in ASN.1.
func TestAllocations(t *testing.T) {
	withEvery := func(c *dpop.Config) { c.Replays = every{} }
	c, other := newClient("ES256"), newClient("ES256")
	plain, nonces := newVerifier(withEvery), newVerifier(withEvery, withNonces(nonceKey))
	valid := request("GET", target, c.valid())
	withNonce := request("GET", target, c.proof(nil, object{"nonce": dpop.NonceAt(nonceKey, time.Now())}))
	check(t, plain, valid, c.jkt, "")
	check(t, nonces, withNonce, c.jkt, "")
	check(t, plain, request("GET", target, other.valid()), c.jkt, dpop.ReasonOtherKey)
	oversized := request("GET", target, strings.Repeat("x", 1<<20))
	for name, test := range map[string]struct {
		v       *dpop.Verifier
		r       *http.Request
		ceiling float64
	}{
		"valid":     {plain, valid, 15},
		"nonce":     {nonces, withNonce, 22},
		"oversized": {plain, oversized, 3},
	} {
		t.Run(name, func(t *testing.T) {
			alloctest.AtMost(t, test.ceiling, func() { _, _ = test.v.Confirm(test.r, token, c.jkt, time.Now()) })
		})
	}
}

// Proofs with fresh keys and jti leave nothing behind: neither with a token that was
// made up, nor with a stolen one.
func TestAnonymousProofsLeaveNothing(t *testing.T) {
	s := newServer(t, as, withNonces(nonceKey))
	store := &recorder{keys: map[[32]byte]int{}}
	v := newVerifier(withNonces(nonceKey), func(c *dpop.Config) { c.Replays = store })
	owner := newClient("ES256")
	for range 200 {
		thief := newClient("ES256")
		nonce := object{"nonce": dpop.NonceAt(nonceKey, time.Now())}
		check(t, v, request("GET", target, thief.proof(nil, nonce)), owner.jkt, dpop.ReasonOtherKey)
		if w := s.send("/reports", []string{"DPoP made.up.token"}, thief.proofFor("made.up.token", "/reports", nonce)); w.Code != http.StatusUnauthorized {
			t.Fatalf("a made-up token = %d, want 401", w.Code)
		}
	}
	if len(store.keys) > 0 || dpop.CachedHeaders(v) > 0 {
		t.Errorf("%d used proofs and %d headers are remembered, want none", len(store.keys), dpop.CachedHeaders(v))
	}
}
