// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"fmt"
	"slices"

	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// IntrospectionEndpoint is the introspection endpoint of one authorization server,
// and what its tokens may do.
type IntrospectionEndpoint struct {
	// Client is the registration of this API at the authorization server. Its
	// Config.Issuer is the Issuer of the principals; a response with another iss is
	// rejected. Required, with an authentication method other than [Public].
	Client *Client

	// URL is the address of the endpoint: that of the metadata if empty.
	URL string

	// Audiences are the identifiers of this API, one of which aud must contain.
	// Required.
	Audiences []string

	// Tenants are the tenants for which the authorization server may speak: tokens of
	// others or of none are rejected. AnyTenant accepts all. With several endpoints
	// each must have one of them.
	Tenants   []string
	AnyTenant bool

	// AllowedScopes and AllowedRoles, if not nil, are the only scopes and roles that a
	// principal gets.
	AllowedScopes, AllowedRoles []string

	// Keys demands signed responses, RFC 9701, and verifies them. A response that is
	// plain JSON is then an error. Optional.
	Keys jwtauth.Keys

	// Algorithms are the signature algorithms of responses. Required with Keys.
	Algorithms []jwtauth.Algorithm
}

// check returns the endpoint with its verifier, and every mistake.
func (e IntrospectionEndpoint) check() (introspectionEndpoint, []error) {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, list := range []*[]string{&e.Audiences, &e.Tenants, &e.AllowedScopes, &e.AllowedRoles} {
		*list = slices.Clone(*list)
	}
	if len(e.Audiences) == 0 || slices.Contains(e.Audiences, "") {
		fail("Audiences: at least one is required, none may be empty")
	}
	if e.Tenants != nil && (len(e.Tenants) == 0 || e.AnyTenant || slices.Contains(e.Tenants, "")) {
		fail("Tenants: must be at least one, none empty, and excludes AnyTenant")
	}
	if e.URL != "" {
		if _, err := safeurl.Parse(e.URL); err != nil {
			fail("URL: %w", err)
		}
	}
	if len(e.Algorithms) > 0 && e.Keys == nil {
		fail("Algorithms: not used without Keys")
	}
	checked := introspectionEndpoint{IntrospectionEndpoint: e}
	switch {
	case e.Client == nil:
		fail("Client: required")
	case e.Client.public:
		// RFC 7662 §2.1 (authenticated): the endpoint requires authorization.
		fail("Client: a public client cannot introspect tokens")
	case e.Keys != nil:
		var err error
		checked.verifier, err = jwtauth.NewVerifier(jwtauth.VerifierConfig{
			Issuer: jwtauth.Issuer{
				URL: e.Client.issuer, Audiences: []string{e.Client.id}, Algorithms: e.Algorithms, Keys: e.Keys, MaxTokenBytes: maxIntrospectionBytes,
			},
			MaxAge: maxIntrospectionAge, Skew: e.Client.skew, Transport: e.Client.http.Transport,
		})
		if err != nil {
			fail("Keys: %w", err)
		}
	}
	return checked, errs
}
