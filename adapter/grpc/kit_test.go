// SPDX-License-Identifier: Apache-2.0

package gategrpc_test

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gatehouse-go/gatehouse"
	gategrpc "github.com/gatehouse-go/gatehouse/adapter/grpc"
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

// reports is the service acme.Reports: List and Ping are unary methods, and Watch is
// a stream in both directions.
type reports struct {
	list  func(context.Context) (string, error)
	watch func(grpc.ServerStream) error
}

func (s reports) register(server *grpc.Server) {
	unary := func(method string) grpc.MethodHandler {
		return func(_ any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
			request := new(wrapperspb.StringValue)
			if err := decode(request); err != nil {
				return nil, err
			}
			handler := func(ctx context.Context, _ any) (any, error) {
				text, err := s.list(ctx)
				return wrapperspb.String(text), err
			}
			if interceptor == nil {
				return handler(ctx, request)
			}
			return interceptor(ctx, request, &grpc.UnaryServerInfo{FullMethod: method}, handler)
		}
	}
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "acme.Reports",
		Methods:     []grpc.MethodDesc{{MethodName: "List", Handler: unary(list)}, {MethodName: "Ping", Handler: unary(ping)}},
		Streams: []grpc.StreamDesc{{
			StreamName: "Watch", ServerStreams: true, ClientStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error { return s.watch(stream) },
		}},
	}, nil)
}

// hello greets the caller.
func hello(ctx context.Context) (string, error) {
	p, _ := gatehouse.FromContext(ctx)
	return "hello, " + p.Subject, nil
}

// helloStream greets the caller once.
func helloStream(s grpc.ServerStream) error {
	text, _ := hello(s.Context())
	return s.SendMsg(wrapperspb.String(text))
}

func intercept(interceptor *gategrpc.Interceptor) []grpc.ServerOption {
	return []grpc.ServerOption{grpc.UnaryInterceptor(interceptor.Unary), grpc.StreamInterceptor(interceptor.Stream)}
}

// serve starts a server, and returns a client of it.
func serve(t *testing.T, server *grpc.Server, credentials ...credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	listener := must(new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0"))
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	if len(credentials) == 0 {
		credentials = append(credentials, insecure.NewCredentials())
	}
	client := must(grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(credentials[0])))
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// start serves a service behind the interceptor, and returns a client of it.
func start(t *testing.T, interceptor *gategrpc.Interceptor, service reports) *grpc.ClientConn {
	t.Helper()
	server := grpc.NewServer(intercept(interceptor)...)
	service.register(server)
	return serve(t, server)
}

// answer is the end of a call.
type answer struct {
	text            string
	status          *status.Status
	header, trailer metadata.MD
}

// invoke calls a unary method, or Watch for one message.
func invoke(t *testing.T, client *grpc.ClientConn, method string, pairs ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), pairs...), time.Minute)
	defer cancel()
	var a answer
	response := new(wrapperspb.StringValue)
	if method != watch {
		err := client.Invoke(ctx, method, wrapperspb.String(""), response, grpc.Header(&a.header), grpc.Trailer(&a.trailer))
		a.text, a.status = response.Value, status.Convert(err)
		return a
	}
	stream := must(client.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method))
	a.status = status.Convert(stream.RecvMsg(response))
	a.text, a.trailer = response.Value, stream.Trailer()
	a.header, _ = stream.Header()
	return a
}

// reason returns the reason of the ErrorInfo, "" if there is none.
func (a answer) reason() string {
	for _, detail := range a.status.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.Domain == "gatehouse" {
			return info.Reason
		}
	}
	return ""
}

func (a answer) want(t *testing.T, what string, code codes.Code, text string) {
	t.Helper()
	if a.status.Code() != code || a.text != text {
		t.Errorf("%s = %q, %v, want %q, %v", what, a.text, a.status, text, code)
	}
}

// newInterceptor protects List and Watch by the policies, and makes Ping public.
func newInterceptor(gate *gatehouse.Gate, policies ...gatehouse.Policy) *gategrpc.Interceptor {
	if len(policies) == 0 {
		policies = []gatehouse.Policy{gatehouse.Authenticated}
	}
	return must(gategrpc.New(gategrpc.Config{
		Gate: gate, Methods: map[string][]gatehouse.Policy{list: policies, watch: policies}, Public: []string{ping},
	}))
}
