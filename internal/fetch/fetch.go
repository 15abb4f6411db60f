// SPDX-License-Identifier: Apache-2.0

// Package fetch fetches JSON documents from other servers, within limits of size and
// time.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/safeurl"
)

const (
	maxRedirects  = 3
	maxRetryAfter = 24 * time.Hour
)

// Client makes requests for JSON documents. It is safe for concurrent use once
// its fields are set.
type Client struct {
	// Transport makes the requests, [http.DefaultTransport] if it is nil.
	Transport http.RoundTripper

	// Timeout bounds one exchange, including redirects and the body. If it is zero, only
	// the context limits the exchange.
	Timeout time.Duration

	// MaxBytes is the maximum size of a body. Required.
	MaxBytes int64
}

// Response is the response of a server, of any status.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// StatusError is the error for a response with another status than 200.
type StatusError struct {
	Status     int
	RetryAfter time.Duration // zero if the server did not send it
}

// Error returns the status. It omits the body, which may contain secrets.
func (e *StatusError) Error() string { return fmt.Sprintf("HTTP status %d", e.Status) }

// Get fetches a document. It follows up to three redirects within the origin of
// address and rejects others: they would let another server choose the content,
// or make this program call into its own network. A status other than 200 is a
// [*StatusError].
//
// Errors contain the method and the address without its query, and nothing from the body.
func (c *Client) Get(ctx context.Context, address, accept string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, errors.New("fetch: malformed address")
	}
	r.Header.Set("Accept", accept)
	response, err := c.do(r, sameOrigin)
	switch {
	case err != nil:
		return nil, err
	case response.Status != http.StatusOK:
		return nil, describe(r, &StatusError{response.Status, RetryAfter(response.Header)})
	case len(response.Body) > 0:
		if err := checkType(response.Header.Get("Content-Type")); err != nil {
			return nil, describe(r, err)
		}
	}
	return response.Body, nil
}

// PostForm sends a form and returns the response, of any status. It follows no redirect,
// because a redirect would send credentials to another server. header is added to the
// request and may replace Accept, application/json; it may be nil.
//
// Errors are like those of Get.
func (c *Client) PostForm(ctx context.Context, address string, header http.Header, form url.Values) (Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return Response{}, errors.New("fetch: malformed address")
	}
	r.Header = header.Clone()
	if r.Header == nil {
		r.Header = make(http.Header)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "application/json")
	}
	return c.Do(r)
}

// Do sends a request with the limits of the client and returns the response, of any
// status. It follows no redirect.
func (c *Client) Do(r *http.Request) (Response, error) { return c.do(r, NoRedirect) }

func (c *Client) do(r *http.Request, redirect func(*http.Request, []*http.Request) error) (Response, error) {
	if c.Timeout > 0 {
		ctx, cancel := context.WithTimeout(r.Context(), c.Timeout)
		defer cancel()
		r = r.WithContext(ctx)
	}
	client := http.Client{Transport: c.Transport, CheckRedirect: redirect}
	response, err := client.Do(r)
	if err != nil {
		return Response{}, describe(r, withoutURL(err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, c.MaxBytes+1))
	switch {
	case err != nil:
		return Response{}, describe(r, err)
	case int64(len(body)) > c.MaxBytes:
		return Response{}, describe(r, fmt.Errorf("body of more than %d bytes", c.MaxBytes))
	}
	return Response{Status: response.StatusCode, Header: response.Header, Body: body}, nil
}

// checkType rejects documents that are not JSON, such as the HTML of a login page or of a
// captive portal. It accepts a missing type, and the default types of file servers,
// because the content is parsed strictly anyway.
func checkType(contentType string) error {
	kind, _, err := mime.ParseMediaType(contentType)
	switch {
	case contentType == "":
	case err != nil:
		return errors.New("malformed Content-Type")
	case kind == "application/json", kind == "text/plain", kind == "application/octet-stream", kind == "binary/octet-stream":
	case strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json"):
	default:
		return fmt.Errorf("Content-Type %q, want application/json", kind)
	}
	return nil
}

// describe puts the method and the address in front of err. It omits the query, which may
// contain secrets.
func describe(r *http.Request, err error) error {
	return fmt.Errorf("%s %s://%s%s: %w", r.Method, r.URL.Scheme, r.URL.Host, r.URL.EscapedPath(), err)
}

// withoutURL removes the method and the address from an error of [http.Client].
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// sameOrigin is the policy for redirects of Get.
func sameOrigin(r *http.Request, via []*http.Request) error {
	switch {
	case safeurl.Origin(r.URL) != safeurl.Origin(via[0].URL) || r.URL.User != nil:
		return errors.New("redirect to another origin")
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	return nil
}

// NoRedirect is a policy for [http.Client.CheckRedirect] that returns redirects instead
// of following them: a redirect would send credentials to another server.
func NoRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// RetryAfter returns the seconds of the header Retry-After, at most a day, zero if there
// are none. It ignores the form with a date, which depends on two clocks.
func RetryAfter(header http.Header) time.Duration {
	seconds, err := strconv.ParseInt(header.Get("Retry-After"), 10, 32)
	if err != nil {
		return 0
	}
	return min(max(time.Duration(seconds), 0)*time.Second, maxRetryAfter)
}
