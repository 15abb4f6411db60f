// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// A stream ends with its token: when it is revoked, and when it would no longer be
// accepted, which is at its expiry and the clock skew.
func TestStreamEndsWithToken(t *testing.T) {
	const skew = 30 * time.Second
	for name, test := range map[string]struct {
		lifetime, revoked, after, most time.Duration
	}{
		"revoked":                    {30 * time.Minute, 20 * time.Second, 20 * time.Second, 35 * time.Second},
		"expired":                    {20 * time.Second, 0, 20*time.Second + skew - 1, 20*time.Second + skew},
		"expired before it was used": {-10 * time.Second, 0, skew - 10*time.Second - 1, skew - 10*time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &revocations{answers: make(map[string]error)}
			a := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Revocations, c.Skew = r, skew }))
			gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{a}, Realm: "test"}))
			start := time.Now()
			if test.revoked > 0 {
				time.AfterFunc(test.revoked, func() {
					r.mu.Lock()
					defer r.mu.Unlock()
					r.answers["stream"] = nil
				})
			}
			request := httptest.NewRequest(http.MethodGet, "/", nil)
			request.Header.Set("Authorization", "Bearer "+token(nil, object{"jti": "stream", "iat": start.Add(-time.Minute).Unix(), "exp": start.Add(test.lifetime).Unix()}))
			served := false
			gate.Handler(gatehouse.EndAtExpiry(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				served = true
				<-r.Context().Done()
			}))).ServeHTTP(httptest.NewRecorder(), request)
			if got := time.Since(start); !served || got <= test.after || got > test.most {
				t.Errorf("%s: served %v, context ended after %v, want more than %v, at most %v", name, served, got, test.after, test.most)
			}
		})
	}
}
