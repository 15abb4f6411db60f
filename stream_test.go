// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
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
				gateOf(t, explicitly(accepts(p))).Handler(gatehouse.EndAtExpiry(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					if got, ok := gatehouse.FromContext(r.Context()); !ok || got != *p {
						t.Errorf("FromContext = %+v, %v", got, ok)
					}
					if inner = r.Context(); test.name != "handler returns at once" {
						<-inner.Done()
					} else if inner.Err() != nil {
						t.Errorf("context ended at once: %v", inner.Err())
					}
					after = time.Since(start)
				}))).ServeHTTP(httptest.NewRecorder(), request("Authorization", "Bearer x").WithContext(ctx))
				if err = inner.Err(); after != test.wantAfter || !errors.Is(err, test.wantErr) {
					t.Errorf("context ended after %v: %v; want %v: %v", after, err, test.wantAfter, test.wantErr)
				}
				equal(t, "cause is ErrCredentialEnded", errors.Is(context.Cause(inner), gatehouse.ErrCredentialEnded), test.wantErr == context.DeadlineExceeded)
			})
		})
	}
}

// A caller that a handler has set ends by its own expiry: the authenticator knows nothing
// of it.
func TestEndAtExpiryOfNewContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := *service("ci"), changing{start: time.Now(), err: gatehouse.ErrNoCredentials}
		p.Expires = a.start.Add(time.Hour)
		gateOf(t, &a).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			ctx, cancel := gatehouse.UntilCredentialEnds(gatehouse.NewContext(r.Context(), p))
			defer cancel()
			<-ctx.Done()
		})).ServeHTTP(httptest.NewRecorder(), request("Authorization", "Bearer x"))
		equal(t, "time until the end", time.Since(a.start), time.Hour)
	})
}

func TestEndAtExpiryOutsideGate(t *testing.T) {
	r := request()
	same := false
	gatehouse.EndAtExpiry(http.HandlerFunc(func(_ http.ResponseWriter, next *http.Request) { same = next == r })).
		ServeHTTP(httptest.NewRecorder(), r)
	if !same {
		t.Error("the handler did not get the request as it was")
	}
	for name, ctx := range map[string]context.Context{
		"no caller":           t.Context(),
		"an anonymous caller": gatehouse.NewContext(t.Context(), gatehouse.Principal{Expires: user().Expires.AddDate(-10, 0, 0)}),
		"a caller for ever":   gatehouse.NewContext(t.Context(), *service("ci")),
	} {
		inner, cancel := gatehouse.UntilCredentialEnds(ctx)
		noError(t, inner.Err())
		cancel()
		equal(t, "cause of the end of a context with "+name, context.Cause(inner), context.Canceled)
	}
}

// changing is an authenticator that can check a request again.
type changing struct {
	start   time.Time
	expires time.Time
	ends    time.Duration // from when on it returns err
	err     error
	change  func(*gatehouse.Principal) // instead, if not nil
	outage  time.Duration              // from the first check that fails, 0 for ever
	delay   time.Duration              // all checks from ends on are answered at this time after it
	hangs   bool
	hangUp  context.CancelFunc // the caller does so during the check
	linger  time.Duration      // of the handler, after its context has ended
	panics  bool
	none    bool // it returns the zero Proof
	checks  []time.Duration
	failed  time.Time
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
	latest := 10 * time.Second // and exactly that before the first failure
	if !c.expires.IsZero() && c.failed.IsZero() {
		latest = min(latest, max(0, time.Until(c.expires))+time.Second)
	}
	c.checks = append(c.checks, time.Since(c.start))
	_, known := gatehouse.FromContext(r.Context())
	deadline, ok := r.Context().Deadline()
	if left := time.Until(deadline); !ok || known || left > latest || left < latest && c.failed.IsZero() || r.Context().Err() != nil || r.Header.Get("Authorization") == "" {
		return gatehouse.Proof{}, &gatehouse.Error{Code: gatehouse.CodeInvalidRequest, Reason: "another deadline, no credential, or a caller before the check"}
	}
	if late := time.Since(c.start) - c.ends; late >= 0 && late < c.delay {
		time.Sleep(c.delay - late)
		if c.err == nil {
			return gatehouse.NewProof(p), nil
		}
	} else if c.delay > 0 {
		return gatehouse.NewProof(p), nil
	}
	if !c.failed.IsZero() && c.outage > 0 && time.Since(c.failed) > time.Minute {
		c.failed = time.Time{} // the next outage
	}
	if time.Since(c.start) < c.ends || !c.failed.IsZero() && c.outage > 0 && time.Since(c.failed) >= c.outage {
		return gatehouse.NewProof(p), nil
	}
	if c.failed.IsZero() {
		c.failed = time.Now()
	}
	switch {
	case c.panics:
		panic("check")
	case c.hangs:
		if c.hangUp != nil {
			c.hangUp()
		}
		<-r.Context().Done()
		return gatehouse.Proof{}, r.Context().Err()
	case c.change != nil:
		c.change(p)
	case !c.none:
		return gatehouse.Proof{}, c.err
	default:
		return gatehouse.Proof{}, nil
	}
	return gatehouse.NewProof(p), nil
}

