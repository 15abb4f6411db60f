// SPDX-License-Identifier: Apache-2.0

package cookie_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

const tokenCookie = "__Host-Http-token"

// The Verifier of a program.
var _ cookie.Verifier = (*jwtauth.Authenticator)(nil)

// verifier accepts every token, or returns err, and records the calls.
type verifier struct {
	err    error
	tokens []string
	r      *http.Request
}

func (v *verifier) VerifyRequest(r *http.Request, scheme, token string) (gatehouse.Proof, error) {
	v.tokens, v.r = append(v.tokens, scheme+token), r
	if v.err != nil {
		return gatehouse.Proof{}, v.err
	}
	proof := gatehouse.NewProof(&gatehouse.Principal{Kind: gatehouse.KindUser, Subject: "ada", Method: "jwt"})
	proof.Header = http.Header{"Dpop-Nonce": {"n"}}
	return proof, nil
}

func newAccessToken(tb testing.TB, config cookie.AccessTokenConfig) *cookie.AccessToken {
	tb.Helper()
	if config.Verifier == nil {
		config.Verifier = &verifier{}
	}
	a := must(cookie.NewAccessToken(config))
	return a
}

// Covers RFC 10017 §6.1.3.2 (Strict).
func TestAccessTokenCookie(t *testing.T) {
	a := newAccessToken(t, cookie.AccessTokenConfig{})
	w := newResponse()
	succeeds(t, a.Set(w, newRequest(http.MethodGet), "a.b.c"))
	wantSetCookie(t, w, "__Host-Http-token=a.b.c; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=900")
	if got := a.Reads(); !slices.Equal(got.Cookies, []string{tokenCookie}) || !got.Rechecks {
		t.Errorf("Reads = %+v, want %s and Rechecks", got, tokenCookie)
	}
	if err := a.Set(w, newRequest(http.MethodGet), strings.Repeat("a", 4096)); !errors.Is(err, cookie.ErrTooLarge) {
		t.Errorf("Set(4096 characters) error = %v, want %v", err, cookie.ErrTooLarge)
	}
	a = newAccessToken(t, cookie.AccessTokenConfig{Name: "access", MaxAge: time.Hour})
	w = newResponse()
	a.Clear(w, newRequest(http.MethodGet))
	wantSetCookie(t, w, "__Host-Http-access=; Path=/; HttpOnly; Secure; SameSite=Strict; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
}

func TestAccessTokenAuthenticate(t *testing.T) {
	expired := &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: jwtauth.ReasonExpired}
	broken := errors.New("broken")
	unconfirmed := &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Cause: gatehouse.ErrNoCredentials}
	const token = tokenCookie + "=a.b.c"
	for _, test := range []struct {
		name     string
		method   string
		headers  []string
		err      error // of the verifier
		verified bool  // the verifier is called
		status   int   // 200, 0 for ErrNoCredentials, -1 for the error of the verifier
		reason   gatehouse.Reason
	}{
		{"valid", "GET", []string{"Cookie", "a=1; " + token}, nil, true, 200, ""},
		{"POST of an own page", "POST", []string{"Cookie", token, "Sec-Fetch-Site", "same-origin"}, nil, true, 200, ""},
		{"POST of a trusted page", "POST", []string{"Cookie", token, "Origin", "https://spa.example.com"}, nil, true, 200, ""},

		{"none", "GET", nil, nil, false, 0, ""},
		{"another cookie", "GET", []string{"Cookie", "token=a.b.c"}, nil, false, 0, ""},
		{"none, cross-site", "POST", []string{"Sec-Fetch-Site", "cross-site"}, nil, false, 0, ""},

		{"cross-site form", "POST", []string{"Cookie", token, "Sec-Fetch-Site", "cross-site"}, nil, false, 403, cookie.ReasonCrossSite},
		{"form of a sibling host", "POST", []string{"Cookie", token, "Sec-Fetch-Site", "same-site"}, nil, false, 403, cookie.ReasonCrossSite},
		{"POST of unknown origin", "POST", []string{"Cookie", token}, nil, false, 403, cookie.ReasonCrossSite},
		{"WebSocket of a sibling host", "GET", []string{"Cookie", token, "Upgrade", "websocket", "Origin", "https://sibling.example.com"}, nil, false, 403, cookie.ReasonCrossSite},
		{"cross-site and malformed", "POST", []string{"Cookie", tokenCookie + "=,"}, expired, false, 403, cookie.ReasonCrossSite},
		{"cross-site and twice", "POST", []string{"Cookie", token + "; " + token}, nil, false, 403, cookie.ReasonCrossSite},

		{"twice", "GET", []string{"Cookie", token + "; " + token}, nil, false, 400, cookie.ReasonDuplicate},
		{"malformed", "GET", []string{"Cookie", tokenCookie + `="a.b.c"`}, nil, false, 401, cookie.ReasonMalformed},
		{"empty", "GET", []string{"Cookie", tokenCookie + "="}, expired, true, -1, ""},
		{"expired", "GET", []string{"Cookie", token}, expired, true, -1, ""},
		{"broken verifier", "GET", []string{"Cookie", token}, broken, true, -1, ""},
		{"*Error caused by ErrNoCredentials", "GET", []string{"Cookie", token}, unconfirmed, true, -1, ""},
		{"unclaimed", "GET", []string{"Cookie", token}, gatehouse.ErrNoCredentials, true, 401, gatehouse.ReasonUnclaimed},
		{"unclaimed, wrapped", "GET", []string{"Cookie", token}, fmt.Errorf("x: %w", gatehouse.ErrNoCredentials), true, 401, gatehouse.ReasonUnclaimed},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := &verifier{err: test.err}
			a := newAccessToken(t, cookie.AccessTokenConfig{Verifier: v, TrustedOrigins: []string{"https://spa.example.com"}})
			r := newRequest(test.method, test.headers...)
			proof, err := a.Authenticate(r)
			if (len(v.tokens) > 0) != test.verified {
				t.Errorf("VerifyRequest calls = %q, want a call %t", v.tokens, test.verified)
			}
			switch test.status {
			case 200:
				if err != nil || proof.Principal().Subject != "ada" || proof.Header.Get("DPoP-Nonce") != "n" || v.tokens[0] != "a.b.c" || v.r != r {
					t.Errorf("Authenticate = %+v, %v after VerifyRequest(%q), want the proof of the verifier for a.b.c", proof, err, v.tokens)
				}
				return
			case 0:
				if err != gatehouse.ErrNoCredentials {
					t.Errorf("Authenticate error = %v, want %v", err, gatehouse.ErrNoCredentials)
				}
			case -1:
				if err != test.err {
					t.Errorf("Authenticate error = %v, want %v", err, test.err)
				}
			default:
				if wantError(t, err, test.status, test.reason); errors.Is(err, gatehouse.ErrNoCredentials) {
					t.Errorf("Authenticate error = %v, which wraps %v", err, gatehouse.ErrNoCredentials)
				}
			}
			if !proof.Principal().IsZero() || proof.Header != nil {
				t.Errorf("Authenticate = %+v beside an error", proof)
			}
		})
	}
}

