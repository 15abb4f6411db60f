// SPDX-License-Identifier: Apache-2.0

package gategrpc_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gatehouse-go/gatehouse/adapter/internal/rpctest"
)

// A stream ends when the credential does, whatever the handler waits for, and passes
// no message afterwards.
func TestStreamEndsWithCredential(t *testing.T) {
	for _, test := range []struct {
		name string
		wait func(s grpc.ServerStream, end <-chan struct{})
	}{
		{"handler waits for a message", func(s grpc.ServerStream, _ <-chan struct{}) {
			if err := s.RecvMsg(new(wrapperspb.StringValue)); status.Code(err) != codes.Unauthenticated {
				t.Errorf("RecvMsg() error = %v, want Unauthenticated", err)
			}
		}},
		{"handler watches its context", func(s grpc.ServerStream, _ <-chan struct{}) { <-s.Context().Done() }},
		{"handler ignores its context", func(_ grpc.ServerStream, end <-chan struct{}) { <-end }},
	} {
		t.Run(test.name, func(t *testing.T) {
			for lifetime := 300 * time.Millisecond; !streamEnds(t, lifetime, test.wait); lifetime *= 2 {
			}
		})
	}
}

// streamEnds is false if the credential ended before the stream began.
func streamEnds(t *testing.T, lifetime time.Duration, wait func(s grpc.ServerStream, end <-chan struct{})) bool {
	t.Helper()
	end, ended := make(chan struct{}), make(chan error, 2)
	client := start(t, newInterceptor(rpctest.Gate(rpctest.Caller{Expires: time.Now().Add(lifetime)})), reports{hello, func(s grpc.ServerStream) error {
		if err := helloStream(s); err != nil {
			return err
		}
		wait(s, end)
		ended <- s.SendMsg(wrapperspb.String("too late"))
		ended <- s.RecvMsg(new(wrapperspb.StringValue))
		return nil
	}})
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Toy alice"), time.Minute)
	defer cancel()
	stream := must(client.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, watch))
	message := new(wrapperspb.StringValue)
	err := stream.RecvMsg(message)
	if status.Code(err) == codes.Unauthenticated {
		return false
	}
	if err != nil || message.Value != "hello, alice" {
		t.Fatalf("RecvMsg() = %q, %v, want a greeting", message.Value, err)
	}
	if err := stream.RecvMsg(message); status.Code(err) != codes.Unauthenticated {
		t.Errorf("RecvMsg(expired) = %q, %v, want Unauthenticated", message.Value, err)
	}
	close(end)
	for _, call := range []string{"SendMsg", "RecvMsg"} {
		if err := <-ended; status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s() of the handler after the expiry error = %v, want Unauthenticated", call, err)
		}
	}
	return true
}

func TestStreamWithinLifetime(t *testing.T) {
	for _, test := range []struct {
		name    string
		expires time.Time
	}{{"no expiry", time.Time{}}, {"an hour left", time.Now().Add(time.Hour)}} {
		t.Run(test.name, func(t *testing.T) {
			canceled, end := make(chan error, 2), errors.New("the end")
			interceptor := newInterceptor(rpctest.Gate(rpctest.Caller{Expires: test.expires}))
			server := grpc.NewServer(grpc.StreamInterceptor(func(server any, s grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
				err := interceptor.Stream(server, s, info, handler)
				canceled <- err
				return err
			}))
			reports{hello, func(s grpc.ServerStream) error {
				for {
					message := new(wrapperspb.StringValue)
					if err := s.RecvMsg(message); err != nil {
						if s.SendMsg(message) == nil {
							t.Error("SendMsg() of the handler after the client hung up error = nil")
						}
						canceled <- err
						return end
					}
					if err := s.SendMsg(message); err != nil {
						return err
					}
				}
			}}.register(server)
			ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Toy alice"))
			defer cancel()
			stream := must(serve(t, server).NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, watch))
			for n := range 3 {
				message := new(wrapperspb.StringValue)
				if err := stream.SendMsg(wrapperspb.String(fmt.Sprint(n))); err != nil {
					t.Fatal(err)
				}
				if err := stream.RecvMsg(message); err != nil || message.Value != fmt.Sprint(n) {
					t.Fatalf("RecvMsg() = %q, %v, want %d", message.Value, err, n)
				}
			}
			cancel()
			if err := <-canceled; status.Code(err) != codes.Canceled {
				t.Errorf("RecvMsg() of the handler after the client hung up error = %v, want Canceled", err)
			}
			if err := <-canceled; !errors.Is(err, end) {
				t.Errorf("Stream() error = %v, want that of the handler", err)
			}
		})
	}
}

func TestErrorOfStreamHandler(t *testing.T) {
	want := status.New(codes.OutOfRange, "the end")
	for _, expires := range []time.Time{{}, time.Now().Add(time.Hour)} {
		client := start(t, newInterceptor(rpctest.Gate(rpctest.Caller{Expires: expires})), reports{hello, func(grpc.ServerStream) error { return want.Err() }})
		got := invoke(t, client, watch, "authorization", "Toy alice").status
		if got.Code() != want.Code() || got.Message() != want.Message() {
			t.Errorf("status = %v, want %v", got, want)
		}
	}
}

// A panic of the handler reaches the recovery of the application, which is outside.
func TestPanicOfStreamHandler(t *testing.T) {
	recovered := make(chan any, 1)
	interceptor := newInterceptor(rpctest.Gate(rpctest.Caller{Expires: time.Now().Add(time.Hour)}))
	server := grpc.NewServer(grpc.ChainStreamInterceptor(
		func(server any, s grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
			defer func() {
				recovered <- recover()
				err = status.Error(codes.Internal, "")
			}()
			return handler(server, s)
		}, interceptor.Stream,
	))
	reports{hello, func(grpc.ServerStream) error { panic("a defect") }}.register(server)
	invoke(t, serve(t, server), watch, "authorization", "Toy alice").want(t, watch, codes.Internal, "")
	if got := <-recovered; got != "a defect" {
		t.Errorf("recovered %v, want the panic of the handler", got)
	}
}
