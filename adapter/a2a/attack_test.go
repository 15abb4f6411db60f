// SPDX-License-Identifier: Apache-2.0

package gatea2a_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	gatea2a "github.com/gatehouse-go/gatehouse/adapter/a2a"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	require "github.com/gatehouse-go/gatehouse/scopes"
)

func TestAttack(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}, Target: "/a2a", Scope: "data:read"})
	agent := must(gatea2a.New(start(t).config()))
	gate := must(gatehouse.New(gatehouse.Config{Realm: "agent", Authenticators: []gatehouse.Authenticator{must(jwtauth.New(jwtauth.Config{
		Issuers: []jwtauth.Issuer{{URL: issuer.URL, Audiences: []string{issuer.Audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.Discover()}},
	}))}}))
	mux := gate.Mux()
	mux.Handle("/a2a", agent, require.All("data:read"))
	// A message for each GET.
	authtest.Attack(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		if r.Method == http.MethodGet {
			r.Method = http.MethodPost
		}
		body := `{"jsonrpc":"2.0","id":1,"method":"message/send","params":{"message":{"kind":"message","messageId":"1","role":"user",` +
			`"metadata":{"skill":"read"},"parts":[{"kind":"data","data":{"topic":"x"}}]}}}`
		r.Header.Set("Content-Type", "application/json")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		mux.ServeHTTP(w, r)
	}), issuer)
}
