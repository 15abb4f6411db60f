// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// toyConfirmer confirms the member "toy" of a compact token if the header Toy has its
// value.
type toyConfirmer struct {
	scheme string // "" if the scheme does not matter
	member string
	calls  *int
}

func (c toyConfirmer) Confirms() gatehouse.Confirms {
	return gatehouse.Confirms{Member: c.member, Binding: gatehouse.Binding(c.member), Scheme: gatehouse.Scheme{Name: c.scheme, Companions: []string{"Toy"}}}
}

var errToy = &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: "toy_proof", Header: http.Header{"Toy-Nonce": {"2"}}, Cause: errors.New("toy: wrong proof")}

var errNonce = &gatehouse.Error{Code: gatehouse.NewCode(http.StatusUnauthorized, "use_toy_nonce", "The proof requires a nonce.")}

func (c toyConfirmer) Confirm(r *http.Request, token, member string, now time.Time) (http.Header, error) {
	if member == "nonce" {
		return nil, errNonce
	}
	if *c.calls++; r.Header.Get("Toy") != member || strings.Count(token, ".") != 2 || time.Since(now) > time.Hour {
		return nil, errToy
	}
	return http.Header{"Toy-Nonce": {"1"}}, nil
}

// Covers RFC 7800 §3.1; ASVS 5.0 §10.3.5.
func TestConfirmation(t *testing.T) {
	calls := 0
	with := func(scheme string) func(*jwtauth.Config) {
		return func(c *jwtauth.Config) {
			c.Confirmers = []gatehouse.Confirmer{toyConfirmer{scheme, "toy", &calls}}
		}
	}
	bound := token(nil, object{"cnf": object{"toy": "k"}})
	free := token(nil, nil)
	for _, test := range []struct {
		name          string
		config        func(*jwtauth.Config)
		scheme, token string
		proof         string
		want          gatehouse.Reason
		confirms      int // calls of the confirmer
	}{
		{"free token as Bearer", with("Toy"), "Bearer", free, "", "", 0},
		{"free token under the scheme of the confirmer", with("Toy"), "Toy", free, "k", gatehouse.ReasonUnconfirmed, 0},
		{"bound token with proof", with("Toy"), "Toy", bound, "k", "", 1},
		{"bound token with the proof of another key", with("Toy"), "Toy", bound, "x", "toy_proof", 1},
		{"bound token downgraded to Bearer", with("Toy"), "Bearer", bound, "k", gatehouse.ReasonUnconfirmed, 0},
		{"bound token in a cookie", with("Toy"), "", bound, "k", gatehouse.ReasonUnconfirmed, 0},
		{"confirmer for all schemes, Bearer", with(""), "Bearer", bound, "k", "", 1},
		{"confirmer for all schemes, cookie", with(""), "", bound, "k", "", 1},
		{"confirmer for all schemes, wrong proof", with(""), "", bound, "x", "toy_proof", 1},
		{"no confirmer", func(*jwtauth.Config) {}, "Bearer", bound, "k", gatehouse.ReasonUnconfirmed, 0},
		{"member without a confirmer", with("Toy"), "Toy", token(nil, object{"cnf": object{"toy": "k", "jkt": "x"}}), "k", gatehouse.ReasonUnconfirmed, 0},
		{"empty cnf", with("Toy"), "Toy", token(nil, object{"cnf": object{}}), "k", gatehouse.ReasonUnconfirmed, 0},
	} {
		a := newAuthenticator(t, config(test.config))
		for _, which := range []string{"verified", "cached"} {
			calls = 0
			r := get("")
			r.Header.Set("Toy", test.proof)
			verify := func() (gatehouse.Proof, error) { return a.VerifyRequest(r, test.scheme, test.token) }
			if test.scheme != "" {
				r.Header.Set("Authorization", test.scheme+" "+test.token)
				verify = func() (gatehouse.Proof, error) { return a.Authenticate(r) }
			}
			proof, err := verify()
			got := reasonOf(err)
			if e, ok := errors.AsType[*gatehouse.Error](err); ok {
				if e.Issuer != issuerURL || e.Credential != "token-1" || e.Code != gatehouse.CodeInvalidToken {
					t.Errorf("%s, %s: error with Issuer %q, Credential %q, Code %s, want %q, token-1, invalid_token", test.name, which, e.Issuer, e.Credential, e.Code, issuerURL)
				}
				if got == "toy_proof" && e.Header.Get("Toy-Nonce") != "2" {
					t.Errorf("%s, %s: the error has header %v, want Toy-Nonce 2", test.name, which, e.Header)
				}
			}
			if got != test.want || calls != test.confirms {
				t.Errorf("%s, %s: VerifyRequest = %q (%v) with %d confirmations, want %q with %d", test.name, which, got, err, calls, test.want, test.confirms)
			}
			if err != nil {
				continue
			}
			binding, nonce := gatehouse.Binding(""), ""
			if test.confirms > 0 {
				binding, nonce = "toy", "1"
			}
			if p := proof.Principal(); p.Binding != binding || proof.Header.Get("Toy-Nonce") != nonce {
				t.Errorf("%s, %s: Binding %q, header %v, want %q, Toy-Nonce %q", test.name, which, p.Binding, proof.Header, binding, nonce)
			}
		}
	}
	schemes := newAuthenticator(t, config(with("Toy"))).Reads().Schemes
	equal(t, "schemes of Reads", schemes, []gatehouse.Scheme{{Name: "Bearer"}, {Name: "Toy", Companions: []string{"Toy"}}})
	if errToy.Issuer != "" || errToy.Credential != "" {
		t.Errorf("the error that all requests share is %+v, want it unchanged", errToy)
	}
}

