// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
)

// A login with the application's own form. Package signin is for a login at an
// OpenID provider.
func Example() {
	sessions, err := session.New(session.Config{Store: session.NewMemory(0)})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = sessions.Close() }()
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{sessions}, Realm: "example", LoginURL: "/login",
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := gate.Mux()
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprintf(w, "%s of %s", p.Subject, p.Issuer)
	}, gatehouse.Authenticated)
	mux.Public("POST /login", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("password") != "correct horse" { // a password hash, in your application
			http.Error(w, "wrong name or password", http.StatusForbidden)
			return
		}
		login := session.Login{Principal: gatehouse.Principal{Subject: r.PostFormValue("name"), Issuer: "example"}}
		if err := sessions.Start(w, r, login); err != nil {
			gatehouse.Refuse(w, r, err)
			return
		}
		http.Redirect(w, r, "/me", http.StatusSeeOther)
	}))
	mux.Public("POST /logout", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := sessions.End(w, r); err != nil {
			gatehouse.Refuse(w, r, err)
		}
	}))

	var cookie string // of the browser
	do := func(method, path string, form url.Values) {
		r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if set := w.Header().Get("Set-Cookie"); set != "" {
			cookie, _, _ = strings.Cut(set, ";")
		}
		fmt.Println(method, path, w.Code)
	}
	do("GET", "/me", nil)
	do("POST", "/login", url.Values{"name": {"ada"}, "password": {"wrong"}})
	do("POST", "/login", url.Values{"name": {"ada"}, "password": {"correct horse"}})
	do("GET", "/me", nil)
	do("POST", "/logout", nil)
	do("GET", "/me", nil)

	// Output:
	// GET /me 401
	// POST /login 403
	// POST /login 303
	// GET /me 200
	// POST /logout 200
	// GET /me 401
}
