// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// An API that accepts opaque tokens.
func ExampleIntrospector() {
	// The authorization server, for this example.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("token") == "opaque" {
			fmt.Fprint(w, `{"active":true,"sub":"alice","aud":"https://api.example.com","scope":"reports:read"}`)
			return
		}
		fmt.Fprint(w, `{"active":false}`)
	}))
	defer server.Close()

	client, err := oauth.New(oauth.Config{Issuer: server.URL, ClientID: "reports-api", Secret: gatehouse.NewSecret([]byte("a long random secret"))})
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := oauth.NewIntrospector(oauth.IntrospectorConfig{
		Endpoints: []oauth.IntrospectionEndpoint{{
			Client: client, URL: server.URL + "/introspect", Audiences: []string{"https://api.example.com"},
		}},
		Cache: 5 * time.Second,
	})
	if err != nil {
		log.Fatal(err)
	}
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens}, Realm: "reports"})
	if err != nil {
		log.Fatal(err)
	}
	handler := gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprint(w, p.Subject, " ", p.Scopes)
	}))

	for _, token := range []string{"opaque", "revoked"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}

	// Output:
	// 200 alice reports:read
	// 401 {"error":"invalid_token","error_description":"The access token is expired, revoked, malformed or invalid for other reasons."}
}
