// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// The fuzz targets compare jwtauth with go-jose: go-jose must accept each token
// that jwtauth accepts, with the same key, audience and claims. The reverse is no
// property, since jwtauth is stricter.
//
// They run in bubbles of testing/synctest, which begin in the first second of the
// year 2000, so that the inputs in the corpus stay valid.

const (
	fuzzIssuer   = "https://a.example"
	fuzzHMAC     = "https://h.example"
	fuzzAudience = "https://api.example"
	fuzzSecret   = "0123456789abcdef0123456789abcdef"
	fuzzNow      = 946684800 // 2000-01-01T00:00:00Z
)

// bench is one verifier of each kind with the same keys.
type bench struct {
	tokens *jwtauth.Authenticator
	keys   map[string]any // for signing, by algorithm
}

// All targets share the keys, since generating RSA keys is slow.
var newBench = sync.OnceValue(func() *bench {
	b := &bench{keys: map[string]any{"HS256": []byte(fuzzSecret)}}
	var public []jwtauth.Key
	add := func(algorithm jwtauth.Algorithm, key crypto.Signer, err error) {
		if err != nil {
			panic(err)
		}
		b.keys[string(algorithm)] = key
		public = append(public, jwtauth.Key{ID: string(algorithm), Algorithm: algorithm, Public: key.Public()})
	}
	for _, a := range []jwtauth.Algorithm{jwtauth.RS256, jwtauth.PS256} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		add(a, key, err)
	}
	// The workers of the fuzzer are other processes, and its corpus is for later
	// ones, so these keys must be constant.
	ec, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), []byte(fuzzSecret))
	add(jwtauth.ES256, ec, err)
	add(jwtauth.EdDSA, ed25519.NewKeyFromSeed([]byte(fuzzSecret)), nil)
	b.tokens, err = jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{
		{URL: fuzzIssuer, Audiences: []string{fuzzAudience}, Algorithms: algorithms, Keys: jwtauth.StaticKeys(public...), AnyTenant: true},
		{
			URL: fuzzHMAC, Audiences: []string{fuzzAudience}, Algorithms: []jwtauth.Algorithm{jwtauth.HS256},
			Keys: jwtauth.SharedSecret(gatehouse.NewSecret([]byte(fuzzSecret))), Profile: jwtauth.Compatible, AnyTenant: true,
		},
	}})
	if err != nil {
		panic(err)
	}
	return b
})

// sign returns a token of header and claims, which may be invalid, signed with the
// key for an algorithm: with that one, or with the other one of an RSA key.
func (b *bench) sign(algorithm string, byOther bool, header, claims string) string {
	input := strings.TrimSuffix(join(header, claims, ""), ".")
	digest := sha256.Sum256([]byte(input))
	var signature []byte
	var err error
	switch key := b.keys[algorithm].(type) {
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(input))
		signature = mac.Sum(nil)
	case *rsa.PrivateKey:
		if (algorithm == "PS256") != byOther {
			signature, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
		}
	case *ecdsa.PrivateKey:
		return signES256(key, header, claims)
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(input))
	}
	if err != nil {
		panic(err)
	}
	return input + "." + encode(signature)
}

// verifier returns the key for go-jose.
func (b *bench) verifier(algorithm string) any {
	if key, ok := b.keys[algorithm].(crypto.Signer); ok {
		return key.Public()
	}
	return b.keys[algorithm]
}

