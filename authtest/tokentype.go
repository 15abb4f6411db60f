// SPDX-License-Identifier: Apache-2.0

package authtest

import "strings"

// typeConfusion uses tokens of the issuer that have another purpose.
//
//	RFC 9068 §4: "The resource server MUST verify that the "typ" header value
//	is "at+jwt" or "application/at+jwt" and reject tokens carrying any other
//	value."
func typeConfusion(k *kit) {
	k.row = "typ of another token"
	for _, name := range []string{
		"logout+jwt", "dpop+jwt", "secevent+jwt", "refresh+jwt", "rt+jwt", "id_token+jwt", "client-authentication+jwt",
		"token-introspection+jwt", "oauth-authz-req+jwt", "kb+jwt", "dc+sd-jwt", "wit+jwt", "passport", "entity-statement+jwt",
		"application/dpop+jwt", "application/logout+jwt", "LOGOUT+JWT",
	} {
		k.signed(name, k.header().set("typ", quote(name)), k.claims())
	}
	if !k.profiled() {
		k.valid("absent", k.header().without("typ"), k.claims())
		return
	}
	for _, name := range []string{"JWT", "jwt", "application/jwt", "JOSE", "JWS"} {
		k.signed(name, k.header().set("typ", quote(name)), k.claims())
	}
	k.signed("absent", k.header().without("typ"), k.claims())
	id := k.claims().without("client_id").without("scope").merge(Claims{"nonce": "n-0S6_WzA2Mj", "auth_time": 1})
	k.signed("ID token for the API", k.header().set("typ", `"JWT"`), id)
	a := k.attempt("ID token for the client", k.issuer.IDToken(nil))
	a.signer = k.key
	k.emit(a)
}

// typeSpelling writes typ in valid and in invalid ways.
//
//	RFC 7515 §4.1.9: media type values are case-insensitive, and "application/"
//	may be left out where no other slash is in it.
func typeSpelling(k *kit) {
	k.row = "typ"
	name := k.issuer.config.Type
	for _, value := range []string{
		"null", "true", "1", "[]", "{}", `""`, "[" + quote(name) + "]",
		quote(name + " "), quote(" " + name), quote(name + "\x00"), quote(name + ";v=1"), quote(name + "s"), quote(name[:2]),
		quote("text/" + name), quote("application/application/" + name), quote("/" + name), quote("x/application/" + name),
		quote(name + "," + name), quote(strings.ReplaceAll(name, "+", " ")), quote(strings.Replace(name, "t", "т", 1)),
	} {
		if value != quote(name) {
			k.signed(value, k.header().set("typ", value), k.claims())
		}
	}
	spellings := []string{strings.ToUpper(name), strings.ToLower(name)}
	if k.profiled() {
		spellings = append(spellings, "application/"+name, "APPLICATION/"+strings.ToUpper(name))
	}
	for _, spelling := range spellings {
		if spelling != name {
			k.valid(spelling, k.header().set("typ", quote(spelling)), k.claims())
		}
	}
}

// otherMarks adds claims that only other tokens than access tokens have, for issuers
// whose typ does not say it: OpenID Connect Core section 2, RFC 8417 section 2.2,
// and the claims of two common providers.
func otherMarks(k *kit) {
	if k.profiled() {
		return
	}
	k.row = "claims of another token"
	for _, mark := range []struct{ name, value string }{
		{"nonce", `"n-0S6_WzA2Mj"`},
		{"at_hash", `"77QmUPtjPfzWtF2AnpK9RQ"`},
		{"c_hash", `"LDktKdoQak3Pk0cnXxCltA"`},
		{"events", `{"http://schemas.openid.net/event/backchannel-logout":{}}`},
		{"typ", `"ID"`},
		{"typ", `"Refresh"`},
		{"token_use", `"id"`},
	} {
		k.signed(mark.name+" "+mark.value, k.header(), k.claims().set(mark.name, mark.value))
	}
}

// sizes makes tokens that are larger than those of real issuers. The padding is a
// claim that no verifier reads, so that only the size is wrong.
func sizes(k *kit) {
	k.row = "size"
	for _, size := range []struct {
		name  string
		bytes int
	}{
		{"9 KB of claims", 9 << 10},
		{"64 KB of claims", 64 << 10},
		{"a megabyte of claims", 1 << 20},
	} {
		k.signed(size.name, k.header(), k.claims().set("x", quote(strings.Repeat("x", size.bytes))))
	}
	k.signed("3 KB of header", k.header().set("x", quote(strings.Repeat("x", 3<<10))), k.claims())
	k.signed("a megabyte of header", k.header().set("x", quote(strings.Repeat("x", 1<<20))), k.claims())
	input, signature := k.parts(k.key)
	k.forged("a megabyte of signature", input+"."+encode(signature)+strings.Repeat("A", 1<<20))
	k.forged("a megabyte without a dot", strings.Repeat("A", 1<<20))
}
