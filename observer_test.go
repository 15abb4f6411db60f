// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

// recorder is a response that notes when it is written to.
type recorder struct {
	http.ResponseWriter
	note func(string)
}

func (r recorder) WriteHeader(status int) {
	r.note("header")
	r.ResponseWriter.WriteHeader(status)
}

func (r recorder) Write(b []byte) (int, error) {
	r.note("body")
	return r.ResponseWriter.Write(b)
}

// Every decision is told once, and before anything is written.
func TestObserverIsToldBeforeTheResponse(t *testing.T) {
	for _, test := range []struct {
		name          string
		authenticator gatehouse.Authenticator
		policy        gatehouse.Policy
		want          []string
	}{
		{"allowed", admit(person()), allow, []string{"allowed", "body"}},
		{"refused", refuse(gatehouse.ErrNoCredentials), allow, []string{"refused", "header", "body"}},
		{"redirected", refuse(&gatehouse.Error{Code: gatehouse.CodeInvalidToken, Login: "/login"}), allow, []string{"refused", "header"}},
		{"unavailable", refuse(io.ErrUnexpectedEOF), allow, []string{"unavailable", "header", "body"}},
		{"denied", admit(person()), deny(errors.New("no")), []string{"allowed", "denied", "header", "body"}},
		{"denied for now", admit(person()), deny(&gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable}), []string{"allowed", "unavailable", "header", "body"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var notes []string
			note := func(s string) { notes = append(notes, s) }
			gate := newGate(t, gatehouse.Config{
				Authenticators: []gatehouse.Authenticator{test.authenticator},
				Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
					note(string(e.Decision))
					return nil
				}),
			})
			handler := gate.Handler(gatehouse.Require(test.policy)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "in")
			})))
			handler.ServeHTTP(recorder{httptest.NewRecorder(), note}, request("Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"))
			if !reflect.DeepEqual(notes, test.want) {
				t.Errorf("%v, want %v", notes, test.want)
			}
		})
	}
}

// What cannot be recorded does not stand, and that includes the good news.
func TestObserverError(t *testing.T) {
	for name, test := range map[string]struct {
		authenticator gatehouse.Authenticator
		policy        gatehouse.Policy
		failing       gatehouse.Decision
	}{
		"allowed":     {admit(person()), allow, gatehouse.Allowed},
		"refused":     {refuse(&gatehouse.Error{Code: gatehouse.CodeInvalidToken, Header: http.Header{"X-Error": {"1"}}}), allow, gatehouse.Refused},
		"unavailable": {refuse(&gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Header: http.Header{"X-Error": {"1"}}}), allow, gatehouse.Unavailable},
		"denied":      {admit(person()), deny(&gatehouse.Error{Code: gatehouse.CodeAccessDenied, Header: http.Header{"X-Error": {"1"}}}), gatehouse.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			gate := newGate(t, gatehouse.Config{
				Authenticators: []gatehouse.Authenticator{test.authenticator},
				Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
					if e.Decision == test.failing {
						return errors.New("disk full")
					}
					return nil
				}),
			})
			a := sendThrough(behind(gate, test.policy), request())
			a.check(t, 503, gatehouse.CodeTemporarilyUnavailable)
			want := http.Header{
				"Cache-Control": {"no-store"}, "Content-Type": {"application/json"}, "X-Content-Type-Options": {"nosniff"}, "Retry-After": {"5"},
			}
			if !reflect.DeepEqual(a.header, want) {
				t.Errorf("header %v, want %v", a.header, want)
			}
		})
	}
}

// A proof's header is not sent with a refusal.
func TestObserverErrorHoldsTheProofUp(t *testing.T) {
	gate := newGate(t, gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{proof(gatehouse.Proof{
			Principal: person(), Source: gatehouse.SourceHeader, Header: http.Header{"Dpop-Nonce": {"n-1"}},
		})},
		Observer: &events{err: errors.New("disk full")},
	})
	a := send(gate, request())
	a.check(t, 503, gatehouse.CodeTemporarilyUnavailable)
	if a.header.Get("DPoP-Nonce") != "" {
		t.Error("the header of the proof was sent")
	}
}

