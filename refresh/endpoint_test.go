// SPDX-License-Identifier: Apache-2.0

package refresh_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
)

// endpoints are the endpoints of an authorizationServer.
type endpoints struct {
	*authorizationServer
	token, revocation http.Handler
	begin             *refresh.TokenEndpoint
}

func newEndpoints(t testing.TB, client refresh.ClientAuthenticator, accessToken func(context.Context, *jwtauth.AccessToken) error) endpoints {
	t.Helper()
	a := newAuthorizationServer(t)
	e := must(a.TokenEndpoint(refresh.TokenEndpointConfig{Signer: a.signer, Audience: audience, Client: client, AccessToken: accessToken}))
	return endpoints{a, e, a.RevocationEndpoint(client), e}
}

func post(form string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// router has a status before the handler sets one, as those of some frameworks do.
type router struct {
	http.ResponseWriter
	status int
}

func (w *router) WriteHeader(status int) { w.status = status }

// checkError checks an error response.
func checkError(t *testing.T, name string, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	var body struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Errorf("%s: body %q: %v", name, w.Body, err)
	}
	if w.Code != status || body.Code != code || body.Description == "" {
		t.Errorf("%s: status = %d, body = %s, want %d %s", name, w.Code, w.Body, status, code)
	}
	h := w.Result().Header
	if h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache" {
		t.Errorf("%s: header = %v", name, h)
	}
	if got, want := h.Get("Retry-After"), map[bool]string{true: "5"}[status == 503]; got != want {
		t.Errorf("%s: Retry-After = %q, want %q", name, got, want)
	}
	if got, want := h.Get("WWW-Authenticate"), map[bool]string{true: `Basic realm="token endpoint"`}[status == 401]; got != want {
		t.Errorf("%s: WWW-Authenticate = %q, want %q", name, got, want)
	}
}

// form returns a form with the given names and values.
func form(pairs ...string) string {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values.Encode()
}

func refreshForm(token gatehouse.Secret, more ...string) string {
	return form(append([]string{"grant_type", "refresh_token", "client_id", "web", "refresh_token", string(token.Reveal())}, more...)...)
}

// Covers RFC 6749 §3.2 (empty), §5.1 (no-store).
func TestTokenEndpointIssuesTokens(t *testing.T) { synctest.Test(t, testTokenEndpointIssuesTokens) }

func testTokenEndpointIssuesTokens(t *testing.T) {
	e := newEndpoints(t, nil, func(_ context.Context, token *jwtauth.AccessToken) error {
		token.Roles = must(gatehouse.NewRoles("editor"))
		return nil
	})
	begin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { e.begin.Begin(w, r, grant()) })
	token := ""
	for _, test := range []struct {
		name     string
		endpoint http.Handler
		more     []string
		want     string
	}{
		{"begin", begin, nil, "reports:read reports:write"},
		{"no scope", e.token, nil, "reports:read reports:write"},
		{"narrow scope", e.token, []string{"scope", "reports:read"}, "reports:read"},
		{"empty scope", e.token, []string{"scope", ""}, "reports:read reports:write"},
	} {
		w := serve(test.endpoint, post(refreshForm(secret(token), test.more...)))
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" ||
			w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Pragma") != "no-cache" {
			t.Fatalf("%s: status = %d, header = %v, body = %s", test.name, w.Code, w.Header(), w.Body)
		}
		var got map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		access := got["access_token"].(string)
		token = got["refresh_token"].(string)
		want := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 900.0, "refresh_token": token, "scope": test.want}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: response (-want +got):\n%s", test.name, diff)
		}
		p, err := e.api.Verify(t.Context(), access)
		if err != nil || p.Subject != "alice" || p.Client != "web" || p.Scopes.String() != test.want || !p.Roles.Has("editor") {
			t.Errorf("%s: Verify(access_token) = %+v, %v", test.name, p, err)
		}
		if !strings.HasPrefix(token, prefix) {
			t.Errorf("%s: refresh_token has no prefix %s", test.name, prefix)
		}
	}
}

