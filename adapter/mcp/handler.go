// SPDX-License-Identifier: Apache-2.0

package mcp

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/tool"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/internal/text"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// Config configures a [Handler].
type Config struct {
	// Server is the MCP server with its tools. Use it with one handler and no other
	// transport: its tools refuse calls that do not come from the handler. Required.
	Server *sdk.Server

	// Table decides on the calls. A tool that it does not list cannot be called.
	// Required.
	Table *tool.Table

	// Origin is the origin of the URL of the server, such as
	// "https://tools.example.com". A request from a page of another origin is refused
	// with 403. Required.
	Origin string

	// Origins are more origins whose pages may send requests. Optional.
	Origins []string

	// MaxBody is the maximum size of a request body in bytes: 4 MiB by default.
	MaxBody int64

	// Observer receives an event for each request from a page of another origin. The
	// other events come from the gate and the table. Optional.
	Observer gatehouse.Observer
}

// Handler serves an MCP server behind a gate. It is safe for concurrent use.
type Handler struct {
	table    *tool.Table
	origins  map[string]bool
	maxBody  int64
	observer gatehouse.Observer
	next     http.Handler
}

const defaultMaxBody = 4 << 20

// New returns a handler. It adds a middleware to the server. It reports all
// configuration errors at once.
func New(config Config) (*Handler, error) {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("mcp: Config."+format, args...)) }
	h := &Handler{table: config.Table, origins: make(map[string]bool), maxBody: cmp.Or(config.MaxBody, defaultMaxBody), observer: config.Observer}
	if config.Server == nil {
		fail("Server: required")
	}
	if config.Table == nil {
		fail("Table: required")
	}
	if config.Origin == "" {
		fail("Origin: required")
	}
	for i, origin := range append([]string{config.Origin}, config.Origins...) {
		u, err := safeurl.Parse(origin)
		switch {
		case origin == "" && i == 0:
		case err != nil || !text.IsVisible(origin) || !strings.EqualFold(strings.TrimSuffix(origin, "/"), u.Scheme+"://"+u.Host):
			fail("Origins: %q is not an origin such as %q", origin, "https://tools.example.com")
		default:
			h.origins[strings.ToLower(u.Scheme+"://"+u.Host)] = true
		}
	}
	if config.MaxBody < 0 {
		fail("MaxBody: got %d, want at least 1", config.MaxBody)
	}
	if h.observer != nil && typednil.Is(h.observer) {
		fail("Observer: is a nil %T", h.observer)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	config.Server.AddReceivingMiddleware(h.authorize)
	h.next = gatehouse.EndAtExpiry(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return config.Server }, &sdk.StreamableHTTPOptions{
		Stateless: true,
		// A response stream is the request: when it ends, so does the call.
		PropagateRequestCancellation: true,
		// The gate has authenticated the caller and Front has checked the Origin, so DNS
		// rebinding gains nothing. A reverse proxy on the same machine sends the public
		// host.
		DisableLocalhostProtection: true,
		MaxRequestBodyBytes:        h.maxBody,
	}))
	return h, nil
}

// Front returns the outermost handler of the endpoint. It refuses requests from pages of
// other origins, and stores the JSON-RPC request for [ErrorBody]. next is the handler
// with the gate.
//
// MCP 2026-07-28, Streamable HTTP: "Servers MUST validate the Origin header".
func (h *Handler) Front(next http.Handler) http.Handler {
	if next == nil {
		panic("mcp: Handler.Front: nil handler")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		request := &exchange{body: r.Body, maxBody: h.maxBody}
		ctx := context.WithValue(r.Context(), exchangeKey{}, request)
		if origins := r.Header["Origin"]; len(origins) > 1 || len(origins) == 1 && !h.origins[strings.ToLower(origins[0])] {
			err := &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: ReasonOrigin}
			code := err.Code
			if gatehouse.Report(ctx, h.observer, gatehouse.NewEvent(r, err, start)) != nil {
				code = gatehouse.CodeTemporarilyUnavailable
			}
			request.write(w, gatehouse.Refusal{Status: code.Status(), Code: code.String(), Description: code.Description()})
			return
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// ServeHTTP serves a request that the gate has authenticated.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost { // there are no sessions
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	principal, ok := gatehouse.FromContext(r.Context())
	request := exchangeOf(r.Context())
	if !ok || request == nil {
		gatehouse.Refuse(w, r, &gatehouse.Error{
			Code: gatehouse.CodeMissingCredentials, Reason: gatehouse.ReasonOutsideGate,
			Cause: errors.New("mcp: the handler is not behind a gate, or not behind Handler.Front"),
		})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.maxBody))
	if err != nil {
		request.isRead, request.code = true, codeInvalidRequest
		gatehouse.Refuse(w, r, malformed(codeLarge, err))
		return
	}
	if err := request.read(body); err != nil {
		gatehouse.Refuse(w, r, malformed(CodeMessage, err))
		return
	}
	request.principal = principal
	inner := r.Clone(r.Context())
	inner.Body = io.NopCloser(bytes.NewReader(body))
	if request.method == "subscriptions/listen" {
		// The stream ends with the credential, not at the timeout of the server.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	}
	answer := &response{ResponseWriter: w, request: r, exchange: request}
	h.next.ServeHTTP(answer, inner)
	answer.start()
}
