// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// login stands for the login of your service. It accepts a code that it prints at
// start, once and within five minutes.
type login struct {
	cookie *cookie.AccessToken
	csrf   *cookie.CrossSite
	signer *jwtauth.Signer
	origin string
	tenant string
	scopes gatehouse.Scopes

	mu      sync.Mutex
	code    gatehouse.Secret
	expires time.Time
}

// newLogin returns a login that gives the user the scope for managing keys and those
// that keys may have.
func newLogin(origin, tenant string, scopes []string) (*login, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	ring, err := jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "keyserver", Algorithm: jwtauth.EdDSA, Private: private})
	if err != nil {
		return nil, err
	}
	l := &login{origin: origin, tenant: tenant, code: gatehouse.NewSecret([]byte(rand.Text())), expires: time.Now().Add(5 * time.Minute)}
	if l.scopes, err = gatehouse.NewScopes(append(slices.Clone(scopes), scopeManage)...); err != nil {
		return nil, err
	}
	if l.signer, err = jwtauth.NewSigner(jwtauth.SignerConfig{Issuer: origin, Keys: ring}); err != nil {
		return nil, err
	}
	tokens, err := jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{{
		URL: origin, Audiences: []string{origin}, Algorithms: []jwtauth.Algorithm{jwtauth.EdDSA}, Keys: ring,
	}}})
	if err != nil {
		return nil, err
	}
	if l.csrf, err = cookie.NewCrossSite(cookie.CrossSiteConfig{}); err != nil {
		return nil, err
	}
	l.cookie, err = cookie.NewAccessToken(cookie.AccessTokenConfig{Verifier: tokens, Name: "keyserver"})
	return l, err
}

// redeem reports whether text is the code, and invalidates the code if so.
func (l *login) redeem(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ok := l.code.Len() > 0 && time.Now().Before(l.expires) && l.code.Equal(gatehouse.NewSecret([]byte(strings.TrimSpace(text))))
	if ok {
		l.code = gatehouse.Secret{}
	}
	return ok
}

func (l *login) form(w http.ResponseWriter, _ *http.Request) {
	render(w, http.StatusOK, loginPage, "")
}

func (l *login) begin(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	// Login CSRF: a cross-site request could log the browser in as another user.
	if err := l.csrf.Check(r); err != nil || !l.redeem(r.PostFormValue("code")) {
		render(w, http.StatusForbidden, loginPage, "This is not the code, or the code is used or expired.")
		return
	}
	signed, err := l.signer.Sign(jwtauth.AccessToken{
		Subject: "operator", Audience: l.origin, Client: "keyserver", Tenant: l.tenant, Scopes: l.scopes,
	})
	if err == nil {
		err = l.cookie.Set(w, r, string(signed.Token.Reveal()))
	}
	if err != nil {
		http.Error(w, "login failed", http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (l *login) logout(w http.ResponseWriter, r *http.Request) {
	l.cookie.Clear(w, r)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}
