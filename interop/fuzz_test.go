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
	"reflect"
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

// The fuzz targets hold jwtauth against go-jose: whatever jwtauth accepts,
// go-jose must accept too, as rightly signed by the same key, good now and for
// us, with the same claims. The other way round is no property: jwtauth is
// stricter.
//
// They run in the time of testing/synctest, where it is always the first second
// of the year 2000, so that what the fuzzer has found stays good.

const (
	fuzzIssuer   = "https://a.example"
	fuzzHMAC     = "https://h.example"
	fuzzAudience = "https://api.example"
	fuzzSecret   = "0123456789abcdef0123456789abcdef"
	fuzzNow      = 946684800 // 2000-01-01T00:00:00Z
)

// bench is one verifier of each kind with the same keys.
type bench struct {
	ours *jwtauth.Authenticator
	keys map[string]any // for signing, by algorithm
}

// Making RSA keys is slow, so all targets share them.
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
	// The workers of the fuzzer are other processes, and what it has found is
	// for later ones: the keys of the tokens in its corpus must be the same.
	ec, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), []byte(fuzzSecret))
	add(jwtauth.ES256, ec, err)
	add(jwtauth.EdDSA, ed25519.NewKeyFromSeed([]byte(fuzzSecret)), nil)
	b.ours, err = jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{
		{URL: fuzzIssuer, Audience: fuzzAudience, Algorithms: algorithms, Keys: jwtauth.StaticKeys(public...)},
		{
			URL: fuzzHMAC, Audience: fuzzAudience, Algorithms: []jwtauth.Algorithm{jwtauth.HS256},
			Keys: jwtauth.SharedSecret(gatehouse.NewSecret([]byte(fuzzSecret))), Profile: jwtauth.Compatible,
		},
	}})
	if err != nil {
		panic(err)
	}
	return b
})

// sign makes a token of the two texts, whatever they say, with the key for an
// algorithm: by that one or, if the key fits another too, by the other.
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
		r, s, e := ecdsa.Sign(rand.Reader, key, digest[:])
		signature, err = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), e
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(input))
	}
	if err != nil {
		panic(err)
	}
	return input + "." + encode(signature)
}

// verifiers are the keys for go-jose.
func (b *bench) verifier(algorithm string) any {
	if key, ok := b.keys[algorithm].(crypto.Signer); ok {
		return key.Public()
	}
	return b.keys[algorithm]
}