// compare verifies a token with both and reports whether jwtauth accepts it.
func (b *bench) compare(t *testing.T, token string) bool {
	t.Helper()
	who, err := b.tokens.Verify(t.Context(), token)
	again, errAgain := b.tokens.Verify(t.Context(), token) // from the cache, if it is valid
	if err != nil {
		b.checkRejection(t, token, err)
		if errAgain == nil || errAgain.Error() != err.Error() {
			t.Errorf("rejected with %v, and then with %v", err, errAgain)
		}
		return false
	}
	if errAgain != nil || !reflect.DeepEqual(again, who) {
		t.Errorf("accepted as %+v, and then as %+v, %v", who, again, errAgain)
	}

	algorithms := []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}
	if who.Issuer == fuzzHMAC {
		algorithms = []jose.SignatureAlgorithm{jose.HS256}
	}
	signed, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil {
		t.Fatalf("accepted by jwtauth, not parsed by go-jose: %v\n%s", err, token)
	}
	algorithm := signed.Signatures[0].Protected.Algorithm
	payload, err := signed.Verify(b.verifier(algorithm))
	if err != nil {
		t.Fatalf("accepted by jwtauth, not verified by go-jose: %v\n%s", err, token)
	}
	if string(payload) != who.Claims.String() {
		t.Fatalf("go-jose reads the claims %s, jwtauth reads %s", payload, who.Claims)
	}

	parsed := must(josejwt.ParseSigned(token, algorithms))
	var claims josejwt.Claims
	var more struct {
		Client string `json:"client_id"`
		Scope  any    `json:"scope"`
	}
	if err := parsed.Claims(b.verifier(algorithm), &claims, &more); err != nil {
		t.Fatalf("accepted by jwtauth, claims not read by go-jose: %v\n%s", err, payload)
	}
	expected := josejwt.Expected{Issuer: who.Issuer, AnyAudience: josejwt.Audience{fuzzAudience}, Time: time.Now()}
	if err := claims.ValidateWithLeeway(expected, 30*time.Second); err != nil {
		t.Fatalf("accepted by jwtauth, not valid for go-jose: %v\n%s", err, payload)
	}
	if claims.Subject != who.Subject || claims.ID != who.Credential || claims.Expiry == nil || !claims.Expiry.Time().Equal(who.Expires) {
		t.Fatalf("go-jose reads %+v, jwtauth reads %+v", claims, who)
	}
	if who.Issuer == fuzzIssuer && more.Client != who.Client {
		t.Fatalf("go-jose reads client_id %q, jwtauth reads %q", more.Client, who.Client)
	}
	if scope, ok := more.Scope.(string); ok {
		if same, err := gatehouse.ParseScopes(scope); err != nil || same != who.Scopes {
			t.Fatalf("go-jose reads scope %q, jwtauth reads %q", scope, who.Scopes)
		}
	} else if more.Scope == nil && who.Scopes.Len() > 0 {
		t.Fatalf("go-jose reads no scope, jwtauth reads %q", who.Scopes)
	}
	var folded map[string]json.RawMessage
	if err := json.Unmarshal(payload, &folded); err != nil {
		t.Fatalf("accepted by jwtauth, and no JSON: %v", err)
	}
	return true
}

// checkRejection checks that the error is invalid_token, since the keys are always
// available, and contains no part of the token.
func (b *bench) checkRejection(t *testing.T, token string, err error) {
	t.Helper()
	e, ok := errors.AsType[*gatehouse.Error](err)
	if !ok || e.Code != gatehouse.CodeInvalidToken || e.Reason == "" {
		t.Errorf("rejected with %#v, want invalid_token and a reason", err)
		return
	}
	text := e.Error()
	if e.Cause != nil {
		text += e.Cause.Error()
	}
	for i := range len(token) - 7 {
		if strings.Contains(text, token[i:i+8]) {
			t.Errorf("the error %q contains %q of the token", text, token[i:i+8])
			return
		}
	}
}

var fuzzAlgorithms = []string{"ES256", "EdDSA", "HS256", "RS256", "PS256"}

// valid returns header and claims of a valid token for an algorithm.
func valid(algorithm string) (header, claims string) {
	iss := fuzzIssuer
	if algorithm == "HS256" {
		iss = fuzzHMAC
	}
	return `{"alg":"` + algorithm + `","typ":"at+jwt","kid":"` + algorithm + `"}`,
		`{"iss":"` + iss + `","aud":"` + fuzzAudience + `","sub":"ada","client_id":"app","jti":"id-1",` +
			`"iat":946684800,"exp":946685100,"scope":"reports:read"}`
}

// FuzzSignedTokens fuzzes tokens that a trusted issuer signs by mistake, or with
// claims that an attacker controls.
func FuzzSignedTokens(f *testing.F) {
	b := newBench()
	for n, algorithm := range fuzzAlgorithms {
		header, claims := valid(algorithm)
		f.Add(uint8(n), false, header, claims)
		f.Add(uint8(n), true, swapRSA.Replace(header), claims)
	}
	seeded(func(header, claims string) { f.Add(uint8(0), false, header, claims) })
	f.Fuzz(func(t *testing.T, algorithm uint8, byOther bool, header, claims string) {
		synctest.Test(t, func(t *testing.T) {
			b.compare(t, b.sign(fuzzAlgorithms[int(algorithm)%len(fuzzAlgorithms)], byOther, header, claims))
		})
	})
}