// TestTokenEndpointWithOAuth2Client refreshes with the client of
// golang.org/x/oauth2, public and confidential.
func TestTokenEndpointWithOAuth2Client(t *testing.T) {
	e := newEndpoints(t, func(r *http.Request) (string, error) {
		if id, password, ok := r.BasicAuth(); ok && id == "web" && password == "secret" {
			return id, nil
		}
		return r.PostForm.Get("client_id"), nil
	}, nil)
	server := httptest.NewServer(e.token)
	defer server.Close()
	for _, config := range []oauth2.Config{
		{ClientID: "web", Endpoint: oauth2.Endpoint{TokenURL: server.URL, AuthStyle: oauth2.AuthStyleInParams}},
		{ClientID: "web", ClientSecret: "secret", Endpoint: oauth2.Endpoint{TokenURL: server.URL, AuthStyle: oauth2.AuthStyleInHeader}},
	} {
		first := e.authorizationServer.begin()
		ctx := context.WithValue(t.Context(), oauth2.HTTPClient, server.Client())
		refreshed, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: string(first.Token.Reveal())}).Token()
		if err != nil || !refreshed.Valid() || refreshed.RefreshToken == string(first.Token.Reveal()) || refreshed.Extra("scope") != "reports:read reports:write" {
			t.Fatalf("Token = %+v, %v", refreshed, err)
		}
		e.check(refreshed.AccessToken, "")
		_, err = config.TokenSource(ctx, &oauth2.Token{RefreshToken: "x"}).Token()
		if e, ok := errors.AsType[*oauth2.RetrieveError](err); !ok || e.ErrorCode != "invalid_grant" || e.ErrorDescription == "" {
			t.Errorf("Token with a malformed refresh token: error = %v, want invalid_grant", err)
		}
	}
}

