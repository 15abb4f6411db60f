// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/internal/text"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

const (
	// maxNameBytes limits the name of an upstream, because it becomes a metric label.
	maxNameBytes = 128
	// maxSecretBytes limits a credential: servers accept about 8 KB of headers.
	maxSecretBytes = 4096
	// maxDrainBytes limits the bytes of an error response that are read to reuse its
	// connection.
	maxDrainBytes = 64 << 10
	// maxIdleConns is the maximum number of idle connections to the origin.
	maxIdleConns = 256
)

// Config configures a [Transport].
type Config struct {
	// Name is the name of the upstream in events, at most 128 bytes. Required.
	Name string

	// Origin is the scheme, host and port of the provider, such as
	// "https://api.example.com". Plain http is accepted for loopback addresses only.
	// Required.
	Origin string

	// Source returns the credential. Required.
	Source Source

	// Header is the request header for the credential, such as "X-Api-Key": the
	// credential is its whole value. If Header is empty, the credential is sent as
	// "Authorization: Bearer".
	Header string

	// Strip are names of other request headers that carry credentials of the caller.
	Strip []string

	// Base makes the requests. If it is nil, it is like [http.DefaultTransport], with
	// up to 256 idle connections.
	Base http.RoundTripper

	// Observer receives [EventRejected] and [EventUnavailable]. Its errors do not
	// change the call.
	Observer gatehouse.Observer
}

// Transport is an [http.RoundTripper] for one upstream. It is safe for concurrent
// use.
type Transport struct {
	name, origin, host string
	source             Source
	header             string
	strip              []string
	base               http.RoundTripper
	observer           gatehouse.Observer
}

// New returns a transport. It reports all errors in config at once and does not call the
// source.
func New(config Config) (*Transport, error) {
	t := &Transport{name: config.Name, source: config.Source, header: config.Header, base: config.Base, observer: config.Observer}
	var errs []error
	if config.Name == "" || !text.IsClean(config.Name, maxNameBytes) {
		errs = append(errs, fmt.Errorf("upstream: Config.Name: required, at most %d bytes without control characters", maxNameBytes))
	}
	u, err := safeurl.Parse(config.Origin)
	if err == nil && u.Scheme+"://"+u.Host != config.Origin {
		err = errors.New("not an origin: must be a scheme, a host and an optional port")
	}
	if err != nil {
		errs = append(errs, fmt.Errorf("upstream: Config.Origin: %w", err))
	} else {
		t.origin, t.host = safeurl.Origin(u), u.Host
	}
	if typednil.Is(config.Source) {
		errs = append(errs, errors.New("upstream: Config.Source: required"))
	}
	if config.Header != "" && !text.IsToken(config.Header) {
		errs = append(errs, fmt.Errorf("upstream: Config.Header: %q is not the name of a header", config.Header))
	}
	for i, name := range config.Strip {
		if !text.IsToken(name) {
			errs = append(errs, fmt.Errorf("upstream: Config.Strip[%d]: %q is not the name of a header", i, name))
		}
		t.strip = append(t.strip, http.CanonicalHeaderKey(name))
	}
	switch {
	case config.Base == nil:
		t.base = newBase()
	case typednil.Is(config.Base):
		errs = append(errs, fmt.Errorf("upstream: Config.Base: is a nil %T", config.Base))
	}
	if config.Observer != nil && typednil.Is(config.Observer) {
		errs = append(errs, fmt.Errorf("upstream: Config.Observer: is a nil %T", config.Observer))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}

func newBase() http.RoundTripper {
	base, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // respect a program that replaced http.DefaultTransport
		return http.DefaultTransport
	}
	base = base.Clone()
	base.MaxIdleConns, base.MaxIdleConnsPerHost = maxIdleConns, maxIdleConns
	base.DisableCompression = true
	return base
}

// RoundTrip implements [http.RoundTripper]. It sends the request without the credentials
// of the caller and with that of the upstream. It does not send a request for another
// origin, so that a redirect does not leak the credential.
//
// If the response is 401, RoundTrip calls the source for another credential and repeats
// the request once with it, unless the body cannot be repeated: see http.Request.GetBody.
//
// If an error response of the upstream is compressed, RoundTrip drops its body, because
// the credential could not be masked.
//
// The call lasts until the body of the response is closed or read to its end. The error
// wraps [ErrUnavailable], [ErrNoCredential] or [ErrOrigin], and also [ErrEncoded] or the
// error of the context if that is the cause.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	// Compare the URL: the Host header could select another server behind the same proxy.
	if safeurl.Origin(r.URL) != t.origin {
		closeBody(r)
		return nil, &failure{name: t.name, kind: ErrOrigin, text: "the request was not sent"}
	}
	c, release, err := t.acquire(r.Context())
	if err != nil {
		closeBody(r)
		return nil, t.unavailable(r.Context(), err)
	}
	response, err := t.send(r, r.Body, c)
	if err == nil && response.StatusCode == http.StatusUnauthorized {
		return t.again(r, response, c, release)
	}
	return t.finish(r, response, err, c, release)
}

