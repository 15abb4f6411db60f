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

// The values of grant_type that this package sends.
const (
	grantCode        = "authorization_code"
	grantRefresh     = "refresh_token"
	grantCredentials = "client_credentials"
	grantExchange    = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// GrantError means that this package does not support a grant or a response type. Why is
// the reason, and Instead the alternative.
type GrantError struct {
	Grant   string // as requested: "password", "implicit", "token", …
	Why     string
	Instead string
}

// Error returns a text with all three fields.
func (e *GrantError) Error() string {
	return fmt.Sprintf("oauth: grant %q: not supported: %s; %s", e.Grant, e.Why, e.Instead)
}

const (
	// RFC 9700 §2.4: "The resource owner password credentials grant MUST NOT be
	// used. This grant type insecurely exposes the credentials of the resource
	// owner to the client."
	whyNotPassword = "it exposes the password of the user to the client, and excludes a second factor (RFC 9700 section 2.4)"

	// RFC 9700 §2.1.2: clients "SHOULD NOT use the implicit grant ... unless access
	// token injection in the authorization response is prevented and the
	// aforementioned token leakage vectors are mitigated."
	whyNotImplicit = "it puts access tokens into URLs, where they leak and can be injected (RFC 9700 section 2.1.2)"

	insteadLogin    = "use the authorization code with PKCE: package signin, or Authorize and Redeem"
	insteadMachines = insteadLogin + ", or ClientCredentials for a program without a user"
)

// checkGrant accepts the supported grants.
//
// Implements RFC 9700 §2.4.
func checkGrant(grant string) error {
	switch grant {
	case grantRefresh, grantCredentials, grantExchange:
		return nil
	case "password":
		return &GrantError{grant, whyNotPassword, insteadMachines}
	case "implicit":
		return &GrantError{grant, whyNotImplicit, insteadLogin}
	case grantCode:
		return &GrantError{grant, "a code is verified with the state, the PKCE verifier and the nonce of its transaction", "use Redeem"}
	}
	return &GrantError{grant, "this package does not know how to verify its response", "use one of the methods of Client"}
}

// checkResponseType accepts code, and no response type that sends a token through
// the browser.
//
// Implements RFC 9700 §2.1.2.
func checkResponseType(asked string) error {
	for part := range strings.SplitSeq(asked, " ") {
		if part != "code" {
			return &GrantError{asked, whyNotImplicit, insteadLogin}
		}
	}
	return nil
}

// reserved reports whether a parameter authenticates the client. Only this package sets
// such parameters, in authorization requests and token requests.
func reserved(name string) bool {
	switch name {
	case "client_id", "client_secret", "client_assertion", "client_assertion_type":
		return true
	}
	return false
}

// Token sends a token request with arbitrary parameters, for extensions that
// the other methods do not support. The grant_type must be refresh_token,
// client_credentials or token exchange; for every other grant type the error is
// a [*GrantError].
//
// The error is an [*Error] if the authorization server rejects the request, and
// wraps [ErrUnavailable] if it is unavailable.
func (c *Client) Token(ctx context.Context, params url.Values) (Tokens, error) {
	for name := range params {
		if reserved(name) {
			return Tokens{}, fmt.Errorf("oauth: Token: parameter %s: is set by Config", name)
		}
	}
	if len(params["grant_type"]) != 1 {
		return Tokens{}, errors.New("oauth: Token: parameter grant_type: required exactly once")
	}
	if err := checkGrant(params.Get("grant_type")); err != nil {
		return Tokens{}, err
	}
	asked, err := gatehouse.ParseScopes(params.Get("scope"))
	if err != nil {
		return Tokens{}, fmt.Errorf("oauth: Token: parameter scope: %w", err)
	}
	return c.token(ctx, c.grantRequests, params, asked)
}

// token sends a token request within the limits of l.
func (c *Client) token(ctx context.Context, l *limiter, params url.Values, asked gatehouse.Scopes) (Tokens, error) {
	p, err := c.Provider(ctx)
	if err != nil {
		return Tokens{}, err
	}
	a, err := c.post(ctx, l, "token", p.TokenEndpoint, params)
	if err != nil {
		return Tokens{}, err
	}
	t, err := parseTokens(a, asked, c.tokenType(), params.Get("grant_type") == grantExchange)
	if err != nil {
		return Tokens{}, withCause(err, c.discard(ctx, t))
	}
	return t, nil
}

// setScope sets the parameter scope unless scopes is empty.
func setScope(params url.Values, scopes gatehouse.Scopes) {
	if scopes.Len() > 0 {
		params.Set("scope", scopes.String())
	}
}
