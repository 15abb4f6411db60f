// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/pkce"
)

const (
	issuer   = "https://as.example.com"
	clientID = "web app"
	password = "a secret+of the web app%"
	redirect = "https://app.example.com/callback"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func scopes(text string) gatehouse.Scopes { return must(gatehouse.ParseScopes(text)) }

func secret(text string) gatehouse.Secret { return gatehouse.NewSecret([]byte(text)) }

var signing = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })

// ring holds the keys of the server.
var ring = sync.OnceValue(func() *jwtauth.KeyRing {
	return must(jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "k1", Algorithm: jwtauth.ES256, Private: signing()}))
})

type object = map[string]any

// server is an authorization server that does as the standards ask and tests
// that the client does so too. Every part can be replaced.
type server struct {
	t        testing.TB
	metadata object
	routes   map[string]http.HandlerFunc // by path, before the server's own

	mu    sync.Mutex
	calls map[string]int
	codes map[string]url.Values // code -> authorization request
	idt   func(claims object)   // changes ID tokens
	typ   string                // of ID tokens
	reply object                // replaces members of token responses
}

func newServer(t testing.TB) *server {
	return &server{
		t: t, routes: make(map[string]http.HandlerFunc), calls: make(map[string]int), codes: make(map[string]url.Values),
		idt: func(object) {}, typ: "JWT",
		metadata: object{
			"issuer": issuer, "token_endpoint": issuer + "/token", "authorization_endpoint": issuer + "/auth?tenant=1",
			"revocation_endpoint": issuer + "/revoke", "introspection_endpoint": issuer + "/introspect",
			"end_session_endpoint": issuer + "/end?x=1", "jwks_uri": issuer + "/jwks",
			"authorization_response_iss_parameter_supported": true, "code_challenge_methods_supported": []string{"S256"},
		},
	}
}

// RoundTrip serves requests without a network.
func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	response := w.Result()
	response.Request = r
	return response, nil
}

func (s *server) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[path]
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls[r.URL.Path]++
	route := s.routes[r.URL.Path]
	s.mu.Unlock()
	if r.URL.Scheme+"://"+r.URL.Host != issuer {
		s.t.Errorf("request to %s", r.URL)
	}
	switch {
	case route != nil:
		route(w, r)
	case r.URL.Path == "/.well-known/openid-configuration":
		answer(w, http.StatusOK, s.metadata)
	case r.URL.Path == "/jwks":
		ring().ServeHTTP(w, r)
	case r.URL.Path == "/token":
		s.token(w, r)
	default:
		http.NotFound(w, r)
	}
}

func answer(w http.ResponseWriter, status int, body object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (s *server) token(w http.ResponseWriter, r *http.Request) {
	id, pass, ok := r.BasicAuth()
	if !ok || id != url.QueryEscape(clientID) || pass != url.QueryEscape(password) || r.PostFormValue("client_id") != "" {
		answer(w, http.StatusUnauthorized, object{"error": "invalid_client"})
		return
	}
	body := object{"access_token": "access-1", "token_type": "bearer", "expires_in": 300, "refresh_token": "refresh-1"}
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		s.mu.Lock()
		asked := s.codes[r.PostFormValue("code")]
		delete(s.codes, r.PostFormValue("code"))
		s.mu.Unlock()
		verifier := gatehouse.NewSecret([]byte(r.PostFormValue("code_verifier")))
		if asked == nil || asked.Get("code_challenge_method") != pkce.Method || pkce.Verify(asked.Get("code_challenge"), verifier) != nil ||
			asked.Get("redirect_uri") != r.PostFormValue("redirect_uri") || asked.Get("resource") != r.PostFormValue("resource") {
			answer(w, http.StatusBadRequest, object{"error": "invalid_grant"})
			return
		}
		if strings.Contains(asked.Get("scope"), "openid") {
			body["id_token"] = s.idToken(asked.Get("nonce"))
		}
	case "refresh_token":
		body["access_token"], body["refresh_token"] = "access-2", "refresh-2"
	}
	maps.Copy(body, s.reply)
	for name, value := range body {
		if value == nil {
			delete(body, name)
		}
	}
	answer(w, http.StatusOK, body)
}