// Covers RFC 6749 §2.3.1 (body), §3.2, §3.2 (once), §4.1.2 (unknown), §5.2 (401); RFC 7009 §2 (POST), §2.2.1 (unsupported).
func TestEndpointRejections(t *testing.T) {
	e := newEndpoints(t, nil, nil)
	good := e.authorizationServer.begin()
	text := string(good.Token.Reveal())
	request := func(method, target, contentType, body string) *http.Request {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		return r
	}
	withBasic := func(r *http.Request) *http.Request { r.SetBasicAuth("web", "secret"); return r }
	const urlencoded = "application/x-www-form-urlencoded"
	revokeForm := form("token", text, "client_id", "web")
	for _, test := range []struct {
		name       string
		endpoint   http.Handler
		r          *http.Request
		status     int
		code       string
		wantReason gatehouse.Reason
	}{
		{"JSON body", e.token, request("POST", "/token", "application/json", `{"grant_type":"refresh_token"}`), 400, "invalid_request", refresh.ReasonRequest},
		{"no content type", e.token, request("POST", "/token", "", refreshForm(good.Token)), 400, "invalid_request", refresh.ReasonRequest},
		{"malformed content type", e.token, request("POST", "/token", urlencoded+"; charset", refreshForm(good.Token)), 400, "invalid_request", refresh.ReasonRequest},
		{"multipart", e.token, request("POST", "/token", "multipart/form-data; boundary=x", "--x--"), 400, "invalid_request", refresh.ReasonRequest},
		{"malformed form", e.token, post(refreshForm(good.Token) + "&a=%zz"), 400, "invalid_request", refresh.ReasonRequest},
		{"large form", e.token, post(refreshForm(good.Token) + "&a=" + strings.Repeat("x", 64<<10)), 400, "invalid_request", refresh.ReasonRequest},
		{"repeated parameter", e.token, post(refreshForm(good.Token, "scope", "a", "scope", "a")), 400, "invalid_request", refresh.ReasonRequest},
		{"repeated unknown parameter", e.token, post(refreshForm(good.Token, "x", "a", "x", "")), 400, "invalid_request", refresh.ReasonRequest},
		{"repeated token", e.token, post(refreshForm(good.Token, "refresh_token", text)), 400, "invalid_request", refresh.ReasonRequest},
		{"token in the URL", e.token, request("POST", "/token?"+form("refresh_token", text), urlencoded, refreshForm(good.Token)), 400, "invalid_request", refresh.ReasonRequest},
		{"secret in the URL", e.token, request("POST", "/token?client_secret=x", urlencoded, refreshForm(good.Token)), 400, "invalid_request", refresh.ReasonRequest},
		{"assertion in the URL", e.token, request("POST", "/token?client_assertion=x", urlencoded, refreshForm(good.Token)), 400, "invalid_request", refresh.ReasonRequest},
		{"parameters in the URL only", e.token, request("POST", "/token?grant_type=refresh_token&client_id=web", urlencoded, ""), 400, "invalid_request", refresh.ReasonRequest},
		{"grant type in the URL", e.token, request("POST", "/token?grant_type=refresh_token", urlencoded, form("client_id", "web", "refresh_token", text)), 400, "invalid_request", refresh.ReasonRequest},
		{"client in the URL", e.token, request("POST", "/token?client_id=web", urlencoded, form("grant_type", "refresh_token", "refresh_token", text)), 400, "invalid_client", refresh.ReasonClientAuthentication},
		{"no grant type", e.token, post(form("client_id", "web", "refresh_token", text)), 400, "invalid_request", refresh.ReasonRequest},
		{"empty grant type", e.token, post(form("grant_type", "", "client_id", "web", "refresh_token", text)), 400, "invalid_request", refresh.ReasonRequest},
		{"no token", e.token, post(form("grant_type", "refresh_token", "client_id", "web")), 400, "invalid_request", refresh.ReasonRequest},
		{"other grant type", e.token, post(form("grant_type", "password", "client_id", "web", "refresh_token", "x")), 400, "unsupported_grant_type", refresh.ReasonRequest},
		{"no client", e.token, post(form("grant_type", "refresh_token", "refresh_token", text)), 400, "invalid_client", refresh.ReasonClientAuthentication},
		{"unchecked secret", e.token, post(refreshForm(good.Token, "client_secret", "x")), 400, "invalid_client", refresh.ReasonClientAuthentication},
		{"unchecked assertion", e.token, post(refreshForm(good.Token, "client_assertion", "x")), 400, "invalid_client", refresh.ReasonClientAuthentication},
		{"unchecked Basic", e.token, withBasic(post(refreshForm(good.Token))), 401, "invalid_client", refresh.ReasonClientAuthentication},
		{"malformed token", e.token, post(refreshForm(secret("x"))), 400, "invalid_grant", refresh.ReasonMalformed},
		{"unknown token", e.token, post(refreshForm(changed(good.Token, inID))), 400, "invalid_grant", refresh.ReasonUnknown},
		{"scope", e.token, post(refreshForm(good.Token, "scope", "admin")), 400, "invalid_scope", refresh.ReasonScope},
		{"revocation, JSON body", e.revocation, request("POST", "/revoke", "application/json", `{}`), 400, "invalid_request", refresh.ReasonRequest},
		{"revocation, no token", e.revocation, post(form("client_id", "web")), 400, "invalid_request", refresh.ReasonRequest},
		{"revocation, no client", e.revocation, post(form("token", text)), 400, "invalid_client", refresh.ReasonClientAuthentication},
		{"revocation, unchecked Basic", e.revocation, withBasic(post(revokeForm)), 401, "invalid_client", refresh.ReasonClientAuthentication},
		{"revocation, token in the URL", e.revocation, request("POST", "/revoke?"+form("token", text), urlencoded, revokeForm), 400, "invalid_request", refresh.ReasonRequest},
		{"revocation, repeated parameter", e.revocation, post(revokeForm + "&client_id=web"), 400, "invalid_request", refresh.ReasonRequest},
		{"revocation, JWT", e.revocation, post(form("token", "a.b.c", "client_id", "web")), 400, "unsupported_token_type", refresh.ReasonRequest},
		{"revocation, JWT with the prefix inside", e.revocation, post(form("token", "a."+prefix+".c", "client_id", "web")), 400, "unsupported_token_type", refresh.ReasonRequest},
		{"revocation, hint", e.revocation, post(form("token", "abc", "client_id", "web", "token_type_hint", "access_token")), 400, "unsupported_token_type", refresh.ReasonRequest},
	} {
		checkError(t, test.name, serve(test.endpoint, test.r), test.status, test.code)
		if len(e.events) != 1 || e.events[0].Reason != test.wantReason || e.events[0].Code != test.code || e.events[0].Decision != gatehouse.Rejected || e.events[0].Issuer != issuer ||
			strings.Contains(fmt.Sprint(e.events[0].Cause), "%zz") ||
			strings.Contains(fmt.Sprint(e.events[0].Cause), "content type") != (test.r.Header.Get("Content-Type") != urlencoded) {
			t.Errorf("%s: events = %+v, want one with reason %s", test.name, e.events, test.wantReason)
		}
		e.recorded()
	}
	for _, endpoint := range []http.Handler{e.token, e.revocation} {
		for _, method := range []string{"GET", "PUT", "HEAD", "OPTIONS"} {
			w := serve(endpoint, httptest.NewRequest(method, "/token?"+refreshForm(good.Token), nil))
			if h := w.Result().Header; w.Code != http.StatusMethodNotAllowed || h.Get("Allow") != "POST" || h.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: status = %d, header = %v, want 405 with Allow: POST", method, w.Code, h)
			}
		}
	}
	// Unknown parameters are ignored, those in the URL too, and a secret without a value. resource may be repeated (RFC 8707).
	valid := request("POST", "/token?x=z&scope=reports%3Aread&client_id=tv", urlencoded, refreshForm(good.Token, "x", "y", "resource", "a", "resource", "b", "client_secret", ""))
	if w := serve(e.token, valid); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "reports:write") {
		t.Errorf("valid request: status = %d, body = %s", w.Code, w.Body)
	}
	if w := serve(e.revocation, request("POST", "/revoke?token_type_hint=access_token", urlencoded, form("token", "x", "client_id", "web"))); w.Code != http.StatusOK {
		t.Errorf("hint in the URL: status = %d, body = %s", w.Code, w.Body)
	}
	e.recorded()
	checkError(t, "other client", serve(e.token, post(form("grant_type", "refresh_token", "client_id", "tv", "refresh_token", text))), 400, "invalid_grant")
	e.recorded()
	e.rejected("after the other client", good.Token, refresh.ReasonRevoked)
}