// again handles a 401: it repeats the request with another credential.
func (t *Transport) again(r *http.Request, refused *http.Response, c Credential, release func()) (*http.Response, error) {
	ctx := r.Context()
	t.report(ctx, gatehouse.Event{Type: EventRejected, Level: slog.LevelWarn, Credential: c.ID})
	t.source.Rejected(ctx, c)
	next, releaseNext, err := t.acquire(ctx)
	if err != nil {
		return t.finish(r, refused, nil, c, release)
	}
	body, repeatable := bodyAgain(r)
	if !repeatable || next.Secret.Equal(c.Secret) {
		releaseNext()
		return t.finish(r, refused, nil, c, release)
	}
	_, _ = io.CopyN(io.Discard, refused.Body, maxDrainBytes)
	_ = refused.Body.Close()
	release()
	response, err := t.send(r, body, next)
	return t.finish(r, response, err, next, releaseNext)
}

// finish ends a failed call. A successful call ends with the body of its response.
func (t *Transport) finish(r *http.Request, response *http.Response, err error, c Credential, release func()) (*http.Response, error) {
	if err == nil && !isIdentity(response.Header) {
		_ = response.Body.Close()
		if response.StatusCode < http.StatusMultipleChoices {
			err = ErrEncoded
		} else { // the status is the whole content
			response.Body, response.ContentLength = http.NoBody, 0
			response.Header.Del("Content-Encoding")
			response.Header.Del("Content-Length")
		}
	}
	if err != nil {
		release()
		return nil, t.unavailable(r.Context(), newFailure(t.name, err))
	}
	// The request that was sent has the credential.
	response.Request = r
	t.mask(response, c, release)
	return response, nil
}

func isIdentity(header http.Header) bool {
	for _, value := range header.Values("Content-Encoding") {
		if value != "" && !strings.EqualFold(value, "identity") {
			return false
		}
	}
	return true
}

// acquire returns a credential that fits into a header.
func (t *Transport) acquire(ctx context.Context) (Credential, func(), error) {
	c, release, err := t.source.Acquire(ctx)
	if err != nil {
		return c, nil, newCredentialFailure(t.name, err)
	}
	if c.Secret.Len() > maxSecretBytes || !text.IsVisible(string(c.Secret.Reveal())) {
		release()
		return c, nil, &failure{name: t.name, kind: ErrNoCredential, text: "must be visible ASCII characters, at most 4096"}
	}
	return c, release, nil
}

func (t *Transport) send(r *http.Request, body io.ReadCloser, c Credential) (*http.Response, error) {
	out, address := r.WithContext(r.Context()), *r.URL
	address.User = nil // net/http would add an Authorization header for it
	out.URL, out.Body, out.Host, out.Trailer = &address, body, "", nil
	out.Header = withoutCredentials(r.Header, t.strip)
	// The credential cannot be masked in a compressed response.
	out.Header.Set("Accept-Encoding", "identity")
	if t.header == "" {
		out.Header.Set("Authorization", "Bearer "+string(c.Secret.Reveal()))
	} else {
		out.Header.Set(t.header, string(c.Secret.Reveal()))
	}
	return t.base.RoundTrip(out)
}

// unavailable reports a call that got no response, and returns its error.
func (t *Transport) unavailable(ctx context.Context, err error) error {
	if !errors.Is(err, context.Canceled) { // the client disconnected
		t.report(ctx, gatehouse.Event{Type: EventUnavailable, Level: slog.LevelError, Cause: err})
	}
	return err
}

func (t *Transport) report(ctx context.Context, e gatehouse.Event) {
	e.Attrs = slices.Concat(e.Attrs, []slog.Attr{slog.String(AttrUpstream, t.name)})
	_ = gatehouse.Report(ctx, t.observer, e)
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close() // required by the interface
	}
}

// bodyAgain returns the body of a request for another attempt.
func bodyAgain(r *http.Request) (io.ReadCloser, bool) {
	switch {
	case r.Body == nil || r.Body == http.NoBody:
		return r.Body, true
	case r.GetBody == nil:
		return nil, false
	}
	body, err := r.GetBody()
	return body, err == nil
}
