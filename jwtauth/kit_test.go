// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/leaktest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const (
	issuerURL = "https://auth.example.com"
	otherURL  = "https://other.example.com"
	audience  = "https://api.example.com"
)

var secret = []byte("h7Zl0v0mWm1hX1c8H0oW1m7kS0e7a4cVx9q2rT5uY8w3eR6tB1nM4kL7pQ0sD2fGz")

// pair is a key pair or a shared secret that signs tokens.
type pair struct {
	algorithm jwtauth.Algorithm
	private   any
	public    crypto.PublicKey
}

var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	edKey  = sync.OnceValue(func() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(secret[:32]) })
	ecKey  = sync.OnceValue(func() map[jwtauth.Algorithm]*ecdsa.PrivateKey {
		return map[jwtauth.Algorithm]*ecdsa.PrivateKey{
			jwtauth.ES256: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
			jwtauth.ES384: must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
			jwtauth.ES512: must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)),
		}
	})
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// equal fails the test if got and want differ. The immutable values compare
// with ==.
func equal[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(gatehouse.Code{}, gatehouse.Claims{}, gatehouse.Principal{}), cmpopts.EquateErrors()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func keyFor(a jwtauth.Algorithm) pair {
	switch a {
	case jwtauth.ES256, jwtauth.ES384, jwtauth.ES512:
		k := ecKey()[a]
		return pair{a, k, &k.PublicKey}
	case jwtauth.EdDSA:
		return pair{a, edKey(), edKey().Public()}
	case jwtauth.HS256, jwtauth.HS384, jwtauth.HS512:
		return pair{a, secret, nil}
	}
	return pair{a, rsaKey(), &rsaKey().PublicKey}
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// sign returns a compact token of a header and a payload that are JSON texts.
func (p pair) sign(header, payload string) string {
	input := encode(header) + "." + encode(payload)
	signature := must(jwt.GetSigningMethod(string(p.algorithm)).Sign(input, p.private))
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// token signs a valid token of the key's algorithm with changes.
func (p pair) token(header, claims object) string {
	return p.sign(goodHeader(p.algorithm).with(header), goodClaims().with(claims))
}

type object map[string]any

// null is a member that is null.
var null = json.RawMessage("null")

// with returns the JSON of o with changes; nil removes a member.
func (o object) with(changes object) string {
	o = maps.Clone(o)
	for name, value := range changes {
		if value == nil {
			delete(o, name)
			continue
		}
		o[name] = value
	}
	return string(must(json.Marshal(o)))
}

func list(changes ...object) []object { return changes }

// each returns a change of one member to each of the values.
func each(name string, values ...any) []object {
	var changes []object
	for _, value := range values {
		changes = append(changes, object{name: value})
	}
	return changes
}

func goodHeader(a jwtauth.Algorithm) object {
	return object{"alg": string(a), "kid": "k1", "typ": "at+jwt"}
}

func goodClaims() object {
	now := time.Now().Unix()
	return object{
		"iss": issuerURL, "aud": audience, "sub": "alice", "client_id": "web", "jti": "token-1",
		"iat": now, "exp": now + 300, "scope": "reports:read", "tenant": "acme",
	}
}

// token returns a valid ES256 token with changes; nil removes a member.
func token(header, claims object) string { return keyFor(jwtauth.ES256).token(header, claims) }

// tokens returns n valid tokens.
func tokens(n int) []string {
	var all []string
	for i := range n {
		all = append(all, token(nil, object{"jti": fmt.Sprint("token-", i)}))
	}
	return all
}

// unsigned returns a token up to its signature.
func unsigned(token string) string { return token[:strings.LastIndexByte(token, '.')+1] }

// config returns a configuration that accepts the tokens of [token].
func config(change ...func(*jwtauth.Config)) jwtauth.Config {
	c := jwtauth.Config{Issuers: []jwtauth.Issuer{{
		URL: issuerURL, Audiences: []string{audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256},
		Keys: jwtauth.StaticKeys(jwtauth.Key{ID: "k1", Algorithm: jwtauth.ES256, Public: keyFor(jwtauth.ES256).public}),
	}}}
	for _, f := range change {
		f(&c)
	}
	return c
}

// issuerConfig is config with a change of its issuer.
func issuerConfig(change func(*jwtauth.Issuer)) jwtauth.Config {
	return config(func(c *jwtauth.Config) { change(&c.Issuers[0]) })
}

var (
	asymmetric = []jwtauth.Algorithm{
		jwtauth.RS256, jwtauth.RS384, jwtauth.RS512, jwtauth.PS256, jwtauth.PS384, jwtauth.PS512,
		jwtauth.ES256, jwtauth.ES384, jwtauth.ES512, jwtauth.EdDSA,
	}
	symmetric = []jwtauth.Algorithm{jwtauth.HS256, jwtauth.HS384, jwtauth.HS512}
)

// secretConfig is config with a shared secret and the symmetric algorithms.
func secretConfig(algorithms ...jwtauth.Algorithm) jwtauth.Config {
	return issuerConfig(func(i *jwtauth.Issuer) {
		i.Algorithms, i.Keys = algorithms, jwtauth.SharedSecret(gatehouse.NewSecret(secret))
	})
}

func newAuthenticator(t testing.TB, c jwtauth.Config) *jwtauth.Authenticator {
	t.Helper()
	a := must(jwtauth.New(c))
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// rejected returns the Error in err, and fails the test if err is another error.
func rejected(t testing.TB, err error) *gatehouse.Error {
	t.Helper()
	e, ok := errors.AsType[*gatehouse.Error](err)
	if !ok {
		t.Fatalf("got error %v, want a *gatehouse.Error", err)
	}
	return e
}

// reasonOf returns the reason of an Error, "" if err is nil or another error.
func reasonOf(err error) gatehouse.Reason {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e.Reason
	}
	return ""
}

// reason returns the reason for which Verify rejects a token, "" if it accepts it.
func reason(t testing.TB, a *jwtauth.Authenticator, token string) gatehouse.Reason {
	t.Helper()
	p, err := a.Verify(t.Context(), token)
	if err == nil {
		if p.IsZero() {
			t.Fatal("Verify returned neither a principal nor an error")
		}
		return ""
	}
	e := rejected(t, err)
	want := gatehouse.CodeInvalidToken
	switch e.Reason {
	case jwtauth.ReasonKeysUnavailable, jwtauth.ReasonKeyPending, jwtauth.ReasonCanceled, jwtauth.ReasonRevocationsUnavailable:
		want = gatehouse.CodeTemporarilyUnavailable
	}
	if e.Code != want || !p.IsZero() {
		t.Fatalf("Verify = %v with reason %s and code %s, want no principal and code %s", p, e.Reason, e.Code, want)
	}
	return e.Reason
}

// check checks that Verify accepts the token, or rejects it for the reason want.
func check(t testing.TB, a *jwtauth.Authenticator, name any, token string, want gatehouse.Reason) {
	t.Helper()
	equal(t, fmt.Sprintf("%v: reason of Verify", name), reason(t, a, token), want)
}

// changes are changes of the claims of a valid token, and of its header if they have the
// member "header", by the reason for which Verify rejects the token, "" if it accepts it.
type changes map[gatehouse.Reason][]object

// check checks them all. header has changes of the header of all tokens.
func (c changes) check(t testing.TB, a *jwtauth.Authenticator, name string, header object) {
	t.Helper()
	for want, all := range c {
		for _, claims := range all {
			head := header
			if own, ok := claims["header"].(object); ok {
				head = own
			}
			delete(claims, "header")
			check(t, a, fmt.Sprint(name, head, claims), token(head, claims), want)
		}
	}
}

// serve returns a gate around a handler that answers 200.
func serve(a *jwtauth.Authenticator, observer ...gatehouse.Observer) http.Handler {
	g := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{a}, Realm: "test", Observer: gatehouse.Observers(observer...)}))
	return g.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}

