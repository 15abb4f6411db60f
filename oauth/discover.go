// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// metadataFresh is the age at which metadata are fetched again.
	metadataFresh = time.Hour
	// metadataStale is the age from which they are not used any more while the
	// server does not answer.
	metadataStale = 24 * time.Hour
	// metadataRetry is the least time between two attempts to replace metadata
	// that are still good.
	metadataRetry = time.Minute
)

// metadata are those that have been discovered.
type metadata struct {
	flight flight[Provider]

	mu      sync.Mutex
	known   Provider
	fetched time.Time
	tried   time.Time
}

// Provider returns what is known of the authorization server: the configured
// value, or what discovery has found, which is kept for an hour, and for a day
// while the server does not answer. The error wraps [ErrUnavailable].
func (c *Client) Provider(ctx context.Context) (Provider, error) {
	if c.static != nil {
		return *c.static, nil
	}
	m := &c.metadata
	m.mu.Lock()
	now := time.Now()
	known, age, usable := m.known, now.Sub(m.fetched), !m.fetched.IsZero()
	if usable && (age < metadataFresh || age < metadataStale && now.Sub(m.tried) < metadataRetry) {
		m.mu.Unlock()
		return known, nil
	}
	m.tried = now
	m.mu.Unlock()

	p, err := m.flight.do(ctx, c, func(ctx context.Context) (Provider, error) {
		p, err := c.discover(ctx)
		if err == nil {
			m.mu.Lock()
			m.known, m.fetched = p, time.Now()
			m.mu.Unlock()
		}
		return p, err
	})
	switch {
	case err == nil:
		return p, nil
	case usable && age < metadataStale && ctx.Err() == nil:
		return known, nil
	}
	return Provider{}, fmt.Errorf("oauth: discovery of %s: %w: %w", c.issuer, ErrUnavailable, err)
}

// discover asks by OpenID Connect Discovery 1.0, and by RFC 8414 where there is
// none of the former.
func (c *Client) discover(ctx context.Context) (Provider, error) {
	// OpenID Connect Discovery §4: the string goes behind the issuer.
	document, err := c.get(ctx, strings.TrimSuffix(c.issuer, "/")+"/.well-known/openid-configuration")
	if status, ok := errors.AsType[statusError](err); ok && status >= 400 && status < http.StatusInternalServerError {
		// RFC 8414 §3.1: it goes "between the host component and the path
		// component".
		u, err2 := url.Parse(c.issuer)
		if err2 != nil {
			return Provider{}, err2
		}
		oauth := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/.well-known/oauth-authorization-server" + strings.TrimSuffix(u.Path, "/")}
		document, err = c.get(ctx, oauth.String())
	}
	if err != nil {
		return Provider{}, err
	}
	return parseProvider(string(document), c.issuer, c.mutual)
}
