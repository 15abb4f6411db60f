// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"fmt"
	"net/http"
	"strings"
)

var claimAttacks = []func(*kit){audience, audiences, issuerName, subject, required, scopeForms, scopeNames, confirmation, actors}

// notStrings are JSON values that are no strings, and the empty string.
var notStrings = []string{"null", "true", "1", "[]", "{}", `""`}

// audience is another audience, or none.
//
//	RFC 7519 §4.1.3: "If the principal processing the claim does not identify
//	itself with a value in the "aud" claim when this claim is present, then the
//	JWT MUST be rejected."
func audience(k *kit) {
	k.row = "aud"
	name := k.issuer.Audience
	k.signed("missing", k.header(), k.claims().without("aud"))
	for _, value := range append(notStrings, `[""]`, "[null]", "[1]", "[[]]", "[{}]") {
		k.claim(value, "aud", value)
	}
	for _, test := range []struct{ name, value string }{
		{"another", quote("https://other.example")},
		{"in upper case", quote(strings.ToUpper(name))},
		{"a space after", quote(name + " ")},
		{"a slash after", quote(name + "/")},
		{"a NUL after", quote(name + "\x00")},
		{"a path after", quote(name + "/admin")},
		{"a domain after", quote(name + ".attacker.example")},
		{"a prefix", quote(name[:len(name)-1])},
		{"a homoglyph", quote(strings.Replace(name, "a", "а", 1))},
		{"two in one, with a comma", quote(name + "," + name)},
		{"two in one, with a space", quote(name + " " + name)},
		{"a list in a string", quote("[" + quote(name) + "]")},
		{"a pattern", `"*"`},
		{"in an object", `{"aud":` + quote(name) + `}`},
		{"of the client", quote(clientID)},
	} {
		k.claim(test.name, "aud", test.value)
	}
}

// audiences is aud as an array.
func audiences(k *kit) {
	k.row = "aud of several"
	name := quote(k.issuer.Audience)
	for _, test := range []struct{ name, value string }{
		{"none of this API", `["https://other.example","https://third.example"]`},
		{"a number beside", "[" + name + ",1]"},
		{"null beside", "[" + name + ",null]"},
		{"true beside", "[" + name + ",true]"},
		{"an object beside", "[" + name + ",{}]"},
		{"an array beside", "[" + name + ",[]]"},
		{"an array in an array", "[[" + name + "]]"},
		{"a thousand beside", "[" + name + strings.Repeat(`,"a"`, 1000) + "]"},
	} {
		k.claim(test.name, "aud", test.value)
	}
	k.valid("this API and another", k.header(), k.claims().set("aud", "["+name+`,"https://other.example"]`))
	k.valid("this API alone", k.header(), k.claims().set("aud", "["+name+"]"))
}

// issuerName is similar to the right name.
//
//	RFC 9068 §4: the name of the authorization server "MUST exactly match the
//	value of the "iss" claim".
func issuerName(k *kit) {
	k.row = "iss"
	name := k.issuer.URL
	k.signed("missing", k.header(), k.claims().without("iss"))
	for _, value := range append(notStrings, "["+quote(name)+"]", `{"iss":`+quote(name)+"}") {
		shown := strings.ReplaceAll(value, name, "…")
		k.claim("the JSON value "+shown, "iss", value)
	}
	for _, test := range []struct{ name, value string }{
		{"another", "https://attacker.example"},
		{"a slash after", name + "/"},
		{"two slashes", strings.Replace(name, "://", ":///", 1)},
		{"the scheme in upper case", strings.Replace(name, "http", "HTTP", 1)},
		{"another scheme", strings.Replace(name, "http", "https", 1)},
		{"a homoglyph", strings.Replace(name, "t", "т", 1)},
		{"a NUL after", name + "\x00"},
		{"a space before", " " + name},
		{"a space after", name + " "},
		{"a line break after", name + "\n"},
		{"a path after", name + "/../evil"},
		{"a dot segment", name + "/."},
		{"a query", name + "?"},
		{"a fragment", name + "#"},
		{"a user", strings.Replace(name, "://", "://user@", 1)},
		{"another host, the issuer as its user", name + "@attacker.example"},
		{"a domain after", name + ".attacker.example"},
		{"in percent-encoding", strings.Replace(name, "1", "%31", 1)},
		{"without the scheme", strings.TrimPrefix(name, "http://")},
		{"two in one", name + "," + name},
	} {
		k.claim(test.name, "iss", quote(test.value))
	}
}

// subject identifies the caller in logs and in keys of maps.
func subject(k *kit) {
	k.row = "sub"
	k.signed("missing", k.header(), k.claims().without("sub"))
	for _, value := range append(notStrings, `["alice"]`) {
		k.claim("the JSON value "+value, "sub", value)
	}
	for _, test := range []struct{ name, value string }{
		{"a NUL", "alice\x00"},
		{"a line break", "alice\nlevel=INFO msg=forged"},
		{"CRLF", "alice\r\nX-Injected: yes"},
		{"an escape sequence", "alice\x1b[2J"},
		{"DEL", "alice\x7f"},
		{"NEL", "alice\u0085"},
		{"a line separator", "alice\u2028forged"},
		{"of 5000 bytes", strings.Repeat("a", 5000)},
		{"of 10000 bytes", strings.Repeat("a", 10_000)},
	} {
		k.claim(test.name, "sub", quote(test.value))
	}
}

