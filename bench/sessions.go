// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
)

// sessionRace is a session in memory: ours through the whole gate, with the
// principal at hand, against the middleware of scs with the same four values in
// it, of which one is read. scs has no idle timeout unless it is asked for,
// which saves it a write in each request.
func sessionRace(passes int, burst time.Duration) (pathResult, error) {
	ours, err := ourSessions()
	if err != nil {
		return pathResult{}, err
	}
	results, err := race([]contestant{scsSessions(), ours}, passes, burst)
	if err != nil {
		return pathResult{}, err
	}
	return pathResult{results[1], "scs v2, LoadAndSave with its store in memory", "0.1"}, nil
}

func scsSessions() contestant {
	manager := scs.New()
	manager.Store = memstore.NewWithCleanupInterval(0)
	var list []*http.Request
	login := manager.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"subject": r.URL.Query().Get("n"), "issuer": "https://auth.example", "tenant": "acme", "scope": "reports:read",
		} {
			manager.Put(r.Context(), name, value)
		}
	}))
	for n := range distinct {
		w := httptest.NewRecorder()
		login.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?n="+strconv.Itoa(n), http.NoBody))
		list = append(list, withCookies(w))
	}
	return serving("floor", manager.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if manager.GetString(r.Context(), "subject") != "" {
			w.WriteHeader(http.StatusOK)
		}
	})), list)
}

func ourSessions() (contestant, error) {
	sessions, err := session.New(session.Config{Store: session.NewMemory(0)})
	if err != nil {
		return contestant{}, err
	}
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{sessions}, Realm: "bench"})
	if err != nil {
		return contestant{}, err
	}
	scopes, err := gatehouse.NewScopes("reports:read")
	if err != nil {
		return contestant{}, err
	}
	var list []*http.Request
	for n := range distinct {
		w := httptest.NewRecorder()
		p := gatehouse.Principal{Subject: strconv.Itoa(n), Issuer: "https://auth.example", Tenant: "acme", Scopes: scopes}
		r := httptest.NewRequest(http.MethodPost, "/login", http.NoBody)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		if err := sessions.Start(w, r, session.Login{Principal: p}); err != nil {
			return contestant{}, errors.Join(err, sessions.Close())
		}
		list = append(list, withCookies(w))
	}
	return serving("session in memory, full gate", gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, _ := gatehouse.FromContext(r.Context()); p.Subject != "" {
			w.WriteHeader(http.StatusOK)
		}
	})), list), nil
}

// withCookies is a request of a page of the server's own, with what a response
// has put into the browser.
func withCookies(w *httptest.ResponseRecorder) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, c := range w.Result().Cookies() {
		r.AddCookie(c)
	}
	return r
}
