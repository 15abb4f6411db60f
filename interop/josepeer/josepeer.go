// SPDX-License-Identifier: Apache-2.0

package josepeer

import (
	"encoding/json"
	"testing"

	"github.com/gatehouse-go/gatehouse/interop/node"
)

// Peer is a process that runs jose.
type Peer struct {
	process *node.Process
	keys    []json.RawMessage
}

// Start starts jose, which ends with the test.
func Start(t testing.TB) *Peer {
	t.Helper()
	return &Peer{process: node.Start(t, "josepeer/jose.mjs")}
}

// Generate generates a key pair with a key ID, and adds its public key to the set
// that [Peer.JWKS] returns.
func (p *Peer) Generate(t testing.TB, kid, algorithm string) {
	t.Helper()
	var answer struct{ JWK json.RawMessage }
	p.call(t, map[string]any{"do": "generate", "kid": kid, "alg": algorithm}, &answer)
	p.keys = append(p.keys, answer.JWK)
}

// Secret sets a shared secret for HS256, HS384 or HS512 with a key ID.
func (p *Peer) Secret(t testing.TB, kid, algorithm string, secret []byte) {
	t.Helper()
	p.call(t, map[string]any{"do": "secret", "kid": kid, "alg": algorithm, "secret": secret}, &struct{}{})
}

// JWKS returns the JWK Set of the generated keys, as jose exports them.
func (p *Peer) JWKS(t testing.TB) []byte {
	t.Helper()
	set, err := json.Marshal(map[string]any{"keys": p.keys})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// Sign returns a token whose payload is the JSON text claims, unchanged.
func (p *Peer) Sign(t testing.TB, kid, typ, claims string) string {
	t.Helper()
	var answer struct{ Token string }
	p.call(t, map[string]any{"do": "sign", "kid": kid, "typ": typ, "claims": claims}, &answer)
	return answer.Token
}

// Demands is what [Peer.Verify] checks in addition to the signature.
type Demands struct {
	Issuer     string          `json:"issuer"`
	Audience   string          `json:"audience"`
	Algorithms []string        `json:"algorithms"`
	Type       string          `json:"typ,omitempty"`
	Skew       int             `json:"skew"` // seconds
	JWKS       json.RawMessage `json:"jwks,omitempty"`
	KeyID      string          `json:"kid,omitempty"` // a key of the peer, instead of JWKS
}

// Verify returns the claims of a token as JSON, or the error code with which jose
// rejects it.
func (p *Peer) Verify(t testing.TB, token string, d Demands) (claims, rejected string) {
	t.Helper()
	var answer struct{ Claims, Refused string }
	p.call(t, struct {
		Do    string `json:"do"`
		Token string `json:"token"`
		Demands
	}{"verify", token, d}, &answer)
	if (answer.Claims == "") == (answer.Refused == "") {
		t.Fatalf("josepeer: neither accepted nor rejected: %+v", answer)
	}
	return answer.Claims, answer.Refused
}

func (p *Peer) call(t testing.TB, request, answer any) {
	t.Helper()
	if err := p.process.Call(request, answer); err != nil {
		t.Fatalf("josepeer: %v", err)
	}
}
