// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
)

// snippet: signin

// site puts pages behind a login at an authorization server. The browser gets a
// cookie that names a session; the tokens stay here.
func site(client *oauth.Client, keys *cookie.Ring, store session.Store, pages http.Handler) (http.Handler, error) {
	openid, err := gatehouse.NewScopes("openid")
	if err != nil {
		return nil, err
	}
	login, err := oauth.NewLogin(oauth.LoginConfig{
		Client: client, Keys: keys,
		Request: oauth.AuthorizationRequest{RedirectURI: "https://app.example.com/callback", Scopes: openid},
	})
	if err != nil {
		return nil, err
	}
	sessions, err := session.New(session.Config{
		Store: store, Keys: keys, Login: "/login",
		Refresh: client.RefreshSession, // once, however many requests ask for it
	})
	if err != nil {
		return nil, err
	}
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{sessions}, Realm: "app"})
	if err != nil {
		return nil, err
	}

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
	root.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if _, err := sessions.End(w, r); err != nil {
			gatehouse.Refuse(w, r, err)
			return
		}
		http.Redirect(w, r, "/goodbye", http.StatusSeeOther)
	})
	root.Handle("POST /backchannel-logout", login.BackChannelLogout(sessions))
	return root, nil
}

// end snippet

func Example_signIn() {
	client, err := oauth.New(oauth.Config{
		Issuer: "https://auth.example.com", ClientID: "web", Secret: gatehouse.NewSecret([]byte("from gatehouse.LoadSecret")),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	keys, err := cookie.NewRing(gatehouse.NewSecret([]byte(strings.Repeat("from LoadSecret too ", 2))))
	if err != nil {
		log.Fatal(err)
	}
	h, err := site(client, keys, session.NewMemory(0), http.NotFoundHandler())
	if err != nil {
		log.Fatal(err)
	}

	fetch := httptest.NewRequest(http.MethodGet, "/reports", http.NoBody)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, fetch)
	fmt.Println(w.Code)
	navigation := httptest.NewRequest(http.MethodGet, "/reports", http.NoBody)
	navigation.Header.Set("Accept", "text/html")
	w = httptest.NewRecorder()
	h.ServeHTTP(w, navigation)
	fmt.Println(w.Code, w.Header().Get("Location"))
	// Output:
	// 401
	// 303 /login?return_to=%2Freports
}
