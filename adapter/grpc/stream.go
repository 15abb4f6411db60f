// SPDX-License-Identifier: Apache-2.0

package gategrpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/adapter/internal/rpc"
)

// stream is a stream with the context of an admitted call. It passes no message
// after the credential has ended.
type stream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // the interface has a method for it
}

func (s stream) Context() context.Context { return s.ctx }

func (s stream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if e := ended(s.ctx); e != nil { // also for a message that was received before and is read now
		return e
	}
	return err
}

func (s stream) SendMsg(m any) error {
	if err := ended(s.ctx); err != nil {
		return err
	}
	return s.ServerStream.SendMsg(m)
}

// ended returns the status of a stream whose credential has ended, nil for any other.
func ended(ctx context.Context) error {
	code, message := rpc.Ended(ctx)
	return status.Error(codes.Code(code), message) // nil for 0
}

// serveStream calls a handler, at most until the credential of the caller ends.
func serveStream(ctx context.Context, s grpc.ServerStream, handler func(grpc.ServerStream) error) error {
	ctx, cancel := gatehouse.UntilCredentialEnds(ctx)
	defer cancel()
	// RecvMsg does not return when this context ends, but only when the stream ends,
	// after the interceptor has returned. So the handler runs in its own goroutine.
	done := make(chan result, 1)
	go func() {
		r := result{panicked: true}
		defer func() {
			if r.panicked {
				r.value = recover()
			}
			done <- r
		}()
		r.err = handler(stream{s, ctx})
		r.panicked = false
	}()
	select {
	case r := <-done:
		return r.unwrap()
	case <-ctx.Done():
		if err := ended(ctx); err != nil {
			return err
		}
		return (<-done).unwrap() // the caller has hung up, which RecvMsg notices too
	}
}

// result is how a handler ended.
type result struct {
	err      error
	panicked bool
	value    any // of the panic
}

// unwrap continues a panic in the goroutine of the interceptor, where the application can
// recover it.
func (r result) unwrap() error {
	if r.panicked {
		panic(r.value)
	}
	return r.err
}
