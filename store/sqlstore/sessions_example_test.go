// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// Sessions, refresh tokens and revoked access tokens in one persistent file.
func Example_sessions() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example") // in production a persistent one, such as /var/lib/acme
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(filepath.Join(dir, "acme.db")))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	store, err := sqlstore.New(sqlstore.Config{DB: db})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	if err := store.Check(ctx); err != nil {
		log.Fatal(err)
	}

	// snippet: sessions
	sessions, err := session.New(session.Config{Store: store.Sessions()})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = sessions.Close() }()
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{sessions}, Realm: "acme", LoginURL: "/login"})
	if err != nil {
		log.Fatal(err)
	}
	// end snippet

	// snippet: tokens
	revocations, err := revocation.New(revocation.Config{Store: store.Revocations(), Issuers: []string{"https://auth.example.com"}})
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := refresh.New(refresh.Config{
		Store:       store.Families(),
		Revocations: revocations, // also revoke the access tokens of a revoked family
		Issuer:      "https://auth.example.com",
	})
	if err != nil {
		log.Fatal(err)
	}
	// end snippet

	page := gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Println("hello,", p.Subject)
	}))
	login := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodPost, "https://acme.example/login", nil)
	request.Header.Set("Sec-Fetch-Site", "same-origin") // as browsers do
	if err := sessions.Start(login, request, session.Login{
		Principal: gatehouse.Principal{Subject: "ada", Issuer: "acme"},
	}); err != nil {
		log.Fatal(err)
	}
	visit := httptest.NewRequest(http.MethodGet, "https://acme.example/", nil)
	for _, cookie := range login.Result().Cookies() {
		visit.AddCookie(cookie)
	}
	page.ServeHTTP(httptest.NewRecorder(), visit)

	issued, err := tokens.Begin(ctx, refresh.Grant{Subject: "ada", Client: "app"})
	if err != nil {
		log.Fatal(err)
	}
	if err := tokens.RevokeFamily(ctx, "ada", issued.Family.ID); err != nil {
		log.Fatal(err)
	}
	revoked, err := revocations.Revoked(ctx, jwtauth.Token{Issuer: "https://auth.example.com", Subject: "ada", Client: "app", Family: issued.Family.ID})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("access tokens of the family revoked:", revoked)
	// Output:
	// hello, ada
	// access tokens of the family revoked: true
}
