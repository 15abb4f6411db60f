// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"

	"github.com/gatehouse-go/gatehouse/internal/fetch"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// maxResponseBytes bounds the body of a response.
const maxResponseBytes = 256 << 10

// limits bound the JSON of a response.
var limits = strictjson.Limits{Depth: 16, Members: 4096}

// answer is a response with status 200 or 201.
type answer struct {
	endpoint string
	body     string
}

// post sends a form with the client authentication. The error is an [*Error] if
// the status is an error status.
//
// Implements RFC 6749 §2.3.1 (body), §3.2; RFC 7009 §2 (POST); RFC 7662 §2.1
// (POST); ASVS 5.0 §14.2.1.
func (c *Client) post(ctx context.Context, l *limiter, endpoint, address string, params url.Values) (a answer, err error) {
	if address == "" {
		return answer{}, fmt.Errorf("oauth: %s endpoint: %w", endpoint, ErrNotOffered)
	}
	err = l.do(ctx, func() error {
		a, err = c.send(ctx, endpoint, address, params)
		return err
	})
	return a, err
}

// send sends one request. If the server refuses the proof and the client authentication
// can be used only once, it sends a second request. In other cases the transport of the
// proofs repeats the request.
func (c *Client) send(ctx context.Context, endpoint, address string, params url.Values) (answer, error) {
	a, err := c.sendOnce(ctx, endpoint, address, params)
	if e, ok := errors.AsType[*Error](err); ok && c.onceOnly && endpoint == "token" && isAboutProof(e.Code) {
		return c.sendOnce(ctx, endpoint, address, params)
	}
	return a, err
}

func (c *Client) sendOnce(ctx context.Context, endpoint, address string, params url.Values) (answer, error) {
	form, header := maps.Clone(params), make(http.Header)
	if err := c.auth(header, form); err != nil {
		return answer{}, err
	}
	client := &c.http
	if endpoint == "token" {
		var err error
		if client, err = c.withProof(address); err != nil {
			return answer{}, fmt.Errorf("oauth: %s endpoint: %w", endpoint, err)
		}
	}
	response, err := client.PostForm(ctx, address, header, form)
	switch {
	case err != nil:
		return answer{}, fmt.Errorf("oauth: %s endpoint: %w: %w", endpoint, ErrUnavailable, err)
	case response.Status != http.StatusOK && response.Status != http.StatusCreated:
		return answer{}, parseError(endpoint, response)
	}
	return answer{endpoint: endpoint, body: string(response.Body)}, nil
}

// parseError reads the code of an error response, RFC 6749 section 5.2. If the body has
// another format, the code is empty.
func parseError(endpoint string, response fetch.Response) error {
	e := &Error{Endpoint: endpoint, Status: response.Status, RetryAfter: fetch.RetryAfter(response.Header)}
	code := ""
	if err := strictjson.Object(string(response.Body), limits, func(name, value string) error {
		if name == "error" {
			code, _ = strictjson.String(value)
		}
		return nil
	}); err == nil {
		e.Code = known(code)
	}
	if response.Status < http.StatusBadRequest { // a redirect, or another success
		return fmt.Errorf("%w: %w", ErrUnavailable, e)
	}
	return e
}
