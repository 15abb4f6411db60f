// SPDX-License-Identifier: Apache-2.0

package cookie_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// An API that serves its own pages and keeps the access token of a user in a
// cookie. In a service, URL and Audience are those of its authorization server,
// and the token comes from there; here the server is one that runs in the same
// process.
func Example() {
	issuer, err := authtest.StartIssuer(authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	if err != nil {
		log.Fatal(err)
	}
	defer issuer.Close()

	tokens, err := jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{{
		URL:        issuer.URL,
		Audiences:  []string{issuer.Audience},
		Algorithms: []jwtauth.Algorithm{jwtauth.ES256},
		Keys:       jwtauth.RemoteKeys(issuer.KeysURL),
	}}})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = tokens.Close() }()

	browser, err := cookie.NewAccessToken(cookie.AccessTokenConfig{Verifier: tokens})
	if err != nil {
		log.Fatal(err)
	}
	gate, err := gatehouse.New(gatehouse.Config{
		// Programs send the token in a header, browsers in the cookie.
		Authenticators: []gatehouse.Authenticator{tokens, browser},
		Realm:          "notes",
	})
	if err != nil {
		log.Fatal(err)
	}

	api := http.NewServeMux()
	api.HandleFunc("POST /api/notes", func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprintf(w, "noted for %s\n", p.Subject)
	})
	root := http.NewServeMux()
	root.Handle("/api/", gate.Handler(api))
	// Login and logout are outside the gate and need their own CSRF protection.
	protection := http.NewCrossOriginProtection()
	root.Handle("POST /login", protection.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := issuer.Token(authtest.Claims{"sub": "ada"}) // after the user has logged in
		if err := browser.Set(w, r, token); err != nil {
			http.Error(w, "the token does not fit into a cookie", http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "welcome")
	})))
	root.Handle("POST /logout", protection.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		browser.Clear(w, r)
		fmt.Fprintln(w, "goodbye")
	})))

	server := httptest.NewTLSServer(root)
	defer server.Close()

	// The browser.
	client := server.Client()
	if client.Jar, err = cookiejar.New(nil); err != nil {
		log.Fatal(err)
	}
	post := func(path, site string) {
		r, err := http.NewRequest(http.MethodPost, server.URL+path, http.NoBody)
		if err != nil {
			log.Fatal(err)
		}
		r.Header.Set("Sec-Fetch-Site", site)
		w, err := client.Do(r)
		if err != nil {
			log.Fatal(err)
		}
		defer w.Body.Close()
		body, _ := io.ReadAll(w.Body)
		for _, set := range w.Cookies() {
			fmt.Println(set.Name, "Strict:", set.SameSite == http.SameSiteStrictMode, "HttpOnly:", set.HttpOnly)
		}
		fmt.Println(path, site, w.StatusCode, strings.TrimSpace(string(body)))
	}
	post("/login", "same-origin")
	post("/api/notes", "same-origin")
	post("/api/notes", "same-site") // a page of a sibling host, for which browsers send the cookie too
	post("/logout", "same-origin")
	post("/api/notes", "same-origin")

	// Output:
	// __Host-Http-token Strict: true HttpOnly: true
	// /login same-origin 200 welcome
	// /api/notes same-origin 200 noted for ada
	// /api/notes same-site 403 {"error":"access_denied","error_description":"Access to this resource is denied."}
	// __Host-Http-token Strict: true HttpOnly: true
	// /logout same-origin 200 goodbye
	// /api/notes same-origin 401 {"error":"missing_credentials","error_description":"This resource requires authentication."}
}

// The state of a login, which the server needs again at the callback and which
// others must not read or change.
func ExampleSealed() {
	// In a service: gatehouse.LoadSecret("env:COOKIE_KEY", 32), followed by the
	// previous key until the values that it sealed have expired.
	key := gatehouse.NewSecret([]byte(rand.Text() + rand.Text()))
	keys, err := cookie.NewKeyring(key)
	if err != nil {
		log.Fatal(err)
	}
	transaction, err := cookie.NewSealed(cookie.SealedConfig{
		Cookie: cookie.Config{Name: "tx"}, Keys: keys, Purpose: "login transaction", Lifetime: 10 * time.Minute,
	})
	if err != nil {
		log.Fatal(err)
	}
	start := func(w http.ResponseWriter, r *http.Request) {
		if err := transaction.Set(w, r, []byte("/reports")); err != nil {
			log.Fatal(err)
		}
	}
	callback := func(w http.ResponseWriter, r *http.Request) {
		returnTo, err := transaction.Open(r)
		switch {
		case errors.Is(err, http.ErrNoCookie):
			fmt.Println("no login was started in this browser")
		case err != nil:
			fmt.Println("rejected:", err)
		default:
			transaction.Clear(w, r)
			fmt.Println("back to", string(returnTo))
		}
	}

	w := httptest.NewRecorder()
	start(w, httptest.NewRequest(http.MethodGet, "/login", nil))
	sent := w.Result().Cookies()[0]

	r := httptest.NewRequest(http.MethodGet, "/callback", nil)
	callback(httptest.NewRecorder(), r)
	for _, value := range []string{sent.Value, sent.Value[:len(sent.Value)-1]} {
		r.Header.Set("Cookie", sent.Name+"="+value)
		callback(httptest.NewRecorder(), r)
	}

	// Output:
	// no login was started in this browser
	// back to /reports
	// rejected: gatehouse: invalid_token (cookie_seal_invalid)
}
