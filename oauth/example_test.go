// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// A server that logs people in. What it is given here as text comes from
// gatehouse.LoadSecret in a program.
func Example() {
	client, err := oauth.New(oauth.Config{
		Issuer:   "https://auth.example.com",
		ClientID: "web",
		Secret:   gatehouse.NewSecret([]byte("loaded with gatehouse.LoadSecret")),
		// Without a Provider, it is discovered at the first login.
		Provider: oauth.Provider{
			Issuer:                "https://auth.example.com",
			AuthorizationEndpoint: "https://auth.example.com/authorize",
			TokenEndpoint:         "https://auth.example.com/token",
			JWKSURI:               "https://auth.example.com/jwks.json",
			ResponseIssuer:        true,
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	keys, err := cookie.NewKeyring(gatehouse.NewSecret([]byte(strings.Repeat("loaded too ", 4))))
	if err != nil {
		log.Fatal(err)
	}
	wanted, err := gatehouse.ParseScopes("openid reports:read")
	if err != nil {
		log.Fatal(err)
	}
	login, err := oauth.NewLogin(oauth.LoginConfig{
		Client:  client,
		Keys:    keys,
		Request: oauth.AuthorizationRequest{RedirectURI: "https://app.example.com/callback", Scopes: wanted},
	})
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", login.Start)
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		result, err := login.Callback(w, r)
		if err != nil {
			login.Refuse(w, r, err)
			return
		}
		// Here a new session is made for result.Subject, with result.Tokens in it.
		http.Redirect(w, r, result.ReturnTo, http.StatusSeeOther)
	})

	// A person goes to the login, and is sent to the authorization server.
	r := httptest.NewRequest(http.MethodGet, "/login?return_to=/reports", http.NoBody)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	sent, err := url.Parse(w.Header().Get("Location"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(w.Code, sent.Host, sent.Query().Get("code_challenge_method"))

	// Somebody brings them a callback that they have not asked for.
	r = httptest.NewRequest(http.MethodGet, "/callback?code=stolen&state=made-up", http.NoBody)
	r.Header = http.Header{"Accept": {"text/html"}}
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)

	// Output:
	// 303 auth.example.com S256
	// 400 This sign-in could not be completed. Please start again.
}
