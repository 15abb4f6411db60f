// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"bytes"
	"compress/flate"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"strings"
)

var envelopeAttacks = []func(*kit){
	segments, encrypted, nested, compressed, jsonSerialization, unencoded, critical, typeConfusion, typeSpelling, otherMarks, sizes,
}

func segments(k *kit) {
	k.row = "segments"
	token := k.token()
	segments := strings.Split(token, ".")
	header, payload, signature := segments[0], segments[1], segments[2]
	for _, test := range []struct{ name, token string }{
		{"one letter", "a"},
		{"three letters", "a.b.c"},
		{"header", header},
		{"header and payload", header + "." + payload},
		{"a dot", "."},
		{"two dots", ".."},
		{"three dots", "..."},
		{"a dot before", "." + token},
		{"a dot after", token + "."},
		{"a fourth", token + ".e30"},
		{"a fifth", token + ".e30.e30"},
		{"twice", token + "." + token},
		{"two signatures", token + "." + signature},
		{"no header", "." + payload + "." + signature},
		{"no payload", header + ".." + signature},
		{"4000 dots", strings.Repeat(".", 4000)},
		{"100000 dots", strings.Repeat(".", 100_000)},
		{"100000 dots after", token + strings.Repeat(".", 100_000)},
	} {
		k.forged(test.name, test.token)
	}
	k.signedInput("an empty payload, signed", header+".")
	k.signedInput("an empty header, signed", "."+payload)
}

// encrypted is a JWE in compact form, RFC 7516 section 7.1, around a valid token.
func encrypted(k *kit) {
	k.row = "JWE"
	inner := k.token()
	secret, nonce := make([]byte, 32), make([]byte, 12)
	_, _ = rand.Read(secret)
	block, err := aes.NewCipher(secret)
	if err != nil {
		panic(fmt.Errorf("authtest: %w", err))
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(fmt.Errorf("authtest: %w", err))
	}
	seal := func(name, header string, wrapped []byte) {
		protected := encode(header)
		sealed := gcm.Seal(nil, nonce, []byte(inner), []byte(protected))
		text, tag := sealed[:len(sealed)-16], sealed[len(sealed)-16:]
		k.forged(name, strings.Join([]string{protected, encode(wrapped), encode(nonce), encode(text), encode(tag)}, "."))
	}
	seal("dir", `{"alg":"dir","enc":"A256GCM","cty":"JWT"}`, nil)
	seal("none", `{"alg":"none","enc":"none","cty":"JWT"}`, nil)
	for _, signer := range k.keys(familyRSA, familyPSS) {
		public := signer.public().(*rsa.PublicKey)
		wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, secret, nil)
		if err != nil {
			panic(fmt.Errorf("authtest: %w", err))
		}
		header := object{}.merge(Header{"alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWT", "kid": signer.id})
		seal("to the key "+signer.id, header.String(), wrapped)
	}
	for _, member := range []struct{ name, value string }{
		{"enc", `"A256GCM"`}, {"epk", `{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`},
	} {
		k.signed(member.name+" in the header of a JWS", k.header().set(member.name, member.value), k.claims())
	}
}

// nested is a token within a token, RFC 7519 section 5.2.
func nested(k *kit) {
	k.row = "cty"
	for _, value := range []string{`"JWT"`, `"jwt"`, `"at+jwt"`, `"application/json"`, `""`, "null", "1", `["JWT"]`} {
		k.signed(value+", claims inside", k.header().set("cty", value), k.claims())
	}
	inner := k.token()
	k.signedText("JWT, a token inside", k.header().set("cty", `"JWT"`).String(), inner)
	k.signedText("no cty, a token inside", k.header().String(), inner)
	k.signedText("no cty, a token in quotes inside", k.header().String(), quote(inner))
}