// compare gives a token to both and reports whether we accept it.
func (b *bench) compare(t *testing.T, token string) bool {
	t.Helper()
	who, err := b.ours.Verify(t.Context(), token)
	again, errAgain := b.ours.Verify(t.Context(), token) // from the cache, if it is good
	if err != nil {
		b.checkRefusal(t, token, err)
		if errAgain == nil || errAgain.Error() != err.Error() {
			t.Errorf("refused with %v, and then with %v", err, errAgain)
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
		t.Fatalf("accepted by us, not parsed by go-jose: %v\n%s", err, token)
	}
	algorithm := signed.Signatures[0].Protected.Algorithm
	payload, err := signed.Verify(b.verifier(algorithm))
	if err != nil {
		t.Fatalf("accepted by us, not verified by go-jose: %v\n%s", err, token)
	}
	if string(payload) != who.Claims.String() {
		t.Fatalf("go-jose reads the claims %s, we read %s", payload, who.Claims)
	}

	parsed, err := josejwt.ParseSigned(token, algorithms)
	if err != nil {
		t.Fatal(err)
	}
	var claims josejwt.Claims
	var more struct {
		Client string `json:"client_id"`
		Scope  any    `json:"scope"`
	}
	if err := parsed.Claims(b.verifier(algorithm), &claims, &more); err != nil {
		t.Fatalf("accepted by us, claims not read by go-jose: %v\n%s", err, payload)
	}
	expected := josejwt.Expected{Issuer: who.Issuer, AnyAudience: josejwt.Audience{fuzzAudience}, Time: time.Now()}
	if err := claims.ValidateWithLeeway(expected, 30*time.Second); err != nil {
		t.Fatalf("accepted by us, not good for go-jose: %v\n%s", err, payload)
	}
	if claims.Subject != who.Subject || claims.ID != who.Credential || claims.Expiry == nil || !claims.Expiry.Time().Equal(who.Expires) {
		t.Fatalf("go-jose reads %+v, we read %+v", claims, who)
	}
	if who.Issuer == fuzzIssuer && more.Client != who.Client {
		t.Fatalf("go-jose reads client_id %q, we read %q", more.Client, who.Client)
	}
	if scope, ok := more.Scope.(string); ok {
		if same, err := gatehouse.ParseScopes(scope); err != nil || same != who.Scopes {
			t.Fatalf("go-jose reads scope %q, we read %q", scope, who.Scopes)
		}
	} else if more.Scope == nil && who.Scopes.Len() > 0 {
		t.Fatalf("go-jose reads no scope, we read %q", who.Scopes)
	}
	var folded map[string]json.RawMessage
	if err := json.Unmarshal(payload, &folded); err != nil {
		t.Fatalf("accepted by us, and no JSON: %v", err)
	}
	return true
}

// checkRefusal: keys that cannot be unreachable leave nothing to be undecided,
// and what is said about a token has nothing of it.
func (b *bench) checkRefusal(t *testing.T, token string, err error) {
	t.Helper()
	e, ok := errors.AsType[*gatehouse.Error](err)
	if !ok || e.Code != gatehouse.CodeInvalidToken || e.Reason == "" {
		t.Errorf("refused with %#v", err)
		return
	}
	text := e.Error()
	if e.Cause != nil {
		text += e.Cause.Error()
	}
	for i := range len(token) - 7 {
		if strings.Contains(text, token[i:i+8]) {
			t.Errorf("the error %q has %q of the token in it", text, token[i:i+8])
			return
		}
	}
}

var fuzzAlgorithms = []string{"ES256", "EdDSA", "HS256", "RS256", "PS256"}

// good are header and claims of a good token for an algorithm.
func good(algorithm string) (header, claims string) {
	iss := fuzzIssuer
	if algorithm == "HS256" {
		iss = fuzzHMAC
	}
	return `{"alg":"` + algorithm + `","typ":"at+jwt","kid":"` + algorithm + `"}`,
		`{"iss":"` + iss + `","aud":"` + fuzzAudience + `","sub":"ada","client_id":"app","jti":"id-1",` +
			`"iat":946684800,"exp":946685100,"scope":"reports:read"}`
}

// FuzzSignedTokens fuzzes what a trusted issuer might sign by mistake, or
// because somebody else has a say in its claims.
func FuzzSignedTokens(f *testing.F) {
	b := newBench()
	for n, algorithm := range fuzzAlgorithms {
		header, claims := good(algorithm)
		f.Add(uint8(n), false, header, claims)
		f.Add(uint8(n), true, swapRSA.Replace(header), claims)
	}
	header, claims := good("ES256")
	for _, seed := range seeds {
		f.Add(uint8(0), false, header, strings.Replace(claims, seed.old, seed.new, 1))
		f.Add(uint8(0), false, strings.Replace(header, seed.old, seed.new, 1), claims)
	}
	f.Fuzz(func(t *testing.T, algorithm uint8, byOther bool, header, claims string) {
		synctest.Test(t, func(t *testing.T) {
			b.compare(t, b.sign(fuzzAlgorithms[int(algorithm)%len(fuzzAlgorithms)], byOther, header, claims))
		})
	})
}

// swapRSA makes a header say that an RSA key has signed by its other algorithm.
var swapRSA = strings.NewReplacer(`"alg":"RS256"`, `"alg":"PS256"`, `"alg":"PS256"`, `"alg":"RS256"`)

// FuzzTokens fuzzes tokens as an attacker can make them: the whole text.
func FuzzTokens(f *testing.F) {
	b := newBench()
	for _, algorithm := range fuzzAlgorithms[:3] { // RSA keys are new in every process
		header, claims := good(algorithm)
		f.Add(b.sign(algorithm, false, header, claims))
	}
	for _, token := range []string{"", ".", "..", "...", "a.b.c", "e30.e30.", "e30.e30.AA", "\n.\n.\n"} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		synctest.Test(t, func(t *testing.T) { b.compare(t, token) })
	})
}