// Verify has no request, so that nothing can confirm a sender-constrained token. A
// token that is rejected for another reason does not reach the confirmer.
func TestConfirmerIsNotCalled(t *testing.T) {
	calls := 0
	with := func(scheme string) *jwtauth.Authenticator {
		return newAuthenticator(t, config(twoIssuers, func(c *jwtauth.Config) {
			c.Issuers[1].Header = "X-Jwt"
			c.Confirmers = []gatehouse.Confirmer{toyConfirmer{scheme, "toy", &calls}}
			c.Revocations = &revocations{answers: map[string]error{"revoked": nil}}
		}))
	}
	cnf := object{"toy": "k"}
	for _, a := range []*jwtauth.Authenticator{with("Toy"), with("")} {
		for _, which := range []string{"Verify", "Verify, cached"} {
			check(t, a, which, token(nil, object{"cnf": cnf}), gatehouse.ReasonUnconfirmed)
		}
		for want, token := range map[gatehouse.Reason]string{
			jwtauth.ReasonExpired:  token(nil, object{"cnf": cnf, "iat": 1, "exp": 2}),
			jwtauth.ReasonRevoked:  token(nil, object{"cnf": cnf, "jti": "revoked"}),
			jwtauth.ReasonAudience: token(nil, object{"cnf": cnf, "aud": "x"}),
			jwtauth.ReasonCarrier:  token(nil, object{"cnf": cnf, "iss": otherURL}),
		} {
			_, err := a.VerifyRequest(get(""), "Toy", token)
			if e := rejected(t, err); e.Reason != want {
				t.Errorf("VerifyRequest = %v, want reason %q", err, want)
			}
		}
	}
	equal(t, "calls of the confirmer", calls, 0)
}

// The confirmer gets the time at which the token was validated, before the request waited
// for the revocations. An error with a code of its own keeps it, in any header.
func TestConfirmerTimeAndCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		a := newAuthenticator(t, config(func(c *jwtauth.Config) {
			c.Issuers[0].Header = "X-Assertion"
			c.Confirmers = []gatehouse.Confirmer{toyConfirmer{"", "toy", &calls}}
			c.Revocations = &revocations{before: func() { time.Sleep(2 * time.Hour) }} // a proof is too old after an hour
		}))
		for member, want := range map[string]*gatehouse.Error{"k": {Code: jwtauth.CodeInvalidTokenHeader, Reason: errToy.Reason}, "nonce": errNonce} {
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			r.Header = http.Header{"Toy": {"k"}, "X-Assertion": {token(nil, object{"cnf": object{"toy": member}})}}
			_, err := a.Authenticate(r)
			if e := rejected(t, err); e.Reason != want.Reason || e.Code != want.Code {
				t.Errorf("Authenticate with cnf %s: %s with reason %q, want %s with reason %q", member, e.Code, e.Reason, want.Code, want.Reason)
			}
		}
	})
}