func TestEvent(t *testing.T) {
	cause := errors.New("why")
	for _, test := range []struct {
		name          string
		authenticator gatehouse.Authenticator
		want          gatehouse.Event
	}{
		{
			"allowed", admit(person()),
			gatehouse.Event{
				Decision: gatehouse.Allowed, Principal: *person(), Issuer: "https://auth.example.com", Credential: "jti-1",
				Method: "PATCH", Host: "api.example.com", Path: "/a/b",
			},
		},
		{
			"refused", refuse(&gatehouse.Error{
				Code: gatehouse.CodeInvalidToken, Reason: gatehouse.ReasonTokenExpired,
				Issuer: "https://auth.example.com", Credential: "jti-1", Cause: cause,
			}),
			gatehouse.Event{
				Decision: gatehouse.Refused, Reason: gatehouse.ReasonTokenExpired, Code: gatehouse.CodeInvalidToken, Status: 401,
				Issuer: "https://auth.example.com", Credential: "jti-1", Method: "PATCH", Host: "api.example.com", Path: "/a/b", Cause: cause,
			},
		},
		{
			"unavailable", refuse(cause),
			gatehouse.Event{
				Decision: gatehouse.Unavailable, Reason: gatehouse.ReasonAuthenticatorFailed, Code: gatehouse.CodeTemporarilyUnavailable, Status: 503,
				Method: "PATCH", Host: "api.example.com", Path: "/a/b", Cause: cause,
			},
		},
		{
			"nobody", refuse(gatehouse.ErrNoCredentials),
			gatehouse.Event{
				Decision: gatehouse.Refused, Reason: gatehouse.ReasonNoCredentials, Code: gatehouse.CodeMissingCredentials, Status: 401,
				Method: "PATCH", Host: "api.example.com", Path: "/a/b",
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var told events
			gate := newGate(t, gatehouse.Config{Authenticators: []gatehouse.Authenticator{test.authenticator}, Observer: &told})
			r := request()
			r.Method, r.URL.Path, r.URL.RawQuery = "PATCH", "/a/b", "secret=1"
			send(gate, r)
			if got := told.only(t); !reflect.DeepEqual(got, test.want) {
				t.Errorf("event\n%+v, want\n%+v", got, test.want)
			}
		})
	}
}

// Authenticate decides nothing about a request, so there is nothing to tell.
func TestAuthenticateTellsNobody(t *testing.T) {
	told := events{err: errors.New("disk full")}
	for _, authenticator := range []gatehouse.Authenticator{admit(person()), bearer{}} {
		gate := newGate(t, gatehouse.Config{Authenticators: []gatehouse.Authenticator{authenticator}, Observer: &told})
		_, _ = gate.Authenticate(request())
	}
	if len(told.all) != 0 {
		t.Errorf("events %+v", told.all)
	}
}

// An observer gets the context of the request, with its values and its end.
func TestObserverContext(t *testing.T) {
	type key struct{}
	var got []any
	gate := newGate(t, gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{admit(person())},
		Observer: gatehouse.ObserverFunc(func(ctx context.Context, _ gatehouse.Event) error {
			got = append(got, ctx.Value(key{}))
			return nil
		}),
	})
	r := request().WithContext(context.WithValue(t.Context(), key{}, "trace"))
	sendThrough(behind(gate, deny(errors.New("no"))), r)
	if !reflect.DeepEqual(got, []any{"trace", "trace"}) {
		t.Errorf("values %v", got)
	}
}

func TestObservers(t *testing.T) {
	a, b, c := &events{err: errors.New("a")}, &events{}, &events{err: errors.New("c")}
	list := []gatehouse.Observer{a, b, c}
	all := gatehouse.Observers(list...)
	list[1] = nil // of no effect any more
	event := gatehouse.Event{Decision: gatehouse.Allowed, Path: "/"}
	err := all.Observe(t.Context(), event)
	if !errors.Is(err, a.err) || !errors.Is(err, c.err) {
		t.Errorf("error %v", err)
	}
	for _, o := range []*events{a, b, c} {
		if !reflect.DeepEqual(o.only(t), event) {
			t.Errorf("event %+v", o.all)
		}
	}
	if err := gatehouse.Observers(b).Observe(t.Context(), event); err != nil {
		t.Errorf("error %v", err)
	}
	if err := gatehouse.Observers().Observe(t.Context(), event); err != nil {
		t.Errorf("error %v", err)
	}
	mustPanic(t, "gatehouse: Observers: nil observer", func() { gatehouse.Observers(b, nil) })
}
