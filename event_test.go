// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

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

// The observer gets each decision once, before anything is written. Its error
// turns the decision into 503, also one that allows, and no header of the
// decision is sent.
func TestObserver(t *testing.T) {
	extra := http.Header{"X-Extra": {"1"}}
	withHeader := acceptsWith(user(), extra)
	for _, test := range []struct {
		name          string
		authenticator gatehouse.Authenticator
		policy        gatehouse.Policy
		failing       gatehouse.Decision
		want          string
	}{
		{"allowed", withHeader, allow, gatehouse.Allowed, "allowed body"},
		{"rejected", rejects(&gatehouse.Error{Code: gatehouse.CodeInvalidRequest, Header: extra}), allow, gatehouse.Rejected, "rejected header body"},
		{"redirected", rejects(&gatehouse.Error{Code: gatehouse.CodeInvalidToken, Header: extra}), allow, gatehouse.Rejected, "rejected header"},
		{"unavailable", rejects(&gatehouse.Error{Header: extra}), allow, gatehouse.Unavailable, "unavailable header body"},
		{"denied", accepts(user()), deny(&gatehouse.Error{Code: gatehouse.CodeAccessDenied, Header: extra}), gatehouse.Denied, "allowed denied header body"},
		{"denied by a failure", accepts(user()), deny(&gatehouse.Error{Header: extra}), gatehouse.Unavailable, "allowed unavailable header body"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, fails := range []bool{false, true} {
				var notes []string
				note := func(s string) { notes = append(notes, s) }
				gate := newGate(t, gatehouse.Config{
					Authenticators: list{test.authenticator}, LoginURL: "/login",
					Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
						note(string(e.Decision))
						if fails && e.Decision == test.failing {
							return errors.New("disk full")
						}
						return nil
					}),
				})
				w := httptest.NewRecorder()
				behind(gate, test.policy)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					_, _ = io.WriteString(w, "in")
				})).ServeHTTP(recorder{w, note}, navigation())
				if got := strings.Join(notes, " "); !fails && got != test.want {
					t.Errorf("order = %s, want %s", got, test.want)
				}
				if !fails {
					continue
				}
				want := http.Header{
					"Cache-Control": {"no-store"}, "Content-Type": {"application/json"}, "X-Content-Type-Options": {"nosniff"}, "Retry-After": {"5"},
				}
				if d := diff(w.Header(), want); w.Code != 503 || d != "" {
					t.Errorf("failing observer: %d, header (-want +got):\n%s", w.Code, d)
				}
			}
		})
	}
}

func TestEvent(t *testing.T) {
	cause := errors.New("why")
	for _, test := range []struct {
		name          string
		authenticator gatehouse.Authenticator
		want          gatehouse.Event
	}{
		{"allowed", accepts(user()), gatehouse.Event{Level: slog.LevelDebug, Decision: gatehouse.Allowed, Principal: *user(), Issuer: "https://auth.example.com", Credential: "jti-1"}},
		{
			"rejected",
			rejects(&gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: reasonToken, Issuer: "https://auth.example.com", Credential: "jti-1", Cause: cause}),
			gatehouse.Event{
				Level: slog.LevelWarn, Decision: gatehouse.Rejected, Reason: reasonToken, Code: "invalid_token", Status: 401,
				Issuer: "https://auth.example.com", Credential: "jti-1", Cause: cause,
			},
		},
		{
			"unavailable", rejects(cause),
			gatehouse.Event{Level: slog.LevelError, Decision: gatehouse.Unavailable, Reason: gatehouse.ReasonAuthenticatorFailed, Code: "temporarily_unavailable", Status: 503, Cause: cause},
		},
		{
			"level of the error", rejects(&gatehouse.Error{Reason: reasonToken, Level: slog.LevelWarn, Cause: cause}),
			gatehouse.Event{Level: slog.LevelWarn, Decision: gatehouse.Unavailable, Reason: reasonToken, Code: "temporarily_unavailable", Status: 503, Cause: cause},
		},
		{
			"no credentials", rejects(gatehouse.ErrNoCredentials),
			gatehouse.Event{Level: slog.LevelInfo, Decision: gatehouse.Rejected, Reason: gatehouse.ReasonNoCredentials, Code: "missing_credentials", Status: 401},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			gate, seen := observed(t, test.authenticator)
			r := request()
			r.Method, r.URL.Path, r.URL.RawQuery, r.Pattern = "PATCH", "/a/b", "secret=1", "/a/{x}"
			send(gate, r)
			test.want.Type, test.want.Method, test.want.Host, test.want.Path, test.want.Route = gatehouse.EventDecision, "PATCH", "api.example.com", "/a/b", "/a/{x}"
			equal(t, "event", seen.only(t), test.want)
		})
	}
	// A failure that a caller has caused by hanging up is no error. NewEvent makes the
	// event of a refusal outside every gate.
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithTimeout(t.Context(), -1)
	defer cancel()
	for ctx, level := range map[context.Context]slog.Level{canceled: slog.LevelInfo, late: slog.LevelError} {
		want := gatehouse.Event{
			Type: gatehouse.EventDecision, Level: level, Decision: gatehouse.Unavailable, Reason: gatehouse.ReasonAuthenticatorFailed,
			Code: "temporarily_unavailable", Status: 503, Method: "GET", Host: "api.example.com", Path: "/reports", Cause: cause,
		}
		got := gatehouse.NewEvent(request().WithContext(ctx), cause, time.Now())
		want.Duration = got.Duration
		equal(t, "NewEvent", got, want)
		invalid := gatehouse.NewEvent(request().WithContext(ctx), &gatehouse.Error{Code: gatehouse.CodeInvalidToken}, time.Now())
		equal(t, "Level of an invalid token", invalid.Level, slog.LevelWarn)
	}
}

