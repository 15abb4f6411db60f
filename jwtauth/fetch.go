// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/gatehouse-go/gatehouse/internal/safeurl"
)

// RemoteKeys is a JWK Set at a fixed https URL; plain http is accepted for
// loopback addresses only. The set is fetched in the background of the first
// need, refreshed while it is in use, and kept while the issuer is down: see
// [KeySets].
func RemoteKeys(url string) Keys { return remoteKeys(url) }

type remoteKeys string

func (u remoteKeys) open(i Issuer, c Config) (keySource, error) {
	if err := asymmetricOnly(i); err != nil {
		return nil, err
	}
	if _, err := safeurl.Parse(string(u)); err != nil {
		return nil, fmt.Errorf("Keys: %w", err)
	}
	get := newGetter(c)
	return newRemote(i, c, func(ctx context.Context, _ string) ([]*key, []error, error) {
		document, err := get.document(ctx, string(u))
		if err != nil {
			return nil, nil, err
		}
		return parseSet(document, i.Algorithms)
	}), nil
}

// asymmetricOnly keeps secrets out of key sets that anyone can read, and so a
// public key from being taken for a secret.
func asymmetricOnly(i Issuer) error {
	var errs []error
	for _, a := range i.Algorithms {
		if _, ok := hmacHashes[a]; ok {
			errs = append(errs, fmt.Errorf("Keys: %s needs a SharedSecret, never public keys", a))
		}
	}
	return errors.Join(errs...)
}

// getter fetches documents that say what to trust, within bounds.
type getter struct{ client http.Client }

func newGetter(c Config) *getter {
	transport := c.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	return &getter{http.Client{Transport: transport, CheckRedirect: sameOrigin}}
}

// sameOrigin follows a redirect within the origin that was configured. To
// follow one elsewhere would let whoever can redirect choose the keys, or make
// this program call into a network that it alone can reach.
func sameOrigin(r *http.Request, via []*http.Request) error {
	first := via[0].URL
	if r.URL.Scheme != first.Scheme || r.URL.Host != first.Host || r.URL.User != nil {
		return errors.New("redirect to another origin")
	}
	if len(via) > 3 {
		return errors.New("more than 3 redirects")
	}
	return nil
}

// statusError is an answer other than 200.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("HTTP status %d", int(s)) }

func (g *getter) document(ctx context.Context, address string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := g.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", address, withoutURL(err))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %w", address, statusError(response.StatusCode))
	}
	// One byte more than a set may have, so that parseSet sees that it is more.
	body, err := io.ReadAll(io.LimitReader(response.Body, maxSetBytes+1))
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", address, err)
	}
	return body, nil
}

// withoutURL takes the address off an error of http.Client, which has it twice.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
