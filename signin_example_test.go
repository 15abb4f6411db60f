// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
)

// snippet: signin

// site puts pages behind a login at an authorization server. The browser gets a
// cookie that names a session; the tokens stay here.
func site(origin string, logger *slog.Logger) (http.Handler, error) {
	secret, err1 := gatehouse.LoadSecret("env:CLIENT_SECRET", 16)
	cookieKey, err2 := gatehouse.LoadSecret("env:COOKIE_KEY", 32) // openssl rand -hex 32
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	keys, err := cookie.NewKeyring(cookieKey)
	if err != nil {
		return nil, err
	}
	client, err := oauth.New(oauth.Config{Issuer: "https://auth.example.com", ClientID: "web", Secret: secret})
	if err != nil {
		return nil, err
	}
	observer := gatehouse.Log(logger) // says why somebody is not let in
	wanted, err := gatehouse.NewScopes("openid", "offline_access")
	if err != nil {
		return nil, err
	}
	login, err := oauth.NewLogin(oauth.LoginConfig{
		Client: client, Keys: keys, Observer: observer,
		Request: oauth.AuthorizationRequest{
			RedirectURI: origin + "/callback", Scopes: wanted,
			Params: url.Values{"prompt": {"consent"}}, // which many want with offline_access
		},
	})
	if err != nil {
		return nil, err
	}
	sessions, err := session.New(session.Config{
		Store: session.NewMemory(0), Keys: keys, Observer: observer, Login: "/login",
		Refresh: client.RefreshSession, // once, however many requests ask for it
	})
	if err != nil {
		return nil, err
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{sessions}, Realm: "app", Observer: observer,
	})
	if err != nil {
		return nil, err
	}

	pages := http.NewServeMux()
	pages.HandleFunc("GET /reports", func(w http.ResponseWriter, r *http.Request) {
		tokens, err := sessions.Tokens(r.Context()) // renewed, where they are over
		if err != nil {
			gatehouse.Refuse(w, r, err)
			return
		}
		showReports(w, r, "Bearer "+string(tokens.Access.Reveal())) // from another server
	})

	root := http.NewServeMux()
	root.Handle("/", gate.Handler(pages)) // a fetch gets 401, a person the login
	root.HandleFunc("GET /login", login.Start)
	root.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		result, err := login.Callback(w, r)
		if err == nil {
			err = sessions.Start(w, r, result.Session())
		}
		if err != nil {
			login.Refuse(w, r, err)
			return
		}
		http.Redirect(w, r, result.ReturnTo, http.StatusSeeOther)
	})
	root.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) { // a form, not a link
		if _, err := sessions.End(w, r); err != nil {
			gatehouse.Refuse(w, r, err)
			return
		}
		http.Redirect(w, r, "/goodbye", http.StatusSeeOther)
	})
	root.Handle("POST /backchannel-logout", login.BackChannelLogout(sessions))
	root.HandleFunc("GET /goodbye", func(w http.ResponseWriter, _ *http.Request) { // outside the gate
		fmt.Fprintln(w, "You are signed out.")
	})
	return root, nil
}

// end snippet

func showReports(http.ResponseWriter, *http.Request, string) {}

// A site whose visitors are sent to the login, and whose scripts are not.
func TestSite(t *testing.T) {
	t.Setenv("CLIENT_SECRET", "a secret that the authorization server knows")
	t.Setenv("COOKIE_KEY", strings.Repeat("c", 64))
	h, err := site("https://app.example.com", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path, accept string
		status               int
		location             string
	}{
		{"GET", "/reports", "application/json", http.StatusUnauthorized, ""},
		{"GET", "/reports", "text/html", http.StatusSeeOther, "/login?return_to=%2Freports"},
		{"GET", "/goodbye", "text/html", http.StatusOK, ""},
		{"GET", "/callback?state=x", "text/html", http.StatusBadRequest, ""},
		{"POST", "/backchannel-logout", "", http.StatusBadRequest, ""},
		{"POST", "/logout", "text/html", http.StatusForbidden, ""},
	} {
		r := httptest.NewRequest(c.method, c.path, http.NoBody)
		r.Header.Set("Accept", c.accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status || w.Header().Get("Location") != c.location {
			t.Errorf("%s %s for %s: %d to %q", c.method, c.path, c.accept, w.Code, w.Header().Get("Location"))
		}
	}
	t.Setenv("COOKIE_KEY", "short")
	if _, err := site("http://app.example.com", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a short key is accepted")
	}
}
