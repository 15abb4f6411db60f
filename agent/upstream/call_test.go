// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/upstream"
)

// credentials is a source of credentials, one for each call, the last one for all others.
// It counts how often each call was released.
type credentials struct {
	t        *testing.T
	ctx      context.Context //nolint:containedctx // of the only call
	secrets  []string
	released []int
	rejected int
}

func (c *credentials) Acquire(ctx context.Context) (upstream.Credential, func(), error) {
	n := len(c.released)
	if ctx != c.ctx {
		c.t.Error("Acquire has another context than the call")
	}
	if len(c.secrets) == 0 {
		return upstream.Credential{}, nil, errors.New("none")
	}
	c.released = append(c.released, 0)
	secret := gatehouse.NewSecret([]byte(c.secrets[min(n, len(c.secrets)-1)]))
	return upstream.Credential{ID: "same", Secret: secret}, func() { c.released[n]++ }, nil
}

func (c *credentials) Rejected(ctx context.Context, _ upstream.Credential) {
	if c.rejected++; ctx != c.ctx {
		c.t.Error("Rejected has another context than the call")
	}
}

// content is a body that counts what is read, and knows whether it was closed.
type content struct {
	io.Reader
	read   int
	closed bool
}

func (c *content) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += n
	return n, err
}

func (c *content) Close() error { c.closed = true; return nil }

// However a call ends, the bodies are closed and each credential is released once.
func TestCallReleasesWhatItTook(t *testing.T) {
	const origin = "https://api.example.com"
	answer := func(status int, coding, body string) *http.Response {
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Encoding": strings.Split(coding, ";"), "Content-Length": {strconv.Itoa(len(body))}}, ContentLength: int64(len(body)), Body: &content{Reader: strings.NewReader(body)}}
	}
	for _, test := range []struct {
		name    string
		origin  string
		secrets []string
		answers []*http.Response
		want    string // the body
		err     error
	}{
		{"accepted", origin, []string{"sk-one"}, []*http.Response{answer(200, "", "of sk-one")}, "of ******", nil},
		{"repeated", origin, []string{"sk-one", "sk-second"}, []*http.Response{answer(401, "", strings.Repeat("x", 1<<20)), answer(200, "", "of sk-second")}, "of *********", nil},
		{"rejected", origin, []string{"sk-one"}, []*http.Response{answer(401, "", "no sk-one")}, "no ******", nil},
		{"rejected twice", origin, []string{"sk-one", "sk-second"}, []*http.Response{answer(401, "", ""), answer(401, "", "no sk-second")}, "no *********", nil},
		{"compressed", origin, []string{"sk-one"}, []*http.Response{answer(299, "gzip", "x")}, "", upstream.ErrEncoded},
		{"compressed once more", origin, []string{"sk-one"}, []*http.Response{answer(200, "identity;gzip", "x")}, "", upstream.ErrEncoded},
		{"compressed choice", origin, []string{"sk-one"}, []*http.Response{answer(300, "gzip", "x")}, "", nil},
		{"no credential", origin, nil, nil, "", upstream.ErrNoCredential},
		{"longest", origin, []string{strings.Repeat("x", 4096)}, []*http.Response{answer(200, "identity", "")}, "", nil},
		{"not visible", origin, []string{"a b"}, nil, "", upstream.ErrNoCredential},
		{"another origin", "https://example.com", []string{"sk-one"}, nil, "", upstream.ErrOrigin},
	} {
		for _, whole := range []bool{true, false} {
			t.Run(test.name, func(t *testing.T) {
				sent := 0
				var answers []*content
				base := roundTripper(func(r *http.Request) (*http.Response, error) {
					if r.URL.User != nil || r.Trailer != nil || r.URL.Path != "/v1" {
						t.Errorf("request to %s with the trailer %v", r.URL, r.Trailer)
					}
					response := *test.answers[sent]
					text, _ := io.ReadAll(test.answers[sent].Body)
					test.answers[sent].Body = io.NopCloser(strings.NewReader(string(text))) // for the second time
					answers = append(answers, &content{Reader: strings.NewReader(string(text))})
					response.Header, response.Body = response.Header.Clone(), answers[sent]
					sent++
					return &response, nil
				})
				body := &content{Reader: strings.NewReader("{}")}
				r := request(t, "POST", test.origin+"/v1", "")
				r.Body, r.GetBody = body, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("{}")), nil }
				r.URL.User, r.Trailer = url.User("caller"), http.Header{"Authorization": {"caller"}}
				source := &credentials{t: t, ctx: r.Context(), secrets: test.secrets}
				transport := newTransport(t, origin, func(c *upstream.Config) { c.Source, c.Base = source, base })
				response, err := transport.RoundTrip(r)
				switch {
				case !errors.Is(err, test.err) || (err == nil) != (test.err == nil) || test.err == upstream.ErrEncoded && !errors.Is(err, upstream.ErrUnavailable):
					t.Fatalf("RoundTrip error = %v, want %v", err, test.err)
				case err == nil:
					if whole {
						if text, err := io.ReadAll(response.Body); err != nil || string(text) != test.want {
							t.Errorf("body = %q, %v, want %q", text, err, test.want)
						}
						if n := len(source.released) - 1; test.want != "" && source.released[n] != 1 {
							t.Errorf("credential %d was released %d times at the end of the body, want once", n, source.released[n])
						}
					}
					if test.want == "" && (response.ContentLength != 0 || test.answers[0].StatusCode >= 300 && len(response.Header) > 0) {
						t.Errorf("Content-Length of a dropped body = %d, header %v", response.ContentLength, response.Header)
					}
					noError(t, response.Body.Close())
				case len(test.answers) == 0 && !body.closed:
					t.Error("the body of a request that was not sent is open")
				}
				for n, times := range source.released {
					if times != 1 {
						t.Errorf("credential %d was released %d times, want once", n, times)
					}
				}
				for n, a := range answers {
					if !a.closed || n < len(answers)-1 && a.read > 100<<10 {
						t.Errorf("answer %d: closed %v after %d bytes", n, a.closed, a.read)
					}
				}
				if sent != len(test.answers) {
					t.Errorf("%d requests, want %d", sent, len(test.answers))
				}
			})
		}
	}
}

