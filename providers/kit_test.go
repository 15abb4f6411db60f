// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/leaktest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// object is a JSON object.
type object map[string]any

// with returns o with changes; nil removes a member.
func (o object) with(changes object) object {
	o = maps.Clone(o)
	for name, value := range changes {
		if o[name] = value; value == nil {
			delete(o, name)
		}
	}
	return o
}

// and returns the changes o and more of them.
func (o object) and(changes object) object {
	o = maps.Clone(o)
	maps.Copy(o, changes)
	return o
}

// in returns the time in d as a NumericDate. Tokens are verified in a bubble of package
// synctest, whose clock stands still: all claims are of one time, and no second passes
// between two of them, which would make a lifetime longer.
func in(d time.Duration) int64 { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(d).Unix() }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// key signs tokens. The zero value makes unsigned tokens.
type key struct {
	algorithm string
	private   crypto.Signer
	secret    []byte
}

func newRSA() key { return key{"RS256", must(rsa.GenerateKey(rand.Reader, 2048)), nil} }

// The keys of the providers, and others that they do not publish.
var (
	rsaKey   = sync.OnceValue(newRSA)
	otherKey = sync.OnceValue(newRSA)
	ecKey    = sync.OnceValue(func() key {
		return key{"ES256", must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), nil}
	})
	certificate = sync.OnceValue(func() string {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
		der := must(x509.CreateCertificate(rand.Reader, template, template, rsaKey().private.Public(), rsaKey().private))
		return base64.StdEncoding.EncodeToString(der)
	})
)

func encode(v []byte) string { return base64.RawURLEncoding.EncodeToString(v) }

// sign returns a compact token. kid is the ID of the key in the header.
func (k key) sign(header, claims object) string {
	input := encode(must(json.Marshal(header))) + "." + encode(must(json.Marshal(claims)))
	switch {
	case k.secret != nil:
		return input + "." + encode(must(jwt.SigningMethodHS256.Sign(input, k.secret)))
	case k.private != nil:
		return input + "." + encode(must(jwt.GetSigningMethod(k.algorithm).Sign(input, k.private)))
	}
	return input + "."
}

// jwk returns the public key with more members.
func (k key) jwk(members object) object {
	switch public := k.private.Public().(type) {
	case *rsa.PublicKey:
		return object{"kty": "RSA", "n": encode(public.N.Bytes()), "e": "AQAB"}.with(members)
	case *ecdsa.PublicKey:
		point := must(public.Bytes())
		return object{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}.with(members)
	}
	panic("jwk: unknown type")
}

// keySet returns a JWK Set.
func keySet(keys ...object) object { return object{"keys": keys} }

// published returns the set of a provider that publishes its next key too.
func published() object {
	return keySet(rsaKey().jwk(object{"kid": "k1", "use": "sig", "alg": "RS256"}), otherKey().jwk(object{"kid": "k2", "use": "sig", "alg": "RS256"}))
}

// metadata returns the address and the metadata of an issuer.
func metadata(issuer, keys string) (address string, document object) {
	return strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration", object{
		"issuer": issuer, "jwks_uri": keys, "authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
	}
}

// discovered returns the documents of an issuer whose metadata names its key set.
func discovered(issuer, address string, set object) documents {
	at, document := metadata(issuer, address)
	return documents{at: document, address: set}
}

// documents are what providers publish, by address: a [http.RoundTripper] that
// stands for the Internet.
type documents map[string]object

func (d documents) RoundTrip(r *http.Request) (*http.Response, error) {
	document, ok := d[r.URL.String()]
	w := httptest.NewRecorder()
	if !ok {
		http.NotFound(w, r)
		return w.Result(), nil
	}
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(must(json.Marshal(document)))
	return w.Result(), err
}

// caller is what the tests compare of a principal.
type caller struct {
	Kind                                gatehouse.Kind
	Subject, Tenant, Client, Credential string
	Scopes, Roles                       string
}

