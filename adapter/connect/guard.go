// SPDX-License-Identifier: Apache-2.0

package gateconnect

import (
	"maps"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/adapter/internal/rpc"
)

// Config configures a [Guard].
type Config struct {
	// Gate authenticates the callers. Required.
	Gate *gatehouse.Gate

	// Methods are the policies of each procedure, by its full name, such as
	// "/acme.Reports/List". Each has at least one policy:
	// [gatehouse.Authenticated] allows every authenticated caller.
	Methods map[string][]gatehouse.Policy

	// Public are the full names of the procedures for which the gate does not
	// authenticate. Their handlers get the headers unchanged, with credentials.
	Public []string
}

// Guard decides on the calls of Connect services. It is safe for concurrent use.
type Guard struct {
	methods *rpc.Methods
	errors  *connect.ErrorWriter
}

// New returns a guard. It reports all configuration errors at once.
func New(config Config) (*Guard, error) {
	methods, err := rpc.New("gateconnect", config.Gate, config.Methods, config.Public)
	if err != nil {
		return nil, err
	}
	return &Guard{methods, connect.NewErrorWriter()}, nil
}

// Handler returns a handler that calls next, the handler of a service, for the calls
// that the gate admits, and refuses all others. next must have the guard as its
// outermost interceptor. Handler panics if next is nil.
func (g *Guard) Handler(next http.Handler) http.Handler {
	if next == nil {
		panic("gateconnect: Guard.Handler: nil handler")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refusal := g.methods.Serve(r, func(r *http.Request, header http.Header) {
			maps.Copy(w.Header(), header)
			serve(w, r, next)
		})
		if refusal != nil {
			g.refuse(w, r, refusal)
		}
	})
}

// refuse writes a refusal in the protocol of the call.
func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, refusal *rpc.Refusal) {
	if !g.errors.IsSupported(r) {
		maps.Copy(w.Header(), refusal.Header)
		w.WriteHeader(refusal.Status)
		_, _ = w.Write(refusal.Body) //nolint:gosec // it is that of the gate; a client that has hung up needs no answer
		return
	}
	maps.Copy(w.Header(), refusal.Metadata())
	w.Header().Set("Cache-Control", "no-store")
	err := connect.NewError(connect.Code(refusal.Code), errorText(refusal.Message))
	if refusal.Reason != "" {
		addDetail(err, &errdetails.ErrorInfo{Reason: refusal.Reason, Domain: rpc.Domain})
	}
	if refusal.RetryAfter > 0 {
		addDetail(err, &errdetails.RetryInfo{RetryDelay: durationpb.New(refusal.RetryAfter)})
	}
	_ = g.errors.Write(w, r, err) // as above
}

// errorText is an error with a text for the caller.
type errorText string

func (e errorText) Error() string { return string(e) }

func addDetail(err *connect.Error, message proto.Message) {
	if detail, problem := connect.NewErrorDetail(message); problem == nil {
		err.AddDetail(detail)
	}
}