func (s *server) idToken(nonce string) string {
	now := time.Now().Unix()
	claims := object{"iss": issuer, "aud": clientID, "sub": "alice", "nonce": nonce, "iat": now, "exp": now + 300, "sid": "s1", "auth_time": now - 5}
	s.idt(claims)
	for name, value := range claims {
		if value == nil {
			delete(claims, name)
		}
	}
	return string(must(ring().SignStatement(s.typ, claims)).Reveal())
}

// authorize does what the server and the person do with an authorization
// request: it returns the parameters of the callback.
func (s *server) authorize(address string) url.Values {
	s.t.Helper()
	u := must(url.Parse(address))
	q := u.Query()
	if u.Scheme+"://"+u.Host+u.Path != issuer+"/auth" || q.Get("tenant") != "1" {
		s.t.Fatalf("sent to %s", address)
	}
	if q.Get("response_type") != "code" || q.Get("client_id") != clientID || len(q.Get("state")) != 43 {
		s.t.Fatalf("authorization request %v", q)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	code := rand.Text()
	s.codes[code] = q
	return url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {issuer}}
}

func (s *server) config() oauth.Config {
	return oauth.Config{
		Issuer: issuer, ClientID: clientID, Secret: secret(password), Transport: s, Algorithms: []jwtauth.Algorithm{jwtauth.ES256},
	}
}

func newClient(t testing.TB, c oauth.Config) *oauth.Client {
	t.Helper()
	client, err := oauth.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// events collects what an observer is told.
type events struct {
	mu  sync.Mutex
	all []gatehouse.Event
	err error
}

func (e *events) Observe(_ context.Context, event gatehouse.Event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
	return e.err
}

func (e *events) reasons() (all []gatehouse.Reason) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range e.all {
		all = append(all, event.Reason)
	}
	e.all = nil
	return all
}

var cookieKeys = sync.OnceValue(func() *cookie.Ring {
	return must(cookie.NewRing(secret("0123456789abcdef0123456789abcdef")))
})

// app is a server with a login, and the browser that uses it.
type app struct {
	*server
	login *oauth.Login
	jar   map[string]string
	told  events
}

func newApp(t testing.TB, change ...func(*oauth.Config, *oauth.LoginConfig)) *app {
	t.Helper()
	a := &app{server: newServer(t), jar: make(map[string]string)}
	c := a.config()
	l := oauth.LoginConfig{
		Keys: cookieKeys(), Observer: &a.told,
		Request: oauth.AuthorizationRequest{RedirectURI: redirect, Scopes: scopes("openid reports:read")},
	}
	for _, f := range change {
		f(&c, &l)
	}
	l.Client = newClient(t, c)
	a.login = must(oauth.NewLogin(l))
	return a
}

// request is a navigation of the browser.
func (a *app) request(target string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, http.NoBody)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	for name, value := range a.jar {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return r
}

// keep does with the cookies of a response what a browser does.
func (a *app) keep(w *httptest.ResponseRecorder) {
	for _, c := range w.Result().Cookies() {
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || !strings.HasPrefix(c.Name, "__Host-Http-tx-") {
			a.t.Errorf("cookie %v", c)
		}
		if c.Value == "" {
			delete(a.jar, c.Name)
			continue
		}
		a.jar[c.Name] = c.Value
	}
}

// start begins a login and returns where the browser is sent.
func (a *app) start(target string) string {
	a.t.Helper()
	w := httptest.NewRecorder()
	a.login.Start(w, a.request(target))
	a.keep(w)
	if w.Code != http.StatusSeeOther || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Referrer-Policy") != "no-referrer" {
		a.t.Fatalf("start: %d %v %s", w.Code, w.Header(), w.Body)
	}
	return w.Header().Get("Location")
}

func (a *app) callback(params url.Values) (oauth.Result, error) {
	a.t.Helper()
	w := httptest.NewRecorder()
	result, err := a.login.Callback(w, a.request("/callback?"+params.Encode()))
	if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Referrer-Policy") != "no-referrer" {
		a.t.Errorf("callback: %v", w.Header())
	}
	a.keep(w)
	return result, err
}

// reasonOf returns why a login was refused.
func reasonOf(err error) gatehouse.Reason {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e.Reason
	}
	return ""
}
