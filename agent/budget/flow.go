// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/model"
)

// The causes for which a meter ends a call before its response ends. [Meter.Transport]
// returns them as errors. With [Meter.Handler] they are causes of the context of the
// request that next receives.
var (
	// ErrStalled: the upstream made no progress, and the hold is about to expire.
	ErrStalled = errors.New("budget: the upstream makes no progress")
	// ErrCut: the stream has used its hold, and the budget has no capacity to extend
	// it.
	ErrCut = errors.New("budget: the stream has reached its hold")
	// ErrUnmetered: the response cannot be metered, because it is compressed or not an
	// HTTP response.
	ErrUnmetered = errors.New("budget: the response cannot be metered")
)

// flow is a call in progress.
type flow struct {
	meter  *Meter
	call   Call
	limit  int64 // output tokens of each choice
	start  time.Time
	ctx    context.Context // of the request that is served
	cancel context.CancelCauseFunc
	direct bool // status comes from the upstream, not from a handler
	hold   *Hold
	timer  *time.Timer

	progress atomic.Int64 // bytes of the response
	status   int
	plain    plain
	events   *events // of a stream, nil for a plain response

	mu      sync.Mutex
	held    int64 // output tokens of all choices
	counted int64 // output tokens, by Call.Count
	ended   bool
}

// watch extends the hold while the response makes progress, and otherwise ends the call
// before the hold expires.
func (f *flow) watch() {
	ttl := f.meter.ledger.ttl
	interval, margin := ttl/4, min(ttl/8, 2*time.Second)
	seen := int64(0)
	f.mu.Lock() // until timer is set
	defer f.mu.Unlock()
	f.timer = time.AfterFunc(interval, func() {
		f.mu.Lock()
		ended := f.ended
		f.mu.Unlock()
		if ended {
			return
		}
		if now := f.progress.Load(); now != seen {
			seen = now
			_ = f.hold.Extend(f.ctx) // if it fails, the deadline stays
		}
		left := time.Until(f.hold.Deadline()) - margin
		if left <= 0 {
			f.cancel(ErrStalled)
			return
		}
		f.timer.Reset(min(interval, left))
	})
}

// open reads the header of the response. It returns an error if the response cannot be
// metered.
func (f *flow) open(status int, header http.Header) error {
	f.status = status
	f.progress.Add(1)
	encoded := slices.ContainsFunc(header["Content-Encoding"], func(coding string) bool {
		return coding != "" && !strings.EqualFold(coding, "identity")
	})
	if encoded || status == http.StatusSwitchingProtocols {
		return ErrUnmetered
	}
	rateLimit(header, f.hold.Balances, f.hold.at, time.Time{})
	media, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	if status < http.StatusMultipleChoices && strings.EqualFold(strings.TrimSpace(media), "text/event-stream") {
		header.Del("Content-Length")
		f.events = &events{shape: f.call.Shape, single: f.call.Choices == 1, hide: f.call.HideUsage, ended: func() { f.end(false) }}
		if f.call.Count != nil {
			f.events.each = func(data []byte) { f.counted += max(f.call.Count(data), 0) }
		}
	}
	return nil
}

// read meters the next piece of a plain response.
func (f *flow) read(piece []byte) {
	f.progress.Add(int64(len(piece)))
	f.plain.feed(piece)
	if f.plain.done {
		f.end(false)
	}
}

// feed meters the next piece of a stream, and appends the bytes for the client to out.
// out and piece may share their memory. The error is [ErrCut].
func (f *flow) feed(out, piece []byte) ([]byte, error) {
	f.progress.Add(int64(len(piece)))
	out = f.events.feed(out, piece)
	if err := f.grow(); err != nil {
		return append(out, f.failure()...), err
	}
	return out, nil
}

// grow extends the hold if the stream comes near it, and cuts the stream if it is above
// it.
func (f *flow) grow() error {
	if !f.events.fresh && f.call.Count == nil {
		return nil
	}
	f.events.fresh = false
	f.mu.Lock()
	defer f.mu.Unlock()
	u, _ := f.events.usage()
	used := max(f.counted, u.Output)
	if f.ended || f.events.final || used < f.held-f.call.Step/2 {
		return nil
	}
	if next := min(max(used, f.held)+f.call.Step, f.limit*f.call.Choices); next > f.held {
		if amounts, err := f.amounts(bound(f.call.Input, next)); err == nil && f.hold.Extend(f.ctx, amounts...) == nil {
			f.held = next
		}
	}
	if used > f.held {
		return ErrCut
	}
	return nil
}

// end ends the call: it settles the hold with the reported usage. failed is true if there
// was no response.
func (f *flow) end(failed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return
	}
	f.ended = true
	f.timer.Stop()
	u, ok := f.used(failed)
	if !ok {
		_ = f.hold.SettleAll(f.ctx) // the ledger reports an error and retries
		return
	}
	amounts, err := f.amounts(u)
	if err != nil { // Price failed, although it succeeded for the hold
		_ = f.hold.SettleAll(f.ctx)
		return
	}
	if u == (Usage{}) { // nothing was served: not even a request is charged
		clear(amounts)
	}
	_ = f.hold.Settle(f.ctx, amounts...)
}

// used returns the usage of the call. ok is false if it is unknown.
func (f *flow) used(failed bool) (Usage, bool) {
	if f.events == nil {
		if u, ok := f.plain.usage(f.call.Shape); ok {
			return u, true
		}
		// A failure before the response, and an error response of the upstream, cost
		// nothing. If the client or the meter ended the call, the usage is unknown: the
		// upstream may have worked on the call, and the error response may be that of a
		// handler.
		refused := f.status >= http.StatusMultipleChoices
		return Usage{}, refused && f.direct || (failed || refused) && f.ctx.Err() == nil
	}
	u, whole := f.events.usage()
	if whole {
		return u, true
	}
	if f.call.Shape == model.Messages && !f.events.bad && f.events.fields.has[inputTokens] {
		u.Output = max(u.Output, f.limit*f.call.Choices)
		u.Total = u.Input + u.Output
		return u, u.Total <= MaxAmount
	}
	return Usage{}, false
}

// tail appends the end of a stream to out: the event that is not finished, or an error
// event in place of it if the stream ended early.
func (f *flow) tail(out []byte) []byte {
	if f.events.last || f.events.final && f.call.Shape != model.Messages { // some upstreams omit [DONE]
		return append(out, f.events.rest...)
	}
	if f.events.unread { // the client has a part of the event
		out = append(out, "\n\n"...)
	}
	return append(out, f.failure()...)
}

// failure returns the last event of a stream that was cut.
func (f *flow) failure() []byte {
	if f.call.Shape == model.Messages {
		return []byte("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"The stream ended early.\"}}\n\n")
	}
	return []byte("event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"The stream ended early.\",\"type\":\"server_error\",\"code\":null,\"param\":null}}\n\n")
}
