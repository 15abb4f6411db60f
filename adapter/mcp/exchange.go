// SPDX-License-Identifier: Apache-2.0

package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"
	"sync"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// exchange is one HTTP request with one JSON-RPC message.
type exchange struct {
	body    io.Reader // until read
	maxBody int64

	isRead bool
	code   int             // of a JSON-RPC error
	id     json.RawMessage // nil if there is none
	method string

	principal gatehouse.Principal // the caller

	mu      sync.Mutex
	refusal error // of the call, for the response
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	e, _ := ctx.Value(exchangeKey{}).(*exchange)
	return e
}

// The JSON-RPC error codes. Those of refusals are in the range that MCP leaves to
// servers.
const (
	codeRefused        = -32000
	codeParse          = -32700
	codeInvalidRequest = -32600
)

// The causes of refused messages.
var (
	errBody  = errors.New("mcp: the body is not one JSON object with distinct names and valid Unicode")
	errBatch = errors.New("mcp: batches are not supported")
	errID    = errors.New("mcp: id must be a string or an integer")
)

// malformed returns the refusal of a message.
func malformed(code gatehouse.Code, cause error) *gatehouse.Error {
	return &gatehouse.Error{Code: code, Reason: ReasonMessage, Cause: cause}
}

// read reads the members of a message that a refusal needs. It is strict, because the
// SDK takes the last of two members with one name.
func (e *exchange) read(body []byte) error {
	e.isRead, e.code = true, codeInvalidRequest
	if bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) {
		return errBatch
	}
	limits := strictjson.Limits{Depth: 64, Members: 100_000}
	err := strictjson.Object(string(body), limits, func(name, value string) error {
		switch name {
		case "id":
			if _, ok := strictjson.String(value); !ok {
				if _, err := strconv.ParseInt(value, 10, 54); err != nil {
					return errID
				}
			}
			e.id = json.RawMessage(value)
		case "method":
			e.method, _ = strictjson.String(value)
		}
		return nil
	})
	if err == nil {
		e.code = codeRefused
	} else if !errors.Is(err, errID) {
		e.code, err = codeParse, errBody
	}
	return err
}

// ErrorBody is for [gatehouse.Config.ErrorBody] of the gate in front of a [Handler]:
// it returns a JSON-RPC error with the ID of the request, whose data.error is the error
// code of the refusal. For requests to other handlers it returns the default.
func ErrorBody(r *http.Request, refusal gatehouse.Refusal) gatehouse.Body {
	e := exchangeOf(r.Context())
	if e == nil || r.Method != http.MethodPost {
		return gatehouse.Body{}
	}
	if !e.isRead { // the gate has refused the caller
		body, _ := io.ReadAll(io.LimitReader(e.body, min(e.maxBody, maxRefused))) // what cannot be read has no ID
		if e.read(body) != nil {
			e.id = nil
		}
		e.code = codeRefused
	}
	return gatehouse.Body{ContentType: "application/json", Content: e.encode(refusal)}
}

// maxRefused limits the bytes that are read of a refused message to find its ID.
const maxRefused = 64 << 10

func (e *exchange) encode(refusal gatehouse.Refusal) []byte {
	data := map[string]any{"error": refusal.Code}
	if refusal.Scopes.Len() > 0 {
		data["scope"] = refusal.Scopes.String()
	}
	if refusal.RetryAfter > 0 {
		data["retry_after"] = int64(refusal.RetryAfter.Seconds())
	}
	for _, p := range refusal.Params {
		data[p.Name] = p.Value
	}
	return e.message(refusal.Description, data)
}

func (e *exchange) message(text string, data any) []byte {
	type rpc struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Data    any    `json:"data,omitempty"`
	}
	encoded, _ := json.Marshal(struct { // cannot fail: id is a value of a valid message
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"` // null if there is none
		Error   rpc             `json:"error"`
	}{"2.0", e.id, rpc{e.code, text, data}})
	return append(encoded, '\n')
}

// write writes a refusal that does not come from the gate.
func (e *exchange) write(w http.ResponseWriter, refusal gatehouse.Refusal) {
	e.code = codeRefused // the body of a page of another origin is not read
	maps.Copy(w.Header(), http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}})
	w.WriteHeader(refusal.Status)
	_, _ = w.Write(e.encode(refusal))
}

// refuse keeps the refusal of the call for the response.
func (e *exchange) refuse(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refusal = err
}

func (e *exchange) refused() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.refusal
}
