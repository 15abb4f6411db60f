// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/fetch"
	"github.com/gatehouse-go/gatehouse/internal/flight"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// Provider holds the members that this package uses of the metadata of an authorization server, RFC
// 8414 section 2. All URLs must be https; plain http is accepted only for loopback addresses, and
// only if the issuer is one too. An endpoint is empty if the authorization server does not have it.
type Provider struct {
	// Issuer is the issuer identifier. Required.
	Issuer string

	// TokenEndpoint is required; AuthorizationEndpoint is required for a login.
	TokenEndpoint         string
	AuthorizationEndpoint string

	// PushedAuthorizationEndpoint, if set, receives every authorization request, RFC
	// 9126.
	PushedAuthorizationEndpoint string

	RevocationEndpoint    string // RFC 7009
	IntrospectionEndpoint string // RFC 7662
	UserinfoEndpoint      string // OpenID Connect Core 1.0, section 5.3
	EndSessionEndpoint    string // OpenID Connect RP-Initiated Logout 1.0
	JWKSURI               string

	// ResponseIssuer is true if every authorization response contains the parameter
	// iss, RFC 9207 section 3. A response without it is then rejected.
	//
	// Implements RFC 9207 §2.4 (support).
	ResponseIssuer bool

	// CertificateBoundTokens is true if the authorization server binds the tokens of a
	// client that authenticates by certificate to that certificate, RFC 8705 section
	// 3.3.
	CertificateBoundTokens bool

	// algorithms are the algorithms of ID tokens that discovery lists, separated by
	// spaces, "" for none.
	algorithms string
	// prompts are the values of prompt that discovery lists, separated by spaces, "" for
	// none.
	prompts string
}

// SupportsPrompt reports whether the authorization server supports a value of the
// parameter prompt, such as select_account. It is true if the metadata list the value
// or have no list.
func (p *Provider) SupportsPrompt(value string) bool {
	return p.prompts == "" || slices.Contains(strings.Fields(p.prompts), value)
}

// endpoints returns the fields by their names in the metadata.
func (p *Provider) endpoints() map[string]*string {
	return map[string]*string{
		"token_endpoint":                        &p.TokenEndpoint,
		"authorization_endpoint":                &p.AuthorizationEndpoint,
		"pushed_authorization_request_endpoint": &p.PushedAuthorizationEndpoint,
		"revocation_endpoint":                   &p.RevocationEndpoint,
		"introspection_endpoint":                &p.IntrospectionEndpoint,
		"userinfo_endpoint":                     &p.UserinfoEndpoint,
		"end_session_endpoint":                  &p.EndSessionEndpoint,
		"jwks_uri":                              &p.JWKSURI,
	}
}

