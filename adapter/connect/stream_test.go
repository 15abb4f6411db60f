// SPDX-License-Identifier: Apache-2.0

package gateconnect_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gatehouse-go/gatehouse/adapter/internal/rpctest"
)

// A stream ends when the credential does, and passes no message afterwards.
func TestStreamEndsWithCredential(t *testing.T) {
	for _, test := range []struct {
		name string
		wait func(ctx context.Context, s *duplex)
	}{
		{"handler waits for a message", func(_ context.Context, s *duplex) {
			if _, err := s.Receive(); connect.CodeOf(err) != connect.CodeUnauthenticated {
				t.Errorf("Receive() error = %v, want unauthenticated", err)
			}
		}},
		{"handler watches its context", func(ctx context.Context, _ *duplex) { <-ctx.Done() }},
	} {
		for name, protocol := range protocols {
			t.Run(test.name+", "+name, func(t *testing.T) {
				for lifetime := 300 * time.Millisecond; !streamEnds(t, lifetime, protocol, test.wait); lifetime *= 2 {
				}
			})
		}
	}
}

// streamEnds is false if the credential ended before the stream began.
func streamEnds(t *testing.T, lifetime time.Duration, protocol connect.ClientOption, wait func(ctx context.Context, s *duplex)) bool {
	t.Helper()
	ended := make(chan error, 2)
	server := serve(t, protect(newGuard(rpctest.Gate(rpctest.Caller{Expires: time.Now().Add(lifetime)})), reports{hello, func(ctx context.Context, s *duplex) error {
		if err := helloStream(ctx, s); err != nil {
			return err
		}
		wait(ctx, s)
		ended <- s.Send(wrapperspb.String("too late"))
		_, err := s.Receive()
		ended <- err
		return nil
	}}))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream := connect.NewClient[text, text](server.Client(), server.URL+watch, protocol).CallBidiStream(ctx)
	stream.RequestHeader().Set("Authorization", "Toy alice")
	_ = stream.Send(nil) // Receive returns the error
	message, err := stream.Receive()
	if connect.CodeOf(err) == connect.CodeUnauthenticated {
		return false
	}
	if err != nil || message.GetValue() != "hello, alice" {
		t.Fatalf("Receive() = %v, %v, want a greeting", message, err)
	}
	if message, err := stream.Receive(); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("Receive(expired) = %v, %v, want unauthenticated", message, err)
	}
	for _, call := range []string{"Send", "Receive"} {
		if err := <-ended; connect.CodeOf(err) != connect.CodeUnauthenticated {
			t.Errorf("%s() of the handler after the expiry error = %v, want unauthenticated", call, err)
		}
	}
	return true
}

func TestStreamWithinLifetime(t *testing.T) {
	for _, expires := range []time.Time{{}, time.Now().Add(time.Hour)} {
		server := serve(t, protect(newGuard(rpctest.Gate(rpctest.Caller{Expires: expires})), reports{hello, func(_ context.Context, s *duplex) error {
			for {
				message, err := s.Receive()
				if err != nil {
					return connect.NewError(connect.CodeAborted, err)
				}
				if err := s.Send(message); err != nil {
					return err
				}
			}
		}}))
		stream := connect.NewClient[text, text](server.Client(), server.URL+watch).CallBidiStream(t.Context())
		stream.RequestHeader().Set("Authorization", "Toy alice")
		for _, want := range []string{"a", "b", "c"} {
			if err := stream.Send(wrapperspb.String(want)); err != nil {
				t.Fatal(err)
			}
			if message, err := stream.Receive(); err != nil || message.GetValue() != want {
				t.Fatalf("Receive() = %v, %v, want %s", message, err, want)
			}
		}
		if err := stream.CloseRequest(); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Receive(); connect.CodeOf(err) != connect.CodeAborted {
			t.Errorf("Receive() error = %v, want that of the handler", err)
		}
	}
}

// A unary call ends with its credential only without the interceptor, which knows that
// it is one.
func TestUnaryCallEndsWithCredentialOnlyWithoutInterceptor(t *testing.T) {
	for _, test := range []struct {
		name        string
		interceptor bool
		want        error
	}{{"with the interceptor", true, nil}, {"without it", false, context.Canceled}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guard := newGuard(rpctest.Gate(rpctest.Caller{Expires: time.Now().Add(time.Minute)}))
				var options []connect.HandlerOption
				if test.interceptor {
					options = append(options, connect.WithInterceptors(guard))
				}
				service := reports{func(ctx context.Context, header http.Header) (string, error) {
					time.Sleep(time.Hour)
					if err := ctx.Err(); err != test.want {
						t.Errorf("context of the handler = %v, want %v", err, test.want)
					}
					return hello(ctx, header)
				}, helloStream}
				r := httptest.NewRequest(http.MethodPost, list, strings.NewReader(`""`))
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Authorization", "Toy alice")
				guard.Handler(service.handler(options...)).ServeHTTP(httptest.NewRecorder(), r)
			})
		})
	}
}
