// SPDX-License-Identifier: Apache-2.0

package mcp

import (
	"net/http"

	"github.com/gatehouse-go/gatehouse"
)

// response is a writer that replaces the response of the SDK with a refusal of the gate,
// with its status and challenge, if the call was refused. It delays the header until the
// first byte or the end of the body, because the SDK writes the header of a stream before
// it calls the tool.
type response struct {
	http.ResponseWriter
	request  *http.Request
	exchange *exchange

	status  int // that the SDK has set, 0 for none
	started bool
	refused bool
}

// WriteHeader implements [http.ResponseWriter].
func (w *response) WriteHeader(status int) { w.status = status }

// Write implements [http.ResponseWriter].
func (w *response) Write(data []byte) (int, error) {
	if w.start(); w.refused {
		return len(data), nil
	}
	return w.ResponseWriter.Write(data)
}

// start writes the header, or the refusal, once.
func (w *response) start() {
	if w.started {
		return
	}
	w.started = true
	if err := w.exchange.refused(); err != nil {
		w.refused = true
		gatehouse.Refuse(w.ResponseWriter, w.request, err)
		return
	}
	// RFC 9111: a response for one caller must not be cached.
	w.Header().Set("Cache-Control", "no-store")
	if w.status != 0 {
		w.ResponseWriter.WriteHeader(w.status)
	}
}

// Flush implements [http.Flusher].
func (w *response) Flush() { _ = w.FlushError() }

// FlushError sends what was written. Before the first byte there is nothing to send.
func (w *response) FlushError() error {
	if !w.started {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap is for [http.ResponseController].
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
