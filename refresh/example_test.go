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

// newService returns an authorization server and the API that accepts its tokens:
// access tokens of 15 minutes, and refresh tokens of 7 days.
func newService(key *ecdsa.PrivateKey, observer gatehouse.Observer) (http.Handler, error) {
	const self, api = "https://auth.example.com", "https://api.example.com"
	keys, err1 := jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "2026-07", Algorithm: jwtauth.ES256, Private: key})
	signer, err2 := jwtauth.NewSigner(jwtauth.SignerConfig{Issuer: self, Keys: keys})
	// store/sqlstore and store/redisstore have stores for several processes.
	revoked, err3 := revocation.New(revocation.Config{Store: revocation.NewMemory(0), Issuers: []string{self}})
	tokens, err4 := refresh.New(refresh.Config{Store: refresh.NewMemory(0), Revocations: revoked, Issuer: self, Observer: observer})
	access, err5 := jwtauth.New(jwtauth.Config{
		Issuers:     []jwtauth.Issuer{{URL: self, Audiences: []string{api}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: keys}},
		Revocations: revoked,
	})
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	endpoint, err1 := tokens.TokenEndpoint(refresh.TokenEndpointConfig{Signer: signer, Audience: api})
	gate, err2 := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{access}, Realm: "reports", Observer: observer})
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}

	mux := gate.Mux()
	mux.PublicFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		client := r.PostFormValue("client_id")
		if client != "phone" { // the only registered client
			http.Error(w, "unknown client", http.StatusBadRequest)
			return
		}
		// Authenticate the user here, by a passkey for example.
		granted, err := gatehouse.ParseScopes("reports:read reports:write")
		if err != nil {
			http.Error(w, "malformed scope", http.StatusInternalServerError)
			return
		}
		endpoint.Begin(w, r, refresh.Grant{Subject: "alice", Client: client, Scopes: granted, AuthTime: time.Now()})
	})
	mux.Public("/token", endpoint)
	mux.Public("/revoke", tokens.RevocationEndpoint(nil))
	mux.Public("GET /jwks.json", keys) // for APIs in other processes
	mux.HandleFunc("GET /reports", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "reports") }, scopes.All("reports:read"))
	return mux, nil
}

// Reuse of a rotated refresh token revokes its family, with the access tokens.
func Example() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // load a permanent key instead
	if err != nil {
		log.Fatal(err)
	}
	service, err := newService(key, gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
		if e.Reason == refresh.ReasonReused {
			fmt.Println("alert:", e.Principal.Subject, "at", e.Principal.Client)
		}
		return nil
	}))
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(service)
	defer server.Close()

	// The client.
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
	renew := func(old map[string]any) map[string]any {
		return post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {fmt.Sprint(old["refresh_token"])}})
	}
	reports := func(tokens map[string]any) {
		request, err := http.NewRequest(http.MethodGet, server.URL+"/reports", http.NoBody)
		if err != nil {
			log.Fatal(err)
		}
		request.Header.Set("Authorization", fmt.Sprint("Bearer ", tokens["access_token"]))
		response, err := server.Client().Do(request)
		if err != nil {
			log.Fatal(err)
		}
		_ = response.Body.Close()
		fmt.Println("/reports", response.StatusCode)
	}
	first := post("/login", url.Values{})
	second := renew(first)
	third := renew(second)
	reports(third)

	// An attacker has copied the first token and uses it now.
	renew(first)
	renew(third)
	reports(third)

	// Output:
	// /login 200 reports:read reports:write <nil>
	// /token 200 reports:read reports:write <nil>
	// /token 200 reports:read reports:write <nil>
	// /reports 200
	// alert: alice at phone
	// /token 400 <nil> invalid_grant
	// /token 400 <nil> invalid_grant
	// /reports 401
}

// A page on which users see and revoke their devices.
func ExampleTokens_List() {
	ctx := context.Background()
	tokens, err := refresh.New(refresh.Config{Store: refresh.NewMemory(0)})
	if err != nil {
		log.Fatal(err)
	}
	var current refresh.Issued
	for _, client := range []string{"phone", "tv", "web"} {
		if current, err = tokens.Begin(ctx, refresh.Grant{Subject: "alice", Client: client}); err != nil {
			log.Fatal(err)
		}
	}
	count, err := tokens.RevokeAll(ctx, refresh.Filter{Subject: "alice", Except: current.Family.ID})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("revoked:", count)
	families, err := tokens.List(ctx, refresh.Filter{Subject: "alice"})
	if err != nil {
		log.Fatal(err)
	}
	for _, family := range families {
		fmt.Println("active:", family.Client)
	}
	// Output:
	// revoked: 2
	// active: web
}