// serve serves a stream until its context ends, and returns that context.
func (c *changing) serve(gate *gatehouse.Gate, ctx context.Context) (inner context.Context) { //nolint:revive // the receiver is the request
	r := request("Authorization", "Bearer x", "X-Tenant", "acme").WithContext(ctx)
	r.Body = io.NopCloser(strings.NewReader("for the handler"))
	gate.Handler(gatehouse.EndAtExpiry(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		inner = r.Context()
		<-inner.Done()
		time.Sleep(c.linger)
	}))).ServeHTTP(httptest.NewRecorder(), r)
	return inner
}

// A credential ends when its authenticator says so: after a logout, an idle timeout or a
// revocation, and at the expiry by the authenticator's clock, with its allowance for
// skew. It ends when the caller has less than before, and if the backend stays
// unavailable. The end is reported.
func TestStreamEndsWithCredential(t *testing.T) {
	errEnded := &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: "ended"}
	errDown := errors.New("store: down")
	becomes := func(change func(*gatehouse.Principal)) changing {
		return changing{ends: 20 * time.Second, change: change}
	}
	const failed, changed = gatehouse.ReasonAuthenticatorFailed, gatehouse.ReasonChanged
	for _, test := range []struct {
		name        string
		expires     time.Duration // by the clock of the process, 0 for never
		a           changing
		after, most time.Duration // when the context ends: later than after, unless both are equal
		reason      gatehouse.Reason
	}{
		{"ends by revocation", 0, changing{ends: 20 * time.Second, err: errEnded}, 20 * time.Second, 35 * time.Second, "ended"},
		{"ends by revocation before the expiry", time.Hour, changing{ends: 40 * time.Second, err: errEnded}, 40 * time.Second, 55 * time.Second, "ended"},
		{"ends at the expiry", 20 * time.Second, changing{ends: 20 * time.Second, err: errEnded}, 20 * time.Second, 20 * time.Second, "ended"},
		{"clock of the store is 10 s behind", 20 * time.Second, changing{ends: 30 * time.Second, err: errEnded}, 30 * time.Second, 30 * time.Second, "ended"},
		{"accepted within the skew", -10 * time.Second, changing{ends: 2500 * time.Millisecond, err: errEnded}, 3 * time.Second, 3 * time.Second, "ended"},
		{"clock of the store is an hour behind", -time.Hour, changing{ends: time.Minute, err: errEnded}, time.Minute, 75 * time.Second, "ended"},
		{"no credential any more", 0, changing{ends: 20 * time.Second, err: fmt.Errorf("session: %w", gatehouse.ErrNoCredentials)}, 20 * time.Second, 35 * time.Second, gatehouse.ReasonNoCredentials},
		{"rejected because of no credential", 0, changing{ends: 20 * time.Second, err: &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: "ended", Cause: gatehouse.ErrNoCredentials}}, 20 * time.Second, 35 * time.Second, "ended"},
		{"backend is unavailable", 0, changing{ends: 20 * time.Second, err: errDown}, 23 * time.Second, 40 * time.Second, failed},
		{"backend is unavailable, and the handler goes on", 0, changing{ends: 20 * time.Second, err: errDown, linger: 10 * time.Second}, 33 * time.Second, 50 * time.Second, failed},
		{"backend is unavailable long before the expiry", time.Hour, changing{ends: 20 * time.Second, err: errDown}, 23 * time.Second, 40 * time.Second, failed},
		{"backend is unavailable at the expiry", 20 * time.Second, changing{ends: 20 * time.Second, err: errDown}, 20 * time.Second, 20 * time.Second, failed},
		{"backend is unavailable before the expiry", 20 * time.Second, changing{ends: 17 * time.Second, err: errDown}, 17 * time.Second, 20 * time.Second, failed},
		{"backend hangs", 0, changing{hangs: true}, 15 * time.Second, 30 * time.Second, failed},
		{"backend hangs long before the expiry", time.Hour, changing{hangs: true}, 15 * time.Second, 30 * time.Second, failed},
		{"backend hangs at the expiry", 20 * time.Second, changing{ends: 20 * time.Second, hangs: true}, 21 * time.Second, 21 * time.Second, failed},
		{"backend hangs before the expiry", 20 * time.Second, changing{ends: 17 * time.Second, hangs: true}, 20 * time.Second, 21 * time.Second, failed},
		{"authenticator panics", 0, changing{ends: 20 * time.Second, panics: true}, 23 * time.Second, 40 * time.Second, failed},
		{"no caller", 0, changing{ends: 20 * time.Second, none: true}, 20 * time.Second, 35 * time.Second, changed},
		{"level of the error", 0, changing{ends: 20 * time.Second, err: &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: failed, Level: slog.LevelError}}, 20 * time.Second, 35 * time.Second, failed},
		{"another caller", 0, becomes(nil), 20 * time.Second, 35 * time.Second, changed},
		{"a scope less", 0, becomes(func(p *gatehouse.Principal) { p.Scopes = scopeSet("reports:write") }), 20 * time.Second, 35 * time.Second, changed},
		{"a role less", 0, becomes(func(p *gatehouse.Principal) { p.Roles = roleSet("reader") }), 20 * time.Second, 35 * time.Second, changed},
	} {
		all := []changing{test.a}
		if test.name == "another caller" {
			all = nil
			for _, change := range otherFields("Scopes", "Roles", "Claims", "AuthTime", "Expires", "Credential") {
				all = append(all, becomes(change))
			}
		}
		for _, a := range all {
			synctest.Test(t, func(t *testing.T) {
				if a.start = time.Now(); test.expires != 0 {
					a.expires = a.start.Add(test.expires)
				}
				gate, seen := observed(t, &a)
				inner := a.serve(gate, t.Context())
				if after := time.Since(a.start); after > test.most || after < test.after || after == test.after && test.after != test.most {
					t.Errorf("%s: context ended after %v and checks at %v, want more than %v, at most %v", test.name, after, a.checks, test.after, test.most)
				}
				if a.hangs && a.ends == 0 && time.Since(a.start)-a.checks[0] > 15*time.Second { // of which the first check takes 10 s
					t.Errorf("%s: context ended after %v, 15 s after the first check that failed: %v", test.name, time.Since(a.start), a.checks)
				}
				cause := context.Cause(inner)
				if !errors.Is(cause, gatehouse.ErrCredentialEnded) || a.err == errDown && !errors.Is(cause, a.err) {
					t.Errorf("%s: cause = %v, want %v and %v", test.name, cause, gatehouse.ErrCredentialEnded, a.err)
				}
				count := len(a.checks)
				time.Sleep(time.Minute)
				synctest.Wait() // for the event
				if len(a.checks) != count {
					t.Errorf("%s: %d checks a minute after the end, want %d", test.name, len(a.checks), count)
				}
				if len(seen.all) != 2 {
					t.Fatalf("%s: events = %+v, want two", test.name, seen.all)
				}
				e := seen.all[1]
				level := slog.LevelInfo
				if test.reason == failed {
					level = slog.LevelError
				}
				if e.Type != gatehouse.EventStreamEnded || e.Decision != "" || e.Reason != test.reason || e.Level != level ||
					e.Principal.Subject != "ada" || e.Issuer != user().Issuer || e.Credential != "jti-1" || e.Path != "/reports" || e.Duration > 10*time.Second {
					t.Errorf("%s: event = %+v, want %s with reason %s at level %v", test.name, e, gatehouse.EventStreamEnded, test.reason, level)
				}
			})
		}
	}
}