func TestRevocationEndpoint(t *testing.T) {
	e := newEndpoints(t, nil, nil)
	first := e.authorizationServer.begin()
	access := e.access(first)
	for name, body := range map[string]string{
		"refresh token": form("token", string(first.Token.Reveal()), "client_id", "web"),
		"with hint":     form("token", string(first.Token.Reveal()), "client_id", "web", "token_type_hint", "refresh_token"),
		"wrong hint":    form("token", string(first.Token.Reveal()), "client_id", "web", "token_type_hint", "access_token"),
		"unknown token": form("token", "x", "client_id", "web"),
		"no JWT":        form("token", "a.b", "client_id", "web"),
	} {
		w := serve(e.revocation, post(body))
		if h := w.Result().Header; w.Code != http.StatusOK || w.Body.Len() > 0 || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status = %d, header = %v, body = %q, want 200 without body", name, w.Code, h, w.Body)
		}
	}
	preset := &router{ResponseWriter: httptest.NewRecorder(), status: http.StatusNotFound}
	if e.revocation.ServeHTTP(preset, post(form("token", "x", "client_id", "web"))); preset.status != http.StatusOK {
		t.Errorf("status = %d behind a router that has set 404, want 200", preset.status)
	}
	e.recorded()
	e.rejected("revoked", first.Token, refresh.ReasonRevoked)
	e.check(access, jwtauth.ReasonRevoked)
	other := e.authorizationServer.begin()
	checkError(t, "other client", serve(e.revocation, post(form("token", string(other.Token.Reveal()), "client_id", "tv"))), 400, "invalid_grant")
	if got, want := e.recorded(), "rejected refresh_client"; got != want {
		t.Errorf("other client: events = %q, want %q", got, want)
	}
}

