// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
)

func Example() {
	sessions, err := session.New(session.Config{
		Store: session.NewMemory(0),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = sessions.Close() }()
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{sessions},
		Realm:          "example",
		LoginURL:       "/login",
	})
	if err != nil {
		log.Fatal(err)
	}

	api := http.NewServeMux()
	api.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprintf(w, "%s of %s", p.Subject, p.Issuer)
	})
	api.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if _, err := sessions.End(w, r); err != nil {
			gatehouse.Refuse(w, r, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})

	root := http.NewServeMux()
	root.Handle("/", gate.Handler(api))
	// The password is checked by a service of the application's own.
	root.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		subject, ok := checkPassword(r.Context(), r.PostFormValue("name"), r.PostFormValue("password"))
		if !ok {
			http.Error(w, "Name or password are wrong.", http.StatusForbidden)
			return
		}
		err := sessions.Start(w, r, session.Login{
			Principal: gatehouse.Principal{Subject: subject, Issuer: "example"},
		})
		if err != nil {
			gatehouse.Refuse(w, r, err)
			return
		}
		http.Redirect(w, r, "/me", http.StatusSeeOther)
	})

	server := httptest.NewTLSServer(root)
	defer server.Close()
	browser := newBrowser(server)
	browser.do(http.MethodGet, "/me", nil)
	browser.do(http.MethodPost, "/login", url.Values{"name": {"ada"}, "password": {"wrong"}})
	browser.do(http.MethodPost, "/login", url.Values{"name": {"ada"}, "password": {"correct horse"}})
	browser.do(http.MethodPost, "/logout", nil)
	browser.do(http.MethodGet, "/me", nil)

	// Output:
	// GET /me: 401
	// POST /login: 403
	// POST /login: 200 ada of example
	// POST /logout: 204
	// GET /me: 401
}

func checkPassword(_ context.Context, name, password string) (string, bool) {
	return name, password == "correct horse"
}

// browser is a client that says about its requests what browsers say.
type browser struct {
	client *http.Client
	origin string
}

func newBrowser(server *httptest.Server) browser {
	client := server.Client()
	client.Jar, _ = cookiejar.New(nil) // never fails
	return browser{client, server.URL}
}

func (b browser) do(method, path string, form url.Values) {
	r, err := http.NewRequest(method, b.origin+path, strings.NewReader(form.Encode()))
	if err != nil {
		log.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	response, err := b.client.Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	text := ""
	if response.StatusCode == http.StatusOK {
		body := make([]byte, 100)
		n, _ := response.Body.Read(body)
		text = " " + string(body[:n])
	}
	fmt.Printf("%s %s: %d%s\n", method, path, response.StatusCode, text)
}