// What a caller may gain, or has in every token anew, ends no stream; nor does a short
// outage.
func TestStreamGoesOn(t *testing.T) {
	more := func(p *gatehouse.Principal) {
		p.Scopes, p.Roles = scopeSet("reports:read", "reports:write"), roleSet("editor", "reader")
		p.AuthTime, p.Expires = time.Now(), time.Now().Add(time.Hour)
		p.Credential, p.Claims = "jti-2", gatehouse.VerifiedClaims(`{"jti":"jti-2"}`)
	}
	soon := time.Date(2000, 1, 1, 0, 0, 20, 0, time.UTC) // 20 s after the start of the clock of package synctest
	for name, test := range map[string]struct {
		changing
		least, most int // checks: one in 12 to 15 s, and one in each second of the minute after the expiry
	}{
		"a caller with more":              {changing{change: more}, 40, 51},
		"outages of 3 s":                  {changing{ends: time.Minute, outage: 3 * time.Second, err: errors.New("store: down")}, 40, 100},
		"a hanging check":                 {changing{ends: time.Minute, outage: 10 * time.Second, hangs: true}, 20, 100},
		"a renewed credential":            {changing{expires: soon, change: more}, 40, 52},
		"a clock of the store far behind": {changing{expires: soon, change: func(*gatehouse.Principal) {}}, 94, 110},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := test.changing
			a.start = time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			gate, seen := observed(t, &a)
			inner := a.serve(gate, ctx)
			if cause := context.Cause(inner); !errors.Is(cause, context.DeadlineExceeded) || time.Since(a.start) != 10*time.Minute {
				t.Errorf("%s: context ended after %v: %v, want that of the request", name, time.Since(a.start), cause)
			}
			if a.failed.IsZero() || len(seen.all) != 1 {
				t.Errorf("%s: failed at %v, events %+v; want a failure and no second event", name, a.failed, seen.all)
			}
			if n := len(a.checks); n < test.least || n > test.most {
				t.Errorf("%s: %d checks in 10 min, want %d to %d", name, n, test.least, test.most)
			}
		})
	}
}

