// SPDX-License-Identifier: Apache-2.0

package cookie_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

const tokenCookie = "__Host-Http-token"

// The verifier that this is made for.
var _ cookie.Verifier = (*jwtauth.Authenticator)(nil)

// verifier is a verifier that returns what it is told to, and remembers what it
// was given.
type verifier struct {
	err    error
	tokens []string
}

func (v *verifier) Verify(_ context.Context, token string) (*gatehouse.Principal, error) {
	v.tokens = append(v.tokens, token)
	if v.err != nil {
		return nil, v.err
	}
	return &gatehouse.Principal{Kind: gatehouse.KindUser, Subject: "ada", Method: gatehouse.MethodJWT}, nil
}

func newAccessToken(tb testing.TB, config cookie.AccessTokenConfig) *cookie.AccessToken {
	tb.Helper()
	if config.Verifier == nil {
		config.Verifier = &verifier{}
	}
	a, err := cookie.NewAccessToken(config)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func TestAccessTokenCookie(t *testing.T) {
	a := newAccessToken(t, cookie.AccessTokenConfig{})
	w := newResponse()
	if err := a.Set(w, newRequest(http.MethodGet), "a.b.c"); err != nil {
		t.Fatal(err)
	}
	const want = "__Host-Http-token=a.b.c; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=900"
	if got := w.Header()["Set-Cookie"]; len(got) != 1 || got[0] != want {
		t.Errorf("Set-Cookie %q, want %q", got, want)
	}
	if got := a.CookieNames(); !slices.Equal(got, []string{tokenCookie}) {
		t.Errorf("names %v", got)
	}
	if err := a.Set(w, newRequest(http.MethodGet), strings.Repeat("a", 4096)); !errors.Is(err, cookie.ErrTooLarge) {
		t.Errorf("error %v", err)
	}
	a = newAccessToken(t, cookie.AccessTokenConfig{Name: "access", MaxAge: time.Hour})
	w = newResponse()
	a.Clear(w, newRequest(http.MethodGet))
	const cleared = "__Host-Http-access=; Path=/; HttpOnly; Secure; SameSite=Strict; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
	if got := w.Header()["Set-Cookie"]; len(got) != 1 || got[0] != cleared {
		t.Errorf("Set-Cookie %q, want %q", got, cleared)
	}
}

func TestAccessTokenAuthenticates(t *testing.T) {
	unavailable := &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: gatehouse.ReasonKeysUnavailable}
	expired := &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: gatehouse.ReasonTokenExpired}
	broken := errors.New("broken")
	const token = tokenCookie + "=a.b.c"
	for _, test := range []struct {
		name     string
		method   string
		headers  []string
		err      error // of the verifier
		verified bool  // that the verifier was asked
		status   int   // 200, 0 for no credentials, -1 for the error of the verifier
		reason   gatehouse.Reason
	}{
		{"good", "GET", []string{"Cookie", "a=1; " + token}, nil, true, 200, ""},
		{"good POST of our page", "POST", []string{"Cookie", token, "Sec-Fetch-Site", "same-origin"}, nil, true, 200, ""},
		{"good POST of a page that is trusted", "POST", []string{"Cookie", token, "Origin", "https://spa.example.com"}, nil, true, 200, ""},

		{"none", "GET", nil, nil, false, 0, ""},
		{"another cookie", "GET", []string{"Cookie", "token=a.b.c"}, nil, false, 0, ""},
		{"none, cross-site", "POST", []string{"Sec-Fetch-Site", "cross-site"}, nil, false, 0, ""},
		{"beside a Bearer", "GET", []string{"Cookie", token, "Authorization", "Bearer x"}, nil, false, 0, ""},
		{"beside an API key", "GET", []string{"Cookie", token, "X-Api-Key", "x"}, nil, false, 0, ""},
		{"beside a Bearer, cross-site", "POST", []string{"Cookie", token, "Authorization", "Bearer x", "Sec-Fetch-Site", "cross-site"}, nil, false, 0, ""},

		{"cross-site form", "POST", []string{"Cookie", token, "Sec-Fetch-Site", "cross-site"}, nil, false, 403, cookie.ReasonCrossSite},
		{"sibling's form", "POST", []string{"Cookie", token, "Sec-Fetch-Site", "same-site"}, nil, false, 403, cookie.ReasonCrossSite},
		{"POST of nobody knows whom", "POST", []string{"Cookie", token}, nil, false, 403, cookie.ReasonCrossSite},
		{"sibling's WebSocket", "GET", []string{"Cookie", token, "Upgrade", "websocket", "Origin", "https://sibling.example.com"}, nil, false, 403, cookie.ReasonCrossSite},
		{"cross-site and bad", "POST", []string{"Cookie", tokenCookie + "=,"}, expired, false, 403, cookie.ReasonCrossSite},
		{"cross-site and twice", "POST", []string{"Cookie", token + "; " + token}, nil, false, 403, cookie.ReasonCrossSite},

		{"twice", "GET", []string{"Cookie", token + "; " + token}, nil, false, 400, cookie.ReasonDuplicate},
		{"malformed", "GET", []string{"Cookie", tokenCookie + `="a.b.c"`}, nil, false, 401, cookie.ReasonMalformed},
		{"empty", "GET", []string{"Cookie", tokenCookie + "="}, expired, true, 401, gatehouse.ReasonTokenExpired},
		{"expired", "GET", []string{"Cookie", token}, expired, true, -1, gatehouse.ReasonTokenExpired},
		{"cannot tell", "GET", []string{"Cookie", token}, unavailable, true, -1, gatehouse.ReasonKeysUnavailable},
		{"broken", "GET", []string{"Cookie", token}, broken, true, -1, ""},
		{"not of its kind", "GET", []string{"Cookie", token}, gatehouse.ErrNoCredentials, true, 401, gatehouse.ReasonUnclaimed},
		{"not of its kind, wrapped", "GET", []string{"Cookie", token}, fmt.Errorf("x: %w", gatehouse.ErrNoCredentials), true, 401, gatehouse.ReasonUnclaimed},
		{"no error in the error", "GET", []string{"Cookie", token}, (*gatehouse.Error)(nil), true, -1, ""},
	} {
		for _, login := range []string{"", "/login"} {
			t.Run(test.name+login, func(t *testing.T) {
				v := &verifier{err: test.err}
				a := newAccessToken(t, cookie.AccessTokenConfig{
					Verifier: v, Login: login, TrustedOrigins: []string{"https://spa.example.com"},
				})
				r := newRequest(test.method, test.headers...)
				proof, err := a.Authenticate(r)
				if (len(v.tokens) > 0) != test.verified {
					t.Errorf("verified %q", v.tokens)
				}
				if test.status == 200 {
					if err != nil || proof.Principal.Subject != "ada" || proof.Source != gatehouse.SourceCookie || proof.Name != tokenCookie || v.tokens[0] != "a.b.c" {
						t.Errorf("%+v, %v", proof, err)
					}
					return
				}
				if proof.Principal != nil || proof.Source != 0 {
					t.Errorf("a proof beside an error: %+v", proof)
				}
				if got := errors.Is(err, gatehouse.ErrNoCredentials); got != (test.status == 0) {
					t.Errorf("error %v", err)
				}
				if test.status == 0 && login == "" && err != gatehouse.ErrNoCredentials {
					t.Errorf("error %#v, want ErrNoCredentials as it is", err)
				}
				e, _ := errors.AsType[*gatehouse.Error](err)
				switch {
				case test.status == -1 && login == "" && err != test.err:
					t.Errorf("error %v, want %v as it is", err, test.err)
				case test.reason != "":
					status := test.status
					if wanted, ok := errors.AsType[*gatehouse.Error](test.err); ok && status == -1 {
						status = wanted.Status()
					}
					wantError(t, err, status, test.reason)
				}
				// A page of others is not told where to log in, or anything.
				if wants := login != "" && !gatehouse.HasExplicitCredential(r) && test.status != 403; wants && e != nil && e.Login != login {
					t.Errorf("login %q, want %q", e.Login, login)
				}
				if test.status == 403 && e.Login != "" {
					t.Errorf("login %q", e.Login)
				}
			})
		}
	}
	// The errors of the verifier are shared by many requests.
	if expired.Login != "" || unavailable.Login != "" {
		t.Error("the error of the verifier was changed")
	}
}

