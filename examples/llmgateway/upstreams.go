// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/upstream"
)

// connection is an upstream of the configuration.
type connection struct {
	api       string
	base      *url.URL
	transport *upstream.Transport
}

// connect returns the upstream of each model. It connects to none of them.
func connect(upstreams []upstreamConfig, observer gatehouse.Observer) (map[string]*connection, error) {
	connections := make(map[string]*connection)
	var errs []error
	for n, u := range upstreams {
		base, err := url.Parse(strings.TrimSuffix(u.BaseURL, "/"))
		if err != nil {
			return nil, fmt.Errorf("upstreams[%d].base_url: malformed", n)
		}
		source, err := upstream.NewSecretSource(u.Credential)
		if err != nil {
			errs = append(errs, fmt.Errorf("upstreams[%d].credential: %w", n, err))
			continue
		}
		header := "" // Authorization: Bearer
		if u.API == anthropic {
			header = "X-Api-Key"
		}
		transport, err := upstream.New(upstream.Config{
			Name: u.Name, Origin: base.Scheme + "://" + base.Host, Source: source, Header: header, Observer: observer,
		})
		if err != nil {
			text := strings.NewReplacer("upstream: Config.Name", "name", "upstream: Config.Origin", "base_url").Replace(err.Error())
			errs = append(errs, fmt.Errorf("upstreams[%d].%s", n, text))
			continue
		}
		for _, name := range u.Models {
			connections[name] = &connection{u.API, base, transport}
		}
	}
	return connections, errors.Join(errs...)
}

// returned are the response headers that reach the client. Others may reveal the account
// of the gateway at the upstream.
var returned = []string{"Content-Type", "Content-Length", "Content-Encoding", "Request-Id", "X-Request-Id"}

// send sends a request to the upstream, at its path.
func (c *connection) send(r *http.Request) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.URL = &url.URL{Scheme: c.base.Scheme, Host: c.base.Host, Path: c.base.Path + r.URL.Path}
	out.Host = ""
	response, err := c.transport.RoundTrip(out)
	if errors.Is(err, upstream.ErrEncoded) {
		err = budget.ErrUnmetered // the upstream has served the call
	}
	if err != nil {
		return nil, err
	}
	header := http.Header{"Cache-Control": {"no-store"}}
	for _, name := range returned {
		if values := response.Header[name]; len(values) > 0 {
			header[name] = values
		}
	}
	if response.StatusCode == http.StatusTooManyRequests {
		header["Retry-After"] = response.Header["Retry-After"]
	}
	// A copy, because net/http adds the trailers to the original.
	return &http.Response{
		Status: response.Status, StatusCode: response.StatusCode, Proto: response.Proto, ProtoMajor: response.ProtoMajor, ProtoMinor: response.ProtoMinor,
		Header: header, Body: response.Body, ContentLength: response.ContentLength, Request: r,
	}, nil
}

// maxMessage limits the texts of an upstream's error.
const maxMessage = 1000

// upstreamError returns the error of an upstream that refuses the call, in the format of
// the API. Both APIs have an object error with a message; the transport has masked the
// credential and the address.
func upstreamError(response *http.Response) *failure {
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorBody))
	_ = response.Body.Close()
	var body struct {
		Error struct {
			Message string `json:"message"`
			Code    string `json:"code"`
		} `json:"error"`
	}
	_ = json.Unmarshal(text, &body) // members of another type are ignored
	f := &failure{status: response.StatusCode, code: body.Error.Code, message: body.Error.Message, retryAfter: response.Header.Get("Retry-After")}
	if f.message == "" || len(f.message) > maxMessage {
		f.message = "The upstream of the model refuses the request."
	}
	if f.code == "" || len(f.code) > maxMessage {
		f.code = "upstream_error"
	}
	return f
}
