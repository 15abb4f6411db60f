// SPDX-License-Identifier: Apache-2.0

package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/jose"
)

// The keys of the standards: RFC 7638 section 3.1, RFC 8037 section A.2, RFC 9449
// section 4.1.
const (
	rfc7638N = `0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMst` +
		`n64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajr` +
		`n1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw`
	rfc7638Key = `{"kty":"RSA","e":"AQAB","alg":"RS256","kid":"2011-04-29","n":"` + rfc7638N + `"}`
	rfc8037Key = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	rfc9449Key = `{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}`
)

// Covers RFC 7518 §2 (Base64urlUInt), §6.2.1.2; RFC 7638 §3.
func TestParseKey(t *testing.T) {
	for _, test := range []struct{ name, jwk, thumbprint string }{
		{"RFC 7638 section 3.1", rfc7638Key, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		{"RFC 8037 section A.3", rfc8037Key, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
		{"RFC 9449 section 6.1", rfc9449Key, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
		{"no JSON", `{`, ""},
		{"no object", `[]`, ""},
		{"no kty", `{}`, ""},
		{"symmetric", `{"kty":"oct","k":"AAAA"}`, ""},
		{"symmetric, disguised", strings.Replace(rfc8037Key, `{`, `{"k":"AA",`, 1), ""},
		{"private", strings.Replace(rfc9449Key, `{`, `{"d":"AA",`, 1), ""},
		{"text after it", rfc9449Key + "x", ""},
		{"private, null", strings.Replace(rfc9449Key, `{`, `{"d":null,`, 1), ""},
		{"private, other case", strings.Replace(rfc9449Key, `{`, `{"D":"AA",`, 1), ""},
		{"a member twice", strings.Replace(rfc9449Key, `{`, `{"kty":"EC",`, 1), ""},
		{"kty in other case", strings.Replace(rfc9449Key, `"EC"`, `"ec"`, 1), ""},
		{"kty of another type", strings.Replace(rfc9449Key, `"EC"`, `["EC"]`, 1), ""},
		{"curve missing", strings.Replace(rfc9449Key, `"crv":"P-256"`, `"use":"sig"`, 1), ""},
		{"curve unknown", strings.Replace(rfc9449Key, `P-256`, `P-224`, 1), ""},
		{"another curve", strings.Replace(rfc9449Key, `P-256`, `P-384`, 1), ""},
		{"not on the curve", strings.Replace(rfc9449Key, `9VE4`, `9VE5`, 1), ""},
		{"x and y of wrong lengths", `{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBA","y":"W_VROI3_zpP6OuM2005XLjSWox5rer_Uw1a1NAnbxkQw"}`, ""},
		{"padded", strings.Replace(rfc9449Key, `WBFs"`, `WBFs="`, 1), ""},
		{"line break", strings.Replace(rfc9449Key, `l8tF`, `l8\ntF`, 1), ""},
		{"stray bits", strings.Replace(rfc9449Key, `WBFs"`, `WBFt"`, 1), ""},
		{"y missing", `{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs"}`, ""},
		{"for signatures", strings.Replace(rfc9449Key, `{`, `{"use":"sig","key_ops":["sign","verify"],"alg":"ES256",`, 1), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
		{"for signatures, verify first", strings.Replace(rfc9449Key, `{`, `{"key_ops":["verify","sign"],`, 1), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
		{"use unknown", strings.Replace(rfc9449Key, `{`, `{"use":"SIG",`, 1), ""},
		{"for encryption", strings.Replace(rfc9449Key, `{`, `{"use":"enc",`, 1), ""},
		{"use of another type", strings.Replace(rfc9449Key, `{`, `{"use":["sig"],`, 1), ""},
		{"use empty", strings.Replace(rfc9449Key, `{`, `{"use":"",`, 1), ""},
		{"key_ops without verify", strings.Replace(rfc9449Key, `{`, `{"key_ops":["sign"],`, 1), ""},
		{"key_ops empty", strings.Replace(rfc9449Key, `{`, `{"key_ops":[],`, 1), ""},
		{"key_ops of another type", strings.Replace(rfc9449Key, `{`, `{"key_ops":"verify",`, 1), ""},
		{"alg of another type", strings.Replace(rfc9449Key, `{`, `{"alg":1,`, 1), ""},
		{"RSA of 1024 bits", rsaJWK(strings.Repeat("_", 170)+"w", "AQAB"), ""},
		{"RSA, leading zeros in n", rsaJWK("AAAA"+rfc7638N, "AQAB"), ""},
		{"RSA, leading zero in e", rsaJWK(rfc7638N, "AAEAAQ"), ""},
		{"RSA, even e", rsaJWK(rfc7638N, "Ag"), ""},
		{"RSA, e 3", rsaJWK(rfc7638N, "Aw"), "jqCR92i-PGD6t6zNSmvhT_8txm2lMJqFSuJpb9ITU2E"},
		{"RSA, e 1", rsaJWK(rfc7638N, "AQ"), ""},
		{"RSA, e too large", rsaJWK(rfc7638N, "AQAAAAE"), ""},
		{"RSA, e of 24 bits", rsaJWK(rfc7638N, "gAAB"), "EiTbbiMUbpNX5Thw02H2hnF_jJWnupJeMsgUPZbUvL0"},
		{"RSA, e of 32 bits", rsaJWK(rfc7638N, "gAAAAQ"), ""},
		{"RSA, e of 31 bits", rsaJWK(rfc7638N, "f____w"), "Xsfs0YSmxr50D5X_0X4BM3oHwQzOzSv5GB3FjbMqLJ0"},
		{"RSA, n is no base64url", rsaJWK("*", "AQAB"), ""},
		{"Ed25519, x is no base64url", `{"kty":"OKP","crv":"Ed25519","x":"*"}`, ""},
		{"key_ops mixed", strings.Replace(rfc9449Key, `{`, `{"key_ops":["verify",1],`, 1), ""},
		{"RSA, e missing", `{"kty":"RSA","n":"` + rfc7638N + `"}`, ""},
		{"X25519", strings.Replace(rfc8037Key, "Ed25519", "X25519", 1), ""},
		{"Ed25519, too short", strings.Replace(rfc8037Key, "11qYAYKx", "", 1), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			key, err := jose.ParseKey(test.jwk)
			if key.Thumbprint != test.thumbprint || (err == nil) != (test.thumbprint != "") {
				t.Fatalf("ParseKey = %q, %v, want %q", key.Thumbprint, err, test.thumbprint)
			}
			if err != nil {
				return
			}
			_, algorithm, _ := strings.Cut(test.jwk, `"alg":"`)
			if algorithm, _, _ = strings.Cut(algorithm, `"`); key.Algorithm != algorithm {
				t.Errorf("Algorithm = %q, want %q", key.Algorithm, algorithm)
			}
			if got, err := jose.Thumbprint(key.Public); err != nil || got != test.thumbprint {
				t.Errorf("Thumbprint = %q, %v, want %q", got, err, test.thumbprint)
			}
		})
	}
}

// A key with a private or symmetric member is rejected as such, whatever the value.
func TestParseKeyRejectsPrivateMembers(t *testing.T) {
	for _, member := range []string{"d", "k", "p", "q", "dp", "dq", "qi", "oth"} {
		_, err := jose.ParseKey(strings.Replace(rfc9449Key, `{`, `{"`+member+`":["verify"],`, 1))
		if err == nil || err.Error() != "is a private or symmetric key" {
			t.Errorf("ParseKey with %s error = %v, want that it is a private or symmetric key", member, err)
		}
	}
	for jwk, want := range map[string]string{`{"kty":"OKP","crv":"Ed25519","x":"*"}`: "is not in the canonical form", `{"kty":"OKP","crv":"Ed25519","x":"AA"}`: "is not 32 bytes long"} {
		if _, err := jose.ParseKey(jwk); err == nil || err.Error() != want {
			t.Errorf("ParseKey(%s) error = %v, want %s", jwk, err, want)
		}
	}
}

func rsaJWK(n, e string) string { return `{"kty":"RSA","n":"` + n + `","e":"` + e + `"}` }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var allAlgorithms = []string{"ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512", "EdDSA", "Ed25519"}

func newKeys() map[string]crypto.Signer {
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	return map[string]crypto.Signer{
		"P-256": must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), "P-384": must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
		"P-521": must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)), "RSA": must(rsa.GenerateKey(rand.Reader, 2048)), "Ed25519": ed,
	}
}

// A signature verifies only with the key and the algorithm that made it, and a key
// only fits the algorithms of its type and curve.
func TestSignAndVerify(t *testing.T) {
	fits := map[string]string{
		"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
		"RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "EdDSA": "Ed25519", "Ed25519": "Ed25519",
	}
	keys, others := newKeys(), newKeys()
	for _, algorithm := range allAlgorithms {
		for kind, key := range keys {
			signature, err := jose.Sign(algorithm, key, "input")
			if (err == nil) != (fits[algorithm] == kind) || jose.Fits(algorithm, key.Public()) != (err == nil) || err != nil && !strings.HasPrefix(err.Error(), algorithm+": does not fit a ") {
				t.Errorf("Sign(%s, %s) error = %v", algorithm, kind, err)
			}
			if err != nil {
				continue
			}
			// The key must survive the text form.
			text := must(json.Marshal(jose.Members(key.Public())))
			parsed, err := jose.ParseKey(string(text))
			if err != nil || !jose.Verify(algorithm, parsed.Public, "input", signature) {
				t.Errorf("%s: Verify = false, error %v", algorithm, err)
			}
			for name, bad := range map[string]bool{
				"another input":    jose.Verify(algorithm, key.Public(), "Input", signature),
				"another key":      jose.Verify(algorithm, others[kind].Public(), "input", signature),
				"cut":              jose.Verify(algorithm, key.Public(), "input", signature[1:]),
				"longer":           jose.Verify(algorithm, key.Public(), "input", append([]byte{0}, signature...)),
				"more zeros":       jose.Verify(algorithm, key.Public(), "input", slices.Concat([]byte{0}, signature[:len(signature)/2], []byte{0}, signature[len(signature)/2:])),
				"a zero between":   jose.Verify(algorithm, key.Public(), "input", slices.Concat(signature[:len(signature)/2], []byte{0}, signature[len(signature)/2:])),
				"empty":            jose.Verify(algorithm, key.Public(), "input", nil),
				"zero":             jose.Verify(algorithm, key.Public(), "input", make([]byte, len(signature))),
				"none":             jose.Verify("none", key.Public(), "input", nil),
				"symmetric":        jose.Verify("HS256", key.Public(), "input", signature),
				"key of no type":   jose.Verify(algorithm, "key", "input", signature),
				"another curve":    jose.Verify(algorithm, keys["P-384"].Public(), "input", signature) && kind != "P-384",
				"private key":      jose.Verify(algorithm, key, "input", signature),
				"other algorithms": anyOther(algorithm, key.Public(), signature),
			} {
				if bad {
					t.Errorf("%s: Verify with %s = true", algorithm, name)
				}
			}
		}
	}
}

func anyOther(algorithm string, public crypto.PublicKey, signature []byte) bool {
	for _, other := range allAlgorithms {
		same := other == algorithm || strings.HasPrefix(other, "Ed") && strings.HasPrefix(algorithm, "Ed")
		if !same && jose.Verify(other, public, "input", signature) {
			return true
		}
	}
	return false
}

// An unknown algorithm fits no key, also not one that CheckKey rejects.
func TestUnknownAlgorithmFitsNoKey(t *testing.T) {
	for _, key := range []crypto.PublicKey{&ecdsa.PublicKey{}, &rsa.PublicKey{}, ed25519.PublicKey{}} {
		if jose.Fits("none", key) {
			t.Errorf("Fits(none, %T) = true", key)
		}
	}
}

// fixed is a signer with a fixed result.
type fixed struct {
	crypto.Signer
	signature []byte
	err       error
}

func (f fixed) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return f.signature, f.err }

