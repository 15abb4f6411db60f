// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// StaticKeys are public keys in the configuration. At least one is required.
func StaticKeys(keys ...Key) Keys { return staticKeys(slices.Clone(keys)) }

type staticKeys []Key

func (s staticKeys) open(i Issuer, _ Config) (keySource, error) {
	if len(s) == 0 {
		return nil, errors.New("Keys: at least one key is required")
	}
	if err := asymmetricOnly(i); err != nil {
		return nil, err
	}
	set := new(keySet)
	var errs []error
	for n, k := range s {
		if k.Algorithm == "" {
			errs = append(errs, fmt.Errorf("Keys[%d].Algorithm: required", n))
			continue
		}
		checked, err := newKey(k.ID, k.Public, k.Algorithm, i.Algorithms)
		if err != nil {
			errs = append(errs, fmt.Errorf("Keys[%d]: %w", n, err))
			continue
		}
		checked.anyKid = k.ID == ""
		for m, other := range s {
			if checked.anyKid && m != n && other.Algorithm.canonical() == k.Algorithm.canonical() {
				errs = append(errs, fmt.Errorf("Keys[%d].ID: required, because Keys[%d] has the same algorithm", n, m))
				break
			}
		}
		set.keys = append(set.keys, checked)
	}
	return fixedKeys{set}, errors.Join(errs...)
}

// KeyFile is a regular file with a JWK Set, RFC 7517 section 5. [New] reads it, and
// returns an error if a key in it is unusable. Later it is read again like a remote set:
// see [KeySets]. To withdraw a key, replace the file with one that lacks the key; if the
// file is missing, the last keys are used for up to KeySets.MaxStale.
func KeyFile(path string) Keys { return keyFile(path) }

type keyFile string

func (f keyFile) open(i Issuer, c Config) (keySource, error) {
	if err := asymmetricOnly(i); err != nil {
		return nil, err
	}
	begun := time.Now()
	keys, dropped, err := f.read(i)
	if err == nil && len(keys) == 0 {
		err = fmt.Errorf("%s: %w", f, errNoKey)
	}
	if err = errors.Join(append(dropped, err)...); err != nil {
		return nil, fmt.Errorf("Keys: %w", err)
	}
	r := newRemote(i, c, func(context.Context) ([]*key, []error, error) { return f.read(i) })
	r.finish(begun, keys, nil, nil)
	return r, nil
}

func (f keyFile) read(i Issuer) (keys []*key, dropped []error, err error) {
	// Without O_NONBLOCK, opening a named pipe would wait for its writer.
	file, err := os.OpenFile(string(f), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s: not a regular file", f)
	}
	document, err := io.ReadAll(io.LimitReader(file, maxSetBytes+1))
	if err != nil {
		return nil, nil, err
	}
	keys, dropped, err = parseSet(document, i.Algorithms)
	for n, err := range dropped {
		dropped[n] = fmt.Errorf("%s: %w", f, err)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", f, err)
	}
	return keys, dropped, err
}

// SharedSecret is the key of the HS* algorithms. An issuer with HS* algorithms cannot
// have other algorithms. The secret must be at least as long as the hash of each
// algorithm:
//
//	RFC 7518 §3.2 (size): "A key of the same size as the hash output (for
//	instance, 256 bits for "HS256") or larger MUST be used with this
//	algorithm."
//
// Every verifier can also sign, so use it only if one program does both. The
// kid of a token is ignored.
func SharedSecret(secret gatehouse.Secret) Keys { return sharedSecret{secret} }

type sharedSecret struct{ secret gatehouse.Secret }

// published are secrets from documentation, which are public: of a popular JWT debugger,
// and of the local and self-hosted set-ups of an identity provider.
var published = []string{
	"a-string-secret-at-least-256-bits-long",
	"a-valid-string-secret-that-is-at-least-384-bits-long",
	"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
	"super-secret-jwt-token-with-at-least-32-characters-long",
	"your-super-secret-jwt-token-with-at-least-32-characters-long",
}

// repeated are published secrets that are too short, so that users repeat them.
var repeated = []string{"your-256-bit-secret", "your-384-bit-secret", "your-512-bit-secret"}

func isPublished(secret []byte) bool {
	if slices.Contains(published, string(secret)) {
		return true
	}
	for _, part := range repeated {
		if repeats(secret, []byte(part)) {
			return true
		}
	}
	return len(secret) > 0 && repeats(secret, secret[:1])
}

// repeats reports whether text consists of repetitions of part. The last one may be
// incomplete.
func repeats(text, part []byte) bool {
	for n, c := range text {
		if c != part[n%len(part)] {
			return false
		}
	}
	return len(text) >= len(part)
}

// Implements RFC 7518 §3.2 (size); RFC 8725 §3.5.
func (s sharedSecret) open(i Issuer, _ Config) (keySource, error) {
	k := &key{algorithms: i.Algorithms, anyKid: true, hmac: make(map[Algorithm]*hmacKey)}
	secret := s.secret.Reveal()
	if isPublished(secret) {
		return nil, errors.New("Keys: secret: is a published example or one repeated character: generate a random one")
	}
	var errs []error
	for _, a := range i.Algorithms {
		h, ok := hmacHashes[a]
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("Keys: a shared secret is only for HS* algorithms, got %s", a))
		case len(secret) < h.Size():
			errs = append(errs, fmt.Errorf("Keys: secret: got %d bytes, %s requires at least %d", len(secret), a, h.Size()))
		default:
			k.hmac[a] = newHMACKey(h, secret)
		}
	}
	return fixedKeys{&keySet{keys: []*key{k}}}, errors.Join(errs...)
}
