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
	"sync/atomic"

	"github.com/gatehouse-go/gatehouse/internal/fetch"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
)

// RemoteKeys is a JWK Set at an https URL; plain http is accepted for loopback
// addresses only. The set is fetched when it is first needed, refreshed while it
// is in use, and kept while the issuer is unavailable: see [KeySets]. Redirects
// are followed within the origin of the URL only.
func RemoteKeys(url string) Keys { return remoteKeys(url) }

type remoteKeys string

func (u remoteKeys) open(i Issuer, c Config) (keySource, error) {
	if err := asymmetricOnly(i); err != nil {
		return nil, err
	}
	if _, err := safeurl.Parse(string(u)); err != nil {
		return nil, fmt.Errorf("Keys: %w", err)
	}
	client := fetchClient{fetch.Client{Transport: c.Transport, MaxBytes: maxSetBytes}}
	return newRemote(i, c, func(ctx context.Context, _ string) ([]*key, []error, error) {
		return client.keySet(ctx, string(u), i.Algorithms)
	}), nil
}

// Discover finds the key set in the metadata of the configured issuer: OpenID
// Connect Discovery 1.0, or RFC 8414 if the issuer does not have the former.
// Only the metadata of configured issuers are fetched, never those of an issuer
// that a token names.
func Discover() Keys { return discover{} }

type discover struct{}

func (discover) open(i Issuer, c Config) (keySource, error) {
	if err := asymmetricOnly(i); err != nil {
		return nil, err
	}
	client := fetchClient{fetch.Client{Transport: c.Transport, MaxBytes: maxSetBytes}}
	var known atomic.Pointer[string] // address of the last key set, nil after a failure
	return newRemote(i, c, func(ctx context.Context, kid string) ([]*key, []error, error) {
		address := known.Load()
		if address == nil || kid != "" { // a missing key may be at a new address
			found, err := client.keySetURL(ctx, i.URL)
			if err != nil {
				return nil, nil, fmt.Errorf("discovery: %w", err)
			}
			address = &found
		}
		known.Store(nil)
		keys, dropped, err := client.keySet(ctx, *address, i.Algorithms)
		if err == nil {
			known.Store(address)
		}
		return keys, dropped, err
	}), nil
}

// fetchClient fetches metadata and key sets.
type fetchClient struct{ fetch.Client }

func (c *fetchClient) keySet(ctx context.Context, address string, configured []Algorithm) ([]*key, []error, error) {
	document, err := c.Get(ctx, address, "application/jwk-set+json, application/json")
	if err != nil {
		return nil, nil, err
	}
	return parseSet(document, configured)
}

// keySetURL returns the jwks_uri of an issuer.
func (c *fetchClient) keySetURL(ctx context.Context, issuer string) (string, error) {
	// OIDC Discovery §4: the well-known path is appended to the issuer.
	openid := strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
	document, err := c.Get(ctx, openid, "application/json")
	if status, ok := errors.AsType[*fetch.StatusError](err); ok && status.Status >= 400 && status.Status < http.StatusInternalServerError {
		u, _ := url.Parse(issuer) // New has parsed it
		// RFC 8414 §3.1: it goes "between the host component and the path
		// component".
		oauth := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/.well-known/oauth-authorization-server" + strings.TrimSuffix(u.Path, "/")}
		document, err = c.Get(ctx, oauth.String(), "application/json")
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
	if named != issuer {
		return "", errors.New("the metadata names another issuer")
	}
	if _, err := safeurl.Parse(address); err != nil {
		return "", fmt.Errorf("jwks_uri: %w", err)
	}
	return address, nil
}