// seeds are ways in which JSON can be read in two ways, or a claim in none.
var seeds = []struct{ old, new string }{
	{`"ada"`, `"\u0061da"`},
	{`"ada"`, `"ada","sub":"eve"`},
	{`"ada"`, `"ada","SUB":"eve"`},
	{`"ada"`, `"\ud800"`},
	{`"ada"`, "\"\xff\""},
	{`"sub"`, `"\u0073ub"`},
	{`946685100`, `946685100.5`},
	{`946685100`, `9.466851e8`},
	{`946685100`, `"946685100"`},
	{`946685100`, `1e400`},
	{`946685100`, `-1`},
	{`946684800,"exp":946685100`, `946684000,"exp":946684769`},
	{`946684800,"exp":946685100`, `946684000,"exp":946684770`}, // just over: the skew is 30 s
	{`946684800,"exp":946685100`, `946684000,"exp":946684771`},
	{`946684800`, `946684830`},
	{`946684800`, `946684831`},
	{`946684800`, `1e19`},
	{`"https://api.example"`, `["https://api.example","https://b.example"]`},
	{`"https://api.example"`, `["https://api.example",1]`},
	{`"https://api.example"`, `[]`},
	{`"https://api.example"`, `"https://b.example"`},
	{`"https://api.example"`, `"https://api.example/"`},
	{`"https://a.example"`, `"https:\/\/a.example"`},
	{`"reports:read"`, `["reports:read"]`},
	{`"reports:read"`, `"reports:read  admin"`},
	{`"reports:read"`, `null`},
	{`}`, `,"nbf":946684831}`},
	{`}`, `,"cnf":{"jkt":"x"}}`},
	{`}`, `,"act":{"sub":"bob","act":{"sub":"eve"}}}`},
	{`}`, `,"crit":["exp"]}`},
	{`}`, `,"x":{"x":{"x":[[[1]]]}}}`},
	{`}`, `} `},
	{`}`, `}}`},
	{`{`, ` {`},
	{`{`, "\ufeff{"},
	{`"at+jwt"`, `"application/at+jwt"`},
	{`"at+jwt"`, `"AT+JWT"`},
	{`"at+jwt"`, `"JWT"`},
	{`,"kid":"ES256"`, ``},
	{`"kid":"ES256"`, `"kid":"EdDSA"`},
	{`"kid":"ES256"`, `"kid":""`},
	{`"alg":"ES256"`, `"alg":"EdDSA"`},
	{`"alg":"ES256"`, `"alg":"none"`},
}

// TestFuzzSeeds: the good tokens from which the fuzzer starts are accepted by
// both, so that it starts from something.
func TestFuzzSeeds(t *testing.T) {
	b := newBench()
	synctest.Test(t, func(t *testing.T) {
		if now := time.Now().Unix(); now != fuzzNow {
			t.Fatalf("the bubble begins at %d", now)
		}
		for _, algorithm := range fuzzAlgorithms {
			header, claims := good(algorithm)
			if !b.compare(t, b.sign(algorithm, false, header, claims)) {
				t.Errorf("%s: a good token is refused", algorithm)
			}
		}
		header, claims := good("ES256")
		accepted := 0
		for _, seed := range seeds {
			for _, token := range []string{
				b.sign("ES256", false, header, strings.Replace(claims, seed.old, seed.new, 1)),
				b.sign("ES256", false, strings.Replace(header, seed.old, seed.new, 1), claims),
			} {
				if b.compare(t, token) {
					accepted++
				}
			}
		}
		if accepted == 0 || accepted == 2*len(seeds) {
			t.Errorf("%d of %d seeds are accepted", accepted, 2*len(seeds))
		}
	})
}
