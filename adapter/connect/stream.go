// SPDX-License-Identifier: Apache-2.0

package gateconnect

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/adapter/internal/rpc"
)

var errOutside = errors.New("This resource requires authentication.") //nolint:revive // a sentence for the caller

// call is an admitted call on its way from Handler to the interceptor.
type call struct {
	mu      sync.Mutex
	endless bool // expiry does not end it: it is unary, or has ended
}

// keep lets the call continue when the credential expires.
func (c *call) keep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endless = true
}

type callKey struct{}

// serve serves an admitted call, a stream at most until the credential of the caller
// ends.
func serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	c := new(call)
	ctx, cancel := context.WithCancelCause(context.WithValue(r.Context(), callKey{}, c))
	defer cancel(nil)
	credential, stop := gatehouse.UntilCredentialEnds(ctx)
	defer stop()
	defer context.AfterFunc(credential, func() {
		c.mu.Lock() // w must not be used once the call has ended
		defer c.mu.Unlock()
		if c.endless || ended(credential) == nil {
			return
		}
		cancel(context.Cause(credential))
		// Receive does not return when the context ends. A connection without deadlines,
		// such as one in a test, ends with the response.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
	})()
	defer c.keep()
	next.ServeHTTP(w, r.WithContext(ctx))
}

// callOf returns the call that Handler has admitted.
func callOf(ctx context.Context) (*call, error) {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return nil, connect.NewError(connect.CodeUnauthenticated, errOutside)
	}
	return c, nil
}

var _ connect.Interceptor = (*Guard)(nil)

// WrapUnary implements [connect.Interceptor]. It refuses a call that has not passed
// [Guard.Handler].
func (g *Guard) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		if request.Spec().IsClient {
			return next(ctx, request)
		}
		c, err := callOf(ctx)
		if err != nil {
			return nil, err
		}
		c.keep()
		return next(ctx, request)
	}
}

// WrapStreamingHandler implements [connect.Interceptor]. It refuses a call that has
// not passed [Guard.Handler], and ends a stream whose credential is expired.
func (g *Guard) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, connection connect.StreamingHandlerConn) error {
		if _, err := callOf(ctx); err != nil {
			return err
		}
		err := next(ctx, stream{connection, ctx})
		if e := ended(ctx); e != nil {
			return e
		}
		return err
	}
}

// WrapStreamingClient implements [connect.Interceptor]. It returns next.
func (g *Guard) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// ended returns the error of a stream whose credential has ended, nil for any other.
func ended(ctx context.Context) error {
	code, message := rpc.Ended(ctx)
	if code == 0 {
		return nil
	}
	return connect.NewError(connect.Code(code), errors.New(message))
}

// stream passes no message after the credential is expired.
type stream struct {
	connect.StreamingHandlerConn
	ctx context.Context //nolint:containedctx // its methods have none
}

func (s stream) Receive(message any) error {
	err := s.StreamingHandlerConn.Receive(message)
	if e := ended(s.ctx); e != nil { // also for a message that was received before and is read now
		return e
	}
	return err
}

func (s stream) Send(message any) error {
	if err := ended(s.ctx); err != nil {
		return err
	}
	return s.StreamingHandlerConn.Send(message)
}
