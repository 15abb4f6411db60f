// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

var httpAttacks = []func(*kit){
	schemeCase, severalHeaders, severalPlaces, whiteSpace, emptyCredential, trailingJunk, outsideAlphabet, folding, otherScheme,
	inURL, inBody, inCookie, inOtherHeader, identityHeaders, otherMethod, otherPath, injection, oracles,
}

var (
	unauthorized = []int{http.StatusUnauthorized}
	badRequest   = []int{http.StatusBadRequest}
	eitherOfTwo  = []int{http.StatusBadRequest, http.StatusUnauthorized}
)

// raw is a request with these Authorization headers.
func (k *kit) raw(name string, want []int, token string, values ...string) {
	a := Attempt{Name: name, Request: k.request(http.MethodGet, "", ""), Want: want, credentials: []string{token}}
	a.Request.Header["Authorization"] = values
	k.emit(a)
}

// bare is a request without an Authorization header.
//
//	RFC 6750 §3.1: "If the request lacks any authentication information …, the
//	resource server SHOULD NOT include an error code or other error
//	information."
func (k *kit) bare(name string, r *http.Request, token string, also ...int) {
	a := Attempt{Name: name, Request: r, Want: append([]int{http.StatusUnauthorized}, also...), code: noCode}
	if token != "" {
		a.credentials = []string{token}
	}
	k.emit(a)
}

// RFC 9110 §11.1: the scheme is "a case-insensitive token".
func schemeCase(k *kit) {
	k.row = "scheme in any case"
	for _, scheme := range []string{"bearer", "BEARER", "bEaReR"} {
		token := k.token()
		k.raw(scheme, []int{http.StatusOK}, token, scheme+" "+token)
	}
	token := k.token()
	// RFC 6750 §2.1: credentials = "Bearer" 1*SP b64token
	k.raw("two spaces", []int{http.StatusOK}, token, "Bearer  "+token)
}

func severalHeaders(k *kit) {
	k.row = "several credentials"
	valid, foreign := k.token(), k.issuer.ForeignToken(nil)
	both := valid + " " + foreign
	for _, test := range []struct {
		name   string
		values []string
	}{
		{"the same twice", []string{"Bearer " + valid, "Bearer " + valid}},
		{"the valid one first", []string{"Bearer " + valid, "Bearer " + foreign}},
		{"the valid one last", []string{"Bearer " + foreign, "Bearer " + valid}},
		{"Basic first", []string{"Basic YTpi", "Bearer " + valid}},
		{"Basic last", []string{"Bearer " + valid, "Basic YTpi"}},
		{"an empty one first", []string{"", "Bearer " + valid}},
		{"an empty one last", []string{"Bearer " + valid, ""}},
		{"three", []string{"Bearer " + valid, "Bearer " + valid, "Bearer " + valid}},
		{"joined by a comma", []string{"Bearer " + valid + ", Bearer " + foreign}},
		{"joined by a comma, the valid one last", []string{"Bearer " + foreign + ", Bearer " + valid}},
		{"joined by a comma alone", []string{"Bearer " + valid + ",Bearer " + valid}},
		{"joined with Basic", []string{"Bearer " + valid + ", Basic YTpi"}},
		{"joined by a semicolon", []string{"Bearer " + valid + "; Bearer " + valid}},
	} {
		k.raw(test.name, badRequest, both, test.values...)
	}
	k.raw("joined after Basic", eitherOfTwo, valid, "Basic YTpi, Bearer "+valid)
}

// severalPlaces sends tokens in more than one place.
//
//	RFC 6750 §2: "Clients MUST NOT use more than one method to transmit the
//	token in each request."
func severalPlaces(k *kit) {
	k.row = "several places"
	valid, foreign := k.token(), k.issuer.ForeignToken(nil)
	emit := func(name, header, query, form, cookie string, want []int) {
		r := k.request(http.MethodGet, query, form)
		r.Header.Set("Authorization", "Bearer "+header)
		if cookie != "" {
			r.Header.Set("Cookie", cookie)
		}
		k.emit(Attempt{Name: name, Request: r, Want: want, credentials: []string{valid, foreign}})
	}
	parameter := "access_token=" + valid
	emit("header and query", valid, parameter, "", "", badRequest)
	emit("invalid header, valid query", foreign, parameter, "", "", badRequest)
	emit("valid header, invalid query", valid, "access_token="+foreign, "", "", badRequest)
	emit("valid header, empty query", valid, "access_token=", "", "", badRequest)
	emit("header, query, body and cookie", valid, parameter, parameter, parameter, badRequest)
	// The header counts: an invalid token is never treated as missing.
	emit("invalid header, valid body", foreign, "", parameter, "", unauthorized)
	for _, name := range cookieNames {
		emit("invalid header, valid cookie "+name, foreign, "", "", name+"="+valid, unauthorized)
	}
}

