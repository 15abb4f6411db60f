// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
)

// A stream ends with its session: at a logout on another node, at the absolute timeout,
// and at the idle timeout, which the stream does not extend.
func TestStreamEndsWithSession(t *testing.T) {
	for name, test := range map[string]struct {
		config      session.Config
		logout      time.Duration // 0 for none
		least, most time.Duration // when the stream ends
	}{
		"logout":           {session.Config{}, 20 * time.Second, 20 * time.Second, 35 * time.Second},
		"idle timeout":     {session.Config{Idle: 5 * time.Minute}, 0, 5 * time.Minute, 5*time.Minute + 15*time.Second},
		"absolute timeout": {session.Config{Idle: time.Hour, Absolute: time.Hour}, 2 * time.Hour, time.Hour, time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := newApp(t, test.config)
			secret := a.login(t, person("alice"))
			gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{a.Manager}, Realm: "test"}))
			start := time.Now()
			if test.logout > 0 {
				time.AfterFunc(test.logout, func() {
					if _, err := a.EndAll(t.Context(), session.Selector{Issuer: person("alice").Principal.Issuer, Subject: "alice"}); err != nil {
						t.Error(err)
					}
				})
			}
			served := false
			gate.Handler(gatehouse.EndAtExpiry(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				served = true
				<-r.Context().Done()
			}))).ServeHTTP(httptest.NewRecorder(), request(http.MethodGet, "/", with(secret)))
			if got := time.Since(start); !served || got < test.least || got > test.most {
				t.Errorf("%s: served %v, context ended after %v, want %v to %v", name, served, got, test.least, test.most)
			}
		})
	}
}
