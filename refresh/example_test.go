// SPDX-License-Identifier: Apache-2.0

package refresh_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/scopes"
)

const (
	self = "https://auth.example.com"
	api  = "https://api.example.com"
)

// service issues tokens and has an API that accepts them.
type service struct {
	signer  *jwtauth.Signer
	refresh *refresh.Tokens
}

// login is where an application has settled who the person is: by a passkey,
// say, or by a code that it has redeemed. The client is one that it knows.
func (s *service) login(w http.ResponseWriter, r *http.Request) {
	granted, err := gatehouse.ParseScopes("reports:read reports:write")
	if err != nil {
		log.Fatal(err)
	}
	issued, err := s.refresh.Begin(r.Context(), refresh.Grant{
		Subject: "alice", Client: r.PostFormValue("client_id"), Scopes: granted, AuthTime: time.Now(),
	})
	s.answer(w, issued, err)
}

// token is the token endpoint, RFC 6749 section 3.2. A confidential client must
// authenticate first, and is then the one to whom the token has to belong.
func (s *service) token(w http.ResponseWriter, r *http.Request) {
	issued, err := s.refresh.Rotate(r.Context(), refresh.Request{
		Token:  gatehouse.NewSecret([]byte(r.PostFormValue("refresh_token"))),
		Client: r.PostFormValue("client_id"),
		Scope:  r.PostFormValue("scope"),
	})
	s.answer(w, issued, err)
}

// revoke is the revocation endpoint, RFC 7009.
func (s *service) revoke(w http.ResponseWriter, r *http.Request) {
	err := s.refresh.End(r.Context(), gatehouse.NewSecret([]byte(r.PostFormValue("token"))), r.PostFormValue("client_id"))
	if err != nil {
		refuse(w, err)
	}
}

func (s *service) answer(w http.ResponseWriter, issued refresh.Issued, err error) {
	if err != nil {
		refuse(w, err)
		return
	}
	signed, err := s.signer.Sign(issued.AccessToken(api))
	if err != nil {
		refuse(w, err)
		return
	}
	// RFC 6749 §5.1.
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"access_token":  string(signed.Token.Reveal()),
		"token_type":    "Bearer",
		"expires_in":    int(time.Until(signed.Expires).Seconds()),
		"refresh_token": string(issued.Token.Reveal()),
		"scope":         issued.Scopes.String(),
	})
}

func refuse(w http.ResponseWriter, err error) {
	status, code := http.StatusServiceUnavailable, "temporarily_unavailable"
	switch {
	case errors.Is(err, refresh.ErrInvalidGrant):
		status, code = http.StatusBadRequest, "invalid_grant"
	case errors.Is(err, refresh.ErrInvalidScope):
		status, code = http.StatusBadRequest, "invalid_scope"
	}
	// RFC 6749 §5.2.
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code})
}

// A service that issues access tokens of fifteen minutes and refresh tokens of
// seven days. A refresh token that is used again once its successor was used has
// been stolen: the login is over for everybody.
func Example_tokenEndpoint() {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // yours is one that stays
	if err != nil {
		log.Fatal(err)
	}
	keys, err := jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "2026-07", Algorithm: jwtauth.ES256, Private: private})
	if err != nil {
		log.Fatal(err)
	}
	signer, err := jwtauth.NewSigner(jwtauth.SignerConfig{Issuer: self, Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	revoked, err := revocation.New(revocation.Config{
		Store: revocation.NewMemory(0), // store/sqlstore and store/redisstore keep them for good
	})
	if err != nil {
		log.Fatal(err)
	}
	refresh, err := refresh.New(refresh.Config{
		Store:       refresh.NewMemory(0),
		Revocations: revoked,
		Issuer:      self,
		Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
			if e.Reason == gatehouse.ReasonRefreshReused { // tell whoever looks after security
				fmt.Println("alarm:", e.Principal.Subject, "at", e.Principal.Client)
			}
			return nil
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := jwtauth.New(jwtauth.Config{
		Issuers: []jwtauth.Issuer{{
			URL: self, Audience: api, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.RingKeys(keys),
		}},
		Revocations: revoked,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = tokens.Close() }()
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens}, Realm: "reports"})
	if err != nil {
		log.Fatal(err)
	}

	s := &service{signer, refresh}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("POST /revoke", s.revoke)
	mux.Handle("GET /jwks.json", keys) // for APIs elsewhere
	mux.Handle("GET /reports", gate.Handler(gatehouse.Require(scopes.All("reports:read"))(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "reports") }))))
	server := httptest.NewServer(mux)
	defer server.Close()

	// What follows is a client.
	post := func(path string, form url.Values) (answer map[string]any) {
		form.Set("client_id", "phone")
		response, err := server.Client().PostForm(server.URL+path, form)
		if err != nil {
			log.Fatal(err)
		}
		defer response.Body.Close()
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			log.Fatal(err)
		}
		fmt.Println(path, response.StatusCode, answer["scope"], answer["error"])
		return answer
	}
	reports := func(token any) {
		request, err := http.NewRequest(http.MethodGet, server.URL+"/reports", http.NoBody)
		if err != nil {
			log.Fatal(err)
		}
		request.Header.Set("Authorization", fmt.Sprint("Bearer ", token))
		response, err := server.Client().Do(request)
		if err != nil {
			log.Fatal(err)
		}
		_ = response.Body.Close()
		fmt.Println("/reports", response.StatusCode)
	}
	renew := func(old map[string]any) map[string]any {
		return post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {fmt.Sprint(old["refresh_token"])}})
	}
	first := post("/login", url.Values{})
	reports(first["access_token"])
	second := renew(first)
	third := renew(second)
	reports(third["access_token"])

	// Somebody has copied the first token, and uses it now.
	renew(first)
	renew(third)
	reports(third["access_token"])

	// Output:
	// /login 200 reports:read reports:write <nil>
	// /reports 200
	// /token 200 reports:read reports:write <nil>
	// /token 200 reports:read reports:write <nil>
	// /reports 200
	// alarm: alice at phone
	// /token 400 <nil> invalid_grant
	// /token 400 <nil> invalid_grant
	// /reports 401
}
