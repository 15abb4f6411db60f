// SPDX-License-Identifier: Apache-2.0

// Website is a page behind a login at an OpenID provider.
//
//	ISSUER=https://auth.example.com CLIENT_ID=web CLIENT_SECRET=… COOKIE_KEY=$(openssl rand -hex 32) go run ./examples/website
package main

import (
	"errors"
	"fmt"
	"html"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
)

func main() {
	secret, err1 := gatehouse.LoadSecret("env:CLIENT_SECRET", 16)
	cookieKey, err2 := gatehouse.LoadSecret("env:COOKIE_KEY", 32)
	login, err3 := signin.New(signin.Config{
		Client:        oauth.Config{Issuer: os.Getenv("ISSUER"), ClientID: os.Getenv("CLIENT_ID"), Secret: secret},
		RedirectURI:   "http://127.0.0.1:8080/auth/callback", // register it
		CookieSecrets: []gatehouse.Secret{cookieKey},
		Session:       session.Config{Store: session.NewMemory(0)},
		Observer:      gatehouse.Log(slog.Default()),
	})
	if err := errors.Join(err1, err2, err3); err != nil {
		log.Fatal(err)
	}
	server := &http.Server{
		Addr: "127.0.0.1:8080", Handler: login.Protect(http.HandlerFunc(hello)), ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	log.Fatal(server.ListenAndServe())
}

func hello(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	fmt.Fprintf(w, `<!DOCTYPE html><p>Hello, %s.<form method="post" action="/auth/logout"><button>Sign out</button></form>`, html.EscapeString(p.Subject))
}
