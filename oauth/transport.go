// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-go/gatehouse/internal/safeurl"
)

// TransportConfig configures a [Transport].
type TransportConfig struct {
	// Source has the tokens. Required.
	Source *Credentials

	// Origins are the scheme, host and port of the APIs that the tokens are
	// for, such as "https://api.example.com". At least one is required.
	Origins []string

	// Base makes the requests, [http.DefaultTransport] by default.
	Base http.RoundTripper
}

// Transport makes requests with the token of a machine client, for an
// [http.Client]. The token is asked for with the context of the request.
//
// It sends the token to the configured origins and nowhere else: a request to
// another one, such as after a redirect, fails and is not sent. It is safe for
// concurrent use.
type Transport struct {
	source  *Credentials
	origins map[string]bool
	base    http.RoundTripper
}

// NewTransport makes a transport. It reports all mistakes in the configuration
// at once.
func NewTransport(config TransportConfig) (*Transport, error) {
	var errs []error
	t := &Transport{source: config.Source, origins: make(map[string]bool), base: config.Base}
	if config.Source == nil {
		errs = append(errs, errors.New("oauth: TransportConfig.Source: required"))
	}
	if len(config.Origins) == 0 {
		errs = append(errs, errors.New("oauth: TransportConfig.Origins: at least one is required"))
	}
	for i, origin := range config.Origins {
		u, err := safeurl.Parse(origin)
		if err == nil && u.Scheme+"://"+u.Host != origin {
			err = errors.New("is not an origin: only a scheme, a host and a port")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("oauth: TransportConfig.Origins[%d]: %w", i, err))
			continue
		}
		t.origins[originOf(u)] = true
	}
	if t.base == nil {
		t.base = http.DefaultTransport
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}

// originOf returns the origin as one text: the host in small letters, the port
// always there.
func originOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

var (
	errOrigin = errors.New("oauth: the token is not for this origin")
	errHeader = errors.New("oauth: the request has an Authorization header already")
)

// RoundTrip implements [http.RoundTripper]. A token that the API refuses with
// 401 is not used again; the request is not repeated.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := t.token(r)
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as the interface demands
		}
		return nil, err
	}
	sent := r.Clone(r.Context()) // RoundTrip must not change the request
	sent.Header.Set("Authorization", bearer+" "+string(token.Access.Reveal()))
	response, err := t.base.RoundTrip(sent)
	if err == nil && response.StatusCode == http.StatusUnauthorized {
		t.source.Forget(token)
	}
	return response, err
}

func (t *Transport) token(r *http.Request) (Tokens, error) {
	switch {
	case !t.origins[originOf(r.URL)]:
		return Tokens{}, errOrigin
	case len(r.Header["Authorization"]) > 0:
		return Tokens{}, errHeader
	}
	return t.source.Token(r.Context())
}
