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
// credential of its caller ends, as [gatehouse.EndAtExpiry] does, and when an agent
// that takes part in it is decommissioned or registered anew, or the registry cannot
// be read: at most 1.5 times Config.MaxAge and the duration of a query later. Put it
// around handlers of long requests, and have them watch their context.
func (r *Registry) EndWithAgent(next http.Handler) http.Handler {
	return gatehouse.EndAtExpiry(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		p, _ := gatehouse.FromContext(request.Context())
		if p.Kind == gatehouse.KindAgent || p.Method == methodKey || p.Actors.Len() > 0 {
			ctx, cancel := context.WithCancelCause(request.Context())
			defer cancel(nil)
			defer r.watch(ctx, p, cancel)()
			request = request.WithContext(ctx)
		}
		next.ServeHTTP(w, request)
	}))
}

// watch calls end when a check of p fails. It uses a timer instead of a goroutine,
// because most requests are short. The result stops it.
func (r *Registry) watch(ctx context.Context, p gatehouse.Principal, end context.CancelCauseFunc) (stop func()) {
	var mu sync.Mutex
	var timer *time.Timer
	stopped := false
	var again func()
	schedule := func() {
		mu.Lock()
		defer mu.Unlock()
		if !stopped {
			timer = time.AfterFunc(r.config.MaxAge/2, again)
		}
	}
	again = func() {
		if _, err := r.Caller(ctx, p); err != nil {
			end(err)
			return
		}
		schedule()
	}
	schedule()
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}
