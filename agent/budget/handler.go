// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// Handler returns a handler that meters the responses of next. next is a handler that
// makes the call itself, or a [httputil.ReverseProxy]. A refused request does not reach
// next: the response is that of [gatehouse.Refuse]. Responses have the header fields
// RateLimit-Policy and RateLimit.
//
// If the meter ends the call, it cancels the context of the request of next, with a cause
// such as [ErrStalled]; next must then return. Handler panics if next is nil.
func (m *Meter) Handler(next http.Handler) http.Handler {
	if next == nil {
		panic("budget: Meter.Handler: nil handler")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, out, err := m.begin(r)
		if err != nil {
			gatehouse.Refuse(w, r, err)
			return
		}
		mw := &writer{ResponseWriter: w, flow: f}
		defer f.cancel(nil)
		defer mw.finish() // also after a panic
		next.ServeHTTP(mw, out)
		mw.returned = true
	})
}

// writer is the writer of a metered response.
type writer struct {
	http.ResponseWriter
	flow     *flow
	buffer   []byte
	opened   bool
	returned bool
	err      error
}

// WriteHeader implements [http.ResponseWriter].
func (w *writer) WriteHeader(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	if w.opened {
		return
	}
	w.opened = true
	if w.err = w.flow.open(status, w.Header()); w.err != nil {
		w.flow.end(false)
		// The client must receive the whole response before the handler fails.
		clear(w.Header())
		w.Header().Set("Content-Length", "0")
		w.ResponseWriter.WriteHeader(http.StatusBadGateway)
		_ = http.NewResponseController(w.ResponseWriter).Flush()
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [io.Writer].
func (w *writer) Write(p []byte) (int, error) {
	if !w.opened {
		w.WriteHeader(http.StatusOK)
	}
	if w.err != nil {
		return 0, w.err
	}
	if w.flow.events == nil {
		w.flow.read(p)
		return w.ResponseWriter.Write(p)
	}
	w.buffer, w.err = w.flow.feed(w.buffer[:0], p)
	if _, err := w.ResponseWriter.Write(w.buffer); err != nil {
		return 0, err
	}
	if w.err != nil {
		w.flow.cancel(w.err)
		return 0, w.err
	}
	return len(p), nil
}

// FlushError is called by [http.ResponseController].
func (w *writer) FlushError() error {
	if !w.opened {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements [http.Flusher].
func (w *writer) Flush() { _ = w.FlushError() }

// [http.ResponseController] calls the next three methods. The writer has no Unwrap, so
// that a handler cannot hijack the connection.

// SetReadDeadline sets the read deadline of the connection.
func (w *writer) SetReadDeadline(t time.Time) error {
	return http.NewResponseController(w.ResponseWriter).SetReadDeadline(t)
}

// SetWriteDeadline sets the write deadline of the connection.
func (w *writer) SetWriteDeadline(t time.Time) error {
	return http.NewResponseController(w.ResponseWriter).SetWriteDeadline(t)
}

// EnableFullDuplex lets the handler read the request while it writes.
func (w *writer) EnableFullDuplex() error {
	return http.NewResponseController(w.ResponseWriter).EnableFullDuplex()
}

// finish ends the call after the handler.
func (w *writer) finish() {
	w.flow.end(false)
	if w.returned && w.err == nil && w.flow.events != nil {
		_, _ = w.ResponseWriter.Write(w.flow.tail(nil))
	}
}