// required covers the other required claims of RFC 9068 section 2.2.
func required(k *kit) {
	if !k.profiled() {
		return
	}
	for _, claim := range []string{"client_id", "jti"} {
		k.row = claim
		k.signed("missing", k.header(), k.claims().without(claim))
		for _, value := range append(notStrings, `["a"]`, `"a\u0000"`, `"a\r\nb"`, `"a\u001b[2J"`) {
			k.claim("the JSON value "+value, claim, value)
		}
	}
}

// scopeForms is a malformed scope, whose meaning must not be guessed.
//
//	RFC 6749 §3.3: scope = scope-token *( SP scope-token )
func scopeForms(k *kit) {
	k.row = "scope malformed"
	scope := k.issuer.config.Scope
	if scope == "" {
		scope = "read"
	}
	values := []string{
		"null", "true", "1", "{}", "[1]", "[null]", `[""]`, "[" + quote(scope) + ",1]", "[" + quote(scope+" write") + "]",
		"[[" + quote(scope) + "]]", `{"scope":` + quote(scope) + "}",
	}
	if k.profiled() {
		// Providers that do not follow RFC 9068 send arrays.
		values = append(values, "[]", "["+quote(scope)+"]", "["+quote(scope)+`,"write"]`)
	}
	for _, value := range values {
		k.claim("the JSON value "+value, "scope", value)
	}
	for _, test := range []struct{ name, value string }{
		{"two spaces", scope + "  write"},
		{"a space before", " " + scope},
		{"a space after", scope + " "},
		{"a space alone", " "},
		{"a tab", scope + "\twrite"},
		{"a line break", scope + "\nwrite"},
		{"a NUL", scope + "\x00"},
		{"a quote", scope + ` "write"`},
		{"a backslash", scope + ` \write`},
		{"DEL", scope + " \x7f"},
		{"beyond ASCII", scope + " schreiben-für-alle"},
		{"a no-break space", scope + "\u00a0write"},
	} {
		k.claim(test.name, "scope", quote(test.value))
	}
}

const rowScope = "scope not granted"

// scopeNames has scopes that are similar to the one that the handler requires. They
// must get 403, RFC 6750 section 3.1.
func scopeNames(k *kit) {
	scope, _, _ := strings.Cut(k.issuer.config.Scope, " ")
	if scope == "" {
		return
	}
	k.row = rowScope
	deny := func(name string, claims object) {
		a := k.attempt(name, k.sign(k.header(), claims))
		a.Want, a.code, a.signer = []int{http.StatusForbidden}, "insufficient_scope", k.key
		k.emit(a)
	}
	family, _, _ := strings.Cut(scope, ":")
	deny("missing", k.claims().without("scope"))
	for _, value := range []string{
		"*", "*:*", family + ":*", family + ":", ":" + scope, scope + ":all", scope + "*", scope[:len(scope)-1], scope + "," + scope,
		strings.ToUpper(scope), ".*", "%", "openid", "scope=" + scope, "!" + scope,
	} {
		deny(fmt.Sprintf("%q", value), k.claims().set("scope", quote(value)))
	}
	deny("under another name, scp", k.claims().without("scope").set("scp", "["+quote(scope)+"]"))
	deny("under another name, scopes", k.claims().without("scope").set("scopes", quote(scope)))
}

// confirmation is a sender-constrained token without proof of possession of its
// key.
//
//	RFC 9449 §7.2: "such a protected resource MUST reject a DPoP-bound access
//	token received as a bearer token".
//
// RFC 8705 section 3 says the same of a token that is bound to a certificate. A
// confirmation method that the verifier does not know must be rejected too.
func confirmation(k *kit) {
	k.row = "cnf"
	thumbprint := quote("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I")
	for _, value := range []string{
		"null", "true", "1", `""`, `"x"`, "[]", "{}", `{"jkt":1}`, `{"jkt":null}`, `{"jkt":""}`, `{"jkt":[]}`, `{"jkt":"x"}`,
		`{"x5t#S256":1}`, `{"x5t#S256":""}`, `{"x5t#S256":null}`, `{"unknown":1}`, `{"kid":"x"}`, `{"jku":"https://attacker.example"}`,
		"[" + thumbprint + "]", `[{"jkt":` + thumbprint + "}]",
	} {
		k.claim("the JSON value "+value, "cnf", value)
	}
	k.claim("DPoP", "cnf", `{"jkt":`+thumbprint+"}")
	k.claim("mutual TLS", "cnf", `{"x5t#S256":`+thumbprint+"}")
	k.claim("both", "cnf", `{"jkt":`+thumbprint+`,"x5t#S256":`+thumbprint+"}")
	k.claim("a key", "cnf", `{"jwk":`+k.issuer.attackerJWK().String()+"}")
}

// actors is a delegation chain, RFC 8693 section 4.1, that is too long or malformed.
func actors(k *kit) {
	k.row = "act"
	chain := func(length int) string {
		return strings.Repeat(`{"sub":"a","act":`, length) + `{"sub":"a"}` + strings.Repeat("}", length)
	}
	for _, claim := range []string{"act", "may_act"} {
		k.claim(claim+" of 100", claim, chain(100))
	}
	k.claim("act of 5000", "act", chain(5000))
	for _, value := range []string{"null", "true", "1", `"a"`, "[]", "{}", `[{"sub":"a"}]`, `{"sub":1}`, `{"sub":""}`, `{"sub":null}`, `{"sub":"a","act":"b"}`, `{"sub":"a","act":[]}`, `{"sub":"a\u0000"}`} {
		k.claim("the JSON value "+value, "act", value)
	}
	k.valid("two", k.header(), k.claims().set("act", `{"sub":"a","act":{"sub":"b"}}`))
}
