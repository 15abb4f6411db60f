// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"context"
	"crypto"
	"crypto/rand"
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
	// Algorithms are the JWS algorithms that the issuer signs with, one key for
	// each: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512,
	// EdDSA, or HS256, HS384, HS512, which do not go together with the others.
	// The first is the one that tokens are signed with unless another is asked
	// for. Default RS256.
	Algorithms []string

	// Audience is the aud of its tokens. Default https://api.example.com.
	Audience string

	// Path is the path of the issuer identifier, such as /tenants/acme.
	// Default none.
	Path string

	// Type is the typ of its access tokens. Default at+jwt, as RFC 9068 section
	// 2.1 demands; JWT makes it like the many providers that do not follow it.
	Type string

	// Claims go into every token, as in [Issuer.Token].
	Claims Claims

	// Scope is the scope that its tokens carry. Set it to what the handler
	// demands if that is to be attacked too: see [Attacks]. Default none.
	Scope string

	// Target is what the requests of [Attacks] ask for: the path, with a query
	// if need be. Default /.
	Target string
}

// Issuer is an authorization server reduced to what a resource server sees of
// it: a name, metadata, a key set and tokens. It listens on a loopback address.
// It is safe for concurrent use.
type Issuer struct {
	// URL is the issuer identifier, the iss of its tokens.
	URL string
	// Audience is the aud of its tokens.
	Audience string
	// KeysURL is where the key set is.
	KeysURL string
	// Algorithms are those it signs with.
	Algorithms []string
	// Secret is the shared secret of an issuer that signs with HS256, HS384 or
	// HS512, and empty for all others.
	Secret gatehouse.Secret

	config IssuerConfig
	server *httptest.Server
	stop   context.CancelFunc

	keyFetches, metadataFetches atomic.Int64

	mu            sync.Mutex
	keys          []*key
	oddKeys       []oddKey
	keyFault      Fault
	metadataFault Fault
	lured         []string
}

// NewIssuer starts an issuer that ends with the test. At most one config is
// used; without one the zero value is.
func NewIssuer(tb testing.TB, config ...IssuerConfig) *Issuer {
	tb.Helper()
	if len(config) > 1 {
		tb.Fatal("authtest: NewIssuer: more than one config")
	}
	issuer, err := StartIssuer(slices.Concat(config, []IssuerConfig{{}})[0])
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(issuer.Close)
	return issuer
}

// StartIssuer starts an issuer outside of tests, for demonstrations. The caller
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
	// Clients repeat a request whose reused connection breaks, and the counters
	// would then count what nobody has asked for.
	i.server.Config.SetKeepAlivesEnabled(false)
	i.server.Start()
	i.URL = i.server.URL + config.Path
	i.KeysURL = i.URL + "/jwks.json"
	return i, nil
}

// Close stops the server, and with it every answer that is still being
// written. Tokens can still be made.
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
			errs = append(errs, fmt.Errorf("authtest: IssuerConfig.Algorithms[%d]: %q is not known", n, algorithm))
		case slices.Contains(c.Algorithms[:n], algorithm):
			errs = append(errs, fmt.Errorf("authtest: IssuerConfig.Algorithms[%d]: %s is there twice", n, algorithm))
		case a.family == familyHMAC:
			symmetric++
		}
	}
	if symmetric > 0 && symmetric < len(c.Algorithms) {
		errs = append(errs, errors.New("authtest: IssuerConfig.Algorithms: HS* together with others"))
	}
	if c.Path != "" && (!strings.HasPrefix(c.Path, "/") || strings.HasSuffix(c.Path, "/")) {
		errs = append(errs, errors.New("authtest: IssuerConfig.Path: must begin with a slash and not end with one"))
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

// Keys returns the keys that are published now, oldest first: none for an
// issuer with a shared secret.
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

// Rotate makes a new key for each algorithm and signs with it from now on. The
// old ones stay published, and the tokens that they have signed good, until
// [Issuer.Withdraw]. A shared secret is not rotated.
func (i *Issuer) Rotate() {
	if i.Secret.Len() > 0 {
		return
	}
	if err := i.makeKeys(); err != nil {
		panic(err) // only if the system has run out of random numbers
	}
}

// Withdraw takes all keys off the key set but those that sign now.
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
		private, err := generate(algorithm)
		if err != nil {
			return fmt.Errorf("authtest: issuer: %w", err)
		}
		made = append(made, &key{id: id, algorithm: algorithm, private: private, published: true})
	}
	i.keys = append(i.keys, made...)
	return nil
}

// signer returns the key that signs now for the algorithm, or the one that is
// named, or the first.
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
