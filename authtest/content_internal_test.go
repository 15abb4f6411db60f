// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"math/big"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse/internal/racetest"
)

// decoded returns header and payload of a token, with a dot between them. It inflates what
// is compressed.
func decoded(token string) string {
	parts := strings.SplitN(token, ".", 3)
	parts = parts[:min(2, len(parts))]
	for n := range parts {
		text, _ := base64.RawURLEncoding.DecodeString(parts[n])
		if inflated, err := io.ReadAll(flate.NewReader(bytes.NewReader(text))); err == nil && !bytes.HasPrefix(text, []byte("{")) {
			text = inflated
		}
		parts[n] = string(text)
	}
	return strings.Join(parts, ".")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// forged are the parts of a token. signer is the key of its kid.
type forged struct {
	token, input string
	signature    []byte
	signer       *key
}

func (f forged) valid(input string, signature []byte) bool {
	return verifiesBy(f.signer, input+"."+encode(signature))
}

func (f forged) inHalves() (r, s *big.Int) {
	half := len(f.signature) / 2
	return new(big.Int).SetBytes(f.signature[:half]), new(big.Int).SetBytes(f.signature[half:])
}

// TestContent looks into the requests of an issuer whose tokens of one second are equal:
// the time stands still, and the jti is always the same.
func TestContent(t *testing.T) {
	racetest.Skip(t)
	t.Parallel()
	all := make(map[string]Attempt)
	var issuer *Issuer
	var valid string // the decoded text of a valid token
	synctest.Test(t, func(t *testing.T) {
		issuer = NewIssuer(t, IssuerConfig{
			Algorithms: []string{"ES256", "RS256", "PS256", "EdDSA"}, Scope: "reports:read",
			Audience: "http://api.example:8080/v1", Target: "/r?a=b", Claims: Claims{"jti": "j"},
		})
		issuer.Rotate()
		issuer.URL, issuer.KeysURL = "http://127.0.0.1", "http://127.0.0.1/jwks.json"
		second := NewIssuer(t, IssuerConfig{Algorithms: []string{"EdDSA"}, Claims: Claims{"jti": "j"}})
		second.URL = "http://127.0.0.2"
		valid = decoded(issuer.Token(nil))
		add := func(a Attempt) bool {
			all[a.Name] = a
			return true
		}
		routeAttacks(issuer)(func(a Attempt) bool { return add(a) && false }) // the first alone
		Attacks(issuer)(add)
		CrossIssuerAttacks(issuer, second)(add)
	})
	attempt := func(t *testing.T, name string) (a Attempt, token string) {
		t.Helper()
		a, ok := all[name]
		if !ok {
			t.Fatalf("no attempt %s", name)
		}
		return a, strings.TrimPrefix(a.Request.Header.Get("Authorization"), "Bearer ")
	}
	current := issuer.keys[len(issuer.Algorithms):]
	forgedBy := func(token string) forged {
		dot := strings.LastIndexByte(token, '.')
		signature, _ := base64.RawURLEncoding.DecodeString(token[dot+1:])
		f := forged{token, token[:max(dot, 0)], signature, current[0]}
		for _, k := range current {
			if strings.Contains(decoded(token), quote(k.id)) {
				f.signer = k
			}
		}
		return f
	}
	foreignKey := func(algorithm string) *key { return &key{algorithm: algorithm, private: foreign(algorithm)} }

	// Each token differs from a valid one in this text.
	t.Run("tokens", func(t *testing.T) {
		const (
			expiry  = `"exp":946685100`
			times   = `"exp":946685100,"iat":946684800`
			header  = `"alg":"ES256","kid":"es256-2"`
			typ     = `"typ":"at+jwt"`
			scope   = `"scope":"reports:read"`
			aud     = `"aud":"http://api.example:8080/v1"`
			iss     = `"iss":"http://127.0.0.1"`
			sub     = `"sub":"alice"`
			mark    = `"x\", error=\"none\r\nX-injected-by-authtest: injected-by-authtest\r\n\r\n<script>injected-by-authtest</script>"`
			between = "}.{"
		)
		for _, test := range []struct{ name, text, sent string }{
			{`alg none: "NONE"`, `"ES256"`, `"NONE"`},
			{`alg none: "none\x00"`, `"ES256"`, `"none\u0000"`},
			{"alg none: none, with a valid signature", `"ES256"`, `"none"`},
			{"alg none: none, two segments", `"ES256"`, `"none"`},
			{"alg none: ES256, empty signature", "", ""},
			{"alg malformed: missing", `"alg":"ES256",`, ""},
			{`alg malformed: ["ES256"]`, `"ES256"`, `["ES256"]`},
			{`alg malformed: "Eſ256"`, `"ES256"`, `"Eſ256"`},
			{"alg unavailable: ES256K", `"ES256"`, `"ES256K"`},
			{"key of another algorithm: PS256 by rs256-2", header, `"alg":"PS256","kid":"rs256-2"`},
			{"key of another algorithm: RS384 by ps256-2", header, `"alg":"RS384","kid":"ps256-2"`},
			{"key of another curve: ES512 by es256-2", `"ES256"`, `"ES512"`},
			{"kid: unknown", `"es256-2"`, `"no-such-key"`},
			{"kid: from right to left", `"es256-2"`, "\"\u202ees256-2\""},
			{"kid: in upper case", `"es256-2"`, `"ES256-2"`},
			{"kid: with a space after", `"es256-2"`, `"es256-2 "`},
			{"kid: with a path after", `"es256-2"`, `"es256-2/../es256-2"`},
			{`kid: the JSON value ["es256-2"]`, `"es256-2"`, `["es256-2"]`},
			{"kid of a known secret: /proc", header, `"alg":"HS256","kid":"/proc/sys/kernel/randomize_va_space"`},
			{"kid absent: one of several keys", `"kid":"es256-2",`, ""},
			{"key in the header: jku of the issuer", typ, typ + `,"jku":"http://127.0.0.1/jwks.json"`},
			{"key in the header: x5u of a file", typ, typ + `,"x5u":"file:///etc/passwd"`},
			{"key in the header: jwk of the issuer", typ, typ + `,"jwk":` + newJWK("es256-2", "ES256", current[0].public()).String()},
			{"certificate in the header: x5c of the issuer", typ, typ + `,"x5c":` + marshal(x5c(certificate(current[0].private.(crypto.Signer))))},
			{"another issuer: its key and its name", iss, `"iss":"https://attacker.example"`},
			{"another issuer: its key and the issuer's name", "", ""},
			{"another issuer: the issuer's key and its name", iss, `"iss":"https://attacker.example"`},
			{"JWE: enc in the header of a JWS", typ, typ + `,"enc":"A256GCM"`},
			{`cty: "JWT", claims inside`, typ, typ + `,"cty":"JWT"`},
			{"zip: DEF, plain payload", typ, typ + `,"zip":"DEF"`},
			{"zip: DEF, payload deflated", typ, typ + `,"zip":"DEF"`},
			{"zip: DEF, a decompression bomb", typ + between + valid[strings.Index(valid, between)+3:], typ + `,"zip":"DEF"` + between + strings.TrimSuffix(valid[strings.Index(valid, between)+3:], "}") + `,"x":"` + strings.Repeat("a", 1<<20) + `"}`},
			{"zip: none, payload deflated", "", ""},
			{"b64: false, not critical, encoded", typ, typ + `,"b64":false`},
			{"b64: false, critical, encoded", typ, typ + `,"b64":false,"crit":["b64"]`},
			{"b64: true, critical, encoded", typ, typ + `,"b64":true,"crit":["b64"]`},
			{"crit: unknown", typ, typ + `,"crit":["x"],"x":1`},
			{"crit: unknown, parameter missing", typ, typ + `,"crit":["x"]`},
			{"crit: exp, in the claims", typ, typ + `,"crit":["exp"]`},
			{"crit: exp, in the header too", typ, typ + `,"crit":["exp"],"exp":946685100`},
			{"typ of another token: logout+jwt", "at+jwt", "logout+jwt"},
			{"typ of another token: JWT", "at+jwt", "JWT"},
			{"typ of another token: absent", "," + typ, ""},
			{`typ: "at+jwts"`, "at+jwt", "at+jwts"},
			{`typ: "at jwt"`, "at+jwt", "at jwt"},
			{`typ: "text/at+jwt"`, "at+jwt", "text/at+jwt"},
			{"typ: APPLICATION/AT+JWT", "at+jwt", "APPLICATION/AT+JWT"},
			{"duplicate member: iss, equal values", scope, scope + "," + iss},
			{"duplicate member: iss, the last valid", between, between + `"iss":"https://attacker.example",`},
			{"duplicate member: exp, the last valid", between, between + `"exp":1,`},
			{"duplicate member: exp, the first valid", scope, scope + `,"exp":1`},
			{"duplicate member: scope", scope, `"scope":"a","scope":"a admin"`},
			{"duplicate member: cnf", scope, scope + `,"cnf":{"jkt":"x"},"cnf":null`},
			{"duplicate member: iss, one of them escaped", scope, scope + `,"\u0069ss":"http://127.0.0.1"`},
			{"duplicate header parameter: alg, the last valid", `{"alg":"ES256"`, `{"alg":"none","alg":"ES256"`},
			{"duplicate header parameter: alg, the first valid", typ, typ + `,"alg":"none"`},
			{"duplicate member inside: six deep", scope, scope + `,"x":{"a":{"a":{"a":{"a":{"a":{"b":1,"b":1}}}}}}`},
			{"duplicate member inside: an array in the header", typ, typ + `,"x":[1,{"a":1,"a":1}]`},
			{"folded name: ISS for iss", `"iss"`, `"ISS"`},
			{"folded name: ſub beside sub", scope, scope + `,"ſub":"alice"`},
			{"folded name: Cnf", scope, scope + `,"Cnf":{"jkt":"x"}`},
			{"folded header parameter: \u212aid for kid", `"kid"`, "\"\u212aid\""},
			{"folded header parameter: Crit", typ, typ + `,"Crit":["x"]`},
			{"escaped: name exp", `"exp"`, `"\u0065\u0078\u0070"`},
			{"escaped: solidus in iss", `http://127.0.0.1`, `http:\/\/127.0.0.1`},
			{"escaped: letter in typ", "at+jwt", `\u0061\u0074\u002b\u006a\u0077\u0074`},
			{"escaped: white space", between, "}.{\n\t \"x\" : 1\r\n,"},
			{"data after the JSON: a bracket", scope, scope + "}"},
			{"data after the JSON: a NUL, header", typ + "}", typ + "}\x00"},
			{"JSON of another type: payload with BOM", between, "}.\ufeff{"},
			{"JSON of another type: payload with a comma at the end", scope, scope + ","},
			{"JSON of another type: header with a comment", `{"alg"`, `{/**/"alg"`},
			{"JSON of another type: payload with no quotes around a name", `"aud"`, "aud"},
			{"JSON of another type: payload with a tab in a string", scope, scope + ",\"x\":\"\t\""},
			{"not UTF-8: a byte FF in sub", `"alice"`, "\"alice\xff\""},
			{"not UTF-8: in a name of the header", typ, typ + ",\"x\xff\":1"},
			{"lone surrogate: high, sub", `"alice"`, `"alice\ud800"`},
			{"depth: 100 objects", scope, scope + `,"x":` + strings.Repeat(`{"x":`, 100) + "1" + strings.Repeat("}", 100)},
			{"depth: 100 arrays in the header", typ, typ + `,"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100)},
			{"width: 3000 elements", scope, scope + `,"x":[1` + strings.Repeat(",1", 3000) + "]"},
			{"size: 9 KB of claims", scope, scope + `,"x":"` + strings.Repeat("x", 9<<10) + `"`},
			{"size: 3 KB of header", typ, typ + `,"x":"` + strings.Repeat("x", 3<<10) + `"`},
			{"exp: missing", expiry + ",", ""},
			{"exp: 6m0s ago", times, `"exp":946684440,"iat":946684140`},
			{"exp: 1h0m0s ago", times, `"exp":946681200,"iat":946680900`},
			{"exp: 20h0m0s ago", times, `"exp":946612800,"iat":946612500`},
			{"exp malformed: a date", expiry, `"exp":"2000-01-01T00:05:00Z"`},
			{"exp malformed: hexadecimal", expiry, `"exp":0x386d44ac`},
			{"exp malformed: a separator", expiry, `"exp":9466_85100`},
			{"exp malformed: an exponent, shifted", expiry, `"exp":9.46685100E+8`},
			{"exp malformed: 2^64 more", expiry, `"exp":18446744074656236716`},
			{"lifetime: 25 hours", expiry, `"exp":946774800`},
			{"lifetime: a year", expiry, `"exp":978220800`},
			{"lifetime: milliseconds", expiry, `"exp":946685100000`},
			{"lifetime: issued 25 hours ago", times, `"exp":946685100,"iat":946594800`},
			{"lifetime: expires before it is issued", times, `"exp":946684790,"iat":946684800`},
			{"lifetime: a day, to the second", times, `"exp":946771200,"iat":946684800`},
			{"nbf: in 6 minutes", scope, scope + `,"nbf":946685160`},
			{"nbf: a minute ago", scope, scope + `,"nbf":946684740`},
			{"nbf: a string", scope, scope + `,"nbf":"946684740"`},
			{"iat: in 6 minutes", times, `"exp":946685400,"iat":946685160`},
			{"iat: in an hour", times, `"exp":946692000,"iat":946688400`},
			{"iat: behind exp", times, `"exp":946685100,"iat":946685400`},
			{"fraction of a second: exp", times, `"exp":946685100.5,"iat":946684800`},
			{"fraction of a second: iat", times, `"exp":946685100,"iat":946684740.5`},
			{"aud: missing", aud + ",", ""},
			{"aud: in upper case", aud, `"aud":"HTTP://API.EXAMPLE:8080/V1"`},
			{"aud: a prefix", aud, `"aud":"http://api.example:8080/v"`},
			{"aud: a domain after", aud, `"aud":"http://api.example:8080/v1.attacker.example"`},
			{"aud: in an object", aud, `"aud":{` + aud + `}`},
			{"aud: of the client", aud, `"aud":"authtest-client"`},
			{"aud of several: null beside", aud, `"aud":["http://api.example:8080/v1",null]`},
			{"aud of several: this API and another", aud, `"aud":["http://api.example:8080/v1","https://other.example"]`},
			{`iss: the JSON value ["…"]`, iss, `"iss":["http://127.0.0.1"]`},
			{"iss: two slashes", iss, `"iss":"http:///127.0.0.1"`},
			{"iss: another scheme", iss, `"iss":"https://127.0.0.1"`},
			{"iss: a user", iss, `"iss":"http://user@127.0.0.1"`},
			{"iss: in percent-encoding", iss, `"iss":"http://%3127.0.0.1"`},
			{"iss: without the scheme", iss, `"iss":"127.0.0.1"`},
			{"sub: missing", `,` + sub, ""},
			{"sub: CRLF", sub, `"sub":"alice\r\nX-Injected: yes"`},
			{"client_id: missing", `"client_id":"authtest-client",`, ""},
			{`jti: the JSON value "a\u0000"`, `"jti":"j"`, `"jti":"a\u0000"`},
			{`scope malformed: the JSON value ["reports:read write"]`, scope, `"scope":["reports:read write"]`},
			{"scope malformed: two spaces", scope, `"scope":"reports:read  write"`},
			{"scope not granted: missing", "," + scope, ""},
			{`scope not granted: "reports:*"`, scope, `"scope":"reports:*"`},
			{`scope not granted: "reports:rea"`, scope, `"scope":"reports:rea"`},
			{"scope not granted: under another name, scp", scope, `"scp":["reports:read"]`},
			{"scopes of the route: valid token without scopes", "," + scope, ""},
			{"cnf: DPoP", scope, scope + `,"cnf":{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}`},
			{"act: act of 100", scope, scope + `,"act":` + strings.Repeat(`{"sub":"a","act":`, 100) + `{"sub":"a"}` + strings.Repeat("}", 100)},
			{"act: two", scope, scope + `,"act":{"sub":"a","act":{"sub":"b"}}`},
			{"injection: kid", `"es256-2"`, mark},
			{"injection: sub", `"alice"`, mark},
			{"oracle: invalid signature", "", ""},
			{"oracle: invalid signature and expired", times, `"exp":2,"iat":1`},
			{"oracle: invalid signature and unknown kid", `"es256-2"`, `"no-such-key"`},
			{"oracle: invalid signature and unknown issuer", iss, `"iss":"https://attacker.example"`},
			{"oracle: invalid signature and another audience", aud, `"aud":"https://other.example"`},
			{"oracle: invalid signature and another subject", `"alice"`, `"mallory"`},
			{"oracle: invalid signature and another type", "at+jwt", "dpop+jwt"},
			{"oracle: invalid signature and none", `"ES256"`, `"none"`},
			{"two issuers: key of the second and name of the first, kid of the key", header, `"alg":"EdDSA","kid":"eddsa-1"`},
			{"two issuers: key of the second and name of the first, kid of the name", header, `"alg":"EdDSA","kid":"es256-2"`},
			{"two issuers: key of the first and name of the second, kid of the name", valid, `{"alg":"ES256","kid":"eddsa-1","typ":"at+jwt"}.{"aud":"https://api.example.com","client_id":"authtest-client",` + times + `,"iss":"http://127.0.0.2","jti":"j","sub":"alice"}`},
			{"typ of another token: ID token for the API", valid, `{` + header + `,"typ":"JWT"}.{` + aud + `,` + times + `,` + iss + `,"jti":"j",` + sub + `,"auth_time":1,"nonce":"n-0S6_WzA2Mj"}`},
		} {
			_, token := attempt(t, test.name)
			if test.text != "" && strings.Count(valid, test.text) != 1 {
				t.Errorf("%s: %d times %s in a valid token, want one", test.name, strings.Count(valid, test.text), test.text)
			}
			if diff := cmp.Diff(strings.Replace(valid, test.text, test.sent, 1), decoded(token)); diff != "" {
				t.Errorf("%s: token (-want +got):\n%.2000s", test.name, diff)
			}
		}
	})

	// Each forged token has the signature of a valid one with one change.
	t.Run("signatures", func(t *testing.T) {
		order := elliptic.P256().Params().N
		padded := func(f forged) []byte {
			public := f.signer.public().(*rsa.PublicKey)
			m := new(big.Int).SetBytes(f.signature)
			return m.Exp(m, big.NewInt(int64(public.E)), public.N).FillBytes(make([]byte, public.Size()))
		}
		salted := func(salt int) func(forged) bool {
			return func(f forged) bool {
				sum := digest(crypto.SHA256, f.input)
				return rsa.VerifyPSS(f.signer.public().(*rsa.PublicKey), crypto.SHA256, sum, f.signature, &rsa.PSSOptions{SaltLength: salt}) == nil
			}
		}
		undone := func(change func(string) string) func(forged) bool {
			return func(f forged) bool { return verifiesBy(f.signer, change(f.token)) }
		}
		signedBy := func(k *key) func(forged) bool { return func(f forged) bool { return verifiesBy(k, f.token) } }
		inJSON := func(f forged) bool {
			type part struct{ Payload, Protected, Signature string }
			var token struct {
				part
				Signatures []part
			}
			text := f.token
			if plain, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, ".")); err == nil {
				text = string(plain)
			}
			if err := json.Unmarshal([]byte(text), &token); err != nil {
				return false
			}
			for _, signature := range append(token.Signatures, token.part) {
				if verifiesBy(current[0], signature.Protected+"."+token.Payload+"."+signature.Signature) {
					return true
				}
			}
			return false
		}
		header, payload, _ := strings.Cut(valid, ".{")
		payload = "{" + payload
		test := map[string]func(forged) bool{
			"alg none: ES256, empty signature":                       func(f forged) bool { return strings.HasSuffix(f.token, ".") && strings.Count(f.token, ".") == 2 },
			"alg none: none, two segments":                           func(f forged) bool { return strings.Count(f.token, ".") == 1 },
			"another issuer: its key and its name":                   signedBy(foreignKey("ES256")),
			"another issuer: its key and the issuer's name":          signedBy(foreignKey("ES256")),
			"oracle: invalid signature":                              signedBy(foreignKey("ES256")),
			"oracle: invalid signature and none":                     signedBy(foreignKey("ES256")),
			"several places: invalid header, valid query":            signedBy(foreignKey("ES256")),
			"segments: a dot before":                                 undone(func(s string) string { return strings.TrimPrefix(s, ".") }),
			"segments: a dot after":                                  undone(func(s string) string { return strings.TrimSuffix(s, ".") }),
			"segments: a fourth":                                     undone(func(s string) string { return strings.TrimSuffix(s, ".e30") }),
			"segments: a fifth":                                      undone(func(s string) string { return strings.TrimSuffix(s, ".e30.e30") }),
			"segments: twice":                                        undone(func(s string) string { return s[:len(s)/2] }),
			"segments: two signatures":                               undone(func(s string) string { return s[:strings.LastIndex(s, ".")] }),
			"segments: no header":                                    undone(func(s string) string { return encode(header) + s }),
			"segments: no payload":                                   undone(func(s string) string { return strings.Replace(s, "..", "."+encode(payload)+".", 1) }),
			"segments: 100000 dots after":                            undone(func(s string) string { return strings.TrimRight(s, ".") }),
			"cty: JWT, a token inside":                               undone(func(s string) string { return decoded(s)[strings.Index(decoded(s), ".")+1:] }),
			"JSON serialization: flattened":                          inJSON,
			"JSON serialization: general":                            inJSON,
			"JSON serialization: general, in base64url":              inJSON,
			"JSON serialization: flattened, in base64url, with dots": inJSON,
			"b64: detached":                                          undone(func(s string) string { return strings.Replace(s, "..", "."+encode(payload)+".", 1) }),
			"b64: false, critical, detached":                         undone(func(s string) string { return strings.Replace(s, "..", "."+payload+".", 1) }),
			"b64: false, critical, plain payload":                    func(f forged) bool { return strings.Contains(f.input, "."+payload) },
			"base64: padding, signature":                             undone(func(s string) string { return strings.TrimRight(s, "=") }),
			"base64: alphabet of RFC 4648 §4, signature":             undone(strings.NewReplacer("+", "-", "/", "_").Replace),
			"base64: a percent-encoded letter, signature":            undone(func(s string) string { return must(url.PathUnescape(s)) }),
			"base64: unused bits set, signature":                     func(f forged) bool { return f.valid(f.input, f.signature) },
			"base64: padding, payload":                               func(f forged) bool { return strings.HasSuffix(f.input, "=") },
			"line breaks: CRLF before the token":                     undone(func(s string) string { return strings.TrimPrefix(s, "\r\n") }),
			"line breaks: LF inside, signature":                      undone(func(s string) string { return strings.ReplaceAll(s, "\n", "") }),
			"line breaks: CR after, signature":                       undone(func(s string) string { return strings.TrimSuffix(s, "\r") }),
			"size: a megabyte of signature":                          undone(func(s string) string { return strings.TrimSuffix(s, strings.Repeat("A", 1<<20)) }),
			"PSS salt: PS256, none":                                  salted(rsa.PSSSaltLengthAuto),
			"PSS salt: PS256, of 20 bytes":                           salted(20),
			"PSS salt: PS256, one byte short":                        salted(31),
			"PSS salt: PS256, one byte more":                         salted(33),
			"PSS salt: PS256, the longest":                           salted(222),
			"PKCS #1 padding: RS256, a leading zero byte":            func(f forged) bool { return f.signature[0] == 0 && f.valid(f.input, f.signature[1:]) },
			"PKCS #1 padding: RS256, the modulus added": func(f forged) bool {
				s := new(big.Int).SetBytes(f.signature)
				return f.valid(f.input, s.Sub(s, f.signer.public().(*rsa.PublicKey).N).FillBytes(make([]byte, len(f.signature))))
			},
			"ECDSA values: ES256, r = s = 0": func(f forged) bool { return bytes.Equal(f.signature, make([]byte, 64)) },
			"ECDSA values: ES256, r = 0":     func(f forged) bool { r, s := f.inHalves(); return r.Sign() == 0 && s.Sign() > 0 },
			"ECDSA values: ES256, s = 0":     func(f forged) bool { r, s := f.inHalves(); return r.Sign() > 0 && s.Sign() == 0 },
			"ECDSA values: ES256, r = s = 1": func(f forged) bool { r, s := f.inHalves(); return r.IsInt64() && r.Int64() == 1 && s.Cmp(r) == 0 },
			"ECDSA values: ES256, r = s = n": func(f forged) bool { r, s := f.inHalves(); return r.Cmp(order) == 0 && s.Cmp(order) == 0 },
			"ECDSA values: ES256, r = n": func(f forged) bool {
				r, s := f.inHalves()
				return r.Cmp(order) == 0 && s.Cmp(order) < 0 && s.Sign() > 0
			},
			"ECDSA values: ES256, s = n": func(f forged) bool {
				r, s := f.inHalves()
				return s.Cmp(order) == 0 && r.Cmp(order) < 0 && r.Sign() > 0
			},
			"ECDSA values: ES256, swapped": func(f forged) bool { r, s := f.inHalves(); return f.valid(f.input, joinRS(s, r, 32)) },
			"ECDSA values: ES256, too long": func(f forged) bool {
				r, s := f.inHalves()
				return len(f.signature) == 66 && f.valid(f.input, joinRS(r, s, 32))
			},
			"ECDSA values: ES256, s too long": func(f forged) bool {
				return len(f.signature) == 65 && f.valid(f.input, slices.Delete(slices.Clone(f.signature), 32, 33))
			},
			"ECDSA values: ES256, n added to both": func(f forged) bool {
				r, s := f.inHalves()
				return f.valid(f.input, joinRS(r.Sub(r, order), s.Sub(s, order), 32))
			},
			"ECDSA values: ES256, DER": func(f forged) bool {
				return ecdsa.VerifyASN1(f.signer.public().(*ecdsa.PublicKey), digest(crypto.SHA256, f.input), f.signature)
			},
			"EdDSA values: L added to S": func(f forged) bool {
				s := slices.Clone(f.signature[32:])
				slices.Reverse(s)
				order, _ := new(big.Int).SetString("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed", 16)
				new(big.Int).Sub(new(big.Int).SetBytes(s), order).FillBytes(s)
				slices.Reverse(s)
				return f.valid(f.input, slices.Concat(f.signature[:32], s))
			},
			"EdDSA values: R neutral, S = 0": func(f forged) bool { return bytes.Equal(f.signature, append([]byte{1}, make([]byte, 63)...)) },
			"EdDSA values: Ed25519ph": func(f forged) bool {
				sum := sha512.Sum512([]byte(f.input))
				return ed25519.VerifyWithOptions(f.signer.public().(ed25519.PublicKey), sum[:], f.signature, &ed25519.Options{Hash: crypto.SHA512}) == nil
			},
			"EdDSA values: Ed25519ctx": func(f forged) bool {
				return ed25519.VerifyWithOptions(f.signer.public().(ed25519.PublicKey), []byte(f.input), f.signature, &ed25519.Options{Context: "JWT"}) == nil
			},
			"EdDSA values: in base64 again": func(f forged) bool {
				signature, err := base64.StdEncoding.DecodeString(string(f.signature))
				return err == nil && f.valid(f.input, signature)
			},
			"JWE: to the key rs256-2": func(f forged) bool {
				var parts [5][]byte
				for n, part := range strings.Split(f.token, ".") {
					parts[n], _ = base64.RawURLEncoding.DecodeString(part)
				}
				secret, err := rsa.DecryptOAEP(sha256.New(), nil, current[1].private.(*rsa.PrivateKey), parts[1], nil)
				if err != nil {
					return false
				}
				protected, _, _ := strings.Cut(f.token, ".")
				gcm := must(cipher.NewGCM(must(aes.NewCipher(secret))))
				inner, err := gcm.Open(nil, parts[2], append(parts[3], parts[4]...), []byte(protected))
				return err == nil && verifiesBy(current[0], string(inner)) && strings.Contains(string(parts[0]), `"enc":"A256GCM"`)
			},
		}
		for _, padding := range paddings {
			test["PKCS #1 padding: RS256, "+padding.name] = func(f forged) bool {
				return bytes.Equal(padded(f), padding.make(256, crypto.SHA256, digest(crypto.SHA256, f.input)))
			}
		}
		for n, algorithm := range issuer.Algorithms {
			size := len(signAs(algorithm, current[n].private, ""))
			test["signature of a foreign key: "+algorithm] = signedBy(foreignKey(algorithm))
			for name, f := range map[string]func(forged) bool{
				"first bit":      func(f forged) bool { f.signature[0] ^= 0x80; return f.valid(f.input, f.signature) },
				"last bit":       func(f forged) bool { f.signature[size-1] ^= 1; return f.valid(f.input, f.signature) },
				"one byte short": func(f forged) bool { return len(f.signature) == size-1 },
				"the first half": func(f forged) bool { return len(f.signature) == size/2 },
				"one byte more":  func(f forged) bool { return len(f.signature) == size+1 && f.valid(f.input, f.signature[:size]) },
				"twice":          func(f forged) bool { return len(f.signature) == 2*size && f.valid(f.input, f.signature[size:]) },
				"all zero":       func(f forged) bool { return bytes.Equal(f.signature, make([]byte, size)) },
				"of another token": func(f forged) bool {
					header, payload, _ := strings.Cut(f.input, ".")
					plain, _ := base64.RawURLEncoding.DecodeString(payload)
					return f.valid(header+"."+encode(strings.TrimSuffix(string(plain), "}")+`,"x":1}`), f.signature)
				},
				"of the payload alone": func(f forged) bool {
					_, payload, _ := strings.Cut(f.input, ".")
					return f.valid(payload, f.signature)
				},
				"claims changed": func(f forged) bool {
					header, _, _ := strings.Cut(f.input, ".")
					return strings.Contains(decoded(f.token), `"sub":"mallory"`) && f.valid(header+"."+encode(payload), f.signature)
				},
				"header changed": func(f forged) bool {
					header, payload, _ := strings.Cut(decoded(f.token), ".{")
					return f.valid(encode(strings.Replace(header, `,"x":1}`, "}", 1))+"."+encode("{"+payload), f.signature)
				},
			} {
				test["signature altered: "+algorithm+", "+name] = f
			}
		}
		for name, f := range test {
			if _, token := attempt(t, name); !f(forgedBy(token)) {
				t.Errorf("%s: %.1000s is not the token of this name", name, token)
			}
		}
	})

	// An HMAC is by the secret that the name of the attempt says.
	t.Run("secrets", func(t *testing.T) {
		secrets := map[string]string{
			`weak secret: ""`:                                      "",
			`weak secret: "changeme"`:                              "changeme",
			"weak secret: the kid":                                 "es256-2",
			"weak secret: the issuer":                              "http://127.0.0.1",
			"weak secret: the audience":                            "http://api.example:8080/v1",
			"kid of a known secret: /dev/null":                     "",
			"kid of a known secret: a SQL literal":                 "secret",
			"kid of a known secret: /proc":                         "2\n",
			"key in the header: jwk with a secret, signed with it": "secret",
		}
		for _, k := range current {
			der := must(x509.MarshalPKIXPublicKey(k.public()))
			text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
			of := map[string]string{
				"PEM": text, "PEM without the last line break": strings.TrimSuffix(text, "\n"), "DER": string(der), "JWK Set": string(issuer.KeySet()),
				"JWK": newJWK(k.id, k.algorithm, k.public()).String(),
			}
			switch public := k.public().(type) {
			case *rsa.PublicKey:
				der := x509.MarshalPKCS1PublicKey(public)
				of["PKCS #1 PEM"] = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: der}))
				of["PKCS #1 DER"], of["modulus"], of["modulus in base64url"] = string(der), string(public.N.Bytes()), encode(public.N.Bytes())
			case *ecdsa.PublicKey:
				point := must(public.Bytes())
				of["point"], of["coordinates"] = string(point), string(point[1:])
			case ed25519.PublicKey:
				of["raw bytes"], of["base64url"] = string(public), encode(public)
			}
			for name, secret := range of {
				for _, algorithm := range []string{"HS256", "HS384", "HS512"} {
					secrets["public key as a secret: "+algorithm+" by the "+name+" of "+k.id] = secret
				}
			}
		}
		for name, secret := range secrets {
			_, token := attempt(t, name)
			algorithm := "HS256"
			if header, ok := strings.CutPrefix(name, "public key as a secret: "); ok {
				algorithm = header[:5]
			}
			if !verifiesBy(&key{algorithm: algorithm, private: []byte(secret)}, token) || !strings.Contains(decoded(token), quote(algorithm)) {
				t.Errorf("%s: %s is not an %s of this secret", name, token, algorithm)
			}
			if id := name[strings.LastIndex(name, " ")+1:]; strings.HasPrefix(name, "public key") && !strings.Contains(decoded(token), `"kid":`+quote(id)) {
				t.Errorf("%s: header and claims = %s, want the kid %s", name, decoded(token), id)
			}
		}
	})

	// V is a valid token, F one of a foreign key.
	t.Run("requests", func(t *testing.T) {
		tokens := regexp.MustCompile(`eyJ[\w-]*\.[\w-]+\.[\w-]+`)
		text := func(s string) string {
			if basic, ok := strings.CutPrefix(s, "Basic "); ok {
				if plain, err := base64.StdEncoding.DecodeString(basic); err == nil {
					s = "Basic of " + string(plain)
				}
			}
			return tokens.ReplaceAllStringFunc(s, func(token string) string {
				switch {
				case decoded(token) != valid:
					return "another token"
				case verifiesBy(current[0], token):
					return "V"
				case verifiesBy(foreignKey("ES256"), token):
					return "F"
				}
				return "an invalid token"
			})
		}
		const target = "http://api.example:8080/r?a=b"
		for _, test := range []struct{ name, want string }{
			{"scheme in any case: bEaReR", "GET " + target + "; Authorization: bEaReR V"},
			{"scheme in any case: two spaces", "GET " + target + "; Authorization: Bearer  V"},
			{"several credentials: the same twice", "GET " + target + "; Authorization: Bearer V; Authorization: Bearer V"},
			{"several credentials: the valid one first", "GET " + target + "; Authorization: Bearer V; Authorization: Bearer F"},
			{"several credentials: the valid one last", "GET " + target + "; Authorization: Bearer F; Authorization: Bearer V"},
			{"several credentials: Basic first", "GET " + target + "; Authorization: Basic of a:b; Authorization: Bearer V"},
			{"several credentials: an empty one last", "GET " + target + "; Authorization: Bearer V; Authorization: "},
			{"several credentials: joined by a comma", "GET " + target + "; Authorization: Bearer V, Bearer F"},
			{"several credentials: joined by a comma, the valid one last", "GET " + target + "; Authorization: Bearer F, Bearer V"},
			{"several places: header and query", "GET " + target + "&access_token=V; Authorization: Bearer V"},
			{"several places: invalid header, valid query", "GET " + target + "&access_token=V; Authorization: Bearer F"},
			{"several places: valid header, invalid query", "GET " + target + "&access_token=F; Authorization: Bearer V"},
			{"several places: header, query, body and cookie", "GET " + target + "&access_token=V; Authorization: Bearer V; Content-Type: application/x-www-form-urlencoded; Cookie: access_token=V; access_token=V"},
			{"several places: invalid header, valid body", "GET " + target + "; Authorization: Bearer F; Content-Type: application/x-www-form-urlencoded; access_token=V"},
			{"several places: invalid header, valid cookie jwt", "GET " + target + "; Authorization: Bearer F; Cookie: jwt=V"},
			{"white space: space and tab", "GET " + target + "; Authorization: Bearer \tV"},
			{"empty credential: no header", "GET " + target},
			{`empty credential: "Bearer =="`, "GET " + target + "; Authorization: Bearer =="},
			{`trailing junk: " e30"`, "GET " + target + "; Authorization: Bearer V e30"},
			{"trailing junk: the token again", "GET " + target + "; Authorization: Bearer V V"},
			{"outside b64token: a NUL before", "GET " + target + "; Authorization: Bearer \x00V"},
			{"line break: and a header", "GET " + target + "; Authorization: Bearer V\r\nX-Injected: yes"},
			{"another scheme: Basic, the token as it is", "GET " + target + "; Authorization: Basic V"},
			{"another scheme: Basic, the token as password of bearer", "GET " + target + "; Authorization: Basic of bearer:V"},
			{"another scheme: Basic, the token as user", "GET " + target + "; Authorization: Basic of V:"},
			{`another scheme: "DPoP "`, "GET " + target + "; Authorization: DPoP V"},
			{`another scheme: ""`, "GET " + target + "; Authorization: V"},
			{"token in the URL: Access_Token", "GET " + target + "&Access_Token=V"},
			{"token in the URL: twice", "GET " + target + "&access_token=V&access_token=V"},
			{"token in the URL: behind a semicolon", "GET " + target + "&a=b;access_token=V"},
			{"token in the body: form, PUT", "PUT " + target + "; Content-Type: application/x-www-form-urlencoded; access_token=V"},
			{"token in the body: multipart", "POST " + target + `; Content-Type: multipart/form-data; boundary="b"; --b` + "\r\nContent-Disposition: form-data; name=\"access_token\"\r\n\r\nV\r\n--b--\r\n"},
			{"token in the body: JSON", "POST " + target + `; Content-Type: application/json; {"access_token":"V"}`},
			{"token in a cookie: __Host-session", "GET " + target + "; Cookie: __Host-session=V"},
			{"token in a cookie: two of a name", "GET " + target + "; Cookie: access_token=F; access_token=V"},
			{"token in a cookie: two of a name, the valid one first", "GET " + target + "; Cookie: jwt=V; jwt=F"},
			{"token in a cookie: two headers", "GET " + target + "; Cookie: jwt=V; Cookie: jwt=V"},
			{"token in another header: X-Forwarded-Access-Token", "GET " + target + "; X-Forwarded-Access-Token: Bearer V"},
			{"token in another header: Sec-Websocket-Protocol", "GET " + target + "; Sec-Websocket-Protocol: bearer, V"},
			{"identity in a header: X-User-Id", "GET " + target + "; X-User-Id: admin"},
			{"identity in a header: Forwarded", "GET " + target + "; Forwarded: for=127.0.0.1"},
			{"another method: OPTIONS", "OPTIONS " + target},
			{"another method: X-Http-Method", "POST " + target + "; X-Http-Method: GET"},
			{"another path: /public/../r", "GET http://api.example:8080/public/../r"},
			{"another path: /public%2f../r", "GET http://api.example:8080/public%2f../r"},
			{"another path: /r;/public", "GET http://api.example:8080/r;/public"},
			{"another path: X-Rewrite-Url", "GET " + target + "; X-Rewrite-Url: /healthz"},
		} {
			a, _ := attempt(t, test.name)
			r := a.Request
			lines := []string{r.Method + " " + r.URL.String()}
			for _, name := range slices.Sorted(maps.Keys(r.Header)) {
				for _, value := range r.Header[name] {
					lines = append(lines, name+": "+text(value))
				}
			}
			if r.GetBody != nil {
				lines = append(lines, string(must(io.ReadAll(must(r.GetBody())))))
			}
			if got := text(strings.Join(lines, "; ")); got != test.want || r.Host != "api.example:8080" || r.TLS != nil {
				t.Errorf("%s: host %s, TLS %v, request %s, want %s", test.name, r.Host, r.TLS != nil, got, test.want)
			}
		}
		if r := all["identity in a header: X-Real-Ip"].Request; r.RemoteAddr != "127.0.0.1:1234" {
			t.Errorf("identity in a header: X-Real-Ip: RemoteAddr = %s, want the loopback address", r.RemoteAddr)
		}
	})

	// The end of each part of each credential is a leak, wherever the request has it.
	t.Run("leaks", func(t *testing.T) {
		words := regexp.MustCompile(`[\w+/=-]{40,}`)
		for name, a := range all {
			texts := slices.Concat(slices.Collect(maps.Values(a.Request.Header))...)
			if a.Request.GetBody != nil {
				texts = append(texts, string(must(io.ReadAll(must(a.Request.GetBody())))))
			}
			found := words.FindAllString(strings.Join(append(texts, a.Request.URL.RawQuery), " "), -1)
			if a.Row == "injection" {
				found = append(found, "injected-by-authtest")
			}
			for _, word := range found {
				answer := &recording{ResponseRecorder: httptest.NewRecorder()}
				answer.Body.WriteString("rejected: " + word[len(word)-12:])
				if where := a.leak(answer); where != "body" {
					t.Errorf("%s: leak of %.100s = %q, want body", name, word, where)
				}
			}
		}
	})
}

// catalogueCounts has the number of attempts of each row, by the status and the error
// code that they want: of an issuer with all algorithms, odd keys and a scope, of one
// with HS256, and of one with ES256 and the type JWT.
var catalogueCounts = map[string][3]int{
	"ECDSA malleability: 200":                 {3, 0, 1},
	"ECDSA values: 401 invalid_token":         {36, 0, 12},
	"EdDSA values: 401 invalid_token":         {5, 0, 0},
	"JSON of another type: 401 invalid_token": {54, 54, 54},
	"JSON serialization: 400":                 {2, 2, 2},
	"JSON serialization: 401 invalid_token":   {3, 3, 3},
	"JWE: 401 invalid_token":                  {10, 4, 4},
	"PKCS #1 padding: 401 invalid_token":      {45, 0, 0},
	"PSS salt: 401 invalid_token":             {18, 0, 0},
	"act: 200":                                {1, 1, 1},
	"act: 401 invalid_token":                  {16, 16, 15},
	"alg malformed: 401 invalid_token":        {17, 17, 17},
	"alg none: 401 invalid_token":             {11, 11, 11},
	"alg unavailable: 401 invalid_token":      {19, 19, 19},
	"another issuer: 401 invalid_token":       {3, 3, 3},
	"another method: 401 or 301 or 302 or 307 or 308 or 400 or 403 or 404 or 405 or 501 no code": {14, 14, 14},
	"another path: 401 or 301 or 302 or 307 or 308 or 400 or 403 or 404 or 405 or 501 no code":   {21, 21, 21},
	"another scheme: 400 or 401":                                 {18, 18, 18},
	"another scheme: 401 no code":                                {4, 4, 4},
	"aud of several: 200":                                        {2, 2, 2},
	"aud of several: 401 invalid_token":                          {8, 8, 8},
	"aud: 401 invalid_token":                                     {27, 27, 27},
	"b64: 400":                                                   {1, 1, 1},
	"b64: 401 invalid_token":                                     {7, 7, 7},
	"base64: 400":                                                {17, 17, 17},
	"base64: 401 invalid_token":                                  {8, 8, 8},
	"certificate in the header: 401 invalid_token":               {7, 6, 5},
	"claims of another token: 401 invalid_token":                 {0, 0, 7},
	"client_id: 401 invalid_token":                               {11, 11, 0},
	"cnf: 401 invalid_token":                                     {24, 24, 24},
	"crit: 401 invalid_token":                                    {20, 20, 20},
	"cty: 401 invalid_token":                                     {11, 11, 11},
	"data after the JSON: 401 invalid_token":                     {16, 16, 16},
	"depth: 401 invalid_token":                                   {10, 10, 10},
	"duplicate header parameter: 401 invalid_token":              {11, 11, 11},
	"duplicate member inside: 401 invalid_token":                 {13, 13, 13},
	"duplicate member: 401 invalid_token":                        {27, 27, 27},
	"empty credential: 400":                                      {7, 7, 7},
	"empty credential: 400 or 401":                               {1, 1, 1},
	"empty credential: 401 no code":                              {1, 1, 1},
	"escaped: 200":                                               {10, 10, 10},
	"exp malformed: 401 invalid_token":                           {26, 26, 26},
	"exp: 401 invalid_token":                                     {7, 7, 7},
	"folded header parameter: 401 invalid_token":                 {14, 12, 14},
	"folded name: 401 invalid_token":                             {28, 28, 25},
	"fraction of a second: 200":                                  {3, 3, 3},
	"iat: 401 invalid_token":                                     {30, 30, 28},
	"identity in a header: 401 no code":                          {16, 16, 16},
	"injection: 401 invalid_token":                               {10, 10, 10},
	"injection: 401 or 503 invalid_token":                        {1, 0, 1},
	"iss: 401 invalid_token":                                     {29, 29, 29},
	"jti: 401 invalid_token":                                     {11, 11, 0},
	"key in the header: 401 invalid_token":                       {10, 9, 10},
	"key in the header: 401 or 503 invalid_token":                {9, 9, 9},
	"key of another algorithm: 401 invalid_token":                {30, 2, 0},
	"key of another curve: 401 invalid_token":                    {3, 0, 2},
	"kid absent: 200":                                            {0, 1, 1},
	"kid absent: 401 invalid_token":                              {1, 0, 0},
	"kid of a known secret: 401 invalid_token":                   {5, 5, 5},
	"kid: 401 or 503 invalid_token":                              {27, 0, 27},
	"lifetime: 200":                                              {1, 1, 1},
	"lifetime: 401 invalid_token":                                {10, 10, 10},
	"line break: 400":                                            {5, 5, 5},
	"line breaks: 400":                                           {21, 21, 21},
	"lone surrogate: 401 invalid_token":                          {15, 15, 15},
	"nbf: 200":                                                   {1, 1, 1},
	"nbf: 401 invalid_token":                                     {29, 29, 28},
	"not UTF-8: 401 invalid_token":                               {16, 16, 16},
	"odd key: 200":                                               {2, 0, 0},
	"odd key: 401 or 503 invalid_token":                          {14, 0, 0},
	"oracle: 401 invalid_token":                                  {7, 7, 7},
	"oracle: 401 or 503 invalid_token":                           {1, 1, 1},
	"outside b64token: 400":                                      {17, 17, 17},
	"public key as a secret: 401 invalid_token":                  {246, 0, 21},
	"scheme in any case: 200":                                    {4, 4, 4},
	"scope malformed: 401 invalid_token":                         {26, 26, 22},
	"scope not granted: 403 insufficient_scope":                  {18, 0, 0},
	"segments: 401 invalid_token":                                {20, 20, 20},
	"several credentials: 400":                                   {13, 13, 13},
	"several credentials: 400 or 401":                            {1, 1, 1},
	"several places: 400":                                        {5, 5, 5},
	"several places: 401":                                        {10, 10, 10},
	"signature altered: 401 invalid_token":                       {110, 11, 11},
	"signature of a foreign key: 401 invalid_token":              {10, 1, 1},
	"size: 401 invalid_token":                                    {7, 7, 7},
	"sub: 401 invalid_token":                                     {17, 17, 17},
	"token in a cookie: 401 or 400 no code":                      {14, 14, 14},
	"token in another header: 401 no code":                       {13, 13, 13},
	"token in the URL: 401 no code":                              {9, 9, 9},
	"token in the URL: 401 or 400 no code":                       {2, 2, 2},
	"token in the body: 401 or 403 or 404 or 405 or 415 no code": {7, 7, 7},
	"trailing junk: 400":                                         {15, 15, 15},
	"typ of another token: 200":                                  {0, 0, 1},
	"typ of another token: 401 invalid_token":                    {25, 25, 17},
	"typ: 200":                       {3, 3, 1},
	"typ: 401 invalid_token":         {20, 20, 18},
	"weak secret: 401 invalid_token": {13, 13, 13},
	"white space: 400":               {9, 9, 9},
	"white space: 400 or 401":        {2, 2, 2},
	"width: 401 invalid_token":       {4, 4, 4},
	"zip: 401 invalid_token":         {6, 6, 6},
}
