// SPDX-License-Identifier: Apache-2.0

// Package webtest is the test kit of the example apps: an OpenID provider and a
// browser that keeps cookies and sends the Sec-Fetch headers. Only tests import
// it; the tests in interop use a real provider and a real browser.
package webtest

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/pkce"
)

// The registered client.
const (
	ClientID     = "notes"
	ClientSecret = "client-secret-4f1b9c"
)

// Object is a JSON object.
type Object = map[string]any

var signing = sync.OnceValues(func() (*jwtauth.KeyRing, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	return jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "k1", Algorithm: jwtauth.RS256, Private: key})
})

// Provider is an OpenID provider with a user who is logged in and consents. It
// rotates refresh tokens and ends a login whose refresh token is reused. Fields
// may be changed before the first request, and later with Change.
type Provider struct {
	*httptest.Server

	Metadata Object
	Claims   Object                      // of ID tokens and userinfo, in addition to sub
	Subject  string                      // the user
	Lifetime time.Duration               // expires_in of access tokens; userinfo accepts them for longer
	Refuse   int                         // the number of calls that userinfo rejects next
	Public   bool                        // the client is public: no client authentication
	Routes   map[string]http.HandlerFunc // by path; they replace the endpoints
	Before   func(*http.Request)         // is called before each request, without a lock

	t    testing.TB
	keys *jwtauth.KeyRing

	mu       sync.Mutex
	codes    map[string]url.Values // code -> authorization request
	logins   map[string]*login     // refresh token, also a rotated one -> login
	access   map[string]*login
	redeemed int
	renewed  int
	revoked  []string
	issued   []string
}

type login struct {
	subject, sid, newest string
	ended                bool
}

// NewProvider starts a provider that ends with the test.
func NewProvider(t testing.TB) *Provider {
	t.Helper()
	keys, err := signing()
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{
		Claims: Object{"name": "Ada Lovelace", "email": "ada@example.com"}, Subject: "u1", Lifetime: 5 * time.Minute,
		Routes: make(map[string]http.HandlerFunc), t: t, keys: keys,
		codes: make(map[string]url.Values), logins: make(map[string]*login), access: make(map[string]*login),
	}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	p.Metadata = Object{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/auth", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/jwks",
		"userinfo_endpoint": p.URL + "/userinfo", "revocation_endpoint": p.URL + "/revoke", "end_session_endpoint": p.URL + "/end",
		"authorization_response_iss_parameter_supported": true, "code_challenge_methods_supported": []string{"S256"},
	}
	return p
}

// ServeHTTP implements [http.Handler].
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.Before != nil {
		p.Before(r)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if route := p.Routes[r.URL.Path]; route != nil {
		route(w, r)
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		answer(w, http.StatusOK, p.Metadata)
	case "/jwks":
		p.keys.ServeHTTP(w, r)
	case "/auth":
		p.authorize(w, r)
	case "/token":
		p.token(w, r)
	case "/userinfo":
		p.userinfo(w, r)
	case "/revoke":
		p.revoke(w, r)
	default:
		http.NotFound(w, r)
	}
}

func answer(w http.ResponseWriter, status int, body Object) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// authorize redirects the browser to the callback.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Location", p.respond(r.URL.Query()))
	w.WriteHeader(http.StatusSeeOther)
}

// Authorize returns the URL of the callback for the URL of an authorization
// request.
func (p *Provider) Authorize(address string) *url.URL {
	p.t.Helper()
	request, err := url.Parse(address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	response, err := url.Parse(p.respond(request.Query()))
	if err != nil {
		p.t.Fatal(err)
	}
	return response
}

func (p *Provider) respond(q url.Values) string {
	if q.Get("response_type") != "code" || q.Get("client_id") != ClientID || q.Has("client_secret") || len(q.Get("state")) < 43 {
		p.t.Errorf("authorization request %v, want response_type code, client_id %s and state", q, ClientID)
	}
	code := rand.Text()
	p.codes[code] = q
	return q.Get("redirect_uri") + "?" + url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.URL}}.Encode()
}