// unavailable checks that Verify has no keys for a token, with the given cause.
func unavailable(t testing.TB, a *jwtauth.Authenticator, name, token, cause string) {
	t.Helper()
	_, err := a.Verify(t.Context(), token)
	if e := rejected(t, err); e.Reason != jwtauth.ReasonKeysUnavailable || !strings.Contains(e.Cause.Error(), cause) {
		t.Errorf("%s: Verify = %v (%v), want reason %s, cause %q", name, err, e.Cause, jwtauth.ReasonKeysUnavailable, cause)
	}
}

func get(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

func status(h http.Handler, r *http.Request) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// ecJWK, rsaJWK and edJWK return JWKs of public keys, with more members.
func ecJWK(kid string, p pair, more ...string) string {
	k := p.public.(*ecdsa.PublicKey)
	size := (k.Params().BitSize + 7) / 8
	return fmt.Sprintf(`{"kty":"EC","kid":%q,"crv":%q,"x":%q,"y":%q%s}`,
		kid, k.Params().Name, b64(k.X.FillBytes(make([]byte, size))), b64(k.Y.FillBytes(make([]byte, size))), strings.Join(more, ""))
}

func rsaJWK(kid string, k *rsa.PublicKey, more ...string) string {
	return fmt.Sprintf(`{"kty":"RSA","kid":%q,"n":%q,"e":%q%s}`, kid, b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes()), strings.Join(more, ""))
}

