// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
)

// kit makes the attempts of one run of [Attacks].
type kit struct {
	issuer       *Issuer
	key          *key // the one that signs unless a row says otherwise
	section, row string
	yield        func(Attempt) bool
	done         bool
}

func (k *kit) emit(a Attempt) {
	if k.done {
		return
	}
	a.Section, a.Row, a.Name = k.section, k.row, k.row+": "+a.Name
	k.done = !k.yield(a)
}

// header and claims are those of a good token.
func (k *kit) header() object { return k.issuer.header(k.key) }
func (k *kit) claims() object { return k.issuer.claims() }

// input is a good signing input.
func (k *kit) input() string {
	return encode(k.header().String()) + "." + encode(k.claims().String())
}

// profiled reports whether good tokens follow RFC 9068.
func (k *kit) profiled() bool { return k.issuer.config.Type == "at+jwt" }

// signed is a token that the issuer has really signed, and that must be
// refused for what it says.
func (k *kit) signed(name string, header, payload object) {
	k.signedText(name, header.String(), payload.String())
}

func (k *kit) signedText(name, header, payload string) {
	k.signedInput(name, encode(header)+"."+encode(payload))
}

func (k *kit) signedInput(name, input string) {
	a := k.attempt(name, k.key.signInput(input))
	a.signer = k.key
	k.emit(a)
}

// forged is a token that the issuer has not signed like this.
func (k *kit) forged(name, token string) { k.emit(k.attempt(name, token)) }

// unknownKey is a token for whose key the issuer has to be asked. A verifier
// that cannot do so now may say that it cannot tell.
func (k *kit) unknownKey(name, token string, signer *key) {
	a := k.attempt(name, token)
	if a.Want[0] == http.StatusUnauthorized {
		a.Want = append(a.Want, http.StatusServiceUnavailable)
	}
	a.signer = signer
	k.emit(a)
}

// good is a token that looks odd and must be let in.
func (k *kit) good(name, token string) {
	k.goodBy(k.key, name, token)
}

func (k *kit) goodBy(signer *key, name, token string) {
	a := k.attempt(name, token)
	a.Want, a.code, a.signer = []int{http.StatusOK}, "", signer
	k.emit(a)
}

// attempt presents a token as RFC 6750 §2.1 asks, and wants the answer of
// §3.1: 400 invalid_request if it "is otherwise malformed", as it is with
// characters that no b64token has, and 401 invalid_token otherwise.
func (k *kit) attempt(name, token string) Attempt {
	a := Attempt{
		Name:        name,
		Request:     k.request(http.MethodGet, "", ""),
		Want:        []int{http.StatusUnauthorized},
		code:        "invalid_token",
		credentials: []string{token},
	}
	a.Request.Header["Authorization"] = []string{"Bearer " + token}
	if !isToken68(token) {
		a.Want, a.code = []int{http.StatusBadRequest}, ""
	}
	return a
}

// request asks for the target, with more of a query and with a form if need be.
func (k *kit) request(method, query, form string) *http.Request {
	target := k.issuer.config.Target
	if query != "" {
		path, old, _ := strings.Cut(target, "?")
		target = path + "?" + strings.TrimPrefix(old+"&"+query, "&")
	}
	return k.requestFor(method, target, form)
}

func (k *kit) requestFor(method, target, form string) *http.Request {
	origin := "https://api.example.com"
	if u, err := url.Parse(k.issuer.Audience); err == nil && u.Host != "" {
		origin = u.Scheme + "://" + u.Host
	}
	if form == "" {
		return httptest.NewRequest(method, origin+target, http.NoBody)
	}
	r := httptest.NewRequest(method, origin+target, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(form)), nil }
	return r
}

// keys returns the keys of some families that sign now.
func (k *kit) keys(families ...family) []*key {
	k.issuer.mu.Lock()
	defer k.issuer.mu.Unlock()
	var keys []*key
	for _, candidate := range k.issuer.keys[len(k.issuer.keys)-len(k.issuer.Algorithms):] {
		if slices.Contains(families, algorithms[candidate.algorithm].family) {
			keys = append(keys, candidate)
		}
	}
	return keys
}

// isToken68 reports whether s is a b64token.
//
//	RFC 6750 §2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	for n := range len(s) {
		c := s[n]
		if ('0' > c || c > '9') && ('a' > c || c > 'z') && ('A' > c || c > 'Z') && strings.IndexByte("-._~+/", c) < 0 {
			return false
		}
	}
	return s != ""
}
