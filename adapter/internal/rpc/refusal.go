// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// The status codes of gRPC and Connect that a refusal can have.
const (
	InvalidArgument   = 3
	PermissionDenied  = 7
	ResourceExhausted = 8
	Unimplemented     = 12
	Unavailable       = 14
	Unauthenticated   = 16
)

// Refusal is the response of a gate to a refused call.
type Refusal struct {
	Status int
	Header http.Header // of HTTP
	Body   []byte

	Code       uint32        // of gRPC and Connect
	Reason     string        // the error code on the wire, such as "insufficient_scope"; "" if the body is not that of the gate
	Message    string        // a sentence
	RetryAfter time.Duration // zero if there is none
}

// Domain is the domain of the ErrorInfo with a Reason.
const Domain = "gatehouse"

// Metadata returns the headers for a client of gRPC or Connect.
func (r *Refusal) Metadata() http.Header { return Metadata(r.Header) }

// Metadata returns the headers of a response without those that describe its body,
// which the protocol replaces, and those of a browser.
func Metadata(header http.Header) http.Header {
	metadata := header.Clone()
	for _, name := range []string{"Content-Type", "Content-Length", "Cache-Control", "X-Content-Type-Options", "Location"} {
		delete(metadata, name)
	}
	return metadata
}

// response records a refusal.
type response struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *response) Header() http.Header { return w.header }

func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

func (w *response) refusal() *Refusal {
	r := &Refusal{Status: w.status, Header: w.header, Body: w.body.Bytes(), Code: code(w.status), Message: http.StatusText(w.status)}
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	// The body may be that of gatehouse.Config.ErrorBody.
	if json.Unmarshal(r.Body, &body) == nil && body.Error != "" {
		r.Reason, r.Message = body.Error, body.Description
	}
	if r.Code == Unimplemented {
		r.Message = "The method is unknown."
	}
	if seconds, err := strconv.Atoi(w.header.Get("Retry-After")); err == nil {
		r.RetryAfter = time.Duration(seconds) * time.Second
	}
	return r
}

// code returns the status code for the HTTP status of a refusal.
func code(status int) uint32 {
	switch status {
	case http.StatusBadRequest:
		return InvalidArgument
	case http.StatusUnauthorized, http.StatusSeeOther: // a login page is no answer to a call
		return Unauthenticated
	case http.StatusTooManyRequests:
		return ResourceExhausted
	case http.StatusServiceUnavailable:
		return Unavailable
	case http.StatusNotFound, http.StatusMovedPermanently, http.StatusTemporaryRedirect: // of ServeMux
		return Unimplemented
	}
	return PermissionDenied
}
