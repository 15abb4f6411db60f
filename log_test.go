// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// logged returns what Log writes of an event, without its time.
func logged(t *testing.T, handler func(io.Writer, *slog.HandlerOptions) slog.Handler, level slog.Level, e gatehouse.Event) string {
	t.Helper()
	var b bytes.Buffer
	logger := slog.New(handler(&b, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	if err := gatehouse.Log(logger).Observe(t.Context(), e); err != nil {
		t.Errorf("error %v", err)
	}
	return b.String()
}

func text(w io.Writer, o *slog.HandlerOptions) slog.Handler  { return slog.NewTextHandler(w, o) }
func jsonl(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewJSONHandler(w, o) }

func TestLog(t *testing.T) {
	for _, test := range []struct {
		event gatehouse.Event
		want  string
	}{
		{
			gatehouse.Event{
				Decision: gatehouse.Allowed, Principal: *person(), Issuer: "https://auth.example.com", Credential: "jti-1",
				Method: "GET", Host: "api.example.com", Path: "/reports", Duration: time.Millisecond,
			},
			`level=DEBUG msg="gatehouse: allowed" method=GET host=api.example.com path=/reports issuer=https://auth.example.com ` +
				"subject=ada tenant=acme client=web proof=jwt credential=jti-1 duration=1ms\n",
		},
		{
			gatehouse.Event{
				Decision: gatehouse.Refused, Reason: gatehouse.ReasonTokenExpired, Code: gatehouse.CodeInvalidToken, Status: 401,
				Issuer: "https://auth.example.com", Credential: "jti-1", Method: "GET", Host: "api.example.com", Path: "/reports", Duration: time.Millisecond,
			},
			`level=WARN msg="gatehouse: refused" reason=token_expired error=invalid_token status=401 method=GET host=api.example.com path=/reports ` +
				"issuer=https://auth.example.com credential=jti-1 duration=1ms\n",
		},
		{
			gatehouse.Event{
				Decision: gatehouse.Denied, Reason: gatehouse.ReasonScope, Code: gatehouse.CodeInsufficientScope, Status: 403,
				Principal: *machine(), Credential: "key-1", Method: "GET", Path: "/", Duration: time.Millisecond,
			},
			`level=WARN msg="gatehouse: denied" reason=scope_missing error=insufficient_scope status=403 method=GET path=/ ` +
				"subject=ci proof=api_key credential=key-1 duration=1ms\n",
		},
		{
			gatehouse.Event{
				Decision: gatehouse.Unavailable, Reason: gatehouse.ReasonKeysUnavailable, Code: gatehouse.CodeTemporarilyUnavailable, Status: 503,
				Method: "GET", Path: "/", Cause: errors.New("connection refused"), Duration: time.Millisecond,
			},
			`level=ERROR msg="gatehouse: unavailable" reason=keys_unavailable error=temporarily_unavailable status=503 method=GET path=/ ` +
				`cause="connection refused" duration=1ms` + "\n",
		},
	} {
		if got := logged(t, text, slog.LevelDebug, test.event); got != test.want {
			t.Errorf("%s\ngot  %swant %s", test.event.Decision, got, test.want)
		}
	}
}

func TestLogLevels(t *testing.T) {
	for decision, at := range map[gatehouse.Decision]slog.Level{
		gatehouse.Allowed: slog.LevelDebug, gatehouse.Refused: slog.LevelWarn,
		gatehouse.Denied: slog.LevelWarn, gatehouse.Unavailable: slog.LevelError, "unheard of": slog.LevelWarn,
	} {
		for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError, slog.LevelError + 4} {
			if got := logged(t, text, level, gatehouse.Event{Decision: decision}); (got != "") != (at >= level) {
				t.Errorf("%s at level %v: %q", decision, level, got)
			}
		}
	}
}

// A caller cannot write lines of its own, nor long ones.
func TestLogOfHostileWords(t *testing.T) {
	hostile := "/a\r\ntime=2026 level=INFO msg=\"all is well\"\x1b[2J\u2028\xff" + strings.Repeat("x", 1<<16)
	event := gatehouse.Event{Decision: gatehouse.Refused, Method: hostile, Host: hostile, Path: hostile, Principal: gatehouse.Principal{Subject: hostile}, Credential: hostile}
	for name, handler := range map[string]func(io.Writer, *slog.HandlerOptions) slog.Handler{"text": text, "json": jsonl} {
		got := logged(t, handler, slog.LevelDebug, event)
		if strings.Count(got, "\n") != 1 || strings.ContainsAny(got, "\r\x1b\u2028") {
			t.Errorf("%s: %q", name, got)
		}
		if len(got) > 5*(128+64) {
			t.Errorf("%s: %d bytes", name, len(got))
		}
		if name == "json" && !json.Valid([]byte(got)) {
			t.Errorf("not JSON: %s", got)
		}
	}
}

// The whole way from request to log line, with a credential of every kind.
func TestLogHasNoCredential(t *testing.T) {
	const credential = "nk8VqT3xWz0LrYb7cJ5dHs2FgPmQe9Ua"
	for _, headers := range [][]string{
		{"Authorization", "Bearer " + credential},
		{"Authorization", "Bearer " + credential + "!"},
		{"Authorization", credential},
		{"X-API-Key", credential},
		{"X-API-Key", credential, "Authorization", "Bearer " + credential},
		{"Cookie", "sid=" + credential},
		{"Dpop", credential},
	} {
		var b bytes.Buffer
		gate := newGate(t, gatehouse.Config{
			Authenticators: []gatehouse.Authenticator{bearer{}, xAPIKey{"k1"}, sloppyCookie{"sid", "s1"}},
			Observer:       gatehouse.Log(slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		})
		r := request(headers...)
		r.URL.RawQuery = "access_token=" + credential
		send(gate, r)
		if b.Len() == 0 {
			t.Error("nothing was logged")
		}
		for i := range len(credential) - 8 {
			if strings.Contains(b.String(), credential[i:i+8]) {
				t.Errorf("%q: %s", headers, b.String())
				break
			}
		}
	}
}

// The context of the request goes to the handler, for traces.
func TestLogContext(t *testing.T) {
	type key struct{}
	seen := &contextHandler{Handler: slog.DiscardHandler}
	ctx := context.WithValue(t.Context(), key{}, "trace")
	if err := gatehouse.Log(slog.New(seen)).Observe(ctx, gatehouse.Event{Decision: gatehouse.Refused}); err != nil {
		t.Fatal(err)
	}
	if seen.ctx == nil || seen.ctx.Value(key{}) != "trace" {
		t.Errorf("context %v", seen.ctx)
	}
}

type contextHandler struct {
	slog.Handler
	ctx context.Context
}

func (h *contextHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *contextHandler) Handle(ctx context.Context, r slog.Record) error {
	h.ctx = ctx
	return h.Handler.Handle(ctx, r)
}

func TestLogNil(t *testing.T) {
	mustPanic(t, "gatehouse: Log: nil logger", func() { gatehouse.Log(nil) })
}
