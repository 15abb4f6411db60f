// SPDX-License-Identifier: Apache-2.0

// Package gateconnect puts a [gatehouse.Gate] in front of Connect services.
//
//	guard, err := gateconnect.New(gateconnect.Config{
//		Gate: gate,
//		Methods: map[string][]gatehouse.Policy{
//			reportsconnect.ReportsListProcedure:  {scopes.All("reports:read")},
//			reportsconnect.ReportsWatchProcedure: {scopes.All("reports:read")},
//		},
//	})
//	path, reports := reportsconnect.NewReportsHandler(server, connect.WithInterceptors(guard))
//	mux := http.NewServeMux()
//	mux.Handle(path, guard.Handler(reports))
//
// [Guard.Handler] decides before the message is read, and has the connection with its
// client certificate, which interceptors of Connect do not have. The interceptor
// refuses every call that has not passed it, so that a service without Handler around
// it serves no caller. [gatehouse.FromContext] returns the caller.
//
// # Refusals
//
// A refusal is an error of the protocol of the call: Connect, gRPC or gRPC-Web. A
// request of none of these gets the response of the gate for HTTP.
//
//	HTTP   Connect
//	400    invalid_argument
//	401    unauthenticated
//	403    permission_denied
//	404    unimplemented: the method is not in the configuration
//	429    resource_exhausted
//	503    unavailable
//
// The error has an ErrorInfo with the error code, such as insufficient_scope, as its
// reason, and for 429 and 503 a RetryInfo. WWW-Authenticate and DPoP-Nonce are
// headers of the response in all three protocols: net/http does not send
// WWW-Authenticate as a trailer.
//
// # Streams
//
// A stream ends with unauthenticated when the credential of its caller ends, see
// [gatehouse.UntilCredentialEnds], with permission_denied when the caller has lost a scope
// or a role, and with unavailable when the credential cannot be checked, also if the
// handler waits for a message: its context is canceled and Receive returns an error.
// Without the interceptor, unary calls also end then, and streams end with another code. A
// DPoP proof is checked once, when the stream begins.
package gateconnect
