// SPDX-License-Identifier: Apache-2.0

package gategrpc_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse-go/gatehouse"
	gategrpc "github.com/gatehouse-go/gatehouse/adapter/grpc"
	"github.com/gatehouse-go/gatehouse/adapter/internal/rpctest"
	"github.com/gatehouse-go/gatehouse/scopes"
)

func TestConfiguration(t *testing.T) {
	_, err := gategrpc.New(gategrpc.Config{Gate: rpctest.Gate(rpctest.Caller{}), Methods: map[string][]gatehouse.Policy{list: nil}, Public: []string{"/"}})
	const want = `gategrpc: Config.Methods: "/acme.Reports/List": has no policy: use gatehouse.Authenticated, or list it in Public` + "\n" +
		`gategrpc: Config.Public: "/": must be a full name, such as "/grpc.health.v1.Health/Check"`
	if err == nil || err.Error() != want {
		t.Errorf("New(invalid) error = %v, want %s", err, want)
	}
}

func TestCheckComparesMethodsWithServer(t *testing.T) {
	gate, policies := rpctest.Gate(rpctest.Caller{}), []gatehouse.Policy{gatehouse.Authenticated}
	for _, test := range []struct {
		name    string
		methods map[string][]gatehouse.Policy
		public  []string
		want    string
	}{
		{"equal", map[string][]gatehouse.Policy{list: policies, watch: policies}, []string{ping}, ""},
		{
			"missing and unknown",
			map[string][]gatehouse.Policy{list: policies, "/acme.Reports/Lst": policies},
			[]string{ping},
			`gategrpc: "/acme.Reports/Lst": is in Config, but not registered with the server` + "\n" +
				`gategrpc: "/acme.Reports/Watch": is not in Config.Methods or Config.Public`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			interceptor := must(gategrpc.New(gategrpc.Config{Gate: gate, Methods: test.methods, Public: test.public}))
			server := grpc.NewServer(intercept(interceptor)...)
			reports{}.register(server)
			for range 2 {
				if err := interceptor.Check(server); (err == nil) != (test.want == "") || err != nil && err.Error() != test.want {
					t.Errorf("Check() error = %v, want %q", err, test.want)
				}
			}
		})
	}
}

func TestRefusalsAreStatusCodes(t *testing.T) {
	slow := gatehouse.NewCode(429, "slow_down", "Too many calls.")
	for _, test := range []struct {
		name       string
		a          rpctest.Caller
		policy     gatehouse.Policy
		metadata   []string
		code       codes.Code
		reason     string
		challenge  string
		retryAfter time.Duration
	}{
		{name: "no credential", code: codes.Unauthenticated, reason: "missing_credentials", challenge: `Toy realm="acme"`},
		{name: "two credentials", metadata: []string{"authorization", "Toy a", "authorization", "Toy b"}, code: codes.InvalidArgument, reason: "invalid_request"},
		{name: "unknown scheme", metadata: []string{"authorization", "Basic a"}, code: codes.Unauthenticated, reason: "missing_credentials", challenge: `Toy realm="acme"`},
		{
			name: "invalid credential", a: rpctest.Caller{Err: &gatehouse.Error{Code: gatehouse.CodeInvalidToken}},
			code: codes.Unauthenticated, reason: "invalid_token",
			challenge: `Toy realm="acme", error="invalid_token", error_description="The access token is expired, revoked, malformed or invalid for other reasons."`,
		},
		{
			name: "scope missing", policy: scopes.All("reports:read"), code: codes.PermissionDenied, reason: "insufficient_scope",
			challenge: `Toy realm="acme", error="insufficient_scope", error_description="The request requires higher privileges than the credential provides.", scope="reports:read"`,
		},
		{name: "policy denies", policy: denial(errors.New("no")), code: codes.PermissionDenied, reason: "access_denied"},
		{
			name: "backend fails", a: rpctest.Caller{Err: &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, RetryAfter: 7 * time.Second}},
			code: codes.Unavailable, reason: "temporarily_unavailable", retryAfter: 7 * time.Second,
		},
		{
			name: "policy has a limit", policy: denial(&gatehouse.Error{Code: slow, RetryAfter: 3 * time.Second}),
			code: codes.ResourceExhausted, reason: "slow_down", retryAfter: 3 * time.Second,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.policy == nil {
				test.policy = gatehouse.Authenticated
			}
			if test.metadata == nil && test.name != "no credential" {
				test.metadata = []string{"authorization", "Toy alice"}
			}
			client := start(t, newInterceptor(rpctest.Gate(test.a), test.policy), reports{
				func(context.Context) (string, error) { t.Error("the handler ran"); return "", nil },
				func(grpc.ServerStream) error { t.Error("the handler ran"); return nil },
			})
			for _, method := range []string{list, watch} {
				a := invoke(t, client, method, test.metadata...)
				a.want(t, method, test.code, "")
				if got := strings.Join(a.trailer.Get("www-authenticate"), "\n"); got != test.challenge {
					t.Errorf("%s: www-authenticate = %q, want %q", method, got, test.challenge)
				}
				for _, name := range []string{"content-length", "cache-control", "x-content-type-options"} {
					if got := a.trailer.Get(name); got != nil {
						t.Errorf("%s: trailer %s = %q, want none", method, name, got)
					}
				}
				retryAfter := time.Duration(0)
				for _, detail := range a.status.Details() {
					if info, ok := detail.(*errdetails.RetryInfo); ok {
						retryAfter = info.RetryDelay.AsDuration()
					}
				}
				details := 1
				if test.retryAfter > 0 {
					details = 2
				}
				if len(a.status.Details()) != details || a.reason() != test.reason || retryAfter != test.retryAfter {
					t.Errorf("%s: details = %q, %v, want %q, %v", method, a.reason(), retryAfter, test.reason, test.retryAfter)
				}
			}
		})
	}
}

