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
	"slices"
	"strings"
	"testing"
)

var everything = IssuerConfig{
	Algorithms: []string{
		"ES256", "ES384", "ES512", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
	},
	Scope: "reports:read",
}

// soundBy reports whether the signature of a token is one of k, over exactly the
// text that is there.
func soundBy(k *key, token string) bool {
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

// TestSignaturesAreWhatTheySay holds every token of the kit to its word: those
// that are to be refused for what they say carry a good signature, and the
// others none.
func TestSignaturesAreWhatTheySay(t *testing.T) {
	for _, config := range []IssuerConfig{everything, {Algorithms: []string{"HS256"}}, {Algorithms: []string{"ES256"}, Type: "JWT"}} {
		issuer := NewIssuer(t, config)
		var published []*key
		published = append(published, issuer.keys...)
		sound, forged := 0, 0
		for a := range Attacks(issuer) {
			token, ok := strings.CutPrefix(a.Request.Header.Get("Authorization"), "Bearer ")
			if !ok || a.Section == "HTTP" && a.signer == nil {
				continue
			}
			if a.signer != nil {
				sound++
				if !soundBy(a.signer, token) {
					t.Errorf("%s: the signature is not good, so something else is wrong with it", a.Name)
				}
				continue
			}
			forged++
			for _, k := range published {
				if soundBy(k, token) {
					t.Errorf("%s: the signature is one of %s", a.Name, k.id)
				}
			}
		}
		if sound < 300 || forged < 40 {
			t.Errorf("%v: %d sound and %d forged tokens", config.Algorithms, sound, forged)
		}
	}
}

// TestOddKeysReallySign shows that a verifier which took the odd keys for good
// would take their tokens too.
func TestOddKeysReallySign(t *testing.T) {
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
			sound = err == nil && soundBy(&key{algorithm: odd.algorithm, private: k}, input+"."+encode(signature))
		case "one kid, two kinds", "one kid, two of a kind":
			sound = true // made by signAs with a key of its own, and shown to be let in where a verifier is
		default:
			k := shared(odd.name, odd.algorithm)
			sound = soundBy(&key{algorithm: odd.algorithm, private: k}, input+"."+encode(signature))
		}
		if !sound {
			t.Errorf("%s: its signature is not good", odd.name)
		}
	}
	if signing < 14 {
		t.Errorf("only %d odd keys sign", signing)
	}
}

// TestPaddings, because a forgery that is not one proves
// nothing, and the good one made by the same functions is good.
func TestPaddings(t *testing.T) {
	private := shared("padding", "RS256").(*rsa.PrivateKey)
	hash := algorithms["RS256"].hash
	sum := digest(hash, "x")
	good := padPKCS1(private.Size(), digestInfo(hash, sum))
	public := &private.PublicKey
	if err := rsa.VerifyPKCS1v15(public, hash, sum, rawRSA(private, good)); err != nil {
		t.Errorf("the good padding: %v", err)
	}
	for _, padding := range paddings {
		em := padding.make(private.Size(), hash, sum)
		if len(em) != private.Size() || slices.Equal(em, good) {
			t.Errorf("%s: %x", padding.name, em)
		}
		if err := rsa.VerifyPKCS1v15(public, hash, sum, rawRSA(private, em)); err == nil {
			t.Errorf("%s: is good", padding.name)
		}
	}
	for _, salt := range []int{0, 20, 31, 32, 33, 222} {
		signature := rawRSA(private, padPSS(hash, hash, sum, 2047, salt))
		options := &rsa.PSSOptions{SaltLength: salt}
		if salt == 0 {
			options.SaltLength = rsa.PSSSaltLengthAuto
		}
		if err := rsa.VerifyPSS(public, hash, sum, signature, options); err != nil {
			t.Errorf("salt of %d bytes: %v", salt, err)
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
		{`Negotiate, Bearer realm="a", DPoP algs="ES256"`, 3},
	} {
		challenges, err := parseChallenges([]string{good.value})
		if err != nil || len(challenges) != good.want {
			t.Errorf("%s: %v, %v", good.value, challenges, err)
		}
	}
	c, err := parseChallenges([]string{`Basic realm="x"`, `Bearer REALM="a \"b\" c", error=invalid_token`})
	if err != nil || len(c) != 2 || c[1].params["realm"] != `a "b" c` || c[1].params["error"] != "invalid_token" {
		t.Errorf("%v, %v", c, err)
	}
	for _, bad := range []string{
		"", `"`, `Bearer realm="a`, `Bearer realm="a" error="b"`, `Bearer realm="a "b" c"`, `Bearer realm=a b`, `Bearer =`,
		`Bearer realm="a", realm="b"`, "Bearer realm=\"a\nb\"", "Bearer\trealm=x", `Bearer realm=` + "\"\x00\"", `Bearer a b`, `Bearer realm="x\`,
	} {
		if c, err := parseChallenges([]string{bad}); err == nil {
			t.Errorf("%q: taken as %v", bad, c)
		}
	}
}

func TestNamesAreUniqueAndTheOrderIsTheSame(t *testing.T) {
	issuer := NewIssuer(t, everything)
	var names [2][]string
	for n := range names {
		for a := range Attacks(issuer) {
			names[n] = append(names[n], a.Name)
			if !strings.HasPrefix(a.Name, a.Row+": ") || a.Section == "" || a.Row == "" || len(a.Want) == 0 {
				t.Errorf("incomplete: %+v", a)
			}
			if a.Request.URL.Path == "" || a.Request.Host != "api.example.com" {
				t.Errorf("%s: asks for %s at %s", a.Name, a.Request.URL, a.Request.Host)
			}
		}
	}
	if !slices.Equal(names[0], names[1]) {
		t.Error("two runs differ")
	}
	slices.Sort(names[0])
	for n, name := range names[0][1:] {
		if name == names[0][n] {
			t.Errorf("there twice: %s", name)
		}
	}
}

func TestAttacksStopWhenTold(t *testing.T) {
	issuer := NewIssuer(t, IssuerConfig{Algorithms: []string{"ES256"}})
	for _, limit := range []int{1, 7, 100} {
		n := 0
		for range Attacks(issuer) {
			if n++; n == limit {
				break
			}
		}
		if n != limit {
			t.Errorf("%d attempts instead of %d", n, limit)
		}
	}
	for range Crossings(issuer, issuer) {
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
			if len(findings) != 1 || findings[0].Kind != GotThrough {
				t.Errorf("%v", findings)
			}
		}
		return
	}
	t.Error("the attempt is not there")
}
