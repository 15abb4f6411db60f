// SPDX-License-Identifier: Apache-2.0

package tool

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/gatehouse-go/gatehouse"
)

type contextKey struct{}

// FromContext returns the call that [Table.Handler] has allowed.
func FromContext(ctx context.Context) (*Call, bool) {
	c, ok := ctx.Value(contextKey{}).(*Call)
	return c, ok
}

// Handler returns a handler for the calls of one tool over plain HTTP, behind a gate: a
// POST whose body is the JSON object of the arguments. It calls [Table.Authorize] and
// then next, with the [Call] in the context and the canonical arguments as the body. The
// response to a refused call is like that to a request that a policy denies. If an
// approval is required, it is 403 approval_required, with the parameters approval, url
// and expires in the challenge.
//
// Handler panics if the table does not list the tool or next is nil.
func (t *Table) Handler(name string, next http.Handler) http.Handler {
	if next == nil || t.tools[name] == nil {
		panic("tool: Handler: nil handler, or the tool " + strconv.Quote(name) + " is not listed")
	}
	return gatehouse.Require()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		arguments, err := t.body(r)
		if err != nil {
			gatehouse.Refuse(w, r, refuse(CodeArguments, ReasonArguments, err))
			return
		}
		call, err := t.Authorize(r.Context(), p, name, arguments)
		if err != nil {
			gatehouse.Refuse(w, r, err)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), contextKey{}, call))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader([]byte(call.Canonical))), int64(len(call.Canonical))
		r.Header = r.Header.Clone()
		r.Header.Set("Content-Length", strconv.Itoa(len(call.Canonical)))
		next.ServeHTTP(w, r)
	}))
}

// body reads the arguments of a request.
func (t *Table) body(r *http.Request) ([]byte, error) {
	if r.Method != http.MethodPost {
		return nil, errors.New("tool: the method must be POST")
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, errors.New("tool: the Content-Type must be application/json")
	}
	// Read one byte more than the limit: Authorize checks the limit.
	return io.ReadAll(io.LimitReader(r.Body, int64(t.maxArguments())+1))
}