func denial(err error) gatehouse.Policy {
	return gatehouse.PolicyFunc(func(*http.Request, gatehouse.Principal) error { return err })
}

// With bodies of the application the code is lost, but neither status nor delay.
func TestRefusalWithApplicationBody(t *testing.T) {
	gate := must(gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{rpctest.Caller{Err: &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable}}},
		Realm:          "acme",
		ErrorBody: func(*http.Request, gatehouse.Refusal) gatehouse.Body {
			return gatehouse.Body{ContentType: "text/plain", Content: []byte("sorry")}
		},
	}))
	a := invoke(t, start(t, newInterceptor(gate), reports{hello, helloStream}), list, "authorization", "Toy alice")
	a.want(t, list, codes.Unavailable, "")
	if got := a.status.Message(); got != "Service Unavailable" || len(a.status.Details()) != 1 {
		t.Errorf("status = %q with %v, want Service Unavailable with a RetryInfo", got, a.status.Details())
	}
}

func TestHandlerGetsCallerAndNoCredential(t *testing.T) {
	var got metadata.MD
	look := func(ctx context.Context) (string, error) {
		got, _ = metadata.FromIncomingContext(ctx)
		return hello(ctx)
	}
	gate := rpctest.Gate(rpctest.Caller{Header: http.Header{"Toy-Nonce": {"1"}, "Cache-Control": {"no-store"}}})
	client := start(t, newInterceptor(gate), reports{look, func(s grpc.ServerStream) error {
		_, _ = look(s.Context())
		return helloStream(s)
	}})
	pairs := []string{"authorization", "Toy alice", "x-request-id", "a", "x-request-id", "b", "trace-bin", "\x00\x01"}
	for _, method := range []string{list, watch} {
		a := invoke(t, client, method, pairs...)
		a.want(t, method, codes.OK, "hello, alice")
		if nonce := a.header.Get("toy-nonce"); len(nonce) != 1 || nonce[0] != "1" || a.header.Get("cache-control") != nil {
			t.Errorf("%s: header = %v, want that of the proof", method, a.header)
		}
		if got.Get("authorization") != nil || strings.Join(got.Get("x-request-id"), "") != "ab" ||
			strings.Join(got.Get("trace-bin"), "") != "\x00\x01" || len(got.Get(":authority")) != 1 {
			t.Errorf("%s: metadata of the handler = %v, want all but authorization", method, got)
		}
	}
	// A public method is not authenticated, and gets all.
	invoke(t, client, ping, pairs...).want(t, ping, codes.OK, "hello, ")
	if len(got.Get("authorization")) != 1 {
		t.Errorf("%s: metadata of the handler = %v, want all", ping, got)
	}
}

// A method without a policy is refused, and tells only callers that it is unknown.
func TestMethodWithoutPolicyIsRefused(t *testing.T) {
	interceptor := must(gategrpc.New(gategrpc.Config{Gate: rpctest.Gate(rpctest.Caller{}), Public: []string{ping}}))
	server := grpc.NewServer(append(intercept(interceptor), grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
		t.Error("the handler of unknown services ran")
		return nil
	}))...)
	reports{hello, helloStream}.register(server)
	client := serve(t, server)
	for _, method := range []string{list, watch, "/acme.Reports/Ping/", "//acme.Reports/List", "/x/../acme.Reports/List", "/other.Service/Do"} {
		invoke(t, client, method).want(t, method+" without a credential", codes.Unauthenticated, "")
		invoke(t, client, method, "authorization", "Toy alice").want(t, method, codes.Unimplemented, "")
	}
	for _, method := range []string{"//acme.Reports/Ping", "/x/../acme.Reports/Ping"} { // a redirect to a public path
		invoke(t, client, method).want(t, method, codes.Unimplemented, "")
	}
	invoke(t, client, ping).want(t, ping, codes.OK, "hello, ")
}

func TestEventNamesCall(t *testing.T) {
	var event gatehouse.Event
	var remote string
	gate := must(gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{rpctest.Caller{}}, Realm: "acme",
		Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error { event = e; return nil }),
	}))
	client := start(t, newInterceptor(gate, gatehouse.PolicyFunc(func(r *http.Request, _ gatehouse.Principal) error {
		remote = r.RemoteAddr
		if r.Header["Trace-Bin"] != nil || r.Header["X-Request-Id"] == nil || r.ProtoMajor != 2 {
			t.Errorf("HTTP/%d with header = %v, want HTTP/2 with the metadata that are not binary", r.ProtoMajor, r.Header)
		}
		return nil
	})), reports{hello, helloStream})
	invoke(t, client, list, "authorization", "Toy alice", "trace-bin", "\x01", "x-request-id", "1").want(t, list, codes.OK, "hello, alice")
	if event.Decision != gatehouse.Allowed || event.Method != "POST" || event.Path != list || event.Route != list ||
		event.Host != client.CanonicalTarget()[len("dns:///"):] || !strings.HasPrefix(remote, "127.0.0.1:") || remote == event.Host {
		t.Errorf("event = %+v, remote address %q, want those of the call", event, remote)
	}
}
