// SPDX-License-Identifier: Apache-2.0

// Package gategrpc puts a [gatehouse.Gate] in front of a gRPC server.
//
//	interceptor, err := gategrpc.New(gategrpc.Config{
//		Gate: gate,
//		Methods: map[string][]gatehouse.Policy{
//			"/acme.Reports/List":  {scopes.All("reports:read")},
//			"/acme.Reports/Watch": {scopes.All("reports:read")},
//		},
//		Public: []string{"/grpc.health.v1.Health/Check"},
//	})
//	server := grpc.NewServer(
//		grpc.UnaryInterceptor(interceptor.Unary),
//		grpc.StreamInterceptor(interceptor.Stream),
//	)
//	reports.Register(server)
//	err = interceptor.Check(server) // every registered method is in the configuration
//
// The gate treats a call as a request with the method POST, the full name of the method
// as its path, the metadata as its headers, and the TLS state of its connection. All
// authenticators and policies work as for HTTP. The URL in a DPoP proof is that of the
// method, such as "https://api.example.com/acme.Reports/List". The handler gets metadata
// without credentials, and [gatehouse.FromContext] returns the caller. Binary metadata,
// whose names end in "-bin", are no headers.
//
// The gate decides on a unary call after the message was received and decoded:
// limit its size with grpc.MaxRecvMsgSize.
//
// # Refusals
//
//	HTTP   gRPC
//	400    InvalidArgument
//	401    Unauthenticated
//	403    PermissionDenied
//	404    Unimplemented: the method is not in the configuration
//	429    ResourceExhausted
//	503    Unavailable
//
// The status has an ErrorInfo with the error code, such as insufficient_scope, as its
// reason, and for 429 and 503 a RetryInfo. The trailer has www-authenticate, and
// dpop-nonce if the client needs a nonce.
//
// # Streams
//
// A stream ends with Unauthenticated when the credential of its caller ends, see
// [gatehouse.UntilCredentialEnds], with PermissionDenied when the caller has lost a scope or a
// role, and with Unavailable when the credential cannot be checked, even if the handler waits for a
// message. The handler then gets the same error from RecvMsg and SendMsg, its context is done, and
// its result is discarded. A DPoP proof is checked once, when the stream begins.
package gategrpc
