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
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/internal/fetch"
	"github.com/gatehouse-go/gatehouse/internal/flight"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

const (
	defaultTimeout = 10 * time.Second
	maxTimeout     = time.Minute
	defaultSkew    = time.Minute
	maxSkew        = 5 * time.Minute

	// maxIDTokenBytes is larger than the limit for access tokens, because ID tokens may
	// list the groups of a user.
	maxIDTokenBytes = 16 << 10
)

// Config configures a [Client].
type Config struct {
	// Issuer is the issuer identifier of the authorization server: an https URL, or plain
	// http for loopback addresses. It is compared character by character. Required.
	Issuer string

	// Provider is the metadata of the authorization server. If it is zero, the
	// client fetches the metadata (discovery) before its first request.
	Provider Provider

	// ClientID is the identifier under which the client is registered. Required.
	ClientID string

	// Profile restricts the client to a security profile: [FAPI2]. Optional.
	Profile Profile

	// Auth is the client authentication method, [SecretBasic] if empty. The
	// client uses this method only and never tries another one.
	Auth Auth

	// Secret is the client secret. It is required for SecretBasic and SecretPost,
	// and must be empty for the other methods.
	Secret gatehouse.Secret

	// Keys sign the client assertions of [PrivateKeyJWT]. Required for that method. Serve
	// the keyring, which is an http.Handler, at the registered jwks_uri of the client.
	Keys *jwtauth.KeyRing

	// TLS contains the client certificate for [TLSClient] and [SelfSignedTLS]. It may
	// also contain a private certificate authority.
	TLS *tls.Config

	// DPoP is the key to which the access tokens of this client are bound, RFC 9449. The
	// client then sends proofs to the token endpoint, and dpop_jkt in authorization
	// requests. It rejects Bearer tokens, and an authorization server whose metadata do
	// not list the algorithm of the key. All processes that use or refresh the tokens
	// need the same key: see dpop.NewKey. Call APIs with a [Transport] or a
	// dpop.Transport. Optional.
	DPoP *dpop.Key

	// Transport makes the requests, [http.DefaultTransport] if nil. It must be
	// nil if TLS is set.
	Transport http.RoundTripper

	// Algorithms are the accepted signature algorithms of ID tokens: RS256 if
	// empty, the default of OpenID Connect.
	Algorithms []jwtauth.Algorithm

	// IDTokenKeys is the source of the keys of ID tokens: the jwks_uri of the
	// metadata if nil.
	IDTokenKeys jwtauth.Keys

	// Skew is the allowed difference between the clock of the authorization server
	// and the local clock: 1 minute if zero, at most 5 minutes.
	Skew time.Duration

	// Once reports whether no process has called it with this state before. Redeem calls
	// it before it sends a code, so that several processes redeem a transaction only
	// once. Redeem returns its error. Use Manager.Once of package session. Without Once,
	// only calls with the same [Transaction] value are detected. Optional.
	Once func(ctx context.Context, state string) (first bool, err error)

	// Timeout is the timeout of each request to the authorization server: 10 s if
	// zero, at most 1 minute.
	Timeout time.Duration
}

// Client is a client, with one client_id, of one authorization server. It is
// safe for concurrent use.
type Client struct {
	issuer   string
	id       string
	auth     authenticator
	mutual   bool // the client authenticates by certificate
	onceOnly bool // a request to the token endpoint must not be sent twice
	public   bool
	static   *Provider
	profile  Profile
	once     func(context.Context, string) (bool, error) // nil for none
	http     fetch.Client
	key      *dpop.Key // nil without DPoP
	proving  proving
	skew     time.Duration
	metadata metadata

	verifier   *jwtauth.Verifier   // nil without keys
	algorithms []jwtauth.Algorithm // of ID tokens

	// The limits of the endpoints. Codes, which anonymous callers can send, have their
	// own: they do not delay other grants.
	pushes, codes, grantRequests, introspections, revocations *limiter

	// grants are the running requests of Credentials. Close cancels them.
	grants flight.Group[*Credentials, Tokens]
}