// The answers of a gate: the token is verified by jwtauth, comes from the cookie
// alone, and does not reach the handler.
func TestAccessTokenBehindGate(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	tokens, err := jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{{
		URL: issuer.URL, Audience: issuer.Audience, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.RemoteKeys(issuer.KeysURL),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tokens.Close() })
	good := issuer.Token(authtest.Claims{"sub": "ada"})
	for name, keys := range map[string]*cookie.Keyring{"plain": nil, "sealed": newKeyring(t, 1)} {
		t.Run(name, func(t *testing.T) {
			a := newAccessToken(t, cookie.AccessTokenConfig{Verifier: tokens, Keys: keys, Login: "/login"})
			gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens, a}, Realm: "test"})
			if err != nil {
				t.Fatal(err)
			}
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
				if err := a.Set(w, newRequest(http.MethodGet), token); err != nil {
					t.Fatal(err)
				}
				r := newRequest(http.MethodGet, headers...)
				newBrowser(t).receive(w).send(r)
				r.Header.Add("Cookie", "theme=dark")
				return r
			}
			navigation := []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
			fetch := []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}

			if w := serve(with(good, fetch...)); w.Code != 200 || seen == nil {
				t.Fatalf("good: %d %s", w.Code, w.Body)
			}
			p, _ := gatehouse.FromContext(seen.Context())
			if p.Subject != "ada" || p.Method != gatehouse.MethodJWT {
				t.Errorf("principal %+v", p)
			}
			if got := seen.Header["Cookie"]; !slices.Equal(got, []string{"theme=dark"}) {
				t.Errorf("the handler sees %q", got)
			}
			for what, test := range map[string]struct {
				r        *http.Request
				status   int
				location string
			}{
				"expired fetch":      {with(issuer.ExpiredToken(nil), fetch...), 401, ""},
				"expired navigation": {with(issuer.ExpiredToken(nil), navigation...), 303, "/login"},
				"forged fetch":       {with(issuer.ForeignToken(nil), fetch...), 401, ""},
				"garbage":            {with("garbage", fetch...), 401, ""},
				"signed out fetch":   {newRequest(http.MethodGet, fetch...), 401, ""},
				"signed out":         {newRequest(http.MethodGet, navigation...), 303, "/login"},
				"from elsewhere":     {with(good, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"), 403, ""},
				"beside a bad key":   {with(good, "Authorization", "Bearer "+issuer.ExpiredToken(nil)), 401, ""},
				"the cookie twice":   {newRequest(http.MethodGet, "Cookie", tokenCookie+"=a", "Cookie", tokenCookie+"=b"), 400, ""},
			} {
				if w := serve(test.r); w.Code != test.status || w.Header().Get("Location") != test.location || seen != nil {
					t.Errorf("%s: %d to %q, want %d to %q", what, w.Code, w.Header().Get("Location"), test.status, test.location)
				} else if w.Code == 401 && what != "signed out fetch" && !strings.Contains(w.Body.String(), `"invalid_token"`) {
					t.Errorf("%s: %s", what, w.Body)
				}
			}
		})
	}
}

