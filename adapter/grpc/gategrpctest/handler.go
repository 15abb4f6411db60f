// SPDX-License-Identifier: Apache-2.0

// Package gategrpctest attacks gRPC servers with package authtest.
package gategrpctest

import (
	"context"
	"net/http"

	"google.golang.org/grpc"

	"github.com/gatehouse-go/gatehouse/adapter/internal/rpctest"
)

// Handler returns a handler for authtest.Attack that sends each request to server as
// a gRPC call: the path is the full name of the method, set it as the Target of the
// issuer; the headers are the metadata, and the message is empty. The response has the
// HTTP status of the gRPC code, and the trailer as headers.
//
// A call has no query. A request with a query beside an Authorization header, which is
// a second credential for package authtest, gets 400 and is not sent.
func Handler(server *grpc.Server) http.Handler {
	calls := rpctest.Handler(server)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" && r.Header["Authorization"] != nil {
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		calls.ServeHTTP(w, r)
	})
}

// Witness reports to the attack that a handler with the context ctx runs, like
// authtest.Witness: call it in a handler, and the attack reports refused calls that
// reach the handler. Outside of an attack it does nothing.
func Witness(ctx context.Context) { rpctest.Witness(ctx) }