// lengthy is a signer whose signatures have a byte too many.
type lengthy struct{ crypto.Signer }

func (l lengthy) Sign(r io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	signature, err := l.Signer.Sign(r, digest, options)
	return append(signature, 0), err
}

func TestSignRejectsWhatIsNoSignature(t *testing.T) {
	if got, err := jose.Sign("ES256", lengthy{newKeys()["P-256"]}, "input"); err == nil {
		t.Errorf("Sign(signer that adds a byte) = %x, want an error", got)
	}
	failed := errors.New("failed")
	for name, key := range newKeys() {
		algorithm := map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "RSA": "PS256", "Ed25519": "EdDSA"}[name]
		if got, err := jose.Sign(algorithm, fixed{key, nil, failed}, "input"); !errors.Is(err, failed) {
			t.Errorf("Sign(%s, signer that fails) = %x, %v, want %v", algorithm, got, err, failed)
		}
	}
	if got, err := jose.Sign("ES256", fixed{newKeys()["P-256"], nil, nil}, "input"); err == nil {
		t.Errorf("Sign(signer without a result) = %x, want an error", got)
	}
}

// Covers RFC 7518 §3.3, §6.2.1; RFC 8725 §3.4.
func TestCheckKey(t *testing.T) {
	one := big.NewInt(1)
	odd := func(bits uint, e int) *rsa.PublicKey {
		return &rsa.PublicKey{N: new(big.Int).SetBit(new(big.Int).Lsh(one, bits-1), 0, 1), E: e}
	}
	const exponent = "is an RSA key with an exponent that is even or less than 3"
	for _, test := range []struct {
		key  crypto.PublicKey
		want string // the error, "" for none
	}{
		{odd(2048, 3), ""},
		{odd(16384, 65537), ""},
		{odd(2047, 3), "is an RSA key of 2047 bits, want 2048 to 16384"},
		{odd(16385, 3), "is an RSA key of 16385 bits, want 2048 to 16384"},
		{odd(2048, 1), exponent},
		{odd(2048, 65536), exponent},
		{&rsa.PublicKey{N: new(big.Int).Lsh(one, 2047), E: 3}, "is an RSA key with an even modulus"},
		{(*rsa.PublicKey)(nil), "is nil"},
		{&rsa.PublicKey{E: 3}, "is nil"},
		{(*ecdsa.PublicKey)(nil), "is nil"},
		{&ecdsa.PublicKey{X: one, Y: one}, "is nil"},
		{&ecdsa.PublicKey{Curve: elliptic.P256(), Y: one}, "is nil"},
		{&ecdsa.PublicKey{Curve: elliptic.P256(), X: one}, "is nil"},
		{&ecdsa.PublicKey{Curve: elliptic.P256(), X: one, Y: one}, "is not a point on an accepted curve"},
		{make(ed25519.PublicKey, 31), "is not 32 bytes long"},
		{make(ed25519.PublicKey, 33), "is not 32 bytes long"},
		{nil, "is a <nil>, want *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey"},
	} {
		got := ""
		if err := jose.CheckKey(test.key); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("CheckKey(%T %.40v) = %q, want %q", test.key, test.key, got, test.want)
		}
	}
	if got, err := jose.Thumbprint("key"); err == nil || got != "" {
		t.Errorf("Thumbprint(text) = %q, %v, want an error", got, err)
	}
}