func whiteSpace(k *kit) {
	k.row = "white space"
	token := k.token()
	for _, test := range []struct {
		name  string
		value string
		want  []int
	}{
		{"tab", "Bearer\t" + token, badRequest},
		{"space and tab", "Bearer \t" + token, badRequest},
		{"tab and space", "Bearer\t " + token, badRequest},
		{"tab before", "\tBearer " + token, eitherOfTwo},
		{"space before", " Bearer " + token, eitherOfTwo},
		{"space after", "Bearer " + token + " ", badRequest},
		{"tab after", "Bearer " + token + "\t", badRequest},
		{"no-break space", "Bearer\u00a0" + token, badRequest},
		{"vertical tab", "Bearer\v" + token, badRequest},
		{"form feed", "Bearer \f" + token, badRequest},
		{"NUL", "Bearer\x00" + token, badRequest},
	} {
		k.raw(test.name, test.want, token, test.value)
	}
}

func emptyCredential(k *kit) {
	k.row = "empty credential"
	for _, value := range []string{"Bearer", "bearer", "Bearer ", "Bearer   ", "Bearer =", "Bearer ==", "Bearer\t"} {
		k.raw(fmt.Sprintf("%q", value), badRequest, "", value)
	}
	k.raw("no scheme", eitherOfTwo, "", "")
	k.bare("no header", k.request(http.MethodGet, "", ""), "")
}

func trailingJunk(k *kit) {
	k.row = "trailing junk"
	token := k.token()
	for _, junk := range []string{
		" junk", " " + "token", " Bearer", ", realm=\"x\"", ";", "; charset=utf-8", ",", " ,", "\tjunk", " e30", " =",
	} {
		k.raw(fmt.Sprintf("%q", junk), badRequest, token, "Bearer "+token+junk)
	}
	k.raw("the token again", badRequest, token, "Bearer "+token+" "+token)
	k.raw("before: realm", badRequest, token, `Bearer realm="x", token="`+token+`"`)
	k.raw("before: a name", badRequest, token, `Bearer token=`+token)
	k.raw("before: access_token", badRequest, token, `Bearer access_token=`+token)
}

func outsideAlphabet(k *kit) {
	k.row = "outside b64token"
	token := k.token()
	for _, test := range []struct{ name, value string }{
		{"in quotes", `"` + token + `"`},
		{"in single quotes", "'" + token + "'"},
		{"in angle brackets", "<" + token + ">"},
		{"in braces", "{" + token + "}"},
		{"a quote after", token + `"`},
		{"a NUL after", token + "\x00"},
		{"a NUL before", "\x00" + token},
		{"a colon before", ":" + token},
		{"a fragment", token + "#x"},
		{"a query", token + "?x=y"},
		{"a percent", token + "%00"},
		{"a backslash", token + `\`},
		{"DEL", token + "\x7f"},
		{"UTF-8", token + "é"},
		{"Latin-1", token + "\xe9"},
		{"full width dot", strings.Replace(token, ".", "．", 1)},
		{"an equals sign before", "=" + token},
	} {
		k.raw(test.name, badRequest, token, "Bearer "+test.value)
	}
}

// RFC 9112 §5.2: "A server that receives an obs-fold … MUST either reject the
// message … or replace each received obs-fold".
func folding(k *kit) {
	k.row = "line break"
	token := k.token()
	for _, test := range []struct{ name, value string }{
		{"behind the scheme", "Bearer\r\n " + token},
		{"behind the space", "Bearer \r\n\t" + token},
		{"behind the token", "Bearer " + token + "\r\n x"},
		{"at the end", "Bearer " + token + "\n"},
		{"and a header", "Bearer " + token + "\r\nX-Injected: yes"},
	} {
		k.raw(test.name, badRequest, token, test.value)
	}
}

func otherScheme(k *kit) {
	k.row = "another scheme"
	token := k.token()
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, test := range []struct{ name, value string }{
		{"Basic, the token as it is", "Basic " + token},
		{"Basic, the token as password", basic(":" + token)},
		{"Basic, the token as password of bearer", basic("bearer:" + token)},
		{"Basic, the token as user", basic(token + ":")},
	} {
		a := Attempt{Name: test.name, Request: k.request(http.MethodGet, "", ""), Want: unauthorized, code: noCode}
		a.credentials = []string{token, strings.TrimPrefix(test.value, "Basic ")}
		a.Request.Header.Set("Authorization", test.value)
		k.emit(a)
	}
	for _, scheme := range []string{
		"JWT ", "Token ", "OAuth ", "MAC ", "Negotiate ", "Digest ", "DPoP ", "GNAP ", "Bearer-Token ", "Bearerish ", "XBearer ",
		"Bearer", "Bearer:", "Bearer: ", "Bearer=", "Bearer,", "", "Authorization: Bearer ",
	} {
		k.raw(fmt.Sprintf("%q", scheme), eitherOfTwo, token, scheme+token)
	}
}