func edJWK(kid string, k ed25519.PublicKey, more ...string) string {
	return fmt.Sprintf(`{"kty":"OKP","kid":%q,"crv":"Ed25519","x":%q%s}`, kid, b64(k), strings.Join(more, ""))
}

// keyServer is a transport to the one server of a network. It counts requests.
type keyServer struct {
	mu      sync.Mutex
	serve   http.HandlerFunc
	fetches int
}

func (s *keyServer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	serve := s.serve
	s.fetches++
	s.mu.Unlock()
	return respond(serve, r)
}

func (s *keyServer) set(serve http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serve = serve
}

func (s *keyServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches
}

func document(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

func keySet(keys ...string) http.HandlerFunc {
	return document(`{"keys":[` + strings.Join(keys, ",") + `]}`)
}

// remoteConfig is config with the keys that s serves and all asymmetric algorithms.
func remoteConfig(s *keyServer, change ...func(*jwtauth.Config)) jwtauth.Config {
	return config(append([]func(*jwtauth.Config){func(c *jwtauth.Config) {
		c.Transport = s
		c.Issuers[0].Keys = jwtauth.RemoteKeys(issuerURL + "/jwks.json")
		c.Issuers[0].Algorithms = asymmetric
	}}, change...)...)
}

// twoIssuers adds another issuer with the same keys.
func twoIssuers(c *jwtauth.Config) {
	c.Issuers[0].AnyTenant = true
	c.Issuers = append(c.Issuers, c.Issuers[0])
	c.Issuers[1].URL = otherURL
}

// respond lets a handler answer a request within the synctest bubble of the
// caller.
func respond(serve http.HandlerFunc, r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(w, r)
	}()
	select {
	case <-done:
	case <-r.Context().Done():
		<-done
		return nil, r.Context().Err()
	}
	if w.Code == statusCut {
		return nil, io.ErrUnexpectedEOF
	}
	response := w.Result()
	response.Request = r
	return response, nil
}

const statusCut = 999 // the connection is cut before the response

func down(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(statusCut) }

func hanging(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func serverError(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusInternalServerError)
}

func goodSet() http.HandlerFunc { return keySet(ecJWK("k1", keyFor(jwtauth.ES256))) }

// junk returns a token with an unknown kid.
func junk(n int) string { return token(object{"kid": "junk-" + strconv.Itoa(n)}, nil) }

func signingKey(id string, a jwtauth.Algorithm) jwtauth.SigningKey {
	return jwtauth.SigningKey{ID: id, Algorithm: a, Private: keyFor(a).private.(crypto.Signer)}
}

func newRing(keys ...jwtauth.SigningKey) *jwtauth.KeyRing { return must(jwtauth.NewKeyRing(keys...)) }

func newSigner(c jwtauth.SignerConfig) *jwtauth.Signer { return must(jwtauth.NewSigner(c)) }

func goodToken() jwtauth.AccessToken {
	return jwtauth.AccessToken{Subject: "alice", Audience: audience, Client: "web"}
}