// token is a token of a provider: the one of the table row with changes.
type token struct {
	name           string
	header, claims object
	change         func(*jwtauth.Issuer) // of the issuer, nil for none
	key            *key                  // nil for that of the provider
	compact        string                // the token, if it is none of this form

	want   caller           // if the token is accepted
	reason gatehouse.Reason // otherwise
	cause  string           // a part of the cause in the log
}

// provider is a provider with its access token and its other tokens.
type provider struct {
	name      string
	issuer    func() jwtauth.Issuer // the line of docs/providers.md
	documents documents
	key       key
	header    object // of the access token, by default of an RS256 token with typ JWT
	claims    object // of the access token
	want      caller // of the access token
	tokens    []token
}

// all returns the access token, also with the longest lifetime and a longer one, and
// the others.
func (p provider) all() []token {
	longest := p.issuer().MaxLifetime
	if longest == 0 {
		longest = 24 * time.Hour
	}
	now := in(0)
	lives := func(d time.Duration) object { return object{"iat": now, "exp": now + int64(d/time.Second)} }
	return append([]token{
		{name: "access token", want: p.want},
		{name: "longest lifetime", claims: lives(longest), want: p.want},
		{name: "longer lifetime", claims: lives(longest + time.Minute), reason: jwtauth.ReasonLifetime, cause: "MaxLifetime " + longest.String()},
	}, p.tokens...)
}

// sign returns a token like the access token, with changes.
func (p provider) sign(k key, header, claims object) string {
	if p.header == nil {
		p.header = object{"alg": "RS256", "typ": "JWT", "kid": "k1"}
	}
	return k.sign(p.header.with(header), p.claims.with(claims))
}

// outcome is what the gate makes of a token.
type outcome struct {
	Caller caller
	Reason gatehouse.Reason
	Cause  string
	Events []gatehouse.EventType // of the key set and the settings
}

// try sends a token through a gate for this issuer. The error is that of New.
func (p provider) try(t *testing.T, issuer jwtauth.Issuer, sent token) (outcome, error) {
	t.Helper()
	if sent.change != nil {
		sent.change(&issuer)
	}
	var got outcome
	var mu sync.Mutex
	observer := gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
		mu.Lock()
		defer mu.Unlock()
		if e.Type != gatehouse.EventDecision {
			got.Events = append(got.Events, e.Type)
			return nil
		}
		got.Reason = e.Reason
		if e.Cause != nil {
			got.Cause = e.Cause.Error()
		}
		return nil
	})
	tokens, err := jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{issuer}, Transport: p.documents, Observer: observer})
	if err != nil {
		return got, err
	}
	defer func() { _ = tokens.Close() }()
	gate := must(gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{tokens}, Realm: "test", Observer: observer,
	}))
	h := gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		c, _ := gatehouse.FromContext(r.Context())
		mu.Lock()
		defer mu.Unlock()
		got.Caller = caller{c.Kind, c.Subject, c.Tenant, c.Client, c.Credential, c.Scopes.String(), c.Roles.String()}
		if c.Issuer != issuer.URL || r.Header.Get("Authorization") != "" || issuer.Header != "" && r.Header.Get(issuer.Header) != "" {
			t.Errorf("%s: issuer %q, header %v, want %q and no credential", sent.name, c.Issuer, r.Header, issuer.URL)
		}
	}))
	compact := sent.compact
	if compact == "" {
		k := p.key
		if sent.key != nil {
			k = *sent.key
		}
		compact = p.sign(k, sent.header, sent.claims)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	if header := p.issuer().Header; header != "" {
		r.Header.Set(header, compact)
	} else {
		r.Header.Set("Authorization", "Bearer "+compact)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Result().Body)
	mu.Lock()
	defer mu.Unlock()
	if (w.Code == http.StatusOK) != (got.Reason == "") {
		t.Errorf("%s: response = %d %s, reason %q", sent.name, w.Code, body, got.Reason)
	}
	return got, nil
}

// describe returns an outcome as text for comparisons.
func describe(o outcome, err error) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%+v %s", o.Caller, o.Reason)
}
