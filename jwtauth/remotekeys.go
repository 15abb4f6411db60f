// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-go/gatehouse/internal/fetch"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
)

// RemoteKeys is a JWK Set at an https URL; plain http is accepted for loopback
// addresses and for Issuer.PlainHTTPHosts only. The set is fetched when it is first
// needed, refreshed while it is in use, and kept while the issuer is unavailable:
// see [KeySets]. Redirects are followed within the origin of the URL only.
func RemoteKeys(url string) Keys { return remoteKeys(url) }

type remoteKeys string

func (u remoteKeys) open(i Issuer, c Config) (keySource, error) {
	if err := asymmetricOnly(i); err != nil {
		return nil, err
	}
	if _, err := i.parseURL(string(u)); err != nil {
		return nil, fmt.Errorf("Keys: %w", err)
	}
	client := newFetchClient(c)
	return newRemote(i, c, func(ctx context.Context) ([]*key, []error, error) {
		return client.keySet(ctx, string(u), i.Algorithms)
	}), nil
}

// Discover finds the key set in the metadata of the configured issuer: OpenID Connect
// Discovery 1.0, or RFC 8414 if the issuer does not have the former. It fetches metadata
// of configured issuers only, never of another issuer that a token names. It fetches the
// metadata before each fetch of the key set, because an issuer may withdraw keys by
// moving its key set. The metadata of an https issuer must name an https key set.
func Discover() Keys { return discover{} }

type discover struct{}

func (discover) open(i Issuer, c Config) (keySource, error) {
	if err := asymmetricOnly(i); err != nil {
		return nil, err
	}
	issuer, err := i.parseURL(i.URL)
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // check reports it
	}
	client := newFetchClient(c)
	return newRemote(i, c, func(ctx context.Context) ([]*key, []error, error) {
		address, err := client.keySetURL(ctx, issuer, i)
		if err != nil {
			return nil, nil, fmt.Errorf("discovery: %w", err)
		}
		return client.keySet(ctx, address, i.Algorithms)
	}), nil
}

// fetchClient fetches metadata and key sets.
type fetchClient struct{ fetch.Client }

func newFetchClient(c Config) *fetchClient {
	return &fetchClient{fetch.Client{Transport: c.Transport, MaxBytes: maxSetBytes}}
}

func (c *fetchClient) keySet(ctx context.Context, address string, configured []Algorithm) ([]*key, []error, error) {
	document, err := c.Get(ctx, address, "application/jwk-set+json, application/json")
	if err != nil {
		return nil, nil, err
	}
	return parseSet(document, configured)
}

// keySetURL returns the jwks_uri of an issuer. u is the parsed URL of the issuer.
func (c *fetchClient) keySetURL(ctx context.Context, u *url.URL, i Issuer) (string, error) {
	// OIDC Discovery §4: the well-known path is appended to the issuer.
	openid := strings.TrimSuffix(i.URL, "/") + "/.well-known/openid-configuration"
	document, err := c.Get(ctx, openid, "application/json")
	if status, ok := errors.AsType[*fetch.StatusError](err); ok && status.Status >= 400 && status.Status < http.StatusInternalServerError {
		// RFC 8414 §3.1: it goes "between the host component and the path
		// component".
		oauth := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/.well-known/oauth-authorization-server" + strings.TrimSuffix(u.Path, "/")}
		if document, err = c.Get(ctx, oauth.String(), "application/json"); err != nil {
			return "", fmt.Errorf("GET %s: HTTP status %d; %w", openid, status.Status, err)
		}
	}
	if err != nil {
		return "", err
	}
	var metadata map[string]json.RawMessage
	var named, address string
	_ = json.Unmarshal(document, &metadata) // metadata stays nil unless it is an object
	if json.Unmarshal(metadata["issuer"], &named) != nil || json.Unmarshal(metadata["jwks_uri"], &address) != nil {
		return "", errors.New("the metadata has no issuer or no jwks_uri")
	}
	// RFC 8414 §3.3: "The "issuer" value returned MUST be identical to the
	// authorization server's issuer identifier value".
	if named != i.URL {
		return "", fmt.Errorf("the metadata names another issuer: %.300q, not %q", named, i.URL)
	}
	if _, err := safeurl.ParseNamed(u, address, i.PlainHTTPHosts...); err != nil {
		return "", fmt.Errorf("jwks_uri: %w", err)
	}
	return address, nil
}
