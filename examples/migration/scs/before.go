// SPDX-License-Identifier: Apache-2.0

// Package scs has one website with a login form twice: with scs, and with Gatehouse.
package scs

import (
	"fmt"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
)

// snippet: before

// Before returns the website with scs.
func Before(password func(name, password string) bool) http.Handler {
	sessions := scs.New()
	sessions.Lifetime, sessions.IdleTimeout = 12*time.Hour, 30*time.Minute
	sessions.Cookie.Secure = true
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		name := r.PostFormValue("name")
		if !password(name, r.PostFormValue("password")) {
			http.Error(w, "wrong name or password", http.StatusForbidden)
			return
		}
		if err := sessions.RenewToken(r.Context()); err != nil {
			http.Error(w, "unavailable", http.StatusServiceUnavailable)
			return
		}
		sessions.Put(r.Context(), "user", name)
		http.Redirect(w, r, "/account", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /account", func(w http.ResponseWriter, r *http.Request) {
		user := sessions.GetString(r.Context(), "user")
		if user == "" {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, "account of %s", user)
	})
	mux.HandleFunc("POST /account", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "changed by %s", sessions.GetString(r.Context(), "user"))
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.Destroy(r.Context()); err != nil {
			http.Error(w, "unavailable", http.StatusServiceUnavailable)
		}
	})
	return sessions.LoadAndSave(mux)
}

// end snippet