// Covers RFC 7009 §2.1 (client).
func TestEndpointClientAuthentication(t *testing.T) {
	e := newEndpoints(t, func(r *http.Request) (string, error) {
		id, password, ok := r.BasicAuth()
		switch {
		case id == "down":
			return "", errDown
		case id == "none":
			return "", fmt.Errorf("basic: %w", gatehouse.ErrNoCredentials)
		case id == "denied":
			return "", &gatehouse.Error{Code: gatehouse.CodeInvalidToken}
		case id == "busy":
			return "", &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable}
		case ok && password == "secret":
			return id, nil
		case r.PostForm.Get("client_id") == "public":
			return "public", nil
		case r.PostForm.Get("client_id") == "empty":
			return "", nil
		}
		return "", refresh.ErrInvalidClient
	}, nil)
	for _, test := range []struct {
		name, id, password, param string
		status                    int
		code                      string
		reason                    gatehouse.Reason
	}{
		{"confidential", "web", "secret", "", 200, "", ""},
		{"confidential with client_id", "web", "secret", "web", 200, "", ""},
		{"another client_id", "web", "secret", "tv", 401, "invalid_client", refresh.ReasonClientAuthentication},
		{"client_id in another case", "web", "secret", "Web", 401, "invalid_client", refresh.ReasonClientAuthentication},
		{"longer client_id", "web", "secret", "website", 401, "invalid_client", refresh.ReasonClientAuthentication},
		{"wrong password", "web", "x", "", 401, "invalid_client", refresh.ReasonClientAuthentication},
		{"no authentication", "", "", "web", 400, "invalid_client", refresh.ReasonClientAuthentication},
		{"no client at all", "", "", "", 400, "invalid_client", refresh.ReasonClientAuthentication},
		{"empty client", "", "", "empty", 400, "invalid_client", refresh.ReasonClientAuthentication},
		{"no credentials", "none", "x", "", 401, "invalid_client", refresh.ReasonClientAuthentication},
		{"rejected by an authenticator", "denied", "x", "", 401, "invalid_client", refresh.ReasonClientAuthentication},
		{"unavailable authenticator", "busy", "x", "", 503, "temporarily_unavailable", refresh.ReasonUnavailable},
		{"backend failure", "down", "x", "", 503, "temporarily_unavailable", refresh.ReasonUnavailable},
		{"public", "", "", "public", 200, "", ""},
	} {
		for name, endpoint := range map[string]http.Handler{"token": e.token, "revocation": e.revocation} {
			g := grant()
			g.Client = map[bool]string{true: "public", false: "web"}[test.param == "public"]
			token := string(e.authorizationServer.begin(g).Token.Reveal())
			r := post(form("grant_type", "refresh_token", "refresh_token", token, "token", token, "client_id", test.param))
			if test.id != "" {
				r.SetBasicAuth(test.id, test.password)
			}
			w := serve(endpoint, r)
			if test.code != "" {
				checkError(t, test.name+", "+name, w, test.status, test.code)
				if len(e.events) != 1 || e.events[0].Reason != test.reason || test.id == "none" && !errors.Is(e.events[0].Cause, gatehouse.ErrNoCredentials) {
					t.Errorf("%s, %s: events = %+v, want one with reason %s", test.name, name, e.events, test.reason)
				}
			} else if w.Code != test.status {
				t.Errorf("%s, %s: status = %d, body = %s, want %d", test.name, name, w.Code, w.Body, test.status)
			}
			e.recorded()
		}
	}
	r := post(form("grant_type", "refresh_token", "refresh_token", string(e.authorizationServer.begin().Token.Reveal())))
	r.SetBasicAuth("web", "secret")
	r.URL.RawQuery = "client_id=tv"
	if w := serve(e.token, r); w.Code != http.StatusOK {
		t.Errorf("client_id in the URL: status = %d, body = %s, want 200", w.Code, w.Body)
	}
	checkError(t, "JWT of an unknown client", serve(e.revocation, post(form("token", "a.b.c", "client_id", "web"))), 400, "invalid_client")
}