// New returns a client. It reports all configuration errors at once. New makes
// no network call.
//
// Implements OIDC Core §3.1.3.7 (step 8).
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
		// RFC 8414 §2 (issuer): the issuer "has no query or fragment
		// components".
		fail("Issuer", errors.New("has a query"))
	} else if strings.Contains(u.Path, "/.well-known/") {
		fail("Issuer", errors.New("is the URL of the metadata: set the part before /.well-known/"))
	}
	if config.ClientID == "" {
		fail("ClientID", errRequired)
	}
	errs = append(errs, config.checkProfile())
	for _, a := range config.Algorithms {
		// With a symmetric algorithm, every party with the client secret could sign ID
		// tokens.
		if strings.HasPrefix(string(a), "HS") {
			fail("Algorithms", fmt.Errorf("%s: symmetric algorithms are not accepted for ID tokens", a))
		}
	}
	c := &Client{
		issuer: config.Issuer, id: config.ClientID, skew: config.Skew, once: config.Once, key: config.DPoP, profile: config.Profile,
		pushes: newLimiter(endpointPAR, loginRate), codes: newLimiter("token", loginRate),
		grantRequests: newLimiter("token", 0), introspections: newLimiter("introspection", 0),
		revocations: newLimiter("revocation", 0),
	}
	c.http = fetch.Client{Timeout: config.Timeout, MaxBytes: maxResponseBytes}
	if config.Provider != (Provider{}) {
		fail("Provider", errors.Join(config.Provider.check(config.Issuer), config.Provider.checkProfile(config.Profile, config.DPoP)))
		c.static = new(config.Provider)
	}
	auth, err := newAuthenticator(config)
	errs = append(errs, err)
	c.auth, c.public, c.mutual = auth, config.Auth == Public, config.Auth == TLSClient || config.Auth == SelfSignedTLS
	c.onceOnly = config.Auth == PrivateKeyJWT && config.DPoP != nil
	bound := func(field string, value *time.Duration, otherwise, most time.Duration) {
		if *value == 0 {
			*value = otherwise
		}
		if *value < 0 || *value > most {
			fail(field, fmt.Errorf("%v: must be between 0 and %v", *value, most))
		}
	}
	bound("Skew", &c.skew, defaultSkew, maxSkew)
	bound("Timeout", &c.http.Timeout, defaultTimeout, maxTimeout)

	if config.Transport != nil && typednil.Is(config.Transport) {
		fail("Transport", fmt.Errorf("is a nil %T", config.Transport))
	}
	if config.IDTokenKeys != nil && typednil.Is(config.IDTokenKeys) {
		fail("IDTokenKeys", fmt.Errorf("is a nil %T", config.IDTokenKeys))
	}
	c.http.Transport, err = newTransport(config)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	c.algorithms = slices.Clone(config.Algorithms)
	if len(c.algorithms) == 0 {
		c.algorithms = []jwtauth.Algorithm{jwtauth.RS256}
	}
	config.Algorithms = c.algorithms
	if c.verifier, err = newVerifier(config, c.http.Transport, c.skew); err != nil {
		return nil, fmt.Errorf("oauth: Config: %w", err)
	}
	// A shared request may consist of two: discovery and the request itself.
	c.metadata.group.Timeout, c.grants.Timeout = 2*c.http.Timeout, 2*c.http.Timeout
	c.metadata.group.MaxWaiters, c.grants.MaxWaiters = maxWaiting, maxWaiting
	return c, nil
}

var errRequired = errors.New("required")

// newVerifier returns the verifier of ID tokens, nil if the configuration
// names no keys.
//
// Implements OIDC Core §3.1.3.7 (step 7).
func newVerifier(config Config, transport http.RoundTripper, skew time.Duration) (*jwtauth.Verifier, error) {
	keys := config.IDTokenKeys
	switch {
	case keys != nil:
	case config.Provider == (Provider{}):
		keys = jwtauth.Discover()
	case config.Provider.JWKSURI != "":
		keys = jwtauth.RemoteKeys(config.Provider.JWKSURI)
	default:
		return nil, nil
	}
	return jwtauth.NewVerifier(jwtauth.VerifierConfig{
		Issuer: jwtauth.Issuer{
			URL: config.Issuer, Audiences: []string{config.ClientID}, Algorithms: config.Algorithms, Keys: keys, MaxTokenBytes: maxIDTokenBytes,
		},
		Skew: skew, Transport: transport,
	})
}

// Close cancels the shared requests that are running, waits for them, and closes
// idle connections. The client cannot be used afterwards.
func (c *Client) Close() error {
	c.grants.Close()
	c.metadata.group.Close()
	var err error
	if c.verifier != nil {
		err = c.verifier.Close()
	}
	// Last: the connection of a running request is not idle.
	(&http.Client{Transport: c.http.Transport}).CloseIdleConnections()
	return err
}