// The context of the request goes to the observer, and to the slog handler behind
// Log, which is asked whether it takes the level.
func TestObserverContext(t *testing.T) {
	type key struct{}
	var got []any
	handler := &contextHandler{Handler: slog.DiscardHandler}
	gate := newGate(t, gatehouse.Config{
		Authenticators: list{accepts(user())},
		Observer: gatehouse.Observers(gatehouse.Log(slog.New(handler)), gatehouse.ObserverFunc(func(ctx context.Context, _ gatehouse.Event) error {
			got = append(got, ctx.Value(key{}))
			return nil
		})),
	})
	sendThrough(behind(gate, deny(errors.New("no"))), request().WithContext(context.WithValue(t.Context(), key{}, "trace")))
	equal(t, "values", got, []any{"trace", "trace"})
	equal(t, "level of the only event of the handler", handler.levels, []slog.Level{slog.LevelWarn})
	equal(t, "value of the handler", handler.ctx.Value(key{}), any("trace"))
}

func TestObservers(t *testing.T) {
	a, b, c := &events{err: errors.New("a")}, &events{}, &events{err: errors.New("c")}
	list := []gatehouse.Observer{a, b, c}
	all := gatehouse.Observers(list...)
	list[1] = nil // Observers has cloned the slice
	event := gatehouse.Event{Decision: gatehouse.Allowed, Path: "/"}
	err := all.Observe(t.Context(), event)
	if !errors.Is(err, a.err) || !errors.Is(err, c.err) {
		t.Errorf("Observe = %v, want both errors", err)
	}
	for i, o := range []*events{a, b, c} {
		equal(t, fmt.Sprintf("observer %d", i), o.only(t), event)
	}
	for _, o := range []gatehouse.Observer{gatehouse.Observers(b), gatehouse.Observers()} {
		if err := o.Observe(t.Context(), event); err != nil {
			t.Errorf("Observe = %v", err)
		}
	}
}

// An observer that panics has failed, and keeps no other from the event.
func TestObserverPanics(t *testing.T) {
	broken := gatehouse.ObserverFunc(func(context.Context, gatehouse.Event) error { panic("observer") })
	seen := &events{}
	err := gatehouse.Report(t.Context(), gatehouse.Observers(broken, seen), gatehouse.Event{})
	const cause = "gatehouse: observer: gatehouse.ObserverFunc panicked: observer"
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Reason != gatehouse.ReasonObserverFailed || e.Cause.Error() != cause || len(seen.all) != 1 {
		t.Errorf("Report = %v with %d events of the second observer, want %s, cause %s, and one", err, len(seen.all), gatehouse.ReasonObserverFailed, cause)
	}
	gate := newGate(t, gatehouse.Config{Authenticators: list{goodToken()}, Observer: broken})
	for _, token := range []string{"good", "bad"} {
		_, _, err := gate.Admit(request("Authorization", "Bearer "+token))
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Reason != gatehouse.ReasonObserverFailed {
			t.Errorf("Admit of the token %s = %v, want %s", token, err, gatehouse.ReasonObserverFailed)
		}
	}
}