// failing is a body that breaks off and cannot be closed.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, fmt.Errorf("10.1.2.3: %w", f.err) }
func (f failing) Close() error             { return f.err }

// A body that breaks off ends with an error without an address, and ReverseProxy
// recognizes the call of a client that has disconnected.
func TestBodyBreaksOff(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{context.Canceled, context.Canceled.Error()},
		{io.ErrUnexpectedEOF, "upstream: unavailable: main: connection closed too early"},
		{io.EOF, io.EOF.Error()},
	} {
		transport := newTransport(t, "https://api.example.com", func(c *upstream.Config) {
			c.Base = roundTripper(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Body: failing{test.err}}, nil
			})
		})
		response, err := transport.RoundTrip(request(t, "GET", "https://api.example.com", ""))
		noError(t, err)
		if _, err := response.Body.Read(make([]byte, 9)); err == nil || err.Error() != test.want || !errors.Is(err, test.err) {
			t.Errorf("Read error = %v, want %s", err, test.want)
		}
		if err := response.Body.Close(); !errors.Is(err, upstream.ErrUnavailable) || !errors.Is(err, test.err) {
			t.Errorf("Close error = %v, want %v", err, upstream.ErrUnavailable)
		}
	}
}

// A request is repeated only if its body can be.
func TestRepeatedBody(t *testing.T) {
	for name, test := range map[string]struct {
		body    io.ReadCloser
		getBody func() (io.ReadCloser, error)
		calls   int
	}{
		"no body":     {nil, nil, 2},
		"empty body":  {http.NoBody, nil, 2},
		"no copy":     {io.NopCloser(strings.NewReader("x")), nil, 1},
		"failed copy": {io.NopCloser(strings.NewReader("x")), func() (io.ReadCloser, error) { return nil, errDown }, 1},
	} {
		r := request(t, "POST", "https://api.example.com", "")
		r.Body, r.GetBody = test.body, test.getBody
		source := &credentials{t: t, ctx: r.Context(), secrets: []string{"sk-one", "sk-second"}}
		calls := 0
		transport := newTransport(t, "https://api.example.com", func(c *upstream.Config) {
			c.Source, c.Base = source, roundTripper(func(*http.Request) (*http.Response, error) {
				calls++
				return &http.Response{StatusCode: 401, Header: http.Header{}, Body: http.NoBody}, nil
			})
		})
		response, err := transport.RoundTrip(r)
		noError(t, err)
		noError(t, response.Body.Close())
		if calls != test.calls || source.rejected != 1 {
			t.Errorf("%s: %d requests and %d rejected credentials, want %d and 1", name, calls, source.rejected, test.calls)
		}
	}
}
