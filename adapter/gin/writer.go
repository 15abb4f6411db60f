// SPDX-License-Identifier: Apache-2.0

package gategin

import (
	"io"
	"net/http"

	"github.com/gin-gonic/gin"
)

// writer writes to the ResponseWriter of a middleware, which writes to that of gin.
type writer struct {
	gin.ResponseWriter
	outer http.ResponseWriter
}

func (w writer) Header() http.Header { return w.outer.Header() }

func (w writer) WriteHeader(status int) { w.outer.WriteHeader(status) }

func (w writer) Write(p []byte) (int, error) { return w.outer.Write(p) }

func (w writer) WriteString(s string) (int, error) { return io.WriteString(w.outer, s) }

// WriteHeaderNow implements [gin.ResponseWriter].
func (w writer) WriteHeaderNow() {
	if !w.Written() {
		w.outer.WriteHeader(w.Status())
	}
	w.ResponseWriter.WriteHeaderNow()
}

// Flush implements [http.Flusher].
func (w writer) Flush() { _ = http.NewResponseController(w.outer).Flush() }

// Unwrap is for [http.ResponseController].
func (w writer) Unwrap() http.ResponseWriter { return w.outer }