func TestReport(t *testing.T) {
	if err := gatehouse.Report(t.Context(), nil, gatehouse.Event{}); err != nil {
		t.Errorf("Report to no observer = %v", err)
	}
	o := &events{}
	event := gatehouse.Event{Type: "test_changed", Credential: "k-1"}
	if err := gatehouse.Report(t.Context(), o, event); err != nil {
		t.Errorf("Report = %v", err)
	}
	equal(t, "event", o.only(t), event)
	o.err = errors.New("disk full")
	err := gatehouse.Report(t.Context(), o, event)
	e, _ := errors.AsType[*gatehouse.Error](err)
	if e == nil || e.Code != gatehouse.CodeTemporarilyUnavailable || e.Reason != gatehouse.ReasonObserverFailed || e.Credential != "k-1" || !errors.Is(err, o.err) {
		t.Errorf("Report to a failing observer = %v", err)
	}
}

func debugOptions() *slog.HandlerOptions {
	return &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
}

func debugText(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, debugOptions())) }

func debugJSON(w io.Writer) *slog.Logger { return slog.New(slog.NewJSONHandler(w, debugOptions())) }

func TestLog(t *testing.T) {
	const at = "method=GET host=api.example.com path=/reports"
	decision := func(e gatehouse.Event) gatehouse.Event {
		e.Type, e.Method, e.Host, e.Path, e.Duration = gatehouse.EventDecision, "GET", "api.example.com", "/reports", time.Millisecond
		return e
	}
	bound := *user()
	bound.Binding = "dpop"
	for _, test := range []struct {
		event gatehouse.Event
		want  string
	}{
		{
			decision(gatehouse.Event{
				Level: slog.LevelDebug, Decision: gatehouse.Allowed, Principal: bound, Issuer: "https://auth.example.com", Credential: "jti-1", Route: "GET /reports",
			}),
			`level=DEBUG msg="gatehouse: allowed" ` + at + ` route="GET /reports" issuer=https://auth.example.com ` +
				"subject=ada tenant=acme client=web proof=jwt binding=dpop credential=jti-1 duration=1ms\n",
		},
		{
			decision(gatehouse.Event{
				Level: slog.LevelWarn, Decision: gatehouse.Rejected, Reason: reasonToken, Code: "invalid_token", Status: 401, Issuer: "auth", Cause: errors.New("expired"),
			}),
			`level=WARN msg="gatehouse: rejected" reason=test_token error=invalid_token status=401 ` + at + " issuer=auth cause=expired duration=1ms\n",
		},
		{
			gatehouse.Event{Type: "test", Cause: (*gatehouse.Error)(nil)},
			"level=INFO msg=\"gatehouse: test\" cause=\"gatehouse: nil *Error\"\n",
		},
		{
			gatehouse.Event{Type: "test_key_revoked", Level: slog.LevelInfo, Credential: "k-1", Attrs: []slog.Attr{slog.String("owner", "ci"), slog.Int("count", 2)}},
			"level=INFO msg=\"gatehouse: test_key_revoked\" credential=k-1 owner=ci count=2\n",
		},
	} {
		var b bytes.Buffer
		if err := gatehouse.Log(debugText(&b)).Observe(t.Context(), test.event); err != nil {
			t.Errorf("Observe = %v", err)
		}
		equal(t, "line", b.String(), test.want)
	}
}

// A client cannot write lines of its own, nor long ones.
func TestLogOfHostileText(t *testing.T) {
	hostile := "/a\r\ntime=2026 level=INFO msg=\"all is well\"\x1b[2J\u2028\xff" + strings.Repeat("x", 1<<16)
	event := gatehouse.Event{
		Method: hostile, Host: hostile, Path: hostile, Route: hostile, Principal: gatehouse.Principal{Subject: hostile}, Credential: hostile, Cause: errors.New(hostile),
	}
	for name, logger := range map[string]func(io.Writer) *slog.Logger{"text": debugText, "json": debugJSON} {
		var b bytes.Buffer
		_ = gatehouse.Log(logger(&b)).Observe(t.Context(), event)
		if got := b.String(); strings.Count(got, "\n") != 1 || strings.ContainsAny(got, "\r\x1b\u2028") || len(got) > 6*(128+64)+1024+64 {
			t.Errorf("%s: %d bytes: %q", name, len(got), got)
		}
		if name == "json" && !json.Valid(b.Bytes()) {
			t.Errorf("not JSON: %s", b.String())
		}
	}
}

// contextHandler takes the events of level Warn and above.
type contextHandler struct {
	slog.Handler
	ctx    context.Context
	levels []slog.Level
}

func (h *contextHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}

func (h *contextHandler) Handle(ctx context.Context, r slog.Record) error {
	h.ctx, h.levels = ctx, append(h.levels, r.Level)
	return nil
}
