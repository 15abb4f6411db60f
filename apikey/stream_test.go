// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

// A stream ends with its key, by the clock of the store. Its checks are no uses, and no
// use after the revocation.
func TestStreamEndsWithKey(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(t *testing.T, f fixture, id string) // after 20 s
		most time.Duration                            // when the stream ends, by a check after end
	}{
		"revoked":   {func(t *testing.T, f fixture, id string) { must(f.Revoke(t.Context(), id))(t) }, 35 * time.Second},
		"suspended": {func(t *testing.T, f fixture, id string) { must(f.Suspend(t.Context(), id))(t) }, 35 * time.Second},
		"rotated":   {func(t *testing.T, f fixture, id string) { f.rotate(t, id, 0) }, 35 * time.Second},
		"expired":   {func(*testing.T, fixture, string) {}, 3 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newKeys(t, func(c *apikey.Config) { c.Thresholds = apikey.Thresholds{UsesAfterRevocation: true} })
			r := request()
			r.Lifetime = 3 * time.Minute
			key, text := f.create(t, r)
			gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{f.Keys}, Realm: "test"}))(t)
			start, served := time.Now(), false
			time.AfterFunc(20*time.Second, func() { test.end(t, f, key.ID) })
			gate.Handler(gatehouse.EndAtExpiry(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				served = true
				<-r.Context().Done()
			}))).ServeHTTP(httptest.NewRecorder(), get(text))
			if got := time.Since(start); !served || got <= 20*time.Second || got > test.most {
				t.Errorf("%s: served %v, context ended after %v, want at most %v", name, served, got, test.most)
			}
			f.wantCalls(t, "Touch", 1)
			for _, e := range f.events.take() {
				if e.Type == apikey.EventUsedAfterRevocation {
					t.Errorf("%s: event %s by a check of the stream", name, e.Type)
				}
			}
		})
	}
}
