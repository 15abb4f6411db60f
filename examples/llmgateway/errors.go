// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// maxRetryAfter is the longest Retry-After with which a retry makes sense. The client of
// Anthropic waits for any Retry-After.
const maxRetryAfter = time.Minute

// noRetry is a header that stops the official clients from repeating a call after 429 and
// 5xx.
const noRetry = "X-Should-Retry"

// errorBody returns the body of a refusal in the format of the API that was called, or of
// the gate.
func errorBody(r *http.Request, refusal gatehouse.Refusal) gatehouse.Body {
	body := gatehouse.Body{ContentType: "application/json"}
	if strings.HasPrefix(r.URL.Path, "/v1/") {
		body.Content = apiError(r.URL.Path, refusal.Status, refusal.Code, refusal.Description)
	} else {
		body.Content, _ = json.Marshal(map[string]string{"error": refusal.Code, "error_description": refusal.Description}) // cannot fail
	}
	if refusal.Status == http.StatusForbidden || refusal.RetryAfter > maxRetryAfter {
		body.Header = http.Header{noRetry: {"false"}}
	}
	return body
}

// apiError returns the error object of the OpenAI or the Anthropic API.
func apiError(path string, status int, code, message string) []byte {
	var body any
	if strings.HasPrefix(path, "/v1/messages") {
		type object struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		}
		body = struct {
			Type  string `json:"type"`
			Error object `json:"error"`
		}{"error", object{anthropicType(status), code + ": " + message}}
	} else {
		type object struct {
			Message string  `json:"message"`
			Type    string  `json:"type"`
			Param   *string `json:"param"`
			Code    string  `json:"code"`
		}
		body = struct {
			Error object `json:"error"`
		}{object{message, openAIType(status), nil, code}}
	}
	text, _ := json.Marshal(body) // cannot fail: there are only strings in it
	return append(text, '\n')
}

func openAIType(status int) string {
	switch {
	case status == http.StatusUnauthorized:
		return "authentication_error"
	case status == http.StatusForbidden:
		return "permission_error"
	case status == http.StatusTooManyRequests:
		return "rate_limit_error"
	case status >= http.StatusInternalServerError:
		return "server_error"
	}
	return "invalid_request_error"
}

func anthropicType(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusRequestEntityTooLarge:
		return "request_too_large"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	}
	if status >= http.StatusInternalServerError {
		return "api_error"
	}
	return "invalid_request_error"
}

// failure is an error response because of the upstream, not of the gate.
type failure struct {
	status        int
	code, message string
	retryAfter    string // "" for none
	final         bool   // the client must not repeat the call
}

// Error implements error.
func (f *failure) Error() string { return "llmgateway: " + strconv.Itoa(f.status) + " " + f.code }

// write answers a request.
func (f *failure) write(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if f.retryAfter != "" {
		h.Set("Retry-After", f.retryAfter)
		if seconds, err := strconv.Atoi(f.retryAfter); err != nil || seconds > int(maxRetryAfter/time.Second) {
			f.final = true
		}
	}
	if f.final {
		h.Set(noRetry, "false")
	}
	w.WriteHeader(f.status)
	_, _ = w.Write(apiError(r.URL.Path, f.status, f.code, f.message))
}

// notFound responds to paths of the APIs that the gateway does not support.
func notFound(w http.ResponseWriter, r *http.Request) {
	(&failure{status: http.StatusNotFound, code: "not_found", message: "The gateway has no such route."}).write(w, r)
}
