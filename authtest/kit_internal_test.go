// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse/internal/racetest"
)

var everything = IssuerConfig{
	Algorithms: []string{
		"ES256", "ES384", "ES512", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
	},
	Scope: "reports:read",
}

// verifiesBy reports whether k verifies the signature of a token, over exactly its
// text.
func verifiesBy(k *key, token string) bool {
	dot := strings.LastIndex(token, ".")
	if dot < 0 {
		return false
	}
	input := token[:dot]
	signature, err := base64.RawURLEncoding.Strict().DecodeString(token[dot+1:])
	if err != nil || strings.ContainsAny(token[dot+1:], "\r\n") {
		return false
	}
	a := algorithms[k.algorithm]
	switch a.family {
	case familyHMAC:
		return hmac.Equal(signature, signAs(k.algorithm, k.private, input))
	case familyRSA:
		return rsa.VerifyPKCS1v15(k.public().(*rsa.PublicKey), a.hash, digest(a.hash, input), signature) == nil
	case familyPSS:
		options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		return rsa.VerifyPSS(k.public().(*rsa.PublicKey), a.hash, digest(a.hash, input), signature, options) == nil
	case familyECDSA:
		size := (a.curve.Params().BitSize + 7) / 8
		if len(signature) != 2*size {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
		return ecdsa.Verify(k.public().(*ecdsa.PublicKey), digest(a.hash, input), r, s)
	case familyEdDSA:
		return ed25519.Verify(k.public().(ed25519.PublicKey), []byte(input), signature)
	}
	return false
}

// Tokens that must be rejected for their content have a valid signature, and forged
// tokens have none.
func TestSignaturesAreAsDeclared(t *testing.T) {
	racetest.Skip(t)
	counts := make(map[string][3]int)
	for n, config := range []IssuerConfig{everything, {Algorithms: []string{"HS256"}}, {Algorithms: []string{"ES256"}, Type: "JWT"}} {
		issuer := NewIssuer(t, config)
		if n == 0 {
			if err := issuer.PublishOddKeys(); err != nil {
				t.Fatal(err)
			}
		}
		published := slices.Clone(issuer.keys)
		sound, forged := 0, 0
		for a := range Attacks(issuer) {
			row := strings.TrimSpace(fmt.Sprintf("%s: %s %s", a.Row, list(a.Want), a.code))
			count := counts[row]
			count[n]++
			counts[row] = count
			token, ok := strings.CutPrefix(a.Request.Header.Get("Authorization"), "Bearer ")
			if !ok || a.Section == "HTTP" && a.signer == nil {
				continue
			}
			if a.signer != nil {
				sound++
				if !verifiesBy(a.signer, token) {
					t.Errorf("%s: invalid signature, want a valid one", a.Name)
				}
				continue
			}
			forged++
			for _, k := range published {
				if verifiesBy(k, token) {
					t.Errorf("%s: valid signature of %s, want an invalid one", a.Name, k.id)
				}
			}
		}
		if sound < 300 || forged < 40 {
			t.Errorf("%v: %d signed and %d forged tokens, want at least 300 and 40", config.Algorithms, sound, forged)
		}
	}
	if diff := cmp.Diff(catalogueCounts, counts); diff != "" {
		t.Errorf("attempts by row, status and error code (-want +got):\n%s", diff)
	}
}

// A verifier that uses the odd keys accepts their tokens.
func TestOddKeysSign(t *testing.T) {
	racetest.Skip(t)
	issuer := NewIssuer(t, everything)
	if err := issuer.PublishOddKeys(); err != nil {
		t.Fatal(err)
	}
	signing := 0
	for _, odd := range issuer.oddKeys {
		if odd.sign == nil {
			continue
		}
		signing++
		var input string
		var signature []byte
		for n := 0; signature == nil; n++ {
			input = fmt.Sprintf("header.payload%d", n)
			signature = odd.sign(input)
		}
		var sound bool
		switch odd.name {
		case "oct", "oct of one byte":
			secret, err := base64.RawURLEncoding.DecodeString(odd.jwk["k"].(string))
			sound = err == nil && hmac.Equal(signature, signAs("HS256", secret, input))
		case "RSA with the exponent 1":
			hash := algorithms[odd.algorithm].hash
			sound = slices.Equal(signature, padPKCS1(256, digestInfo(hash, digest(hash, input)))) && odd.jwk["e"] == "AQ"
		case "RSA with the exponent 2":
			hash := algorithms[odd.algorithm].hash
			square := new(big.Int).SetBytes(signature)
			square.Mul(square, square).Mod(square, shared("exponent two", "RS256").Public().(*rsa.PublicKey).N)
			good := padPKCS1(256, digestInfo(hash, digest(hash, input)))
			sound = slices.Equal(square.FillBytes(make([]byte, 256)), good) && odd.jwk["e"] == "Ag"
		case "P-224 for ES256":
			hash := algorithms["ES256"].hash
			r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
			sound = ecdsa.Verify(&p224().PublicKey, digest(hash, input), r, s)
		case "Ed25519 of low order":
			x, err := base64.RawURLEncoding.DecodeString(odd.jwk["x"].(string))
			sound = err == nil && ed25519.Verify(x, []byte(input), signature)
		case "RSA of 1024 bits":
			k, err := rsa1024()
			sound = err == nil && k.N.BitLen() == 1024 && verifiesBy(&key{algorithm: odd.algorithm, private: k}, input+"."+encode(signature))
		case "one kid, two types", "one kid, two of a type":
			sound = true // signed by signAs; TestAttackOnJWTAuth shows that it is accepted
		default:
			k := shared("misused", odd.algorithm)
			sound = verifiesBy(&key{algorithm: odd.algorithm, private: k}, input+"."+encode(signature))
		}
		if !sound {
			t.Errorf("%s: invalid signature, want a valid one", odd.name)
		}
	}
	if signing < 14 {
		t.Errorf("%d odd keys sign, want at least 14", signing)
	}
}

// The correct padding by the same functions verifies, the wrong ones do not.
func TestPaddings(t *testing.T) {
	private := shared("padding", "RS256").(*rsa.PrivateKey)
	hash := algorithms["RS256"].hash
	sum := digest(hash, "x")
	good := padPKCS1(private.Size(), digestInfo(hash, sum))
	public := &private.PublicKey
	if err := rsa.VerifyPKCS1v15(public, hash, sum, rawRSA(private, good)); err != nil {
		t.Errorf("VerifyPKCS1v15(correct padding) error = %v, want nil", err)
	}
	for _, padding := range paddings {
		em := padding.make(private.Size(), hash, sum)
		if len(em) != private.Size() || slices.Equal(em, good) {
			t.Errorf("%s = %x, want a wrong padding of %d bytes", padding.name, em, private.Size())
		}
		if err := rsa.VerifyPKCS1v15(public, hash, sum, rawRSA(private, em)); err == nil {
			t.Errorf("VerifyPKCS1v15(%s) error = nil, want one", padding.name)
		}
	}
	for _, salt := range []int{0, 20, 31, 32, 33, 222} {
		signature := rawRSA(private, padPSS(hash, hash, sum, 2047, salt))
		options := &rsa.PSSOptions{SaltLength: salt}
		if salt == 0 {
			options.SaltLength = rsa.PSSSaltLengthAuto
		}
		if err := rsa.VerifyPSS(public, hash, sum, signature, options); err != nil {
			t.Errorf("VerifyPSS(salt of %d bytes) error = %v, want nil", salt, err)
		}
	}
}

func TestParseChallenges(t *testing.T) {
	for _, good := range []struct {
		value string
		want  int
	}{
		{`Bearer`, 1},
		{`Bearer realm="a, b"`, 1},
		{`Bearer realm="a \"b\"", error="invalid_token"`, 1},
		{`Bearer realm=a,error=b`, 1},
		{`Bearer realm = "a" , error = "b"`, 1},
		{`Negotiate abc==`, 1},
		{`Bearer realm="a", Basic realm="b"`, 2},
		{`Bearer realm="a",, error="b"`, 1},
		{`Negotiate, Bearer realm="a", DPoP algs="ES256"`, 3},
	} {
		challenges, err := parseChallenges([]string{good.value})
		if err != nil || len(challenges) != good.want {
			t.Errorf("parseChallenges(%s) = %v, %v, want %d", good.value, challenges, err, good.want)
		}
	}
	c, err := parseChallenges([]string{`Basic realm="x"`, `Bearer REALM="a \"b\" c", error=invalid_token`})
	if err != nil || len(c) != 2 || c[1].params["realm"] != `a "b" c` || c[1].params["error"] != "invalid_token" {
		t.Errorf("parseChallenges(two headers) = %v, %v", c, err)
	}
	for _, bad := range []string{
		"", `"`, `Bearer realm="a`, `Bearer realm="a" error="b"`, `Bearer realm="a "b" c"`, `Bearer realm=a b`, `Bearer =`,
		`Bearer realm="a", realm="b"`, "Bearer realm=\"a\nb\"", "Bearer\trealm=x", `Bearer realm=` + "\"\x00\"", `Bearer a b`, `Bearer realm="x\`, `Bearer !`, `Bearer error=a, ERROR=b`,
	} {
		if c, err := parseChallenges([]string{bad}); err == nil {
			t.Errorf("parseChallenges(%q) = %v, want an error", bad, c)
		}
	}
}

func TestNamesAreUniqueAndOrdered(t *testing.T) {
	t.Parallel()
	issuer := NewIssuer(t, IssuerConfig{Algorithms: []string{"ES256"}, Scope: "reports:read"})
	var names [2][]string
	for n := range names {
		for a := range Attacks(issuer) {
			names[n] = append(names[n], a.Name)
			if !strings.HasPrefix(a.Name, a.Row+": ") || a.Section == "" || a.Row == "" || len(a.Want) == 0 ||
				a.Request.URL.Path == "" || a.Request.Host != "api.example.com" {
				t.Errorf("incomplete attempt: %+v", a)
			}
		}
	}
	if diff := cmp.Diff(names[0], names[1]); diff != "" {
		t.Errorf("names of two runs (-first +second):\n%s", diff)
	}
	if slices.Sort(names[0]); len(slices.Compact(names[0])) != len(names[1]) {
		t.Error("a name occurs twice")
	}
}

func TestAttemptToRoute(t *testing.T) {
	a := Attempt{Request: httptest.NewRequest(http.MethodPost, "https://api.example.com/x%2fy?a=b", http.NoBody)}
	for _, test := range []struct{ pattern, want string }{
		{"/", "GET api.example.com/ /?a=b"},
		{"GET /users/{id}/files/{path...}", "GET api.example.com/users/authtest/files/authtest /users/authtest/files/authtest?a=b"},
		{"DELETE admin.example.com/users/{$}", "DELETE admin.example.com/users/ /users/?a=b"},
		{"admin.example.com/", "GET admin.example.com/ /?a=b"},
		{"PUT  \t/a", "PUT api.example.com/a /a?a=b"},
		{"PUT\t/a", "PUT api.example.com/a /a?a=b"},
	} {
		r := a.to(test.pattern).Request
		if got := r.Method + " " + r.Host + r.URL.EscapedPath() + " " + r.RequestURI; got != test.want || r.URL.Host != r.Host {
			t.Errorf("to(%q) = %s with the URL %s, want %s", test.pattern, got, r.URL, test.want)
		}
	}
	if a.Request.Method != http.MethodPost || a.Request.Host != "api.example.com" {
		t.Errorf("to changes its receiver: %s %s", a.Request.Method, a.Request.Host)
	}
}

func TestAttacksStopEarly(t *testing.T) {
	issuer := NewIssuer(t, IssuerConfig{Algorithms: []string{"ES256"}})
	for _, limit := range []int{1, 7, 100} {
		n := 0
		for range Attacks(issuer) {
			if n++; n == limit {
				break
			}
		}
		if n != limit {
			t.Errorf("%d attempts, want %d", n, limit)
		}
	}
	for range CrossIssuerAttacks(issuer, issuer) {
		break
	}
}

func TestBodyIsSentEachTime(t *testing.T) {
	issuer := NewIssuer(t, IssuerConfig{Algorithms: []string{"ES256"}})
	for a := range Attacks(issuer) {
		if a.Name != "token in the body: form, POST" {
			continue
		}
		for range 2 {
			findings := a.Try(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.PostFormValue("access_token") == "" {
					w.WriteHeader(http.StatusUnauthorized)
				}
			}))
			if len(findings) != 1 || findings[0].Kind != Accepted {
				t.Errorf("findings = %v, want one of %s", findings, Accepted)
			}
		}
		return
	}
	t.Error("no attempt token in the body: form, POST")
}

func TestNoStoreIsRequired(t *testing.T) {
	challenge := http.Header{"Www-Authenticate": {`Bearer realm="test"`}}
	for status, want := range map[int]int{400: 1, 401: 1, 403: 1, 404: 0, 503: 0} {
		if wrong := (Attempt{}).wrongHeaders(status, challenge); len(wrong) != want {
			t.Errorf("%d without no-store: %q, want %d findings", status, wrong, want)
		}
		complete := http.Header{"Www-Authenticate": challenge["Www-Authenticate"], "Cache-Control": {"private, no-store"}}
		if wrong := (Attempt{}).wrongHeaders(status, complete); len(wrong) != 0 {
			t.Errorf("%d with no-store: %q, want none", status, wrong)
		}
	}
}