// With jwtauth behind a gate: the token comes from the cookie and does not reach
// the handler.
func TestAccessTokenBehindGate(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	tokens, err := jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{{
		URL: issuer.URL, Audiences: []string{issuer.Audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.RemoteKeys(issuer.KeysURL),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tokens.Close() })
	valid := issuer.Token(authtest.Claims{"sub": "ada"})
	for name, keys := range map[string]*cookie.Keyring{"plain": nil, "sealed": newKeyring(t, 1)} {
		t.Run(name, func(t *testing.T) {
			a := newAccessToken(t, cookie.AccessTokenConfig{Verifier: tokens, Keys: keys})
			gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens, a}, Realm: "test", LoginURL: "/login"}))
			var seen *http.Request
			handler := gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r }))
			serve := func(r *http.Request) *httptest.ResponseRecorder {
				seen = nil
				w := newResponse()
				handler.ServeHTTP(w, r)
				return w
			}
			with := func(token string, headers ...string) *http.Request {
				w := newResponse()
				succeeds(t, a.Set(w, newRequest(http.MethodGet), token))
				r := newRequest(http.MethodGet, headers...)
				newBrowser(t).receive(w).send(r)
				r.Header.Add("Cookie", "theme=dark")
				return r
			}
			navigation := []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
			fetch := []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}

			if w := serve(with(valid, fetch...)); w.Code != 200 || seen == nil {
				t.Fatalf("valid token: %d %s, want 200", w.Code, w.Body)
			}
			if p, _ := gatehouse.FromContext(seen.Context()); p.Subject != "ada" || p.Method != jwtauth.Method {
				t.Errorf("principal = %+v, want ada by %s", p, jwtauth.Method)
			}
			if got := seen.Header["Cookie"]; !slices.Equal(got, []string{"theme=dark"}) {
				t.Errorf("handler gets the cookies %q, want theme=dark", got)
			}
			for what, test := range map[string]struct {
				r      *http.Request
				status int
				body   string
			}{
				"expired fetch":        {with(issuer.ExpiredToken(nil), fetch...), 401, `"invalid_token"`},
				"expired navigation":   {with(issuer.ExpiredToken(nil), navigation...), 303, "/login"},
				"forged fetch":         {with(issuer.ForeignToken(nil), fetch...), 401, `"invalid_token"`},
				"garbage":              {with("garbage", fetch...), 401, `"invalid_token"`},
				"signed out fetch":     {newRequest(http.MethodGet, fetch...), 401, `"missing_credentials"`},
				"signed out":           {newRequest(http.MethodGet, navigation...), 303, "/login"},
				"cross-site":           {with(valid, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"), 403, `"access_denied"`},
				"beside expired token": {with(valid, "Authorization", "Bearer "+issuer.ExpiredToken(nil)), 401, `"invalid_token"`},
				"cookie twice":         {newRequest(http.MethodGet, "Cookie", tokenCookie+"=a", "Cookie", tokenCookie+"=b"), 400, `"invalid_request"`},
			} {
				w := serve(test.r)
				if w.Code != test.status || !strings.Contains(w.Body.String()+w.Header().Get("Location"), test.body) || seen != nil {
					t.Errorf("%s: %d %s to %q, handler called %t, want %d with %s", what, w.Code, w.Body, w.Header().Get("Location"), seen != nil, test.status, test.body)
				}
			}
		})
	}
}

