// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

func TestEndAtExpiry(t *testing.T) {
	for _, test := range []struct {
		name      string
		expires   time.Duration // from now, 0 for never
		canceled  time.Duration // by the client
		wantAfter time.Duration
		wantErr   error
	}{
		{"credential expires first", time.Hour, 2 * time.Hour, time.Hour, context.DeadlineExceeded},
		{"client leaves first", 2 * time.Hour, time.Hour, time.Hour, context.Canceled},
		{"credential never expires", 0, 3 * time.Hour, 3 * time.Hour, context.Canceled},
		{"credential has expired", -time.Second, time.Hour, 0, context.DeadlineExceeded},
		{"handler returns at once", time.Hour, 2 * time.Hour, 0, context.Canceled}, // the timer stops
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				p := user()
				p.Expires = time.Time{}
				if test.expires != 0 {
					p.Expires = start.Add(test.expires)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(test.canceled, cancel)
				var after time.Duration
				var err error
				var inner context.Context
				gateOf(t, accepts(p)).Handler(gatehouse.EndAtExpiry(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					if got, ok := gatehouse.FromContext(r.Context()); !ok || got != *p {
						t.Errorf("FromContext = %+v, %v", got, ok)
					}
					if inner = r.Context(); test.name != "handler returns at once" {
						<-inner.Done()
					} else if inner.Err() != nil {
						t.Errorf("context ended at once: %v", inner.Err())
					}
					after = time.Since(start)
				}))).ServeHTTP(httptest.NewRecorder(), request().WithContext(ctx))
				if err = inner.Err(); after != test.wantAfter || !errors.Is(err, test.wantErr) {
					t.Errorf("context ended after %v: %v; want %v: %v", after, err, test.wantAfter, test.wantErr)
				}
			})
		})
	}
}

func TestEndAtExpiryOutsideGate(t *testing.T) {
	r := request()
	same := false
	gatehouse.EndAtExpiry(http.HandlerFunc(func(_ http.ResponseWriter, next *http.Request) { same = next == r })).
		ServeHTTP(httptest.NewRecorder(), r)
	if !same {
		t.Error("the handler did not get the request as it was")
	}
}

// changing is an authenticator that can check a request again.
type changing struct {
	start   time.Time
	expires time.Time
	ends    time.Duration // from when on it returns err
	err     error
	subject string // instead, if not empty
	panics  bool
	checks  []time.Duration
}

func (c *changing) Reads() gatehouse.Reads {
	return gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "Bearer"}}, Rechecks: true}
}

func (c *changing) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	p := user()
	p.Expires = c.expires
	if !gatehouse.IsRecheck(r.Context()) {
		return gatehouse.NewProof(p), nil
	}
	if _, ok := r.Context().Deadline(); !ok || r.Header.Get("Authorization") == "" {
		return gatehouse.Proof{}, errors.New("the check has no deadline, or no credential")
	}
	c.checks = append(c.checks, time.Since(c.start))
	if time.Since(c.start) < c.ends {
		return gatehouse.NewProof(p), nil
	}
	if c.panics {
		panic("check")
	}
	if c.subject != "" {
		p.Subject = c.subject
		return gatehouse.NewProof(p), nil
	}
	return gatehouse.Proof{}, c.err
}

// A credential ends when its authenticator says so: after a logout, an idle timeout or a
// revocation, and at the expiry by the authenticator's clock, with its allowance for
// skew.
func TestStreamEndsWithCredential(t *testing.T) {
	errEnded := &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: "ended"}
	for _, test := range []struct {
		name       string
		expires    time.Duration // by the clock of the process, 0 for never
		a          changing
		wantAfter  time.Duration
		wantChecks int
	}{
		{"ends by revocation", 0, changing{ends: 20 * time.Second, err: errEnded}, 30 * time.Second, 2},
		{"ends by revocation before the expiry", time.Hour, changing{ends: 40 * time.Second, err: errEnded}, 45 * time.Second, 3},
		{"ends at the expiry", 20 * time.Second, changing{ends: 20 * time.Second, err: errEnded}, 20 * time.Second, 2},
		{"clock of the store is 10 s behind", 20 * time.Second, changing{ends: 30 * time.Second, err: errEnded}, 30 * time.Second, 12},
		{"accepted within the skew", -10 * time.Second, changing{ends: 2500 * time.Millisecond, err: errEnded}, 3 * time.Second, 3},
		{"clock of the store is an hour behind", -time.Hour, changing{ends: time.Minute, err: errEnded}, time.Minute, 4},
		{"backend is unavailable", 0, changing{ends: time.Second, err: errors.New("store: down")}, 15 * time.Second, 1},
		{"another caller", 0, changing{ends: time.Second, subject: "mallory"}, 15 * time.Second, 1},
		{"authenticator panics", 0, changing{ends: time.Second, panics: true}, 15 * time.Second, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := test.a
				if a.start = time.Now(); test.expires != 0 {
					a.expires = a.start.Add(test.expires)
				}
				r := request()
				r.Header.Set("Authorization", "Bearer x")
				var inner context.Context
				gateOf(t, &a).Handler(gatehouse.EndAtExpiry(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					inner = r.Context()
					<-inner.Done()
				}))).ServeHTTP(httptest.NewRecorder(), r)
				if after := time.Since(a.start); after != test.wantAfter || len(a.checks) != test.wantChecks {
					t.Errorf("context ended after %v and %d checks, want %v and %d", after, len(a.checks), test.wantAfter, test.wantChecks)
				}
				cause := context.Cause(inner)
				if !errors.Is(cause, gatehouse.ErrCredentialEnded) || a.err != nil && !errors.Is(cause, a.err) {
					t.Errorf("cause = %v, want %v and %v", cause, gatehouse.ErrCredentialEnded, a.err)
				}
				time.Sleep(time.Minute)
				if len(a.checks) != test.wantChecks {
					t.Errorf("%d checks a minute after the end, want %d", len(a.checks), test.wantChecks)
				}
			})
		})
	}
}

// When the handler returns, no check runs or follows.
func TestStreamChecksEndWithTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := changing{start: time.Now(), ends: time.Hour}
		r := request()
		r.Header.Set("Authorization", "Bearer x")
		gateOf(t, &a).Handler(gatehouse.EndAtExpiry(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			time.Sleep(20 * time.Second)
			if err := r.Context().Err(); err != nil {
				t.Errorf("context ended: %v", err)
			}
		}))).ServeHTTP(httptest.NewRecorder(), r)
		time.Sleep(time.Hour)
		if len(a.checks) != 1 {
			t.Errorf("checks = %v, want one", a.checks)
		}
	})
}
