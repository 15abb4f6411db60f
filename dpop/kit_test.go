// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/internal/jose"
)

const (
	origin = "https://api.example.com"
	target = origin + "/reports"
	// The token of RFC 9449 section 7.1, which is no JWT.
	token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

type object map[string]any

// with returns a copy of o with changes; nil removes a member.
func (o object) with(changes object) object {
	o = maps.Clone(o)
	for name, value := range changes {
		if o[name] = value; value == nil {
			delete(o, name)
		}
	}
	return o
}

func (o object) String() string { return string(must(json.Marshal(o))) }

// client makes proofs, valid ones and others.
type client struct {
	algorithm string
	private   crypto.Signer
	jkt       string
}

func newClient(algorithm string) client {
	var private crypto.Signer
	switch algorithm {
	case "ES384":
		private = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	case "ES512":
		private = must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	case "EdDSA", "Ed25519":
		_, private, _ = ed25519.GenerateKey(rand.Reader)
	case "PS256", "PS384", "PS512", "RS256", "RS384", "RS512":
		private = rsaKey()
	default:
		private = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	}
	return client{algorithm, private, must(jose.Thumbprint(private.Public()))}
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })

func (c client) jwk() object {
	jwk := object{}
	for name, value := range jose.Members(c.private.Public()) {
		jwk[name] = value
	}
	return jwk
}

func (c client) header() object {
	return object{"typ": "dpop+jwt", "alg": c.algorithm, "jwk": c.jwk()}
}

func (c client) claims() object {
	sum := sha256.Sum256([]byte(token))
	return object{
		"jti": rand.Text(), "htm": "GET", "htu": target, "iat": time.Now().Unix(),
		"ath": base64.RawURLEncoding.EncodeToString(sum[:]),
	}
}

// sign returns a proof with a header and a payload that are JSON texts.
func (c client) sign(header, payload string) string {
	input := encode(header) + "." + encode(payload)
	signature := must(jose.Sign(c.algorithm, c.private, input))
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// proof returns a valid proof for a GET of target, with changes.
func (c client) proof(header, claims object) string {
	return c.sign(c.header().with(header).String(), c.claims().with(claims).String())
}

func request(method, target string, proofs ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	for _, proof := range proofs {
		r.Header.Add("DPoP", proof)
	}
	return r
}

func config(changes ...func(*dpop.Config)) dpop.Config {
	c := dpop.Config{PublicOrigin: origin, Replays: dpop.NewMemory(0)}
	for _, change := range changes {
		change(&c)
	}
	return c
}

func newVerifier(changes ...func(*dpop.Config)) *dpop.Verifier {
	return must(dpop.New(config(changes...)))
}

var (
	nonceKey = gatehouse.NewSecret([]byte("0123456789abcdef0123456789abcdef"))
	otherKey = gatehouse.NewSecret([]byte("fedcba9876543210fedcba9876543210"))
)

func withNonces(keys ...gatehouse.Secret) func(*dpop.Config) {
	return func(c *dpop.Config) { c.NonceKeys = keys }
}

// check checks the reason with which a request with a proof is rejected, "" for none.
func check(t *testing.T, v *dpop.Verifier, r *http.Request, jkt string, want gatehouse.Reason) (nonce string) {
	t.Helper()
	before := r.Header.Clone()
	header, err := v.Confirm(r, token, jkt, time.Now())
	if diff := cmp.Diff(before, r.Header); diff != "" {
		t.Errorf("Confirm changes the request (-want +got):\n%s", diff)
	}
	var got gatehouse.Reason
	if err != nil {
		e, ok := errors.AsType[*gatehouse.Error](err)
		if !ok {
			t.Fatalf("Confirm error = %v, want a *gatehouse.Error", err)
		}
		code := dpop.CodeInvalidProof
		switch e.Reason {
		case dpop.ReasonOtherKey:
			code = gatehouse.CodeInvalidToken
		case dpop.ReasonNonce:
			code = dpop.CodeUseNonce
		case dpop.ReasonReplaysUnavailable:
			code = gatehouse.CodeTemporarilyUnavailable
		}
		if e.Code != code || e.Scheme != "DPoP" || header != nil {
			t.Errorf("Confirm error has the code %s and the scheme %q, want %s and DPoP", e.Code, e.Scheme, code)
		}
		for _, secret := range append(r.Header["Dpop"], token) {
			if len(secret) > 8 && strings.Contains(fmt.Sprint(e.Cause), secret) {
				t.Errorf("Confirm error %v contains the credential", e.Cause)
			}
		}
		got, header = e.Reason, e.Header
	}
	if got != want {
		t.Errorf("Confirm = %q (%v), want %q", got, err, want)
	}
	if n := len(header["Dpop-Nonce"]); n > 1 || n == 1 && header.Get("Cache-Control") != "no-store" {
		t.Errorf("Confirm returns the header %v, want at most one nonce, with no-store", header)
	}
	return header.Get("DPoP-Nonce")
}

// down is a replay store that is unavailable.
type down struct{ calls *int }

var errDown = errors.New("store down")

func (d down) Insert(context.Context, [32]byte, time.Duration) (bool, error) {
	if d.calls != nil {
		*d.calls++
	}
	return false, errDown
}