// Covers RFC 10017 §6.1.3.2 (encrypt).
func TestAccessTokenSealed(t *testing.T) {
	keys := newKeyring(t, 1)
	v := &verifier{}
	a := newAccessToken(t, cookie.AccessTokenConfig{Verifier: v, Keys: keys})
	token := strings.Repeat("a", 9000)
	b := newBrowser(t)
	w := newResponse()
	succeeds(t, a.Set(w, newRequest(http.MethodGet), token))
	if b.receive(w); len(b.names) != 3 {
		t.Errorf("cookies = %v, want 3", b.has())
	}
	for _, line := range w.Header()["Set-Cookie"] {
		if strings.Contains(line, "aaaaaaaa") || !strings.HasSuffix(line, "; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=900") {
			t.Errorf("Set-Cookie = %s, want a sealed token and the attributes of the cookie", line)
		}
	}
	if _, err := a.Authenticate(b.send(newRequest(http.MethodGet))); err != nil || v.tokens[0] != token {
		t.Errorf("Authenticate error = %v, want nil for the token", err)
	}
	if err := a.Set(newResponse(), newRequest(http.MethodGet), strings.Repeat("a", 1<<16)); !errors.Is(err, cookie.ErrTooLarge) {
		t.Errorf("Set(65536 characters) error = %v, want %v", err, cookie.ErrTooLarge)
	}
	w = newResponse()
	a.Clear(w, b.send(newRequest(http.MethodGet)))
	if b.receive(w); len(b.has()) != 0 {
		t.Errorf("cookies after Clear = %v, want none", b.has())
	}
	// Tokens that are not sealed, or sealed for another purpose, are rejected.
	_, err := a.Authenticate(newRequest(http.MethodGet, "Cookie", tokenCookie+"=a.b.c"))
	wantError(t, err, 401, cookie.ReasonMalformed)
	for _, purpose := range []string{"other", "token"} {
		_, err = a.Authenticate(newRequest(http.MethodGet, "Cookie", tokenCookie+"=1"+keys.Seal(tokenCookie, purpose, []byte("a.b.c"), time.Now().Add(time.Hour))))
		wantError(t, err, 401, cookie.ReasonSealInvalid)
	}
	if len(v.tokens) != 1 {
		t.Errorf("VerifyRequest calls = %q, want none for rejected cookies", v.tokens[1:])
	}
}

// TestAccessTokenSealExpires: a cookie that was copied from the browser is worthless when
// the browser would have deleted it.
func TestAccessTokenSealExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccessToken(t, cookie.AccessTokenConfig{Keys: newKeyring(t, 1), MaxAge: time.Minute})
		b, w := newBrowser(t), newResponse()
		succeeds(t, a.Set(w, newRequest(http.MethodGet), "a.b.c"))
		b.receive(w)
		time.Sleep(time.Minute)
		_, err := a.Authenticate(b.send(newRequest(http.MethodGet)))
		wantError(t, err, 401, cookie.ReasonExpired)
	})
}