// Signatures for a key of low order can be forged.
//
// Covers RFC 8725 §3.4.
func TestCheckKeyRejectsLowOrder(t *testing.T) {
	for _, y := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		for _, sign := range []byte{0, 0x80} {
			key := ed25519.PublicKey(must(hex.DecodeString(y)))
			key[31] |= sign
			defer func(before byte) {
				if key[31] != before {
					t.Errorf("CheckKey changed the key to %x", key)
				}
			}(key[31])
			if err := jose.CheckKey(key); err == nil || !strings.Contains(err.Error(), "low order") {
				t.Errorf("CheckKey(%x) = %v, want a key of low order", key, err)
			}
		}
	}
}

// Covers RFC 7518 §3.5.
func TestVerifyRequiresSaltLength(t *testing.T) {
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	digest := crypto.SHA256.New()
	digest.Write([]byte("input"))
	for salt, want := range map[int]bool{32: true, 20: false, 1: false, rsa.PSSSaltLengthAuto: false} {
		options := &rsa.PSSOptions{SaltLength: salt}
		signature := must(rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest.Sum(nil), options))
		if got := jose.Verify("PS256", key.Public(), "input", signature); got != want {
			t.Errorf("salt of %d bytes: Verify = %v, want %v", options.SaltLength, got, want)
		}
	}
}

func TestSplit(t *testing.T) {
	for token, ok := range map[string]bool{"a.b.c": true, "aaa.b.cc": true, "..": true, "a.b..": false, "a.b": false, "a": false, "": false, "a.b.c.d": false, "a.b.c.": false} {
		if got, err := jose.Split(token); (err == nil) != ok || ok && (got.Header+"."+got.Payload+"."+got.Signature != token || got.SigningInput+"."+got.Signature != token) {
			t.Errorf("Split(%q) = %+v, %v", token, got, err)
		}
	}
}

func TestNumericDate(t *testing.T) {
	for value, want := range map[string]int64{
		"0": 0, "12": 12, "12.9": 12, "253402300799": 253402300799, "253402300800": -1, "-1": -1, "1e3": -1, `"1"`: -1, "": -1, "null": -1, "1.2.3": -1,
	} {
		got, ok := jose.NumericDate(value)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("NumericDate(%s) = %d, %v, want %d", value, got, ok, want)
		}
	}
}
