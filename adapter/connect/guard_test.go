// SPDX-License-Identifier: Apache-2.0

package gateconnect_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/gatehouse-go/gatehouse"
	gateconnect "github.com/gatehouse-go/gatehouse/adapter/connect"
	"github.com/gatehouse-go/gatehouse/adapter/internal/rpctest"
	"github.com/gatehouse-go/gatehouse/scopes"
)

func TestConfiguration(t *testing.T) {
	if _, err := gateconnect.New(gateconnect.Config{}); err == nil || err.Error() != "gateconnect: Config.Gate: required" {
		t.Errorf("New(no gate) error = %v", err)
	}
	_, err := gateconnect.New(gateconnect.Config{Gate: rpctest.Gate(rpctest.Caller{}), Methods: map[string][]gatehouse.Policy{list: nil}, Public: []string{"/"}})
	const want = `gateconnect: Config.Methods: "/acme.Reports/List": has no policy: use gatehouse.Authenticated, or list it in Public` + "\n" +
		`gateconnect: Config.Public: "/": must be a full name, such as "/grpc.health.v1.Health/Check"`
	if err == nil || err.Error() != want {
		t.Errorf("New(invalid) error = %v, want %s", err, want)
	}
	defer func() {
		if got := recover(); got != "gateconnect: Guard.Handler: nil handler" {
			t.Errorf("Handler(nil) panics with %v", got)
		}
	}()
	newGuard(rpctest.Gate(rpctest.Caller{})).Handler(nil)
}

func TestRefusalsAreErrorsOfTheProtocol(t *testing.T) {
	slow := gatehouse.NewCode(429, "slow_down", "Too many calls.")
	const invalid = `Toy realm="acme", error="invalid_token", error_description="The access token is expired, revoked, malformed or invalid for other reasons."`
	for _, test := range []struct {
		name        string
		a           rpctest.Caller
		policy      gatehouse.Policy
		credentials []string
		code        connect.Code
		reason      string
		challenge   string
		retryAfter  time.Duration
	}{
		{name: "no credential", credentials: []string{}, code: connect.CodeUnauthenticated, reason: "missing_credentials", challenge: `Toy realm="acme"`},
		{name: "two credentials", credentials: []string{"Toy a", "Toy b"}, code: connect.CodeInvalidArgument, reason: "invalid_request"},
		{name: "invalid credential", a: rpctest.Caller{Err: &gatehouse.Error{Code: gatehouse.CodeInvalidToken}}, code: connect.CodeUnauthenticated, reason: "invalid_token", challenge: invalid},
		{
			name: "scope missing", policy: scopes.All("reports:read"), code: connect.CodePermissionDenied, reason: "insufficient_scope",
			challenge: `Toy realm="acme", error="insufficient_scope", error_description="The request requires higher privileges than the credential provides.", scope="reports:read"`,
		},
		{name: "policy denies", policy: denial(errors.New("no")), code: connect.CodePermissionDenied, reason: "access_denied"},
		{
			name: "backend fails", a: rpctest.Caller{Err: &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, RetryAfter: 7 * time.Second}},
			code: connect.CodeUnavailable, reason: "temporarily_unavailable", retryAfter: 7 * time.Second,
		},
		{
			name: "policy has a limit", policy: denial(&gatehouse.Error{Code: slow, RetryAfter: 3 * time.Second}),
			code: connect.CodeResourceExhausted, reason: "slow_down", retryAfter: 3 * time.Second,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.policy == nil {
				test.policy = gatehouse.Authenticated
			}
			if test.credentials == nil {
				test.credentials = []string{"Toy alice"}
			}
			server := serve(t, protect(newGuard(rpctest.Gate(test.a), test.policy), reports{
				func(context.Context, http.Header) (string, error) { t.Error("the handler ran"); return "", nil },
				func(context.Context, *duplex) error { t.Error("the handler ran"); return nil },
			}))
			for name, protocol := range protocols {
				for _, method := range []string{list, watch} {
					a := invoke(t, server.Client(), server.URL, method, protocol, http.Header{"Authorization": test.credentials})
					what := name + " " + method
					a.want(t, what, test.code, "")
					if got := strings.Join(a.header.Values("WWW-Authenticate"), "\n"); got != test.challenge {
						t.Errorf("%s: WWW-Authenticate = %q, want %q", what, got, test.challenge)
					}
					details := 1
					if test.retryAfter > 0 {
						details = 2
					}
					if failed, ok := errors.AsType[*connect.Error](a.err); !ok || len(failed.Details()) != details {
						t.Errorf("%s: error = %v, want one with %d details", what, a.err, details)
					}
					if got := a.header.Get("X-Content-Type-Options"); got != "" {
						t.Errorf("%s: X-Content-Type-Options = %q, want none", what, got)
					}
					if reason, retryAfter := a.details(); reason != test.reason || retryAfter != test.retryAfter {
						t.Errorf("%s: details = %q, %v, want %q, %v", what, reason, retryAfter, test.reason, test.retryAfter)
					}
				}
			}
		})
	}
}

