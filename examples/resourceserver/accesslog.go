// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// snippet: accesslog

// decision is the decision of the gate on one request.
type decision struct {
	mu sync.Mutex
	gatehouse.Event
}

type decisionKey struct{}

// accessLog writes one line for each request, with the caller. It is outside the gate,
// and only handlers behind the gate have the caller in their context. So the observer
// stores the decision in the context of the outer request.
func accessLog(logger *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, d, response := time.Now(), new(decision), &response{ResponseWriter: w}
		ctx := context.WithValue(r.Context(), decisionKey{}, d)
		r = r.WithContext(ctx)
		unsent, aborted := http.StatusInternalServerError, true // after a panic the server closes the connection
		defer func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			// The route, because the path and the query may contain a credential.
			logger.LogAttrs(ctx, slog.LevelInfo, "request",
				slog.String("method", r.Method), slog.String("route", r.Pattern), slog.Int("status", cmp.Or(response.status, unsent)), slog.Bool("aborted", aborted),
				slog.String("decision", string(d.Decision)), slog.String("reason", string(d.Reason)),
				slog.String("issuer", d.Principal.Issuer), slog.String("subject", d.Principal.Subject),
				slog.String("tenant", d.Principal.Tenant), slog.String("credential", d.Credential),
				slog.Duration("duration", time.Since(start)))
		}()
		next.ServeHTTP(response, r)
		unsent, aborted = http.StatusOK, false
	})
}

// noteDecision is an observer. It stores the last decision on a request: after the gate
// has allowed it, a policy behind the gate may deny it.
func noteDecision(ctx context.Context, e gatehouse.Event) error {
	if d, ok := ctx.Value(decisionKey{}).(*decision); ok && e.Type == gatehouse.EventDecision {
		d.mu.Lock()
		defer d.mu.Unlock()
		if e.Principal.IsZero() {
			e.Principal = d.Principal
		}
		d.Event = e
	}
	return nil
}

// response records the status.
type response struct {
	http.ResponseWriter
	status int
}

func (r *response) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *response) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// end snippet
