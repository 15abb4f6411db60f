// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/gatehouse-go/gatehouse"
)

// The grants that a client can ask for.
const (
	grantCode        = "authorization_code"
	grantRefresh     = "refresh_token"
	grantCredentials = "client_credentials"
	grantExchange    = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// GrantError says that a grant is not to be had here, why, and what to do
// instead.
type GrantError struct {
	Grant   string // as it was asked for: "password", "implicit", "token", …
	Why     string
	Instead string
}

// Error says all three.
func (e *GrantError) Error() string {
	return fmt.Sprintf("oauth: no grant %q: %s; %s", e.Grant, e.Why, e.Instead)
}

const (
	// RFC 9700 §2.4: "The resource owner password credentials grant MUST NOT be
	// used. This grant type insecurely exposes the credentials of the resource
	// owner to the client."
	whyNotPassword = "it hands the password of a person to the client, and leaves no room for a second factor (RFC 9700 section 2.4)"

	// RFC 9700 §2.1.2: clients "SHOULD NOT use the implicit grant ... unless access
	// token injection in the authorization response is prevented and the
	// aforementioned token leakage vectors are mitigated."
	whyNotImplicit = "it puts access tokens into the address of a page, where history, logs and scripts find them, and anybody can put in another (RFC 9700 section 2.1.2)"

	insteadLogin    = "log the person in with NewLogin, which uses the authorization code with PKCE"
	insteadMachines = insteadLogin + ", or use ClientCredentials if there is no person"
)

// checkGrant accepts the grants of a closed set.
func checkGrant(grant string) error {
	switch grant {
	case grantRefresh, grantCredentials, grantExchange:
		return nil
	case "password":
		return &GrantError{grant, whyNotPassword, insteadMachines}
	case "implicit":
		return &GrantError{grant, whyNotImplicit, insteadLogin}
	case grantCode:
		return &GrantError{grant, "a code is worth nothing without the state, the verifier and the nonce of its login", "use NewLogin, or Authorize and Redeem"}
	}
	return &GrantError{grant, "this package does not know what its answer means", "use one of its methods"}
}

// checkResponseType accepts the code, and nothing that brings a token through
// the browser.
func checkResponseType(asked string) error {
	for part := range strings.SplitSeq(asked, " ") {
		if part != "code" {
			return &GrantError{asked, whyNotImplicit, insteadLogin}
		}
	}
	return nil
}

// reserved are parameters that this package sets, in authorization requests and
// in token requests.
func reserved(name string) bool {
	switch name {
	case "client_id", "client_secret", "client_assertion", "client_assertion_type":
		return true
	}
	return false
}

// Token asks the token endpoint with parameters of the caller's own, for what
// the other methods have no field for. The grant_type is refresh_token,
// client_credentials or token exchange; every other one is a [*GrantError].
//
// The error is an [*Error] if the server refuses, and wraps [ErrUnavailable] if
// it cannot be told.
func (c *Client) Token(ctx context.Context, params url.Values) (Tokens, error) {
	for name := range params {
		if reserved(name) {
			return Tokens{}, fmt.Errorf("oauth: parameter %s: is set by Config", name)
		}
	}
	if len(params["grant_type"]) != 1 {
		return Tokens{}, errors.New("oauth: parameter grant_type: required, once")
	}
	if err := checkGrant(params.Get("grant_type")); err != nil {
		return Tokens{}, err
	}
	asked, err := gatehouse.ParseScopes(params.Get("scope"))
	if err != nil {
		return Tokens{}, fmt.Errorf("oauth: parameter scope: %w", err)
	}
	return c.token(ctx, params, asked)
}

// token asks the token endpoint.
func (c *Client) token(ctx context.Context, params url.Values, asked gatehouse.Scopes) (Tokens, error) {
	p, err := c.Provider(ctx)
	if err != nil {
		return Tokens{}, err
	}
	a, err := c.post(ctx, "token", p.TokenEndpoint, params)
	if err != nil {
		return Tokens{}, err
	}
	return parseTokens(a, asked, params.Get("grant_type") == grantExchange)
}

// setScope puts scopes into a request that asks for some.
func setScope(params url.Values, scopes gatehouse.Scopes) {
	if scopes.Len() > 0 {
		params.Set("scope", scopes.String())
	}
}
