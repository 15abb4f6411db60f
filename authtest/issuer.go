// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// IssuerConfig configures an [Issuer]. The zero value is an issuer of RS256
// access tokens for https://api.example.com.
type IssuerConfig struct {
	// Algorithms are the JWS algorithms of the issuer, with one key for each:
	// RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, or
	// HS256, HS384, HS512, which cannot be combined with the others. The first
	// signs by default. Default RS256.
	Algorithms []string

	// Audience is the aud of its tokens. Default https://api.example.com.
	Audience string

	// Path is the path of the issuer identifier, such as /tenants/acme.
	// Default none.
	Path string

	// Type is the typ of its access tokens. Default at+jwt, as RFC 9068 section
	// 2.1 demands; JWT is the type of many providers that do not follow it.
	Type string

	// Claims are added to every token, as by [Issuer.Token].
	Claims Claims

	// Scope is the scope of its tokens. If the handler requires this scope, [Attacks]
	// includes tokens with similar scopes. Default none.
	Scope string

	// Target is the path of the requests of [Attacks], with an optional query.
	// Default /.
	Target string
}

// Issuer is the part of an authorization server that a resource server uses: a name,
// metadata, a key set and tokens. It listens on a loopback address. It is safe for
// concurrent use.
type Issuer struct {
	// URL is the issuer identifier, the iss of its tokens.
	URL string
	// Audience is the aud of its tokens.
	Audience string
	// KeysURL is the URL of the key set.
	KeysURL string
	// Algorithms are its signature algorithms.
	Algorithms []string
	// Secret is the shared secret of an issuer with HS256, HS384 or HS512, and empty
	// for all others.
	Secret gatehouse.Secret

	config IssuerConfig
	server *httptest.Server
	stop   context.CancelFunc

	keyFetches, metadataFetches atomic.Int64

	mu            sync.Mutex
	keys          []*key
	oddKeys       []oddKey
	rsaKeys       []*rsa.PrivateKey // all that it has made
	keyFault      Fault
	metadataFault Fault
	fetched       []string
}

// NewIssuer starts an issuer that is closed at the end of the test, with at most one
// config.
func NewIssuer(tb testing.TB, config ...IssuerConfig) *Issuer {
	tb.Helper()
	if len(config) > 1 {
		tb.Fatal("authtest: NewIssuer: more than one config")
	}
	issuer, err := StartIssuer(slices.Concat(config, []IssuerConfig{{}})[0])
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		issuer.Close()
		spareRSA.add(issuer.rsaKeys)
	})
	return issuer
}