// check returns the errors in p, joined.
//
// Implements RFC 6749 §3.1 (TLS); RFC 7009 §2 (TLS); RFC 7662 §4 (TLS); RFC
// 8414 §2 (endpoints, token_endpoint), §4; RFC 9126 §2; RFC 9207 §2.4
// (metadata); ASVS 5.0 §10.5.3; OIDC Discovery §4.3.
func (p *Provider) check(issuer string) error {
	var errs []error
	// RFC 8414 §3.3: "The "issuer" value returned MUST be identical to the
	// authorization server's issuer identifier value ... If these values are not
	// identical, the data contained in the response MUST NOT be used."
	if p.Issuer != issuer {
		errs = append(errs, errors.New("issuer: differs from Config.Issuer: the comparison is exact, including a trailing slash"))
	}
	if p.TokenEndpoint == "" {
		errs = append(errs, errors.New("token_endpoint: required"))
	}
	for name, address := range p.endpoints() {
		if *address == "" {
			continue
		}
		u, err := safeurl.Parse(*address)
		// Plain http is for development. Without this check, the metadata of an https
		// issuer could make this program call its own host.
		if err == nil && strings.HasPrefix(issuer, "https:") && u.Scheme != "https" {
			err = errors.New("must be an https URL, like the issuer")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// parseProvider reads a metadata document. A client that authenticates by
// certificate uses the endpoints of mtls_endpoint_aliases:
//
//	RFC 8705 §5: "an OAuth client intending to do mutual TLS ... when making a
//	request directly to the authorization server MUST use the alias URL of the
//	endpoint within the mtls_endpoint_aliases, when present"
//
// Implements RFC 8414 §2.1, §3.2.
func parseProvider(document, issuer string, mutual bool) (Provider, error) {
	var p Provider
	aliases := ""
	methods, listed := []string(nil), false
	err := strictjson.Object(document, limits, func(name, value string) error {
		ok := true
		switch name {
		case "issuer":
			p.Issuer, ok = strictjson.String(value)
		case "authorization_response_iss_parameter_supported":
			p.ResponseIssuer = value == "true"
			ok = value == "true" || value == "false"
		case "tls_client_certificate_bound_access_tokens":
			p.CertificateBoundTokens = value == "true"
			ok = value == "true" || value == "false"
		case "mtls_endpoint_aliases":
			aliases = value
		case "code_challenge_methods_supported":
			listed = true
			ok = strictjson.Strings(value, func(method string) bool {
				methods = append(methods, method)
				return true
			})
		case "prompt_values_supported":
			ok = strictjson.Strings(value, func(prompt string) bool {
				p.prompts += " " + prompt
				return true
			})
		case "id_token_signing_alg_values_supported":
			ok = strictjson.Strings(value, func(algorithm string) bool {
				p.algorithms += " " + algorithm
				return true
			})
		default:
			if field := p.endpoints()[name]; field != nil {
				*field, ok = strictjson.String(value)
			}
		}
		if !ok {
			return fmt.Errorf("%s: malformed", name)
		}
		return nil
	})
	if err == nil && mutual && aliases != "" {
		err = strictjson.Object(aliases, limits, func(name, value string) error {
			field := p.endpoints()[name]
			// The browser and the key fetch do not present the client certificate.
			if field == nil || name == "authorization_endpoint" || name == "jwks_uri" || name == "end_session_endpoint" {
				return nil
			}
			var ok bool
			if *field, ok = strictjson.String(value); !ok {
				return fmt.Errorf("%s: malformed", name)
			}
			return nil
		})
	}
	if err == nil {
		err = p.check(issuer)
	}
	// RFC 9700 §2.1.1 (support): "authorization servers MUST provide a way to detect
	// their support for PKCE". A server that lists methods without S256 would ignore the
	// challenge. If a server lists no methods, the nonce still prevents injection.
	if err == nil && listed && !slices.Contains(methods, "S256") {
		err = errors.New("code_challenge_methods_supported: S256 is missing")
	}
	if err != nil {
		return Provider{}, err
	}
	return p, nil
}

const (
	// metadataFresh is the age at which the client fetches the metadata again.
	metadataFresh = time.Hour
	// metadataStale is the maximum age at which metadata serve as the fallback for
	// a failed fetch.
	metadataStale = 24 * time.Hour
)

// metadata caches the discovered metadata.
type metadata struct {
	group flight.Group[struct{}, Provider]

	mu      sync.Mutex
	known   Provider
	fetched time.Time
	backoff backoff
}

// Provider returns the metadata of the authorization server: the configured value, or the
// result of discovery. The result is cached for an hour, and for up to a day while
// discovery fails. Concurrent calls share one request. Without a cached result, calls
// fail without a request for 1 s after a failure; each further failure doubles this time,
// up to a minute. The error wraps [ErrUnavailable].
func (c *Client) Provider(ctx context.Context) (Provider, error) {
	if c.static != nil {
		return *c.static, nil
	}
	m := &c.metadata
	m.mu.Lock()
	now := time.Now()
	known, age, usable := m.known, now.Sub(m.fetched), !m.fetched.IsZero()
	usable = usable && age < metadataStale
	pause := m.backoff.check("discovery", now)
	m.mu.Unlock()
	switch {
	case usable && (age < metadataFresh || pause != nil || m.group.Running(struct{}{}) != nil):
		return known, nil //nolint:nilerr // the cached metadata remain usable
	case pause != nil:
		return Provider{}, pause
	}
	p, err := m.group.Do(ctx, struct{}{}, func(ctx context.Context) (Provider, error) {
		begun := time.Now()
		p, err := c.discover(ctx)
		m.mu.Lock()
		defer m.mu.Unlock()
		if err != nil {
			asked := time.Duration(0)
			if e, ok := errors.AsType[*fetch.StatusError](err); ok {
				asked = e.RetryAfter
			}
			m.backoff.failed(begun, time.Now(), err, asked)
			return p, err
		}
		m.known, m.fetched, m.backoff = p, time.Now(), backoff{}
		return p, nil
	})
	switch {
	case err == nil:
		return p, nil
	case usable && ctx.Err() == nil: // the caller could make no request
		return known, nil
	}
	return Provider{}, fmt.Errorf("oauth: discovery of %s: %w: %w", c.issuer, ErrUnavailable, err)
}

// discover fetches the metadata of OpenID Connect Discovery 1.0, and those of RFC
// 8414 if the server has none of the former.
//
// Implements RFC 8414 §3.2.
func (c *Client) discover(ctx context.Context) (Provider, error) {
	// OIDC Discovery §4: the path is appended to the issuer.
	document, err := c.http.Get(ctx, strings.TrimSuffix(c.issuer, "/")+"/.well-known/openid-configuration", "application/json")
	if e, ok := errors.AsType[*fetch.StatusError](err); ok && e.Status >= 400 && e.Status < http.StatusInternalServerError {
		// RFC 8414 §3.1: it is inserted "between the host component and the path
		// component".
		u, err2 := url.Parse(c.issuer)
		if err2 != nil {
			return Provider{}, err2
		}
		oauth := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/.well-known/oauth-authorization-server" + strings.TrimSuffix(u.Path, "/")}
		document, err = c.http.Get(ctx, oauth.String(), "application/json")
	}
	if err != nil {
		return Provider{}, err
	}
	p, err := parseProvider(string(document), c.issuer, c.mutual)
	if err == nil {
		err = errors.Join(c.checkDPoP(string(document)), p.checkProfile(c.profile, c.key))
	}
	return p, err
}