// Covers RFC 7009 §2.2.1 (503).
func TestEndpointUnavailable(t *testing.T) {
	b := &brokenStore{Store: refresh.NewMemory(0)}
	s := newServer(t, func(c *refresh.Config) { c.Store = b })
	signer := newAuthorizationServer(t).signer
	var hook error
	e := must(s.TokenEndpoint(refresh.TokenEndpointConfig{Signer: signer, Audience: audience, AccessToken: func(context.Context, *jwtauth.AccessToken) error { return hook }}))
	begin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { e.Begin(w, r, grant()) })
	for _, test := range []struct {
		name, broken string
		hook         error
		observer     bool
		endpoint     http.Handler
		want         gatehouse.Reason // "" if the observer fails
	}{
		{"token", "Rotate", nil, false, e, refresh.ReasonUnavailable},
		{"token, hook", "", errDown, false, e, refresh.ReasonAccessToken},
		{"begin", "Create", nil, false, begin, refresh.ReasonUnavailable},
		{"begin, hook", "", errDown, false, begin, refresh.ReasonAccessToken},
		{"revocation", "Revoke", nil, false, s.RevocationEndpoint(nil), refresh.ReasonUnavailable},
		{"token, observer", "", nil, true, e, ""},
		{"revocation, observer", "", nil, true, s.RevocationEndpoint(nil), ""},
	} {
		token := string(s.begin().Token.Reveal())
		b.broken, hook, s.fails = test.broken, test.hook, test.observer
		w := serve(test.endpoint, post(form("grant_type", "refresh_token", "refresh_token", token, "token", token, "client_id", "web")))
		b.broken, hook, s.fails = "", nil, false
		checkError(t, test.name, w, 503, "temporarily_unavailable")
		if strings.Contains(w.Body.String(), errDown.Error()) {
			t.Errorf("%s: the body contains the cause: %s", test.name, w.Body)
		}
		if n := len(s.events); test.want != "" && (n == 0 || s.events[n-1].Reason != test.want || s.events[n-1].Level != slog.LevelError || !errors.Is(s.events[n-1].Cause, errDown)) {
			t.Errorf("%s: events = %+v, want the last with reason %s", test.name, s.events, test.want)
		}
		s.recorded()
	}
	b.broken = "Find" // which a request without a scope does not need
	if w := serve(e, post(refreshForm(s.begin().Token))); w.Code != http.StatusOK {
		t.Errorf("token without Find: status = %d, body = %s, want 200", w.Code, w.Body)
	}
	s.fails = true
	checkError(t, "malformed request, observer", serve(e, post("")), 503, "temporarily_unavailable")
}

