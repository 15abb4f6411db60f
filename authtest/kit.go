// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse/internal/text"
)

// kit makes the attempts of one run of [Attacks].
type kit struct {
	issuer       *Issuer
	key          *key // the default signing key
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

// header and claims are those of a valid token.
func (k *kit) header() object { return k.issuer.header(k.key) }
func (k *kit) claims() object { return k.issuer.claims() }

// sign returns a token that the issuer has signed.
func (k *kit) sign(header, claims object) string { return k.key.sign(header.String(), claims.String()) }

// token returns a valid token.
func (k *kit) token() string { return k.issuer.Token(nil) }

// parts returns the signing input and the signature of a valid token of a key.
func (k *kit) parts(signer *key) (input string, signature []byte) {
	input = signingInput(k.issuer.header(signer), k.claims())
	return input, signAs(signer.algorithm, signer.private, input)
}

// profiled reports whether valid tokens follow RFC 9068.
func (k *kit) profiled() bool { return k.issuer.config.Type == "at+jwt" }

// signed is a token with a valid signature of the issuer that must be rejected
// for its header or its payload.
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

// forged is a token without a valid signature of the issuer.
func (k *kit) forged(name, token string) { k.emit(k.attempt(name, token)) }

// hmac is a token with an HMAC of a secret that the attacker knows.
func (k *kit) hmac(name, algorithm string, secret []byte, header object) {
	input := signingInput(header.set("alg", quote(algorithm)), k.claims())
	k.forged(name, input+"."+encode(signAs(algorithm, secret, input)))
}

// unknownKey is a token for which a verifier asks the issuer for the key. It may
// answer 503 if it cannot do so now. signer is nil if the signature is invalid.
func (k *kit) unknownKey(name, token string, signer *key) {
	a := k.attempt(name, token)
	if a.Want[0] == http.StatusUnauthorized {
		a.Want = append(a.Want, http.StatusServiceUnavailable)
	}
	a.signer = signer
	k.emit(a)
}

// valid is an unusual token that must be accepted.
func (k *kit) valid(name string, header, claims object) {
	k.validToken(k.key, name, k.sign(header, claims))
}

func (k *kit) validToken(signer *key, name, token string) {
	a := k.attempt(name, token)
	a.Want, a.code, a.signer = []int{http.StatusOK}, "", signer
	k.emit(a)
}

// attempt sends a token as a Bearer token, RFC 6750 §2.1, and wants the answer of
// §3.1: 400 invalid_request if it "is otherwise malformed", which a token with
// other characters than those of a b64token is, and 401 invalid_token otherwise.
func (k *kit) attempt(name, token string) Attempt {
	a := Attempt{
		Name:        name,
		Request:     k.request(http.MethodGet, "", ""),
		Want:        []int{http.StatusUnauthorized},
		code:        "invalid_token",
		credentials: []string{token},
	}
	a.Request.Header["Authorization"] = []string{"Bearer " + token}
	if !text.IsToken68(token) {
		a.Want, a.code = []int{http.StatusBadRequest}, ""
	}
	return a
}

// request returns a request to the target with an additional query and a form,
// which may be empty.
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

// keys returns the current signing keys of some families.
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