func denial(err error) gatehouse.Policy {
	return gatehouse.PolicyFunc(func(*http.Request, gatehouse.Principal) error { return err })
}

// A request of no protocol gets the response of the gate for HTTP.
func TestRefusalOfPlainRequest(t *testing.T) {
	w := httptest.NewRecorder()
	protect(newGuard(rpctest.Gate(rpctest.Caller{})), reports{}).ServeHTTP(w, httptest.NewRequest(http.MethodPost, list, http.NoBody))
	if body := `{"error":"missing_credentials","error_description":"This resource requires authentication."}` + "\n"; w.Code != http.StatusUnauthorized || w.Body.String() != body ||
		w.Header().Get("WWW-Authenticate") != `Toy realm="acme"` || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("POST = %d %q, %v, want the 401 of the gate", w.Code, w.Body, w.Header())
	}
}

func TestHandlerGetsCallerAndNoCredential(t *testing.T) {
	var got http.Header
	look := func(ctx context.Context, header http.Header) (string, error) {
		got = header.Clone()
		return hello(ctx, header)
	}
	server := serve(t, protect(newGuard(rpctest.Gate(rpctest.Caller{Header: http.Header{"Toy-Nonce": {"1"}}})), reports{look, func(ctx context.Context, s *duplex) error {
		got = s.RequestHeader().Clone()
		return helloStream(ctx, s)
	}}))
	header := http.Header{"Authorization": {"Toy alice"}, "X-Request-Id": {"a"}}
	for name, protocol := range protocols {
		for _, method := range []string{list, watch} {
			a := invoke(t, server.Client(), server.URL, method, protocol, header)
			a.want(t, name+" "+method, 0, "hello, alice")
			if a.header.Get("Toy-Nonce") != "1" {
				t.Errorf("%s %s: header = %v, want that of the proof", name, method, a.header)
			}
			if got.Get("Authorization") != "" || got.Get("X-Request-Id") != "a" {
				t.Errorf("%s %s: header of the handler = %v, want all but Authorization", name, method, got)
			}
		}
		invoke(t, server.Client(), server.URL, ping, protocol, header).want(t, name+" "+ping, 0, "hello, ")
		if got.Get("Authorization") == "" {
			t.Errorf("%s %s: header of the handler = %v, want all", name, ping, got)
		}
	}
}

func TestMethodWithoutPolicyIsRefused(t *testing.T) {
	guard := must(gateconnect.New(gateconnect.Config{Gate: rpctest.Gate(rpctest.Caller{}), Public: []string{ping}}))
	server := serve(t, protect(guard, reports{hello, helloStream}))
	for name, protocol := range protocols {
		for _, method := range []string{list, watch} {
			invoke(t, server.Client(), server.URL, method, protocol, nil).want(t, name+" "+method+" without a credential", connect.CodeUnauthenticated, "")
			invoke(t, server.Client(), server.URL, method, protocol, http.Header{"Authorization": {"Toy alice"}}).want(t, name+" "+method, connect.CodeUnimplemented, "")
		}
		invoke(t, server.Client(), server.URL, ping, protocol, nil).want(t, name+" "+ping, 0, "hello, ")
	}
}

// A service that is mounted without Handler around it serves no caller, public methods
// included.
func TestServiceWithoutHandlerServesNoCaller(t *testing.T) {
	guard := newGuard(rpctest.Gate(rpctest.Caller{}))
	server := serve(t, reports{hello, helloStream}.handler(connect.WithInterceptors(guard)))
	for name, protocol := range protocols {
		for _, method := range []string{list, watch, ping} {
			invoke(t, server.Client(), server.URL, method, protocol, http.Header{"Authorization": {"Toy alice"}}).want(t, name+" "+method, connect.CodeUnauthenticated, "")
		}
	}
}

// A guard in the interceptors of a client changes nothing.
func TestGuardOfClient(t *testing.T) {
	guard := newGuard(rpctest.Gate(rpctest.Caller{}))
	server := serve(t, protect(guard, reports{hello, helloStream}))
	for _, method := range []string{list, watch} {
		a := invoke(t, server.Client(), server.URL, method, connect.WithClientOptions(connect.WithInterceptors(guard)), http.Header{"Authorization": {"Toy alice"}})
		a.want(t, method, 0, "hello, alice")
	}
}

// The gate decides before the message is read.
func TestRefusalReadsNoMessage(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, list, io.NopCloser(unread{t}))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	protect(newGuard(rpctest.Gate(rpctest.Caller{})), reports{}).ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("POST = %d, want 401", w.Code)
	}
}

type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the message was read")
	return 0, io.EOF
}