// With keys the cookie does not show the token, holds a larger one, and opens
// for nobody else's purpose.
func TestAccessTokenSealed(t *testing.T) {
	ring := newKeyring(t, 1)
	v := &verifier{}
	a := newAccessToken(t, cookie.AccessTokenConfig{Verifier: v, Keys: ring})
	token := strings.Repeat("a", 9000)
	b := newBrowser(t)
	w := newResponse()
	if err := a.Set(w, newRequest(http.MethodGet), token); err != nil {
		t.Fatal(err)
	}
	b.receive(w)
	if len(b.names) != 3 {
		t.Errorf("cookies %v", b.has())
	}
	for _, value := range b.jar {
		if strings.Contains(value, "aaaaaaaa") {
			t.Error("the token shows")
		}
	}
	if _, err := a.Authenticate(b.send(newRequest(http.MethodGet))); err != nil || v.tokens[0] != token {
		t.Errorf("error %v", err)
	}
	for _, line := range w.Header()["Set-Cookie"] {
		if !strings.HasSuffix(line, "; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=900") {
			t.Errorf("Set-Cookie %s", line)
		}
	}
	w = newResponse()
	a.Clear(w, b.send(newRequest(http.MethodGet)))
	if b.receive(w); len(b.has()) != 0 {
		t.Errorf("after Clear: %v", b.has())
	}
	// A token that is not sealed is not taken.
	_, err := a.Authenticate(newRequest(http.MethodGet, "Cookie", tokenCookie+"=a.b.c"))
	wantError(t, err, 401, cookie.ReasonMalformed)
	_, err = a.Authenticate(newRequest(http.MethodGet, "Cookie", tokenCookie+"=1"+ring.Seal(tokenCookie, "other", []byte("a.b.c"), time.Now().Add(time.Hour))))
	wantError(t, err, 401, cookie.ReasonSealInvalid)
	if len(v.tokens) != 1 {
		t.Errorf("verified %q", v.tokens[1:])
	}
}