// compressed has a compressed payload, RFC 7516 section 4.1.3, which is not allowed
// in a JWS.
func compressed(k *kit) {
	k.row = "zip"
	k.signed("DEF, plain payload", k.header().set("zip", `"DEF"`), k.claims())
	k.signed("null, plain payload", k.header().set("zip", "null"), k.claims())
	k.signed("unknown, plain payload", k.header().set("zip", `"GZ"`), k.claims())
	header := k.header().set("zip", `"DEF"`).String()
	k.signedText("DEF, payload deflated", header, deflate(k.claims().String()))
	bomb := k.claims().set("x", quote(strings.Repeat("a", 1<<20))).String()
	k.signedText("DEF, a decompression bomb", header, deflate(bomb))
	k.signedText("none, payload deflated", k.header().String(), deflate(k.claims().String()))
}

func deflate(s string) string {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err == nil {
		_, err = w.Write([]byte(s))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(fmt.Errorf("authtest: %w", err))
	}
	return b.String()
}

// jsonSerialization writes a valid token in the forms of RFC 7515 section 7.2.
//
//	RFC 7519 §1: "JWTs are always represented using the JWS Compact
//	Serialization or the JWE Compact Serialization."
func jsonSerialization(k *kit) {
	k.row = "JSON serialization"
	segments := strings.Split(k.token(), ".")
	header, payload, signature := segments[0], segments[1], segments[2]
	flattened := fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, payload, header, signature)
	general := fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, payload, header, signature)
	k.forged("flattened", flattened)
	k.forged("general", general)
	k.forged("flattened, in base64url", encode(flattened))
	k.forged("general, in base64url", encode(general))
	k.forged("flattened, in base64url, with dots", encode(flattened)+"..")
}

// unencoded is the option of RFC 7797.
//
//	RFC 7797, abstract: "JSON Web Tokens (JWTs) MUST NOT use the unencoded
//	payload option defined by this specification."
func unencoded(k *kit) {
	k.row = "b64"
	header := k.header().set("b64", "false")
	k.signed("false, not critical, encoded", header, k.claims())
	k.signed("true, not critical, encoded", k.header().set("b64", "true"), k.claims())
	k.signed("null, not critical, encoded", k.header().set("b64", "null"), k.claims())
	header = header.set("crit", `["b64"]`)
	k.signed("false, critical, encoded", header, k.claims())
	k.signed("true, critical, encoded", k.header().set("b64", "true").set("crit", `["b64"]`), k.claims())
	payload := k.claims().String()
	k.signedInput("false, critical, plain payload", encode(header.String())+"."+payload)
	input := encode(header.String()) + "." + payload
	k.forged("false, critical, detached", encode(header.String())+".."+encode(signAs(k.key.algorithm, k.key.private, input)))
	input, signature := k.parts(k.key)
	header64, _, _ := strings.Cut(input, ".")
	k.forged("detached", header64+".."+encode(signature))
}

// critical has extensions that the verifier does not know, or a malformed list.
//
//	RFC 7515 §4.1.11: "If any of the listed extension Header Parameters are not
//	understood and supported by the recipient, then the JWS is invalid."
func critical(k *kit) {
	k.row = "crit"
	for _, test := range []struct{ name, crit, extension string }{
		{"unknown", `["x"]`, "1"},
		{"unknown, parameter missing", `["x"]`, ""},
		{"empty", "[]", ""},
		{"twice the same", `["x","x"]`, "1"},
		{"one known and one not", `["alg","x"]`, "1"},
		{"a string", `"x"`, "1"},
		{"a number", "1", ""},
		{"an object", `{"x":1}`, "1"},
		{"null", "null", ""},
		{"true", "true", ""},
		{"false", "false", ""},
		{"a number inside", "[1]", ""},
		{"null inside", "[null]", ""},
		{"an empty name", `[""]`, ""},
		{"itself", `["crit"]`, ""},
		{"alg", `["alg"]`, ""},
		{"typ", `["typ"]`, ""},
		{"kid", `["kid"]`, ""},
		{"exp, in the claims", `["exp"]`, ""},
		{"exp, in the header too", `["exp"]`, "1"},
	} {
		header := k.header().set("crit", test.crit)
		switch {
		case test.extension != "" && strings.HasPrefix(test.name, "exp"):
			header = header.set("exp", k.claims().value("exp"))
		case test.extension != "":
			header = header.set("x", test.extension)
		}
		k.signed(test.name, header, k.claims())
	}
}
