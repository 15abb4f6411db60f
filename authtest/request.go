// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"net/http"
	"slices"
	"strings"
)

var cookieNames = []string{
	"access_token", "token", "jwt", "id_token", "session", "auth", "Authorization", "__Host-access_token", "__Host-session",
}

func inURL(k *kit) {
	k.row = "token in the URL"
	for _, name := range []string{"access_token", "token", "jwt", "auth_token", "id_token", "authorization", "bearer", "Access_Token"} {
		token := k.token()
		k.bare(name, k.request(http.MethodGet, name+"="+token, ""), token)
	}
	token := k.token()
	k.bare("twice", k.request(http.MethodGet, "access_token="+token+"&access_token="+token, ""), token, http.StatusBadRequest)
	k.bare("with its scheme", k.request(http.MethodGet, "authorization=Bearer+"+token, ""), token)
	k.bare("behind a semicolon", k.request(http.MethodGet, "a=b;access_token="+token, ""), token, http.StatusBadRequest)
}

func inBody(k *kit) {
	k.row = "token in the body"
	// A router may reject an unknown method before it looks at the token.
	routed := []int{http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType}
	token := k.token()
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
		k.bare("form, "+method, k.request(method, "", "access_token="+token), token, routed...)
	}
	for _, test := range []struct{ name, contentType, body string }{
		{"multipart", `multipart/form-data; boundary="b"`, "--b\r\nContent-Disposition: form-data; name=\"access_token\"\r\n\r\n" + token + "\r\n--b--\r\n"},
		{"JSON", "application/json", `{"access_token":"` + token + `"}`},
		{"text", "text/plain", "Bearer " + token},
		{"JWT", "application/jwt", token},
	} {
		r := k.request(http.MethodPost, "", test.body)
		r.Header.Set("Content-Type", test.contentType)
		k.bare(test.name, r, token, routed...)
	}
}

func inCookie(k *kit) {
	k.row = "token in a cookie"
	token, foreign := k.token(), k.issuer.ForeignToken(nil)
	emit := func(name string, lines ...string) {
		r := k.request(http.MethodGet, "", "")
		r.Header["Cookie"] = lines
		k.bare(name, r, token+" "+foreign, http.StatusBadRequest)
	}
	for _, name := range cookieNames {
		emit(name, name+"="+token)
	}
	emit("quoted", `access_token="`+token+`"`)
	emit("two of a name", "access_token="+foreign+"; access_token="+token)
	emit("two of a name, the valid one first", "jwt="+token+"; jwt="+foreign)
	emit("two headers", "jwt="+token, "jwt="+token)
	emit("with its scheme", "Authorization=Bearer "+token)
}

func inOtherHeader(k *kit) {
	k.row = "token in another header"
	token := k.token()
	for _, name := range []string{
		"Proxy-Authorization", "X-Authorization", "X-Original-Authorization", "X-Forwarded-Authorization", "X-Access-Token",
		"X-Auth-Token", "X-Forwarded-Access-Token", "X-Jwt-Assertion", "X-Id-Token", "Authentication", "Access-Token", "Token",
		"Sec-Websocket-Protocol",
	} {
		r := k.request(http.MethodGet, "", "")
		r.Header.Set(name, "Bearer "+token)
		if name == "Sec-Websocket-Protocol" {
			r.Header.Set(name, "bearer, "+token)
		}
		k.bare(name, r, token)
	}
}

// identityHeaders names a caller, like a proxy that has authenticated one.
func identityHeaders(k *kit) {
	k.row = "identity in a header"
	for _, name := range []string{
		"Remote-User", "X-Remote-User", "X-Forwarded-User", "X-Forwarded-Email", "X-Auth-Request-User", "X-User-Id", "X-Userinfo",
		"X-Forwarded-Client-Cert", "X-Ssl-Client-Cert", "X-Client-Cert", "Ssl-Client-Verify", "X-Amzn-Oidc-Identity",
	} {
		r := k.request(http.MethodGet, "", "")
		r.Header.Set(name, "admin")
		k.bare(name, r, "")
	}
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "True-Client-Ip"} {
		r := k.request(http.MethodGet, "", "")
		r.Header.Set(name, "127.0.0.1")
		if name == "Forwarded" {
			r.Header.Set(name, "for=127.0.0.1")
		}
		r.RemoteAddr = "127.0.0.1:1234"
		k.bare(name, r, "")
	}
}

