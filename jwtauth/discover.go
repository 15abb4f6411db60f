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

	"github.com/gatehouse-go/gatehouse/internal/safeurl"
)

// Discover finds the key set through the metadata of the configured issuer:
// OpenID Connect Discovery 1.0, or RFC 8414 where the issuer has none of the
// former. Only configured issuers are ever asked, never one that a token names.
func Discover() Keys { return discover{} }

type discover struct{}

func (discover) open(i Issuer, c Config) (keySource, error) {
	if err := asymmetricOnly(i); err != nil {
		return nil, err
	}
	get := newGetter(c)
	var known atomic.Pointer[string] // where the set was last time
	return newRemote(i, c, func(ctx context.Context, kid string) ([]*key, []error, error) {
		address := known.Load()
		if address == nil || kid != "" { // a key that is not there may be elsewhere now
			found, err := get.keySetURL(ctx, i.URL)
			if err != nil {
				return nil, nil, fmt.Errorf("discovery: %w", err)
			}
			address = &found
		}
		known.Store(nil)
		document, err := get.document(ctx, *address)
		if err != nil {
			return nil, nil, err
		}
		keys, dropped, err := parseSet(document, i.Algorithms)
		if err == nil {
			known.Store(address)
		}
		return keys, dropped, err
	}), nil
}

func (g *getter) keySetURL(ctx context.Context, issuer string) (string, error) {
	// OpenID Connect Discovery §4: the string goes behind the issuer.
	openid := strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
	document, err := g.document(ctx, openid)
	if status, _ := errors.AsType[statusError](err); status >= 400 && status < http.StatusInternalServerError {
		u, _ := url.Parse(issuer) // as New has seen to
		// RFC 8414 §3.1: it goes "between the host component and the path
		// component".
		oauth := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/.well-known/oauth-authorization-server" + strings.TrimSuffix(u.Path, "/")}
		document, err = g.document(ctx, oauth.String())
	}
	if err != nil {
		return "", err
	}
	var metadata map[string]json.RawMessage
	var named, address string
	_ = json.Unmarshal(document, &metadata) // what is no object has neither
	if json.Unmarshal(metadata["issuer"], &named) != nil || json.Unmarshal(metadata["jwks_uri"], &address) != nil {
		return "", errors.New("the metadata has no issuer or no jwks_uri")
	}
	// RFC 8414 §3.3: "The "issuer" value returned MUST be identical to the
	// authorization server's issuer identifier value".
	if named != issuer {
		return "", errors.New("the metadata is that of another issuer")
	}
	if _, err := safeurl.Parse(address); err != nil {
		return "", fmt.Errorf("jwks_uri: %w", err)
	}
	return address, nil
}