// StartIssuer starts an issuer for a program that is not a test. The caller
// must Close it.
func StartIssuer(config IssuerConfig) (*Issuer, error) {
	config.Algorithms = slices.Clone(config.Algorithms)
	config.Claims = config.Claims.clone()
	if len(config.Algorithms) == 0 {
		config.Algorithms = []string{"RS256"}
	}
	if config.Audience == "" {
		config.Audience = "https://api.example.com"
	}
	if config.Type == "" {
		config.Type = "at+jwt"
	}
	if config.Target == "" {
		config.Target = "/"
	}
	if err := config.check(); err != nil {
		return nil, err
	}
	i := &Issuer{Audience: config.Audience, Algorithms: slices.Clone(config.Algorithms), config: config}
	if err := i.makeKeys(); err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("authtest: issuer: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	i.stop = stop
	i.server = &httptest.Server{Listener: listener, Config: &http.Server{
		Handler:           i.handler(),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
	}}
	// Clients repeat a request if a reused connection breaks, and the counters would
	// count it twice.
	i.server.Config.SetKeepAlivesEnabled(false)
	i.server.Start()
	i.URL = i.server.URL + config.Path
	i.KeysURL = i.URL + "/jwks.json"
	return i, nil
}

// Close stops the server and all responses. The issuer can still sign tokens.
func (i *Issuer) Close() {
	i.stop() // before Close, which waits for handlers
	i.server.CloseClientConnections()
	i.server.Close()
}

func (c IssuerConfig) check() error {
	var errs []error
	symmetric := 0
	for n, algorithm := range c.Algorithms {
		a, ok := algorithms[algorithm]
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("authtest: IssuerConfig.Algorithms[%d]: unknown algorithm %q", n, algorithm))
		case slices.Contains(c.Algorithms[:n], algorithm):
			errs = append(errs, fmt.Errorf("authtest: IssuerConfig.Algorithms[%d]: %s occurs twice", n, algorithm))
		case a.family == familyHMAC:
			symmetric++
		}
	}
	if symmetric > 0 && symmetric < len(c.Algorithms) {
		errs = append(errs, errors.New("authtest: IssuerConfig.Algorithms: HS256, HS384 and HS512 cannot be combined with other algorithms"))
	}
	if c.Path != "" && (!strings.HasPrefix(c.Path, "/") || strings.HasSuffix(c.Path, "/")) {
		errs = append(errs, fmt.Errorf("authtest: IssuerConfig.Path: %q must begin with a slash and not end with one", c.Path))
	}
	if !strings.HasPrefix(c.Target, "/") {
		errs = append(errs, errors.New("authtest: IssuerConfig.Target: must begin with a slash"))
	}
	if _, err := gatehouse.ParseScopes(c.Scope); err != nil {
		errs = append(errs, errors.New("authtest: IssuerConfig.Scope: malformed"))
	}
	return errors.Join(errs...)
}

// Key is a public key of an issuer.
type Key struct {
	ID        string
	Algorithm string
	Public    crypto.PublicKey
}

// Keys returns the published keys, oldest first: none for an issuer with a shared
// secret.
func (i *Issuer) Keys() []Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	var keys []Key
	for _, k := range i.keys {
		if k.published {
			keys = append(keys, Key{k.id, k.algorithm, k.public()})
		}
	}
	return keys
}

// Rotate creates a new signing key for each algorithm. The old keys stay published until
// [Issuer.Withdraw]. A shared secret is not rotated.
func (i *Issuer) Rotate() {
	if i.Secret.Len() > 0 {
		return
	}
	if err := i.makeKeys(); err != nil {
		panic(err) // not for the algorithms of this package
	}
}

// Withdraw removes all keys but the current signing keys from the key set.
func (i *Issuer) Withdraw() {
	i.mu.Lock()
	defer i.mu.Unlock()
	old := i.keys[:len(i.keys)-len(i.Algorithms)]
	for _, k := range old {
		k.published = false
	}
}

// makeKeys appends one new key for each algorithm.
func (i *Issuer) makeKeys() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	generation := len(i.keys)/len(i.config.Algorithms) + 1
	var secret []byte
	var made []*key
	for _, algorithm := range i.config.Algorithms {
		id := fmt.Sprintf("%s-%d", strings.ToLower(algorithm), generation)
		if algorithms[algorithm].family == familyHMAC {
			if secret == nil {
				secret = make([]byte, 64) // RFC 7518 §3.2: at least the size of the hash output
				_, _ = rand.Read(secret)
				i.Secret = gatehouse.NewSecret(secret)
			}
			made = append(made, &key{id: id, algorithm: algorithm, private: secret})
			continue
		}
		private, err := i.generate(algorithm)
		if err != nil {
			return fmt.Errorf("authtest: issuer: %w", err)
		}
		made = append(made, &key{id: id, algorithm: algorithm, private: private, published: true})
	}
	i.keys = append(i.keys, made...)
	return nil
}

// signer returns the key of this ID, or else the current key for the algorithm, or
// else the first current key.
func (i *Issuer) signer(algorithm, id string) *key {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, k := range i.keys {
		if k.id == id {
			return k
		}
	}
	current := i.keys[len(i.keys)-len(i.Algorithms):]
	for _, k := range current {
		if k.algorithm == algorithm {
			return k
		}
	}
	return current[0]
}
