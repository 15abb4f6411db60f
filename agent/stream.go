// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// EndWithAgent returns a handler that cancels the context of a request when the
// credential of its caller ends, as [gatehouse.EndAtExpiry] does. It also cancels the
// context when an agent that takes part is decommissioned or changes its registration,
// after at most 1.5 times Config.MaxAge plus the duration of a query. If the store fails,
// the query is repeated once; the context then ends after at most 2 times Config.MaxAge
// plus the duration of a query. The observer receives a [gatehouse.EventStreamEnded]. Put
// it around handlers of long requests, and have them watch their context.
func (r *Registry) EndWithAgent(next http.Handler) http.Handler {
	return gatehouse.EndAtExpiry(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		p, _ := gatehouse.FromContext(request.Context())
		if p.Kind == gatehouse.KindAgent || p.Method == methodKey || p.Actors.Len() > 0 {
			ctx, cancel := context.WithCancelCause(request.Context())
			defer cancel(nil)
			defer r.watch(request, p, cancel)()
			request = request.WithContext(ctx)
		}
		next.ServeHTTP(w, request)
	}))
}

// watch calls end when a check of p fails. It uses a timer instead of a goroutine,
// because most requests are short. The result stops it, and waits for a check in progress.
func (r *Registry) watch(request *http.Request, p gatehouse.Principal, end context.CancelCauseFunc) (stop func()) {
	ctx, cancel := context.WithCancel(request.Context())
	var mu sync.Mutex // also held during a check
	var timer *time.Timer
	var again func()
	failed, every := false, r.config.MaxAge/2
	check := func() *gatehouse.Event { // of a check that has ended the context
		mu.Lock()
		defer mu.Unlock()
		start := time.Now()
		_, _, e := r.resolve(ctx, p, p.Kind == gatehouse.KindAgent)
		switch {
		case ctx.Err() != nil: // the request has been served, or the client has disconnected
			return nil
		case e == nil:
			failed = false
		case e.Code.Status() == http.StatusServiceUnavailable && !failed:
			failed = true
		default:
			event := gatehouse.NewEvent(request, e, start) // before the request is served
			end(e)
			event.Type, event.Decision = gatehouse.EventStreamEnded, ""
			event.Principal, event.Issuer, event.Credential = p, p.Issuer, p.Credential
			return &event
		}
		timer = time.AfterFunc(every, again)
		return nil
	}
	again = func() {
		if event := check(); event != nil {
			// Without the lock, so that an observer that blocks does not delay the
			// request.
			_ = gatehouse.Report(context.WithoutCancel(ctx), r.config.Observer, *event) // the request ends in any case
		}
	}
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(every, again)
	return func() {
		cancel()
		mu.Lock()
		defer mu.Unlock()
		timer.Stop()
	}
}
