// SPDX-License-Identifier: Apache-2.0

// Package errorbodies has functions for ErrorBody of [gatehouse.Config], which
// replace the JSON body of rejected requests. Copy the one that you need.
//
// The gate keeps the status, the challenge and Retry-After, and calls the function
// with a copy of the request without credentials. What the function returns goes
// to the client, so it must contain nothing but the refusal.
package errorbodies

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse"
)

// Problem returns problem details, RFC 9457, with the error code and the required
// scopes as extension members.
func Problem(_ *http.Request, refusal gatehouse.Refusal) gatehouse.Body {
	return encode("application/problem+json", struct {
		Title  string   `json:"title"`
		Status int      `json:"status"`
		Detail string   `json:"detail"`
		Code   string   `json:"code"`
		Scopes []string `json:"required_scopes,omitempty"`
	}{http.StatusText(refusal.Status), refusal.Status, refusal.Description, refusal.Code, slices.Collect(refusal.Scopes.All())})
}

const layout = `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>%[1]s</title></head>
<body><h1>%[1]s</h1><p>%[2]s</p></body>
</html>
`

// Page returns an HTML page for navigations of a browser, also for forms, and the
// default body otherwise. GET navigations with 401 do not get here if LoginURL is
// set: the gate redirects them to the login.
func Page(r *http.Request, refusal gatehouse.Refusal) gatehouse.Body {
	mode := r.Header.Get("Sec-Fetch-Mode")
	if mode != "navigate" && (mode != "" || !strings.Contains(r.Header.Get("Accept"), "text/html")) {
		return gatehouse.Body{}
	}
	text := "You cannot do this with your account."
	switch refusal.Status {
	case http.StatusUnauthorized:
		text = "Your session has ended. Sign in and try again."
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		text = "This is not possible at the moment. Try again later."
	}
	return gatehouse.Body{
		ContentType: "text/html; charset=utf-8",
		Content:     fmt.Appendf(nil, layout, http.StatusText(refusal.Status), text), // constants, which need no escaping
		Header:      http.Header{"Content-Security-Policy": {"default-src 'none'; frame-ancestors 'none'"}},
	}
}

// OpenAI returns the error object of the OpenAI API, which its clients decode.
func OpenAI(_ *http.Request, refusal gatehouse.Refusal) gatehouse.Body {
	type object struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    string  `json:"code"`
	}
	kind := "invalid_request_error"
	switch {
	case refusal.Status == http.StatusTooManyRequests:
		kind = "rate_limit_error"
	case refusal.Status >= http.StatusInternalServerError:
		kind = "server_error"
	}
	return encode("application/json", struct {
		Error object `json:"error"`
	}{object{Message: refusal.Description, Type: kind, Code: refusal.Code}})
}

// Anthropic returns the error object of the Anthropic API, which its clients
// decode.
func Anthropic(_ *http.Request, refusal gatehouse.Refusal) gatehouse.Body {
	kinds := map[int]string{
		http.StatusUnauthorized:    "authentication_error",
		http.StatusForbidden:       "permission_error",
		http.StatusTooManyRequests: "rate_limit_error",
	}
	kind := kinds[refusal.Status]
	switch {
	case kind != "":
	case refusal.Status >= http.StatusInternalServerError:
		kind = "api_error"
	default:
		kind = "invalid_request_error"
	}
	type object struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	return encode("application/json", struct {
		Type  string `json:"type"`
		Error object `json:"error"`
	}{"error", object{kind, refusal.Description}})
}

// encode returns a JSON body, or the default body if v cannot be encoded.
func encode(contentType string, v any) gatehouse.Body {
	content, err := json.Marshal(v)
	if err != nil {
		return gatehouse.Body{}
	}
	return gatehouse.Body{ContentType: contentType, Content: append(content, '\n')}
}
