// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"fmt"
	"slices"

	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// IntrospectionEndpoint is the introspection endpoint of one authorization server, with
// the audiences, tenants, scopes and roles that its tokens may have.
type IntrospectionEndpoint struct {
	// Client is the registration of this API at the authorization server. Its
	// Config.Issuer is the Issuer of the principals; a response with another iss is
	// rejected. Required, with an authentication method other than [Public].
	Client *Client

	// URL is the address of the endpoint. If it is empty, the address in the metadata is
	// used.
	URL string

	// Audiences are the identifiers of this API. The aud of the response must contain one
	// of them. Required.
	Audiences []string

	// Tenants are the tenants that tokens of the authorization server may have: a token
	// with another tenant or none is rejected. AnyTenant accepts every tenant. With
	// several endpoints, each must set Tenants or AnyTenant.
	Tenants   []string
	AnyTenant bool

	// AllowedScopes and AllowedRoles, if not nil, are the only scopes and roles that a
	// principal gets.
	AllowedScopes, AllowedRoles []string

	// Keys verify signed responses, RFC 9701. If it is set, a plain JSON response is an
	// error. Optional.
	Keys jwtauth.Keys

	// Algorithms are the signature algorithms of responses. Required with Keys.
	Algorithms []jwtauth.Algorithm
}

// check returns the endpoint with its verifier, and all errors.
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
