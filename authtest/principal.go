// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// Principal returns a user with an access token that has these scopes and is valid
// for an hour. Set the other fields that a test needs:
//
//	p := authtest.Principal("alice", "reports:read")
//	p.Tenant = "acme"
//
// It panics if a scope is malformed.
func Principal(subject string, scopes ...string) gatehouse.Principal {
	set, err := gatehouse.NewScopes(scopes...)
	if err != nil {
		panic(fmt.Errorf("authtest: Principal: %w", err))
	}
	return gatehouse.Principal{
		Kind:    gatehouse.KindUser,
		Subject: subject,
		Issuer:  "https://issuer.example.com",
		Client:  clientID,
		Method:  "jwt",
		Scopes:  set,
		Expires: time.Now().Add(time.Hour).Truncate(time.Second),
	}
}

// Request returns a copy of r with the caller p, like a request behind a gate. Use it to
// test a handler behind [gatehouse.Require] without a credential.
func Request(r *http.Request, p gatehouse.Principal) *http.Request {
	return r.WithContext(gatehouse.NewContext(r.Context(), p))
}

// Handler calls next like a gate whose caller is always p, for tests of routers and
// middleware. It does not authenticate requests: never use it in production.
func Handler(p gatehouse.Principal, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, Request(r, p))
	})
}