// authenticated reports whether the client authenticated as it is registered.
func (p *Provider) authenticated(r *http.Request) bool {
	id, secret, basic := r.BasicAuth()
	if p.Public {
		return !basic && r.Header.Get("Authorization") == "" && r.PostFormValue("client_id") == ClientID && !r.PostForm.Has("client_secret")
	}
	return basic && id == ClientID && secret == ClientSecret
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	if !p.authenticated(r) {
		answer(w, http.StatusUnauthorized, Object{"error": "invalid_client"})
		return
	}
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		p.redeemed++
		asked := p.codes[r.PostFormValue("code")]
		delete(p.codes, r.PostFormValue("code"))
		verifier := gatehouse.NewSecret([]byte(r.PostFormValue("code_verifier")))
		if asked == nil || asked.Get("code_challenge_method") != pkce.Method || pkce.Verify(asked.Get("code_challenge"), verifier) != nil || asked.Get("redirect_uri") != r.PostFormValue("redirect_uri") {
			answer(w, http.StatusBadRequest, Object{"error": "invalid_grant"})
			return
		}
		p.issue(w, &login{subject: p.Subject, sid: rand.Text()}, asked.Get("nonce"), asked.Get("scope"))
	case "refresh_token":
		p.renewed++
		token := r.PostFormValue("refresh_token")
		l := p.logins[token]
		if l == nil || l.ended || l.newest != token {
			if l != nil {
				l.ended = true // reuse
			}
			answer(w, http.StatusBadRequest, Object{"error": "invalid_grant"})
			return
		}
		p.issue(w, l, "", "")
	default:
		answer(w, http.StatusBadRequest, Object{"error": "unsupported_grant_type"})
	}
}

func (p *Provider) issue(w http.ResponseWriter, l *login, nonce, scope string) {
	now := time.Now()
	accessToken := "access-" + rand.Text()
	l.newest = "refresh-" + rand.Text()
	p.logins[l.newest] = l
	p.access[accessToken] = l
	p.issued = append(p.issued, accessToken, l.newest)
	body := Object{
		"access_token": accessToken, "refresh_token": l.newest, "token_type": "Bearer", "expires_in": int(p.Lifetime / time.Second),
	}
	if nonce != "" {
		claims := Object{
			"iss": p.URL, "aud": ClientID, "sub": l.subject, "sid": l.sid, "nonce": nonce,
			"iat": now.Unix(), "exp": now.Unix() + 300, "auth_time": now.Unix() - 60,
		}
		maps.Copy(claims, p.Claims)
		id, err := p.keys.SignJWT("JWT", claims)
		if err != nil {
			p.t.Error(err)
		}
		body["id_token"], body["scope"] = string(id.Reveal()), scope
		p.issued = append(p.issued, string(id.Reveal()))
	}
	answer(w, http.StatusOK, body)
}

func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	if r.URL.RawQuery != "" {
		p.t.Errorf("userinfo request %s, want no query", r.URL)
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	l := p.access[token]
	if p.Refuse--; l == nil || l.ended || p.Refuse >= 0 {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		answer(w, http.StatusUnauthorized, Object{"error": "invalid_token"})
		return
	}
	claims := Object{"sub": l.subject}
	maps.Copy(claims, p.Claims)
	answer(w, http.StatusOK, claims)
}

func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) {
	token := r.PostFormValue("token")
	p.revoked = append(p.revoked, token)
	if l := p.logins[token]; l != nil {
		l.ended = true
	}
	w.WriteHeader(http.StatusOK)
}

// Redeemed returns the number of token requests with a code.
func (p *Provider) Redeemed() int { p.mu.Lock(); defer p.mu.Unlock(); return p.redeemed }

// Renewed returns the number of token requests with a refresh token.
func (p *Provider) Renewed() int { p.mu.Lock(); defer p.mu.Unlock(); return p.renewed }

// Revoked returns the revoked tokens.
func (p *Provider) Revoked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.revoked...)
}

// Issued returns all tokens of all kinds.
func (p *Provider) Issued() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.issued...)
}

// CheckLog fails the test if the log contains a token or a secret of the app. It
// prints the log of a failed test.
func (p *Provider) CheckLog(t *testing.T, log *Log) {
	t.Helper()
	for _, secret := range append(p.Issued(), ClientSecret, CookieKey) {
		if strings.Contains(log.String(), secret) {
			t.Error("the log contains a secret")
		}
	}
	if t.Failed() {
		t.Logf("the log:\n%s", log)
	}
}

// EndLogins ends all logins.
func (p *Provider) EndLogins() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.logins {
		l.ended = true
	}
}

// Change calls change while no request is served.
func (p *Provider) Change(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// LogoutToken returns a logout token for all sessions of the subject.
func (p *Provider) LogoutToken(t testing.TB, subject string) string {
	t.Helper()
	now := time.Now().Unix()
	token, err := p.keys.SignJWT("logout+jwt", Object{
		"iss": p.URL, "aud": ClientID, "sub": subject, "jti": rand.Text(), "iat": now, "exp": now + 60,
		"events": Object{"http://schemas.openid.net/event/backchannel-logout": Object{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(token.Reveal())
}