// swapRSA changes the algorithm of an RSA key in a header to the other one.
var swapRSA = strings.NewReplacer(`"alg":"RS256"`, `"alg":"PS256"`, `"alg":"PS256"`, `"alg":"RS256"`)

// FuzzTokens fuzzes the whole text of a token.
func FuzzTokens(f *testing.F) {
	b := newBench()
	for _, algorithm := range fuzzAlgorithms[:3] { // RSA keys are new in every process
		header, claims := valid(algorithm)
		f.Add(b.sign(algorithm, false, header, claims))
	}
	for _, token := range []string{"", ".", "..", "...", "a.b.c", "e30.e30.", "e30.e30.AA", "\n.\n.\n"} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		synctest.Test(t, func(t *testing.T) { b.compare(t, token) })
	})
}

// seeds are replacements that make JSON ambiguous or a claim invalid, by what they replace.
var seeds = map[string][]string{
	`"ada"`:                     {`"\u0061da"`, `"ada","sub":"eve"`, `"ada","SUB":"eve"`, `"\ud800"`, "\"\xff\""},
	`"sub"`:                     {`"\u0073ub"`},
	`946685100`:                 {`946685100.5`, `9.466851e8`, `"946685100"`, `1e400`, `-1`},
	`946684800,"exp":946685100`: {`946684000,"exp":946684769`, `946684000,"exp":946684770`, `946684000,"exp":946684771`}, // the skew is 30 s
	`946684800`:                 {`946684830`, `946684831`, `1e19`},
	`"https://api.example"`: {
		`["https://api.example","https://b.example"]`, `["https://api.example",1]`, `[]`, `"https://b.example"`, `"https://api.example/"`,
	},
	`"https://a.example"`: {`"https:\/\/a.example"`},
	`"reports:read"`:      {`["reports:read"]`, `"reports:read  admin"`, `null`},
	`}`: {
		`,"nbf":946684831}`, `,"cnf":{"jkt":"x"}}`, `,"act":{"sub":"bob","act":{"sub":"eve"}}}`, `,"crit":["exp"]}`,
		`,"x":{"x":{"x":[[[1]]]}}}`, `} `, `}}`,
	},
	`{`:              {` {`, "\ufeff{"},
	`"at+jwt"`:       {`"application/at+jwt"`, `"AT+JWT"`, `"JWT"`},
	`,"kid":"ES256"`: {``},
	`"kid":"ES256"`:  {`"kid":"EdDSA"`, `"kid":""`},
	`"alg":"ES256"`:  {`"alg":"EdDSA"`, `"alg":"none"`},
}

// seeded calls use with a valid header and valid claims, one of them with a replacement.
func seeded(use func(header, claims string)) {
	header, claims := valid("ES256")
	for _, old := range slices.Sorted(maps.Keys(seeds)) {
		for _, text := range seeds[old] {
			use(header, strings.Replace(claims, old, text, 1))
			use(strings.Replace(header, old, text, 1), claims)
		}
	}
}

// TestFuzzSeeds checks that both accept the valid tokens from which the fuzzer
// starts.
func TestFuzzSeeds(t *testing.T) {
	b := newBench()
	synctest.Test(t, func(t *testing.T) {
		if now := time.Now().Unix(); now != fuzzNow {
			t.Fatalf("the bubble begins at %d, want %d", now, fuzzNow)
		}
		for _, algorithm := range fuzzAlgorithms {
			header, claims := valid(algorithm)
			if !b.compare(t, b.sign(algorithm, false, header, claims)) {
				t.Errorf("%s: a valid token is rejected", algorithm)
			}
		}
		tried, accepted := 0, 0
		seeded(func(header, claims string) {
			tried++
			if b.compare(t, b.sign("ES256", false, header, claims)) {
				accepted++
			}
		})
		if accepted == 0 || accepted == tried {
			t.Errorf("%d of %d seeds are accepted, want some and not all", accepted, tried)
		}
	})
}
