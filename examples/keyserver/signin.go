// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// signin stands for the sign-in of your service. It lets in whoever reads the
// terminal, with a code that is good once and for five minutes.
type signin struct {
	cookie *cookie.AccessToken
	cross  *cookie.CrossSite
	signer *jwtauth.Signer
	origin string
	tenant string
	scopes gatehouse.Scopes

	mu    sync.Mutex
	code  gatehouse.Secret
	until time.Time
}

func newSignin(origin, tenant string) (*signin, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	ring, err := jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "keyserver", Algorithm: jwtauth.EdDSA, Private: private})
	if err != nil {
		return nil, err
	}
	s := &signin{origin: origin, tenant: tenant, code: gatehouse.NewSecret([]byte(rand.Text())), until: time.Now().Add(5 * time.Minute)}
	if s.scopes, err = gatehouse.NewScopes(scopeManage); err != nil {
		return nil, err
	}
	if s.signer, err = jwtauth.NewSigner(jwtauth.SignerConfig{Issuer: origin, Keys: ring}); err != nil {
		return nil, err
	}
	tokens, err := jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{{
		URL: origin, Audience: origin, Algorithms: []jwtauth.Algorithm{jwtauth.EdDSA}, Keys: ring,
	}}})
	if err != nil {
		return nil, err
	}
	if s.cross, err = cookie.NewCrossSite(cookie.CrossSiteConfig{}); err != nil {
		return nil, err
	}
	s.cookie, err = cookie.NewAccessToken(cookie.AccessTokenConfig{Verifier: tokens, Name: "keyserver", Login: "/login"})
	return s, err
}

// take reports whether text is the code, which is used up by that.
func (s *signin) take(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ok := s.code.Len() > 0 && time.Now().Before(s.until) && s.code.Equal(gatehouse.NewSecret([]byte(strings.TrimSpace(text))))
	if ok {
		s.code = gatehouse.Secret{}
	}
	return ok
}

func (s *signin) form(w http.ResponseWriter, _ *http.Request) {
	render(w, http.StatusOK, loginPage, "")
}

func (s *signin) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	// A login that another site has caused would sign a person in as somebody
	// else.
	if err := s.cross.Check(r); err != nil || !s.take(r.PostFormValue("code")) {
		render(w, http.StatusForbidden, loginPage, "That is not the code, or it has been used or has expired.")
		return
	}
	signed, err := s.signer.Sign(jwtauth.AccessToken{
		Subject: "operator", Audience: s.origin, Client: "keyserver", Tenant: s.tenant, Scopes: s.scopes,
	})
	if err == nil {
		err = s.cookie.Set(w, r, string(signed.Token.Reveal()))
	}
	if err != nil {
		http.Error(w, "cannot sign in now", http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *signin) logout(w http.ResponseWriter, r *http.Request) {
	s.cookie.Clear(w, r)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}
