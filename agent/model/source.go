// SPDX-License-Identifier: Apache-2.0

package model

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

// Source defines where a request names its model. At least one of Body, Path and Header
// is required. If several name a model, they must name the same, byte for byte.
type Source struct {
	// Body is the shape of the JSON body. "" leaves the body unread: the call then has
	// no input bound and no limits.
	Body Shape
	// Path is the name of a wildcard of the route, [http.Request.PathValue].
	Path string
	// Header is the name of a header.
	Header string
	// MaxBytes limits the body. By default 1 MiB.
	MaxBytes int64
}

const defaultMaxBytes = 1 << 20

// Require returns a middleware that calls the next handler only for requests that name a
// model which the caller may use. The handler gets the [Call] from [FromContext] and can
// read the unchanged body again. Mount it behind the gate; outside of a gate every
// request is refused.
//
// The refusals are 400 for a missing, unknown or ambiguous model, and for a body that
// [Parse] refuses, is compressed, or has another content type than application/json; 413
// for a body above MaxBytes; 403 for a missing scope and for content without a bound.
//
// Require panics if the source is incomplete.
func (c *Catalogue) Require(source Source) func(http.Handler) http.Handler {
	switch source.Body {
	case "", ChatCompletions, Responses, Embeddings, Messages:
	default:
		panic(fmt.Sprintf("model: Require: unknown shape %q", source.Body))
	}
	if source.Body == "" && source.Path == "" && source.Header == "" {
		panic("model: Require: Source needs Body, Path or Header")
	}
	if source.Header != "" && !text.IsToken(source.Header) {
		panic(fmt.Sprintf("model: Require: %q is not the name of a header", source.Header))
	}
	if source.MaxBytes < 0 {
		panic("model: Require: Source.MaxBytes is negative")
	}
	if source.MaxBytes == 0 {
		source.MaxBytes = defaultMaxBytes
	}
	source.Header = http.CanonicalHeaderKey(source.Header)
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic("model: Require: nil handler")
		}
		return gatehouse.Require()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			caller, _ := gatehouse.FromContext(r.Context())
			call, err := source.call(w, r)
			if err == nil {
				call.Model, err = c.Resolve(caller, call.Name)
			}
			if err != nil {
				gatehouse.Refuse(w, r, err)
				return
			}
			r = r.WithContext(NewContext(r.Context(), call))
			if source.Body != "" {
				r.Body = io.NopCloser(bytes.NewReader(call.body))
				r.ContentLength, r.TransferEncoding = int64(len(call.body)), nil
			}
			next.ServeHTTP(w, r)
		}))
	}
}

// call reads the request.
func (s *Source) call(w http.ResponseWriter, r *http.Request) (*Call, error) {
	call := &Call{Choices: 1, empty: true}
	if s.Body != "" {
		body, err := s.read(w, r)
		if err != nil {
			return nil, err
		}
		if call, err = Parse(s.Body, body); err != nil {
			return nil, err
		}
	}
	for _, name := range s.names(r) {
		switch {
		case call.Name == "":
			call.Name = name
		case name != call.Name:
			return nil, refuse(CodeInvalidRequest, ReasonAmbiguous, "the request names %.64q and %.64q", call.Name, name)
		}
	}
	if call.Name == "" {
		return nil, refuse(CodeInvalidRequest, ReasonUnknown, "the request names no model")
	}
	return call, nil
}

// names returns the names of the model in the path and in the header.
func (s *Source) names(r *http.Request) []string {
	names := r.Header[s.Header]
	if s.Header == "" {
		names = nil
	}
	if s.Path != "" {
		if name := r.PathValue(s.Path); name != "" {
			names = append([]string{name}, names...)
		}
	}
	return names
}

// read reads the body.
func (s *Source) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	for _, encoding := range r.Header["Content-Encoding"] {
		if !strings.EqualFold(encoding, "identity") {
			return nil, malformed("the body is compressed")
		}
	}
	if types := r.Header["Content-Type"]; len(types) > 0 {
		kind, params, err := mime.ParseMediaType(types[0])
		charset, ok := params["charset"]
		if err != nil || len(types) > 1 || kind != "application/json" || ok && !strings.EqualFold(charset, "utf-8") {
			return nil, malformed("the content type is not application/json in UTF-8")
		}
	}
	if r.ContentLength > s.MaxBytes {
		w.Header().Set("Connection", "close") // the rest of the body is not read
		return nil, refuse(CodeTooLarge, ReasonTooLarge, "the body has %d bytes, the limit is %d", r.ContentLength, s.MaxBytes)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.MaxBytes))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, refuse(CodeTooLarge, ReasonTooLarge, "the body exceeds %d bytes", s.MaxBytes)
	}
	if err != nil {
		return nil, malformed("the body cannot be read: %w", err)
	}
	return body, nil
}