// A gate that completes callers from a database does so in each check.
func TestStreamEndsWithRoleOfEnrich(t *testing.T) {
	for want, later := range map[gatehouse.Reason]error{
		gatehouse.ReasonChanged: nil, // the caller has lost a role
		"test_blocked":          &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: "test_blocked"},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := changing{start: time.Now(), ends: time.Hour}
			var enriched []time.Duration
			gate := newGate(t, gatehouse.Config{Authenticators: list{&a}, Enrich: func(r *http.Request, p gatehouse.Principal) (gatehouse.Principal, error) {
				if got, _ := gatehouse.FromContext(r.Context()); got != p || r.Header.Get("Authorization") != "" || r.Header.Get("X-Tenant") != "acme" {
					t.Errorf("Enrich got the caller %+v and the header %v", got, r.Header)
				}
				if gatehouse.IsRecheck(r.Context()) && r.Body != http.NoBody {
					t.Error("Enrich got the body that the handler reads")
				}
				enriched = append(enriched, time.Since(a.start))
				if p.Roles = roleSet("editor", "owner"); time.Since(a.start) > time.Minute {
					p.Roles = roleSet("editor")
					return p, later
				}
				return p, nil
			}})
			inner := a.serve(gate, t.Context())
			e, _ := errors.AsType[*gatehouse.Error](context.Cause(inner))
			if after := time.Since(a.start); e == nil || e.Reason != want || after <= time.Minute || after > 75*time.Second || len(enriched) < 5 {
				t.Errorf("context ended after %v: %v, want %s; Enrich called at %v", after, context.Cause(inner), want, enriched)
			}
		})
	}
}

