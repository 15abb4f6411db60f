// SPDX-License-Identifier: Apache-2.0

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

// What the client is called at the provider.
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

// Provider is an OpenID provider at which everybody is signed in already and
// consents. It rotates refresh tokens, and ends a login whose refresh token is
// used twice. Fields may be changed before the request that they are about.
type Provider struct {
	*httptest.Server

	Metadata Object
	Claims   Object                      // of the ID token and of userinfo, beside sub
	Subject  string                      // who signs in
	Lifetime time.Duration               // that access tokens are said to have; they are taken for longer
	Refuse   int                         // how many of the next access tokens userinfo refuses
	Routes   map[string]http.HandlerFunc // in place of the provider's own

	t    testing.TB
	keys *jwtauth.KeyRing

	mu       sync.Mutex
	codes    map[string]url.Values // code -> authorization request
	logins   map[string]*login     // every refresh token there was -> its login
	access   map[string]*login
	redeemed int
	renewed  int
	revoked  []string
	given    []string
}

type login struct {
	subject, sid, newest string
	over                 bool
}

// NewProvider starts a provider and ends it with the test.
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

// authorize sends the browser back with a code.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("response_type") != "code" || q.Get("client_id") != ClientID || q.Has("client_secret") || len(q.Get("state")) < 43 {
		p.t.Errorf("authorization request %v", q)
	}
	back := url.Values{"state": {q.Get("state")}, "iss": {p.URL}}
	if r.Header.Get("X-Refuse") != "" {
		back.Set("error", "access_denied")
	} else {
		code := rand.Text()
		p.codes[code] = q
		back.Set("code", code)
	}
	w.Header().Set("Location", q.Get("redirect_uri")+"?"+back.Encode())
	w.WriteHeader(http.StatusSeeOther)
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	if id, secret, ok := r.BasicAuth(); !ok || id != ClientID || secret != ClientSecret {
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
		p.give(w, &login{subject: p.Subject, sid: rand.Text()}, asked.Get("nonce"), asked.Get("scope"))
	case "refresh_token":
		p.renewed++
		token := r.PostFormValue("refresh_token")
		l := p.logins[token]
		if l == nil || l.over || l.newest != token {
			if l != nil {
				l.over = true // used twice: the login is over
			}
			answer(w, http.StatusBadRequest, Object{"error": "invalid_grant"})
			return
		}
		p.give(w, l, "", "")
	default:
		answer(w, http.StatusBadRequest, Object{"error": "unsupported_grant_type"})
	}
}

func (p *Provider) give(w http.ResponseWriter, l *login, nonce, scope string) {
	now := time.Now()
	accessToken := "access-" + rand.Text()
	l.newest = "refresh-" + rand.Text()
	p.logins[l.newest] = l
	p.access[accessToken] = l
	p.given = append(p.given, accessToken, l.newest)
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
		p.given = append(p.given, string(id.Reveal()))
	}
	answer(w, http.StatusOK, body)
}

func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	l := p.access[token]
	if p.Refuse--; l == nil || l.over || p.Refuse >= 0 {
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
		l.over = true
	}
	w.WriteHeader(http.StatusOK)
}

// Redeemed is how many codes the provider was asked to redeem.
func (p *Provider) Redeemed() int { p.mu.Lock(); defer p.mu.Unlock(); return p.redeemed }

// Renewed is how many times it was asked for a renewal.
func (p *Provider) Renewed() int { p.mu.Lock(); defer p.mu.Unlock(); return p.renewed }

// Revoked are the tokens that were withdrawn.
func (p *Provider) Revoked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.revoked...)
}

// Given are all tokens, by which their leaks are found.
func (p *Provider) Given() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.given...)
}

// Absent fails the test if a token or a secret of the app is in a log, and shows
// the log of a test that has failed.
func (p *Provider) Absent(t *testing.T, log *Log) {
	t.Helper()
	for _, secret := range append(p.Given(), ClientSecret, CookieKey) {
		if strings.Contains(log.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
	if t.Failed() {
		t.Logf("the log:\n%s", log)
	}
}

// Forget ends all logins, as an operator would.
func (p *Provider) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.logins {
		l.over = true
	}
}

// Change changes fields while the provider serves.
func (p *Provider) Change(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// LogoutToken returns a token for a back-channel logout of all sessions of the
// subject.
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
