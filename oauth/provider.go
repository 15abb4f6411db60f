// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// Provider is what a client has to know of an authorization server: the part of
// its metadata, RFC 8414 section 2, that this package uses. All URLs are https;
// plain http is for loopback addresses only. An endpoint that is "" is not
// offered.
type Provider struct {
	// Issuer is the issuer identifier. Required.
	Issuer string

	// TokenEndpoint is required, and AuthorizationEndpoint for a login.
	TokenEndpoint         string
	AuthorizationEndpoint string

	// PushedAuthorizationEndpoint is used for every login if it is there, RFC
	// 9126.
	PushedAuthorizationEndpoint string

	RevocationEndpoint    string // RFC 7009
	IntrospectionEndpoint string // RFC 7662
	UserinfoEndpoint      string // OpenID Connect Core 1.0, section 5.3
	EndSessionEndpoint    string // OpenID Connect RP-Initiated Logout 1.0
	JWKSURI               string

	// ResponseIssuer says that every authorization response has the parameter
	// iss, RFC 9207 section 3. One without it is then refused.
	ResponseIssuer bool
}

// endpoints are the fields by their names in the metadata.
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

// check returns what is wrong with p for that issuer.
func (p *Provider) check(issuer string) error {
	var errs []error
	// RFC 8414 §3.3: "The "issuer" value returned MUST be identical to the
	// authorization server's issuer identifier value ... If these values are not
	// identical, the data contained in the response MUST NOT be used."
	if p.Issuer != issuer {
		errs = append(errs, errors.New("issuer: is not the configured one; they are compared to the letter, a slash at the end counts"))
	}
	if p.TokenEndpoint == "" {
		errs = append(errs, errors.New("token_endpoint: required"))
	}
	for name, address := range p.endpoints() {
		if *address == "" {
			continue
		}
		if _, err := safeurl.Parse(*address); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// parseProvider reads a metadata document. For a client that shows a
// certificate, the endpoints are those where it is asked for:
//
//	RFC 8705 §5: "an OAuth client intending to do mutual TLS ... when making a
//	request directly to the authorization server MUST use the alias URL of the
//	endpoint within the mtls_endpoint_aliases, when present"
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
		case "mtls_endpoint_aliases":
			aliases = value
		case "code_challenge_methods_supported":
			listed = true
			ok = strictjson.Strings(value, func(method string) bool {
				methods = append(methods, method)
				return true
			})
		default:
			if field := p.endpoints()[name]; field != nil {
				*field, ok = strictjson.String(value)
			}
		}
		if !ok {
			return fmt.Errorf("%s: has the wrong form", name)
		}
		return nil
	})
	if err == nil && mutual && aliases != "" {
		err = strictjson.Object(aliases, limits, func(name, value string) error {
			field := p.endpoints()[name]
			// A browser shows no certificate of the client.
			if field == nil || name == "authorization_endpoint" || name == "jwks_uri" || name == "end_session_endpoint" {
				return nil
			}
			var ok bool
			if *field, ok = strictjson.String(value); !ok {
				return fmt.Errorf("%s: has the wrong form", name)
			}
			return nil
		})
	}
	if err == nil {
		err = p.check(issuer)
	}
	// RFC 9700 §2.1.1: "authorization servers MUST provide a way to detect their
	// support for PKCE". One that says what it supports, and not this, would
	// ignore the challenge; one that says nothing is left with the nonce.
	if err == nil && listed && !slices.Contains(methods, "S256") {
		err = errors.New("code_challenge_methods_supported: S256 is not among them")
	}
	if err != nil {
		return Provider{}, err
	}
	return p, nil
}
