// SPDX-License-Identifier: Apache-2.0

package gateconnect_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gatehouse-go/gatehouse"
	gateconnect "github.com/gatehouse-go/gatehouse/adapter/connect"
	"github.com/gatehouse-go/gatehouse/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

const (
	list  = "/acme.Reports/List"
	watch = "/acme.Reports/Watch"
	ping  = "/acme.Reports/Ping"
)

type (
	text   = wrapperspb.StringValue
	duplex = connect.BidiStream[text, text]
)

// reports is the service acme.Reports: List and Ping are unary, and Watch is a stream
// in both directions.
type reports struct {
	list  func(context.Context, http.Header) (string, error)
	watch func(context.Context, *duplex) error
}

func (s reports) handler(options ...connect.HandlerOption) http.Handler {
	options = append(options, connect.WithIdempotency(connect.IdempotencyNoSideEffects))
	unary := func(ctx context.Context, r *connect.Request[text]) (*connect.Response[text], error) {
		got, err := s.list(ctx, r.Header())
		return connect.NewResponse(wrapperspb.String(got)), err
	}
	mux := http.NewServeMux()
	mux.Handle(list, connect.NewUnaryHandler(list, unary, options...))
	mux.Handle(ping, connect.NewUnaryHandler(ping, unary, options...))
	mux.Handle(watch, connect.NewBidiStreamHandler(watch, s.watch, options...))
	return mux
}

// hello greets the caller.
func hello(ctx context.Context, _ http.Header) (string, error) {
	p, _ := gatehouse.FromContext(ctx)
	return "hello, " + p.Subject, nil
}

// helloStream greets the caller once.
func helloStream(ctx context.Context, s *duplex) error {
	got, _ := hello(ctx, nil)
	return s.Send(wrapperspb.String(got))
}

// protocols are the options of a client.
var protocols = map[string]connect.ClientOption{
	"Connect": connect.WithClientOptions(), "GET": connect.WithHTTPGet(), "gRPC": connect.WithGRPC(), "gRPC-Web": connect.WithGRPCWeb(),
}

// serve starts a server with HTTP/2.
func serve(t *testing.T, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// answer is the end of a call.
type answer struct {
	text   string
	err    *connect.Error
	header http.Header
}

// invoke calls a unary method, or Watch for one message.
func invoke(t *testing.T, c *http.Client, url, method string, protocol connect.ClientOption, header http.Header) (a answer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := connect.NewClient[text, text](c, url+method, protocol, connect.WithIdempotency(connect.IdempotencyNoSideEffects))
	var err error
	if method == watch {
		stream := client.CallBidiStream(ctx)
		maps.Copy(stream.RequestHeader(), header)
		_ = stream.Send(nil) // an error of the server is that of Receive
		var message *text
		if message, err = stream.Receive(); err == nil {
			a.text, a.header = message.GetValue(), stream.ResponseHeader()
		}
		_ = stream.CloseRequest()
		_ = stream.CloseResponse()
	} else {
		request := connect.NewRequest(wrapperspb.String(""))
		maps.Copy(request.Header(), header)
		var response *connect.Response[text]
		if response, err = client.CallUnary(ctx, request); err == nil {
			a.text, a.header = response.Msg.GetValue(), response.Header()
		}
	}
	if errors.As(err, &a.err) {
		a.header = a.err.Meta()
	}
	return a
}

func (a answer) want(t *testing.T, what string, code connect.Code, text string) {
	t.Helper()
	got := connect.Code(0)
	if a.err != nil {
		got = a.err.Code()
	}
	if got != code || a.text != text {
		t.Errorf("%s = %q, %v, want %q, %v", what, a.text, a.err, text, code)
	}
}

// details returns the reason of the ErrorInfo and the delay of the RetryInfo.
func (a answer) details() (reason string, retryAfter time.Duration) {
	if a.err == nil {
		return "", 0
	}
	for _, detail := range a.err.Details() {
		switch message := must(detail.Value()).(type) {
		case *errdetails.ErrorInfo:
			if message.GetDomain() == "gatehouse" {
				reason = message.GetReason()
			}
		case *errdetails.RetryInfo:
			retryAfter = message.GetRetryDelay().AsDuration()
		}
	}
	return reason, retryAfter
}

// newGuard protects List and Watch by the policies, and makes Ping public.
func newGuard(gate *gatehouse.Gate, policies ...gatehouse.Policy) *gateconnect.Guard {
	if len(policies) == 0 {
		policies = []gatehouse.Policy{gatehouse.Authenticated}
	}
	return must(gateconnect.New(gateconnect.Config{
		Gate: gate, Methods: map[string][]gatehouse.Policy{list: policies, watch: policies}, Public: []string{ping},
	}))
}

// protect is the right wiring.
func protect(guard *gateconnect.Guard, s reports) http.Handler {
	return guard.Handler(s.handler(connect.WithInterceptors(guard)))
}