// A client without a grace period can repeat a request that failed before the token
// was used up.
func TestNoGraceRetryAfterFailedAccessToken(t *testing.T) {
	for _, test := range []struct {
		name     string
		lifetime time.Duration // for which revocations are kept, 0 without revocations
		hook     error
		scope    string
		retried  int
	}{
		{"hook", 0, errDown, "reports:read", http.StatusOK},
		{"longer than revocations are kept", 14 * time.Minute, nil, "reports:read reports:write", http.StatusServiceUnavailable},
	} {
		s := newServer(t, func(c *refresh.Config) {
			if c.NoGrace = true; test.lifetime > 0 {
				c.Revocations = must(revocation.New(revocation.Config{Store: revocation.NewMemory(0), Issuers: []string{issuer}, MaxLifetime: test.lifetime}))
				c.Issuer = issuer
			}
		})
		hook := test.hook
		var signed []string // the scopes of the tokens
		e := must(s.TokenEndpoint(refresh.TokenEndpointConfig{
			Signer: newAuthorizationServer(t).signer, Audience: audience, AccessToken: func(_ context.Context, token *jwtauth.AccessToken) error {
				signed = append(signed, token.Scopes.String())
				return hook
			},
		}))
		request := refreshForm(s.begin().Token)
		if test.hook != nil { // without a scope, the token has all
			request += "&" + form("scope", test.scope)
		}
		for range 2 {
			checkError(t, test.name, serve(e, post(request)), 503, "temporarily_unavailable")
			if got := s.recorded(); got != "unavailable "+string(refresh.ReasonAccessToken) {
				t.Errorf("%s: events = %q, want unavailable %s", test.name, got, refresh.ReasonAccessToken)
			}
		}
		hook = nil
		if w := serve(e, post(request)); w.Code != test.retried || w.Code == http.StatusOK && !strings.Contains(w.Body.String(), `"scope":"reports:read"`) {
			t.Errorf("%s: retry = %d %s, want %d with the scope", test.name, w.Code, w.Body, test.retried)
		}
		if want := slices.Repeat([]string{test.scope}, 3); !slices.Equal(signed, want) {
			t.Errorf("%s: access tokens with the scopes %q, want %q", test.name, signed, want)
		}
		if test.retried == http.StatusOK {
			checkError(t, "reuse", serve(e, post(request)), 400, "invalid_grant")
		}
	}
}

func TestTokenEndpointChecksConfig(t *testing.T) {
	a := newAuthorizationServer(t)
	for _, test := range []struct {
		name   string
		config refresh.TokenEndpointConfig
	}{
		{"Signer", refresh.TokenEndpointConfig{Audience: audience}},
		{"Audience", refresh.TokenEndpointConfig{Signer: a.signer}},
		{"Audience", refresh.TokenEndpointConfig{Signer: a.signer, Audience: "a\nb"}},
	} {
		if _, err := a.TokenEndpoint(test.config); err == nil || !strings.Contains(err.Error(), "refresh: TokenEndpointConfig."+test.name+":") {
			t.Errorf("TokenEndpoint(%+v) error = %v, want one of %s", test.config, err, test.name)
		}
	}
}

// TestEndpointResponsesDiscloseNothing searches error responses and events for
// the token.
func TestEndpointResponsesDiscloseNothing(t *testing.T) {
	e := newEndpoints(t, nil, nil)
	token := e.authorizationServer.begin().Token
	text := string(changed(token, inKey).Reveal())
	for _, body := range []string{
		refreshForm(secret(text)), refreshForm(secret(text)) + "&a=%zz", text + "=1&" + text + "=2", refreshForm(secret("x"), "grant_type", text),
		form("grant_type", text, "refresh_token", text), form("token", text+".a.b", "client_id", "web"), form("client_id", text, "token", text, "token", text),
	} {
		for _, endpoint := range []http.Handler{e.token, e.revocation} {
			if w := serve(endpoint, post(body)); strings.Contains(w.Body.String()+strings.Join(w.Header()["Www-Authenticate"], ""), text) {
				t.Errorf("response to %q contains the token: %s", body, w.Body)
			}
		}
	}
	for _, event := range e.events {
		if got := string(must(json.Marshal(event.Principal))) + fmt.Sprintf("%+v", event); strings.Contains(got, text) {
			t.Errorf("event contains the token: %s", got)
		}
	}
}