// routed are answers of a router in front of the gate, which do not accept the
// request either.
var routed = []int{
	http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect,
	http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented,
}

const rowMethod, rowPath = "another method", "another path"

// otherMethod uses methods that a handler may not protect. The OPTIONS request is
// not one of CORS, which has Origin and Access-Control-Request-Method.
func otherMethod(k *kit) {
	k.row = rowMethod
	for _, method := range []string{
		http.MethodOptions, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodTrace,
		"get", "Get", "PROPFIND", "X",
	} {
		k.bare(method, k.request(method, "", ""), "", routed...)
	}
	for _, name := range []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"} {
		r := k.request(http.MethodPost, "", "")
		r.Header.Set(name, http.MethodGet)
		k.bare(name, r, "", routed...)
	}
}

// otherPath writes the path in ways that a list of public paths may match.
func otherPath(k *kit) {
	k.row = rowPath
	path, _, _ := strings.Cut(k.issuer.config.Target, "?")
	for _, target := range []string{
		"/public/.." + path, "/static/../" + path, "/healthz/.." + path, "/%2e%2e" + path, "/public/%2e%2e" + path,
		"/public%2f.." + path, "/." + path, "/" + path, "//api.example.com" + path, path + "/.", path + ";/public",
		path + "%2f", path + "%00", path + "?/public", path + "?healthz", "/public;" + path, "/\\" + path,
	} {
		k.bare(target, k.requestFor(http.MethodGet, target, ""), "", routed...)
	}
	for _, name := range []string{"X-Original-Url", "X-Rewrite-Url", "X-Forwarded-Uri", "X-Forwarded-Path"} {
		r := k.request(http.MethodGet, "", "")
		r.Header.Set(name, "/healthz")
		k.bare(name, r, "", routed...)
	}
}

// injection has text in the token that breaks out of a challenge, a header line or
// HTML if the handler writes it there.
func injection(k *kit) {
	k.row = "injection"
	const mark = "injected-by-authtest"
	text := "x\", error=\"none\r\nX-" + mark + ": " + mark + "\r\n\r\n<script>" + mark + "</script>"
	emit := func(name string, header, claims object, also ...int) {
		a := k.attempt(name, k.sign(header, claims))
		a.credentials = append(a.credentials, mark)
		a.Want = slices.Concat(a.Want, also)
		a.signer = k.key
		k.emit(a)
	}
	for _, name := range []string{"alg", "typ", "cty", "crit"} {
		emit(name, k.header().set(name, quote(text)), k.claims())
	}
	if k.issuer.Secret.Len() == 0 {
		emit("kid", k.header().set("kid", quote(text)), k.claims(), http.StatusServiceUnavailable)
	}
	for _, name := range []string{"iss", "sub", "aud", "exp", "scope", "cnf"} {
		emit(name, k.header(), k.claims().set(name, quote(text)))
	}
}

// oracles have an invalid signature and a second defect. The answers must be equal,
// so that only clients with a valid signature learn about the second.
func oracles(k *kit) {
	k.row = "oracle"
	foreignKey := &key{id: k.key.id, algorithm: k.key.algorithm, private: foreign(k.key.algorithm)}
	past := k.claims().set("iat", "1").set("exp", "2")
	for _, test := range []struct {
		name           string
		header, claims object
	}{
		{"invalid signature", k.header(), k.claims()},
		{"invalid signature and expired", k.header(), past},
		{"invalid signature and unknown kid", k.header().set("kid", `"no-such-key"`), k.claims()},
		{"invalid signature and unknown issuer", k.header(), k.claims().set("iss", `"https://attacker.example"`)},
		{"invalid signature and another audience", k.header(), k.claims().set("aud", `"https://other.example"`)},
		{"invalid signature and another subject", k.header(), k.claims().set("sub", `"mallory"`)},
		{"invalid signature and another type", k.header().set("typ", `"dpop+jwt"`), k.claims()},
		{"invalid signature and none", k.header().set("alg", `"none"`), k.claims()},
	} {
		a := k.attempt(test.name, foreignKey.sign(test.header.String(), test.claims.String()))
		a.alike = "invalid signature"
		if strings.HasSuffix(test.name, "kid") {
			a.Want = append(a.Want, http.StatusServiceUnavailable)
		}
		k.emit(a)
	}
}
