// SPDX-License-Identifier: Apache-2.0

package spiffe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/fetch"
	"github.com/gatehouse-go/gatehouse/internal/flight"
	"github.com/gatehouse-go/gatehouse/internal/jose"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

const (
	maxBundleBytes = 1 << 20
	maxBundleKeys  = 256
	bundleTimeout  = 8 * time.Second
	retryBundle    = time.Second
	maxStale       = 24 * time.Hour
)

// Bundle is a source of the trust bundle of a trust domain.
type Bundle struct {
	refresh time.Duration
	read    func(context.Context) ([]byte, error)
	err     error
}

// BundleFile is a file with a trust bundle. It is read again after 10 s.
func BundleFile(path string) Bundle {
	return Bundle{refresh: 10 * time.Second, read: func(context.Context) ([]byte, error) {
		file, err := os.Open(path) //nolint:gosec // the path is from the configuration
		if err != nil {
			return nil, err
		}
		defer file.Close()
		content, err := io.ReadAll(io.LimitReader(file, maxBundleBytes+1))
		if err == nil && len(content) > maxBundleBytes {
			err = fmt.Errorf("%s: more than %d bytes", path, maxBundleBytes)
		}
		return content, err
	}}
}

// BundleURL is a bundle endpoint of the profile https_web. It is fetched again after 5
// minutes. transport is [http.DefaultTransport] if nil. address must be https, or a
// loopback address.
func BundleURL(address string, transport http.RoundTripper) Bundle {
	_, err := safeurl.Parse(address)
	client := &fetch.Client{Transport: transport, MaxBytes: maxBundleBytes}
	return Bundle{refresh: 5 * time.Minute, err: err, read: func(ctx context.Context) ([]byte, error) {
		return client.Get(ctx, address, "application/json")
	}}
}

// keySet are the keys of a bundle by kid.
type keySet map[string][]jose.Key

// keys holds the current keys of a bundle. It is safe for concurrent use.
type keys struct {
	bundle Bundle
	group  flight.Group[struct{}, keySet]

	mu          sync.Mutex
	set         keySet // nil before the first success
	err         error  // of the last attempt
	read, tried time.Time
}

// current returns the keys. If they are due, it reads the bundle again. Only if that
// fails does it return the previous keys, up to a day old.
func (k *keys) current(ctx context.Context) (keySet, error) {
	k.mu.Lock()
	set, err, age := k.set, k.err, time.Since(k.tried)
	k.mu.Unlock()
	switch {
	case err != nil && age < retryBundle:
		return k.orStale(err)
	case set != nil && age < k.bundle.refresh && err == nil:
		return set, nil
	}
	set, err = k.group.Do(ctx, struct{}{}, func(ctx context.Context) (keySet, error) {
		content, err := k.bundle.read(ctx)
		var set keySet
		if err == nil {
			set, err = parseBundle(string(content))
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.tried, k.err = time.Now(), err; err == nil {
			k.set, k.read = set, k.tried
		}
		return set, err
	})
	if err != nil {
		return k.orStale(err)
	}
	return set, nil
}

func (k *keys) orStale(err error) (keySet, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.read) < maxStale {
		return k.set, nil
	}
	return nil, err
}

// parseBundle reads the keys for JWT-SVIDs of a trust bundle: a JWK Set in which each key
// has a use, here jwt-svid, and a kid. Keys of another use are skipped; a malformed key
// makes the bundle invalid.
func parseBundle(text string) (keySet, error) {
	limits := strictjson.Limits{Depth: 8, Members: 16384}
	list := ""
	err := strictjson.Object(text, limits, func(name, value string) error {
		if name == "keys" {
			list = value
		}
		return nil
	})
	if err != nil || list == "" {
		return nil, errors.New("spiffe: trust bundle: not a JSON object with keys")
	}
	var jwks []json.RawMessage
	if json.Unmarshal([]byte(list), &jwks) != nil || len(jwks) > maxBundleKeys {
		return nil, fmt.Errorf("spiffe: trust bundle: keys is not an array of at most %d keys", maxBundleKeys)
	}
	set := make(keySet)
	for n, jwk := range jwks {
		var use, kid string
		err := strictjson.Object(string(jwk), limits, func(name, value string) error {
			switch name {
			case "use":
				use, _ = strictjson.String(value)
			case "kid":
				kid, _ = strictjson.String(value)
			}
			return nil
		})
		if err == nil && use != "jwt-svid" {
			continue
		}
		var key jose.Key
		if err == nil {
			key, err = jose.ParseKey(withoutUse(jwk))
		}
		if err == nil && kid == "" {
			err = errors.New("has no kid")
		}
		if err != nil {
			return nil, fmt.Errorf("spiffe: trust bundle: keys[%d]: %w", n, err)
		}
		set[kid] = append(set[kid], key)
	}
	return set, nil
}

// withoutUse returns a JWK, which is an object with unique members, without its
// use: jwt-svid is no use of RFC 7517.
func withoutUse(jwk json.RawMessage) string {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(jwk, &members) // strictjson has read it
	delete(members, "use")
	text, _ := json.Marshal(members) // raw JSON
	return string(text)
}
