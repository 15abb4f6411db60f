// SPDX-License-Identifier: Apache-2.0

package scs

import (
	"fmt"
	"log/slog"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
)

// snippet: after

// After returns the website with Gatehouse. The timeouts are the defaults.
func After(password func(name, password string) bool, logger *slog.Logger) (http.Handler, error) {
	observer := gatehouse.Log(logger)
	sessions, err := session.New(session.Config{Store: session.NewMemory(0), Observer: observer})
	if err != nil {
		return nil, err
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{sessions}, Realm: "website", LoginURL: "/login", Observer: observer,
	})
	if err != nil {
		return nil, err
	}
	mux := gate.Mux()
	mux.Public("POST /login", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.PostFormValue("name")
		if !password(name, r.PostFormValue("password")) {
			http.Error(w, "wrong name or password", http.StatusForbidden)
			return
		}
		if err := sessions.Start(w, r, session.Login{Principal: gatehouse.Principal{Subject: name, Issuer: "website"}}); err != nil {
			gatehouse.Refuse(w, r, err)
			return
		}
		http.Redirect(w, r, "/account", http.StatusSeeOther)
	}))
	mux.HandleFunc("GET /account", func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprintf(w, "account of %s", p.Subject)
	}, gatehouse.Authenticated)
	mux.HandleFunc("POST /account", func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprintf(w, "changed by %s", p.Subject)
	}, gatehouse.Authenticated)
	mux.Public("POST /logout", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := sessions.End(w, r); err != nil {
			gatehouse.Refuse(w, r, err)
		}
	}))
	return mux, nil
}

// end snippet
