// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

const (
	defaultTimeout = 10 * time.Second
	maxTimeout     = time.Minute
	defaultSkew    = time.Minute
	maxSkew        = 5 * time.Minute

	// ID tokens list the groups of people.
	maxIDTokenBytes = 16 << 10
)

// Config configures a [Client].
type Config struct {
	// Issuer is the issuer identifier of the authorization server, compared
	// character by character. Required, https; plain http for loopback addresses
	// only.
	Issuer string

	// Provider is what is known of the server already. If it is zero, it is
	// discovered at the first need.
	Provider Provider

	// ClientID is the identifier of this client there. Required.
	ClientID string

	// Auth is how the client authenticates itself: [SecretBasic] if empty. It is
	// never found out by trying.
	Auth Auth

	// Secret is for SecretBasic and SecretPost, which require it.
	Secret gatehouse.Secret

	// Keys sign the assertions of [PrivateKeyJWT], which requires them. The ring
	// publishes the public keys too, as a handler, for the jwks_uri under which
	// the client is registered.
	Keys *jwtauth.KeyRing

	// TLS has the certificate of [TLSClient] and [SelfSignedTLS], which require
	// it. It may also bring a private certificate authority.
	TLS *tls.Config

	// Transport makes the requests instead, [http.DefaultTransport] by default.
	// It cannot be set together with TLS.
	Transport http.RoundTripper

	// Algorithms are those that ID tokens may be signed with: RS256 by default,
	// which OpenID Connect has as its default too.
	Algorithms []jwtauth.Algorithm

	// IDTokenKeys says where the keys for that are: where the metadata say, by
	// default.
	IDTokenKeys jwtauth.Keys

	// Skew is how far the clocks of the server and of this machine may be
	// apart: a minute by default, at most 5.
	Skew time.Duration

	// Timeout bounds each request to the server: 10 s by default, at most a
	// minute.
	Timeout time.Duration
}

// Client is one client at one authorization server. It is safe for concurrent
// use.
type Client struct {
	issuer   string
	id       string
	auth     authenticator
	mutual   bool // the client authenticates itself by a certificate
	public   bool
	static   *Provider
	metadata metadata
	http     http.Client // for what is asked
	fetch    http.Client // for metadata
	timeout  time.Duration
	skew     time.Duration

	statements *jwtauth.Verifier // nil without keys

	mu     sync.Mutex      // between begin and Close
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// New makes a client. It reports all mistakes in the configuration at once, and
// makes no network call.
func New(config Config) (*Client, error) {
	var errs []error
	fail := func(field string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("oauth: Config.%s: %w", field, err))
		}
	}
	if u, err := safeurl.Parse(config.Issuer); err != nil {
		fail("Issuer", err)
	} else if u.RawQuery != "" || u.ForceQuery {
		// RFC 8414 §2: the issuer "has no query or fragment components".
		fail("Issuer", errors.New("has a query"))
	} else if strings.Contains(u.Path, "/.well-known/") {
		fail("Issuer", errors.New("is the address of the metadata; the issuer is what stands before /.well-known/"))
	}
	if config.ClientID == "" {
		fail("ClientID", errRequired)
	}
	for _, a := range config.Algorithms {
		// With one, the client secret would sign ID tokens, by whoever has it.
		if strings.HasPrefix(string(a), "HS") {
			fail("Algorithms", fmt.Errorf("%s: is not for ID tokens", a))
		}
	}
	c := &Client{issuer: config.Issuer, id: config.ClientID, timeout: config.Timeout, skew: config.Skew}
	if config.Provider != (Provider{}) {
		fail("Provider", config.Provider.check(config.Issuer))
		c.static = new(config.Provider)
	}
	auth, err := newAuthenticator(config)
	errs = append(errs, err)
	c.auth, c.public, c.mutual = auth, config.Auth == Public, config.Auth == TLSClient || config.Auth == SelfSignedTLS
	bound := func(field string, value *time.Duration, otherwise, most time.Duration) {
		if *value == 0 {
			*value = otherwise
		}
		if *value < 0 || *value > most {
			fail(field, fmt.Errorf("%v is not within 0 and %v", *value, most))
		}
	}
	bound("Skew", &c.skew, defaultSkew, maxSkew)
	bound("Timeout", &c.timeout, defaultTimeout, maxTimeout)

	transport, err := newTransport(config)
	errs = append(errs, err)
	c.http = http.Client{Transport: transport, CheckRedirect: noRedirect}
	c.fetch = http.Client{Transport: transport, CheckRedirect: sameOrigin}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if c.statements, err = newStatements(config, transport, c.skew); err != nil {
		return nil, fmt.Errorf("oauth: Config: %w", err)
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

var errRequired = errors.New("required")

// newStatements makes the verifier of ID tokens, nil if nothing says where the
// keys are.
func newStatements(config Config, transport http.RoundTripper, skew time.Duration) (*jwtauth.Verifier, error) {
	keys, algorithms := config.IDTokenKeys, slices.Clone(config.Algorithms)
	switch {
	case keys != nil:
	case config.Provider == (Provider{}):
		keys = jwtauth.Discover()
	case config.Provider.JWKSURI != "":
		keys = jwtauth.RemoteKeys(config.Provider.JWKSURI)
	default:
		return nil, nil
	}
	if len(algorithms) == 0 {
		algorithms = []jwtauth.Algorithm{jwtauth.RS256}
	}
	return jwtauth.NewVerifier(jwtauth.VerifierConfig{
		Issuer: jwtauth.Issuer{
			URL: config.Issuer, Audience: config.ClientID, Algorithms: algorithms, Keys: keys, MaxTokenBytes: maxIDTokenBytes,
		},
		Skew: skew, Transport: transport,
	})
}

// Close ends the shared requests under way and waits for them, and closes idle
// connections. The client cannot be used afterwards.
func (c *Client) Close() error {
	c.mu.Lock()
	c.cancel()
	c.mu.Unlock()
	c.work.Wait()
	c.http.CloseIdleConnections()
	if c.statements != nil {
		return c.statements.Close()
	}
	return nil
}