// An observer that panics or blocks does not change the end of a stream.
func TestStreamEndsWithoutItsObserver(t *testing.T) {
	for name, fail := range map[string]func(context.Context){
		"panics": func(context.Context) { panic("observer") },
		"blocks": func(ctx context.Context) {
			time.Sleep(time.Hour)
			noError(t, ctx.Err())
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := changing{start: time.Now(), ends: 20 * time.Second, err: &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: "ended"}}
			called := 0
			gate := newGate(t, gatehouse.Config{Authenticators: list{&a}, Observer: gatehouse.ObserverFunc(func(ctx context.Context, e gatehouse.Event) error {
				if e.Type == gatehouse.EventStreamEnded {
					called++
					fail(ctx)
				}
				return nil
			})})
			a.serve(gate, t.Context())
			synctest.Wait() // for the event
			if after := time.Since(a.start); after > 35*time.Second || called != 1 {
				t.Errorf("observer %s: request served after %v, %d events; want at most 35 s and one event", name, after, called)
			}
			time.Sleep(2 * time.Hour)
		})
	}
}

// Streams that begin at once, or whose backend answers all checks at once after a delay,
// are not checked at once.
func TestStreamChecksAreSpread(t *testing.T) {
	const streams, slot = 100, 500 * time.Millisecond
	for name, err := range map[string]error{"answers": nil, "fails": errors.New("store: down")} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(2*time.Minute, cancel)
			var all [streams]changing
			var wait sync.WaitGroup
			for i := range all {
				a := &all[i]
				a.start, a.ends, a.delay = time.Now(), 30*time.Second, 8*time.Second
				a.err = err
				gate := gateOf(t, a)
				wait.Go(func() { a.serve(gate, ctx) })
			}
			wait.Wait()
			checks := make(map[time.Duration]int)
			for i := range all {
				var before time.Duration
				for _, at := range append(all[i].checks, 2*time.Minute) {
					checks[at.Truncate(slot)]++
					if at-before > (15+8)*time.Second {
						t.Errorf("%s: stream %d: no check between %v and %v", name, i, before, at)
					}
					before = at
				}
			}
			delete(checks, 2*time.Minute)
			if !slices.ContainsFunc(all[:], func(a changing) bool { return a.checks[0] < 10*time.Second }) {
				t.Errorf("%s: no stream was checked within 10 s", name)
			}
			for at, n := range checks {
				if n > streams/2 {
					t.Errorf("%s: %d of %d streams were checked within %v of %v", name, n, streams, slot, at)
				}
			}
		})
	}
}

// When the handler returns, no check runs or follows.
func TestStreamChecksEndWithTheRequest(t *testing.T) {
	for range 50 { // a check is due when the handler returns
		synctest.Test(t, func(t *testing.T) {
			var inner context.Context
			a := changing{start: time.Now(), ends: time.Hour, expires: time.Now().Add(20 * time.Second)}
			gate, seen := observed(t, &a)
			gate.Handler(gatehouse.EndAtExpiry(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				inner = r.Context()
				time.Sleep(20 * time.Second)
				noError(t, inner.Err())
			}))).ServeHTTP(httptest.NewRecorder(), request("Authorization", "Bearer x"))
			equal(t, "end of the context", inner.Err(), context.Canceled)
			count := len(a.checks)
			time.Sleep(time.Hour)
			if count < 1 || count > 3 || len(a.checks) != count || len(seen.all) != 1 {
				t.Errorf("checks = %v, events = %+v, want one to three checks and one event", a.checks, seen.all)
			}
		})
	}
}

// A check in progress does not keep the request of a handler that returns.
func TestStreamCheckEndsWithTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var returned time.Time
		started := make(chan struct{})
		a := changing{start: time.Now(), hangs: true, hangUp: sync.OnceFunc(func() { close(started) })}
		gateOf(t, &a).Handler(gatehouse.EndAtExpiry(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			<-started
			returned = time.Now()
		}))).ServeHTTP(httptest.NewRecorder(), request("Authorization", "Bearer x"))
		equal(t, "time after the handler", time.Since(returned), 0)
	})
}

// A caller who hangs up during a check ends no credential.
func TestStreamCheckOfCallerWhoHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		a := changing{start: time.Now(), hangs: true, hangUp: cancel, linger: 10 * time.Second}
		gate, seen := observed(t, &a)
		if inner := a.serve(gate, ctx); context.Cause(inner) != context.Canceled {
			t.Errorf("cause = %v, want that of the request", context.Cause(inner))
		}
		time.Sleep(time.Minute)
		if len(a.checks) != 1 || len(seen.all) != 1 {
			t.Errorf("checks = %v, events = %+v, want one of each", a.checks, seen.all)
		}
	})
}
