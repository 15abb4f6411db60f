// SPDX-License-Identifier: Apache-2.0

package gategrpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"google.golang.org/grpc"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/adapter/internal/rpc"
)

// Config configures an [Interceptor].
type Config struct {
	// Gate authenticates the callers. Required.
	Gate *gatehouse.Gate

	// Methods are the policies of each method, by its full name, such as
	// "/acme.Reports/List". Each has at least one policy:
	// [gatehouse.Authenticated] allows every authenticated caller.
	Methods map[string][]gatehouse.Policy

	// Public are the full names of the methods for which the gate does not
	// authenticate. Their handlers get the metadata unchanged, with credentials.
	Public []string
}

// Interceptor decides on the calls of a gRPC server. It is safe for concurrent use.
type Interceptor struct{ methods *rpc.Methods }

// New returns an interceptor. It reports all configuration errors at once.
func New(config Config) (*Interceptor, error) {
	methods, err := rpc.New("gategrpc", config.Gate, config.Methods, config.Public)
	if err != nil {
		return nil, err
	}
	return &Interceptor{methods}, nil
}

// Check returns an error if a method that is registered with server is not in [Config],
// or if Config has one that is not registered. Call it after all services are
// registered. Even without Check, calls of a method that is not in Config are refused:
// those of anonymous callers with Unauthenticated, all others with Unimplemented.
func (i *Interceptor) Check(server *grpc.Server) error {
	missing := i.methods.Names()
	var problems []string
	for service, info := range server.GetServiceInfo() {
		for _, m := range info.Methods {
			method := "/" + service + "/" + m.Name
			if !missing[method] {
				problems = append(problems, fmt.Sprintf("gategrpc: %q: is not in Config.Methods or Config.Public", method))
			}
			delete(missing, method)
		}
	}
	for method := range maps.Keys(missing) {
		problems = append(problems, fmt.Sprintf("gategrpc: %q: is in Config, but not registered with the server", method))
	}
	slices.Sort(problems)
	errs := make([]error, len(problems))
	for n, problem := range problems {
		errs[n] = errors.New(problem)
	}
	return errors.Join(errs...)
}

// Unary is a [grpc.UnaryServerInterceptor].
func (i *Interceptor) Unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (response any, err error) {
	err = i.serve(ctx, info.FullMethod, func(ctx context.Context) (err error) {
		response, err = handler(ctx, request)
		return err
	})
	return response, err
}

// Stream is a [grpc.StreamServerInterceptor].
func (i *Interceptor) Stream(server any, s grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return i.serve(s.Context(), info.FullMethod, func(ctx context.Context) error {
		return serveStream(ctx, s, func(s grpc.ServerStream) error { return handler(server, s) })
	})
}

// serve calls run if the gate admits the call.
func (i *Interceptor) serve(ctx context.Context, method string, run func(context.Context) error) (err error) {
	refusal := i.methods.Serve(newRequest(ctx, method), func(r *http.Request, header http.Header) {
		if err = grpc.SetHeader(ctx, toMetadata(rpc.Metadata(header))); err == nil {
			err = run(withoutCredentials(r)) //nolint:contextcheck // the context of r is derived from ctx
		}
	})
	if refusal != nil {
		return refuse(ctx, refusal)
	}
	return err
}
