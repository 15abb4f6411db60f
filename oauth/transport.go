// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// TransportConfig configures a [Transport].
type TransportConfig struct {
	// Source provides the tokens. Required.
	Source *Credentials

	// Origins are the scheme, host and port of the APIs that receive the tokens,
	// such as "https://api.example.com". At least one is required.
	Origins []string

	// Base makes the requests, [http.DefaultTransport] if nil.
	Base http.RoundTripper
}

// Transport is the [http.RoundTripper] of an [http.Client] that sends the access
// tokens of [Credentials].
//
// If Config.DPoP of the [Client] is set, each request has a proof. A request is repeated
// only if the server requires a nonce or refuses a proof: see dpop.Transport.
//
// It sends the token to the configured origins only: a request to another
// origin, including a redirect, returns an error and is not sent. It is safe
// for concurrent use.
type Transport struct {
	source  *Credentials
	origins map[string]bool
	base    http.RoundTripper
}

// NewTransport returns a transport. It reports all configuration errors at
// once.
//
// Implements RFC 6749 §10.3.
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
			err = errors.New("not an origin: must be a scheme, a host and an optional port")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("oauth: TransportConfig.Origins[%d]: %w", i, err))
			continue
		}
		t.origins[safeurl.Origin(u)] = true
	}
	if t.base != nil && typednil.Is(t.base) {
		errs = append(errs, fmt.Errorf("oauth: TransportConfig.Base: is a nil %T", t.base))
	}
	if t.base == nil {
		t.base = http.DefaultTransport
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if key := t.source.client.key; key != nil {
		proofs, err := dpop.NewTransport(dpop.TransportConfig{Key: key, Origins: config.Origins, Base: t.base})
		if err != nil {
			return nil, fmt.Errorf("oauth: TransportConfig: %w", err)
		}
		t.base = proofs
	}
	return t, nil
}

var errHeader = errors.New("oauth: Transport: the request already has an Authorization header")

// RoundTrip implements [http.RoundTripper]. After a 401 response the transport discards
// the token. It does not repeat the request with a new token.
//
// Implements RFC 6749 §10.3; RFC 9700 §4.3.2, §4.9.1; ASVS 5.0 §14.2.1.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := t.token(r)
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // required by the interface
		}
		return nil, err
	}
	sent := r.Clone(r.Context()) // RoundTrip must not change the request
	sent.Header.Set("Authorization", tokenTypeOf(token)+" "+string(token.Access.Reveal()))
	response, err := t.base.RoundTrip(sent)
	if err == nil && response.StatusCode == http.StatusUnauthorized {
		t.source.Forget(token)
	}
	return response, err
}

func (t *Transport) token(r *http.Request) (Tokens, error) {
	switch origin := safeurl.Origin(r.URL); {
	case !t.origins[origin]:
		return Tokens{}, fmt.Errorf("oauth: Transport: the origin %q is not one of TransportConfig.Origins", origin)
	case len(r.Header["Authorization"]) > 0:
		return Tokens{}, errHeader
	}
	return t.source.Token(r.Context())
}
