// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/fetch"
)

// transport answers each request by its address.
type transport map[string]http.Response

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, ok := t[r.URL.String()]
	if !ok {
		return nil, errors.New("unexpected request for " + r.URL.Host)
	}
	if err := r.Context().Err(); err != nil || r.Header.Get("Accept") != "application/json" {
		return nil, fmt.Errorf("unexpected Accept %q, or %w", r.Header.Get("Accept"), err)
	}
	response.Request = r
	return &response, nil
}

func answer(status int, body string, headers ...string) http.Response {
	header := make(http.Header)
	for i := 0; i < len(headers); i += 2 {
		header.Set(headers[i], headers[i+1])
	}
	return http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}
}

const address = "https://a.example/doc?key=secret"

func TestGet(t *testing.T) {
	const prefix = "GET https://a.example/doc: "
	tooLong := answer(200, "12345678s")
	tooLong.Body = io.NopCloser(io.MultiReader(tooLong.Body, iotest.ErrReader(errors.New("read too much"))))
	to := func(location string) http.Response { return answer(302, "moved: secret", "Location", location) }
	for name, test := range map[string]struct {
		answers   transport
		want, err string
	}{
		"JSON":                      {transport{address: answer(200, "{}", "Content-Type", "application/json; charset=utf-8")}, "{}", ""},
		"JSON of another type":      {transport{address: answer(200, "{}", "Content-Type", "Application/jwk-set+JSON; charset=utf-8")}, "{}", ""},
		"no type":                   {transport{address: answer(200, "{}")}, "{}", ""},
		"file":                      {transport{address: answer(200, "{}", "Content-Type", "binary/octet-stream; a=b")}, "{}", ""},
		"text":                      {transport{address: answer(200, "{}", "Content-Type", "text/plain; charset=utf-8")}, "{}", ""},
		"octets":                    {transport{address: answer(200, "{}", "Content-Type", "application/octet-stream; a=b")}, "{}", ""},
		"PDF":                       {transport{address: answer(200, "{}", "Content-Type", "application/pdf")}, "", prefix + `Content-Type "application/pdf", want application/json`},
		"HTML":                      {transport{address: answer(200, "<secret>", "Content-Type", "text/html; charset=utf-8")}, "", prefix + `Content-Type "text/html", want application/json`},
		"HTML without a body":       {transport{address: answer(200, "", "Content-Type", "text/html")}, "", ""},
		"JSON outside application":  {transport{address: answer(200, "{}", "Content-Type", "image/a+json")}, "", prefix + `Content-Type "image/a+json", want application/json`},
		"JSON in a longer type":     {transport{address: answer(200, "{}", "Content-Type", "xapplication/a+json")}, "", prefix + `Content-Type "xapplication/a+json", want application/json`},
		"JSON in a longer subtype":  {transport{address: answer(200, "{}", "Content-Type", "application/a+jsonp")}, "", prefix + `Content-Type "application/a+jsonp", want application/json`},
		"malformed type":            {transport{address: answer(200, "{}", "Content-Type", "secret secret;;")}, "", prefix + "malformed Content-Type"},
		"at the limit":              {transport{address: answer(200, "12345678")}, "12345678", ""},
		"above the limit":           {transport{address: tooLong}, "", prefix + "body of more than 8 bytes"},
		"status":                    {transport{address: answer(404, "secret")}, "", prefix + "HTTP status 404"},
		"other success":             {transport{address: answer(204, "")}, "", prefix + "HTTP status 204"},
		"redirect in the origin":    {transport{address: to("/b"), "https://a.example/b": to("https://A.example:443/c"), "https://A.example:443/c": answer(200, "{}")}, "{}", ""},
		"redirect to a host":        {transport{address: to("https://b.example/")}, "", prefix + "redirect to another origin"},
		"redirect to a longer port": {transport{address: to("https://a.example:4430/")}, "", prefix + "redirect to another origin"},
		"redirect to a port":        {transport{address: to("https://a.example:8443/")}, "", prefix + "redirect to another origin"},
		"redirect to a scheme":      {transport{address: to("http://a.example/doc")}, "", prefix + "redirect to another origin"},
		"redirect with a user":      {transport{address: to("https://secret@a.example/")}, "", prefix + "redirect to another origin"},
		"three redirects": {transport{
			address: to("/b"), "https://a.example/b": to("/c"), "https://a.example/c": to("/d"), "https://a.example/d": answer(200, "{}"),
		}, "{}", ""},
		"redirects without end": {transport{address: to("/b"), "https://a.example/b": to("/b")}, "", prefix + "more than 3 redirects"},
		"no connection":         {transport{}, "", prefix + "unexpected request for a.example"},
	} {
		t.Run(name, func(t *testing.T) {
			client := fetch.Client{Transport: test.answers, MaxBytes: 8}
			got, err := client.Get(t.Context(), address, "application/json")
			if string(got) != test.want || message(err) != test.err {
				t.Errorf("Get = %q, %v, want %q, %s", got, err, test.want, test.err)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestGetStatusError(t *testing.T) {
	client := fetch.Client{Transport: transport{address: answer(503, "", "Retry-After", "7")}, MaxBytes: 8}
	_, err := client.Get(t.Context(), address, "application/json")
	if e, ok := errors.AsType[*fetch.StatusError](err); !ok || *e != (fetch.StatusError{Status: 503, RetryAfter: 7 * time.Second}) {
		t.Errorf("Get error = %v, want a StatusError of 503 with 7 s", err)
	}
}

func TestPostForm(t *testing.T) {
	for name, response := range map[string]http.Response{
		"200":      answer(200, "{}"),
		"400":      answer(400, "<p>", "Content-Type", "text/html"),
		"redirect": answer(307, "", "Location", "https://b.example/"),
	} {
		t.Run(name, func(t *testing.T) {
			var sent *http.Request
			closed := &closing{Reader: response.Body}
			client := fetch.Client{MaxBytes: 8, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				sent, response.Body = r, closed
				return &response, nil
			})}
			header := http.Header{"Authorization": {"Basic secret"}}
			got, err := client.PostForm(t.Context(), address, header, url.Values{"a": {"b c"}})
			if err != nil || got.Status != response.StatusCode || !closed.closed {
				t.Fatalf("PostForm = %d, %v, body closed %t, want %d and a closed body", got.Status, err, closed.closed, response.StatusCode)
			}
			body, _ := io.ReadAll(sent.Body)
			if string(body) != "a=b+c" || sent.Header.Get("Authorization") != "Basic secret" ||
				sent.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || sent.Header.Get("Accept") != "application/json" {
				t.Errorf("sent %q with %v", body, sent.Header)
			}
			if len(header) != 1 {
				t.Errorf("PostForm changed the header to %v", header)
			}
			response.Body = http.NoBody
			if _, err := client.PostForm(t.Context(), address, http.Header{"Accept": {"application/jwt"}}, nil); err != nil || sent.Header.Get("Accept") != "application/jwt" {
				t.Errorf("PostForm with an Accept: sent %v, %v", sent.Header, err)
			}
		})
	}
	client := fetch.Client{Transport: transport{address: answer(200, "123456789")}, MaxBytes: 8}
	if _, err := client.PostForm(t.Context(), address, nil, nil); message(err) != "POST https://a.example/doc: body of more than 8 bytes" {
		t.Errorf("PostForm with a large answer error = %v", err)
	}
}

// closing is a body that knows whether it is closed.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTimeoutCoversBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fetch.Client{Timeout: time.Minute, MaxBytes: 8, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			reader, writer := io.Pipe()
			go func() { <-r.Context().Done(); writer.CloseWithError(r.Context().Err()) }()
			return &http.Response{StatusCode: 200, Body: reader}, nil
		})}
		begun := time.Now()
		if _, err := client.Get(t.Context(), address, ""); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Minute {
			t.Errorf("Get error = %v after %v, want %v after %v", err, time.Since(begun), context.DeadlineExceeded, time.Minute)
		}
	})
}

func TestMalformedAddress(t *testing.T) {
	client := fetch.Client{MaxBytes: 8}
	_, get := client.Get(t.Context(), "https://secret%zz", "")
	_, post := client.PostForm(t.Context(), "https://secret%zz", nil, nil)
	for _, err := range []error{get, post} {
		if message(err) != "fetch: malformed address" {
			t.Errorf("error = %v, want fetch: malformed address", err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "-1": 0, "soon": 0, "1.5": 0, "Sat, 28 Nov 2026 00:00:00 GMT": 0, "99999999999": 0,
		"1": time.Second, "120": 2 * time.Minute, "1000000": 24 * time.Hour,
	} {
		if got := fetch.RetryAfter(http.Header{"Retry-After": {value}}); got != want {
			t.Errorf("RetryAfter(%q) = %v, want %v", value, got, want)
		}
	}
}
