// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"

	"github.com/klauspost/compress/gzhttp"
	"github.com/rs/cors"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/trace"
)

// inFront returns what is in front of the gate, from the outside in:
//
//   - tracing, which sees refused requests, and the pattern of the route;
//   - CORS, because a preflight request has no credential, and because a script may
//     read a refusal only with the headers of CORS;
//   - compression, which copies the status and the headers of a refusal.
func inFront(handler http.Handler, tracing trace.TracerProvider) http.Handler {
	handler = gzhttp.GzipHandler(handler)
	handler = cors.New(cors.Options{
		AllowedOrigins: []string{"https://app.example.com"},
		AllowedMethods: []string{http.MethodGet},
		AllowedHeaders: []string{"Authorization", "DPoP"},
		ExposedHeaders: []string{"WWW-Authenticate", "DPoP-Nonce", "Retry-After"},
	}).Handler(handler)
	return otelhttp.NewHandler(handler, "frameworks", otelhttp.WithTracerProvider(tracing))
}
