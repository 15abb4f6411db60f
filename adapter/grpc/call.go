// SPDX-License-Identifier: Apache-2.0

package gategrpc

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gatehouse-go/gatehouse/adapter/internal/rpc"
)

// newRequest returns the HTTP request for the gate that represents a call.
func newRequest(ctx context.Context, method string) *http.Request {
	r := (&http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: method}, RequestURI: method,
		Proto: "HTTP/2.0", ProtoMajor: 2, Header: make(http.Header), Body: http.NoBody,
	}).WithContext(ctx)
	incoming, _ := metadata.FromIncomingContext(ctx)
	for name, values := range incoming {
		switch {
		case name == ":authority" && len(values) == 1:
			r.Host = values[0]
		case isHeader(name):
			r.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	if p, ok := peer.FromContext(ctx); ok {
		if p.Addr != nil {
			r.RemoteAddr = p.Addr.String()
		}
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			r.TLS = &info.State
		}
	}
	return r
}

// isHeader reports whether metadata with this name become a header for the gate.
func isHeader(name string) bool {
	return !strings.HasPrefix(name, ":") && !strings.HasSuffix(name, "-bin")
}

// withoutCredentials returns the context of an admitted call, with metadata without
// credentials.
func withoutCredentials(r *http.Request) context.Context {
	incoming, _ := metadata.FromIncomingContext(r.Context())
	left := make(metadata.MD, len(incoming))
	for name, values := range incoming {
		if isHeader(name) {
			values = r.Header[http.CanonicalHeaderKey(name)]
		}
		if len(values) > 0 {
			left[name] = values
		}
	}
	return metadata.NewIncomingContext(r.Context(), left)
}

func toMetadata(header http.Header) metadata.MD {
	md := make(metadata.MD, len(header))
	for name, values := range header {
		md.Append(name, values...)
	}
	return md
}

// refuse returns the status of a refused call, and sets its trailer.
func refuse(ctx context.Context, refusal *rpc.Refusal) error {
	_ = grpc.SetTrailer(ctx, toMetadata(refusal.Metadata())) // fails only outside of a server
	var details []protoadapt.MessageV1
	if refusal.Reason != "" {
		details = append(details, &errdetails.ErrorInfo{Reason: refusal.Reason, Domain: rpc.Domain})
	}
	if refusal.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(refusal.RetryAfter)})
	}
	refused := status.New(codes.Code(refusal.Code), refusal.Message)
	if detailed, err := refused.WithDetails(details...); err == nil {
		refused = detailed
	}
	return refused.Err()
}
