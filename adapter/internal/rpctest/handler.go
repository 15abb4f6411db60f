// SPDX-License-Identifier: Apache-2.0

// Package rpctest has the callers of the tests of RPC adapters, and makes gRPC calls of
// HTTP requests, for package authtest.
package rpctest

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"

	"github.com/gatehouse-go/gatehouse/adapter/internal/rpc"
	"github.com/gatehouse-go/gatehouse/authtest"
)

// Handler returns a handler that sends each request to server as a gRPC call with an
// empty message: the path is the method, the headers are the metadata. The response
// has the HTTP status of the gRPC code, the metadata and trailer as headers, and the
// message of the status or the messages of the handler as its body.
func Handler(server http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := r.Clone(r.Context())
		if call.Method == http.MethodGet {
			call.Method = http.MethodPost
		}
		call.Proto, call.ProtoMajor, call.ProtoMinor = "HTTP/2.0", 2, 0
		call.Header.Set("Content-Type", "application/grpc")
		call.Header.Set("Te", "trailers")
		call.Body, call.ContentLength = io.NopCloser(bytes.NewReader(make([]byte, 5))), -1
		recorder := httptest.NewRecorder()
		server.ServeHTTP(recorder, call)
		answer := recorder.Result()
		defer answer.Body.Close()

		header := answer.Header.Clone()
		maps.Copy(header, answer.Trailer)
		status := answer.StatusCode
		if status == http.StatusOK {
			status = statusOf(header.Get("Grpc-Status"))
		}
		message, _ := url.PathUnescape(header.Get("Grpc-Message"))
		for name, values := range header {
			if !strings.HasPrefix(name, "Grpc-") && name != "Content-Type" && name != "Trailer" {
				w.Header()[name] = values
			}
		}
		w.Header().Set("Cache-Control", "no-store") // no cache stores a response to POST
		w.WriteHeader(status)
		_, _ = io.Copy(w, io.MultiReader(strings.NewReader(message), answer.Body))
	})
}

// statusOf returns the HTTP status of a gRPC code.
func statusOf(code string) int {
	switch n, err := strconv.Atoi(code); {
	case err != nil:
		return http.StatusBadGateway
	case n == 0:
		return http.StatusOK
	case n == rpc.InvalidArgument:
		return http.StatusBadRequest
	case n == rpc.Unauthenticated:
		return http.StatusUnauthorized
	case n == rpc.PermissionDenied:
		return http.StatusForbidden
	case n == rpc.Unimplemented:
		return http.StatusNotFound
	case n == rpc.ResourceExhausted:
		return http.StatusTooManyRequests
	case n == rpc.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// Witness reports to the attack of package authtest that a handler with the context
// ctx runs.
func Witness(ctx context.Context) {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", http.NoBody)
	authtest.Witness(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(httptest.NewRecorder(), r)
}

// Findings attacks handler, and returns how many findings of each kind there are.
func Findings(handler http.Handler, issuer *authtest.Issuer) map[authtest.Kind]int {
	found := make(map[authtest.Kind]int)
	for attempt := range authtest.Attacks(issuer) {
		for _, finding := range attempt.Try(handler) {
			found[finding.Kind]++
		}
	}
	return found
}
