// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

func TestEndAtExpiry(t *testing.T) {
	for _, test := range []struct {
		name    string
		expires time.Duration // from now, 0 for never
		patient time.Duration // of the caller
		want    time.Duration
		cause   error
	}{
		{"credential ends first", time.Hour, 2 * time.Hour, time.Hour, context.DeadlineExceeded},
		{"caller goes first", 2 * time.Hour, time.Hour, time.Hour, context.Canceled},
		{"credential never ends", 0, 3 * time.Hour, 3 * time.Hour, context.Canceled},
		{"credential has ended", -time.Second, time.Hour, 0, context.DeadlineExceeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				p := person()
				p.Expires = time.Time{}
				if test.expires != 0 {
					p.Expires = start.Add(test.expires)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(test.patient, cancel)

				var took time.Duration
				var err error
				var outer context.Context
				gateOf(t, admit(p)).Handler(gatehouse.EndAtExpiry(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					outer = r.Context()
					if got, ok := gatehouse.FromContext(r.Context()); !ok || got.Subject != "ada" {
						t.Errorf("caller %+v", got)
					}
					<-r.Context().Done()
					took, err = time.Since(start), r.Context().Err()
				}))).ServeHTTP(httptest.NewRecorder(), request().WithContext(ctx))

				if took != test.want || err != test.cause {
					t.Errorf("after %v: %v; want after %v: %v", took, err, test.want, test.cause)
				}
				if outer.Err() == nil {
					t.Error("the context outlives its request")
				}
			})
		})
	}
}

// The deadline does not stay behind when the handler returns early.
func TestEndAtExpiryCleansUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := person()
		p.Expires = time.Now().Add(time.Hour)
		var inner context.Context
		gateOf(t, admit(p)).Handler(gatehouse.EndAtExpiry(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			inner = r.Context()
			if inner.Err() != nil {
				t.Errorf("ended at once: %v", inner.Err())
			}
		}))).ServeHTTP(httptest.NewRecorder(), request())
		if inner.Err() != context.Canceled {
			t.Errorf("%v", inner.Err())
		}
	})
}

// Without a caller there is no expiry, and nothing is let in or kept out.
func TestEndAtExpiryOutsideGate(t *testing.T) {
	r := request()
	reached := false
	gatehouse.EndAtExpiry(http.HandlerFunc(func(_ http.ResponseWriter, next *http.Request) {
		reached = next == r
	})).ServeHTTP(httptest.NewRecorder(), r)
	if !reached {
		t.Error("the request did not pass as it was")
	}
	mustPanic(t, "gatehouse: EndAtExpiry: nil handler", func() { gatehouse.EndAtExpiry(nil) })
}
