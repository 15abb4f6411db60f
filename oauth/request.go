// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// maxAnswerBytes bounds the body of a response.
const maxAnswerBytes = 256 << 10

// limits bound the JSON of a response.
var limits = strictjson.Limits{Depth: 16, Members: 4096}

// answer is a response with status 200 or 201.
type answer struct {
	endpoint string
	body     string
}

// post sends a form with the client authentication. The error is an [*Error] if
// the status is an error status.
func (c *Client) post(ctx context.Context, endpoint, address string, params url.Values) (answer, error) {
	if address == "" {
		return answer{}, fmt.Errorf("oauth: %s endpoint: %w", endpoint, ErrNotOffered)
	}
	form, header := maps.Clone(params), make(http.Header)
	if err := c.auth(header, form); err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, fmt.Errorf("oauth: %s endpoint: %w", endpoint, withoutURL(err))
	}
	r.Header = header
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	response, err := c.http.Do(r)
	if err != nil {
		return answer{}, fmt.Errorf("oauth: %s endpoint: %w: %w", endpoint, ErrUnavailable, withoutURL(err))
	}
	defer response.Body.Close()
	body, err := read(response)
	switch {
	case response.StatusCode != http.StatusOK && response.StatusCode != http.StatusCreated:
		return answer{}, parseError(endpoint, response, body)
	case err != nil:
		return answer{}, fmt.Errorf("oauth: %s endpoint: %w: %w", endpoint, ErrUnavailable, err)
	}
	return answer{endpoint: endpoint, body: string(body)}, nil
}

// parseError reads the code of an error response, RFC 6749 section 5.2. If the
// body has another form, the code is empty.
func parseError(endpoint string, response *http.Response, body []byte) error {
	e := &Error{Endpoint: endpoint, Status: response.StatusCode}
	code := ""
	if err := strictjson.Object(string(body), limits, func(name, value string) error {
		if name == "error" {
			code, _ = strictjson.String(value)
		}
		return nil
	}); err == nil {
		e.Code = known(code)
	}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 && seconds < 1<<20 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	if response.StatusCode < http.StatusBadRequest { // a redirect, or a success of another kind
		return fmt.Errorf("%w: %w", ErrUnavailable, e)
	}
	return e
}

// get fetches a metadata document.
func (c *Client) get(ctx context.Context, address string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, withoutURL(err)
	}
	r.Header.Set("Accept", "application/json")
	response, err := c.fetch.Do(r)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, statusError(response.StatusCode)
	}
	return read(response)
}

// statusError is the status of a response other than 200.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("HTTP status %d", int(s)) }

func read(response *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes+1))
	if err == nil && len(body) > maxAnswerBytes {
		err = fmt.Errorf("more than %d bytes", maxAnswerBytes)
	}
	if err != nil {
		return nil, err
	}
	return body, nil
}

// noRedirect follows no redirect, which could send credentials to another
// origin.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// sameOrigin follows a redirect of the metadata within the configured origin.
func sameOrigin(r *http.Request, via []*http.Request) error {
	first := via[0].URL
	if r.URL.Scheme != first.Scheme || r.URL.Host != first.Host || r.URL.User != nil {
		return errors.New("redirect to another origin")
	}
	if len(via) > 3 {
		return errors.New("more than 3 redirects")
	}
	return nil
}

// withoutURL removes the URL from an error of http.Client.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
