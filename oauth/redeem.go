// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// Result is a login that has succeeded.
type Result struct {
	// Tokens are for the server to keep.
	Tokens Tokens

	// Subject is who has logged in, unique within the issuer. It, SessionID,
	// AuthTime and Claims are those of the ID token, and zero without the scope
	// openid.
	Subject string

	// Issuer is the authorization server, and Client the client_id there.
	Issuer, Client string

	// SessionID is what the server calls its own session, for logout.
	SessionID string

	// AuthTime is when the person has shown who they are, zero if the server
	// does not say.
	AuthTime time.Time

	Claims gatehouse.Claims

	// ReturnTo is the path on this host to which the person wanted to go, "/" if
	// there was none. It is empty after [Client.Redeem].
	ReturnTo string
}

var (
	errState    = errors.New("oauth: the state is not that of the transaction")
	errUsed     = errors.New("oauth: the transaction was used already")
	errDoubled  = errors.New("oauth: a parameter is there twice")
	errIssuer   = errors.New("oauth: the iss is that of another issuer")
	errNoIssuer = errors.New("oauth: there is no iss, and the server always sends one")
	errMixUp    = errors.New("oauth: the transaction is with another issuer or for another client")
	errNoCode   = errors.New("oauth: there is no code")
	errNoID     = errors.New("oauth: there is no ID token")
)

// Redeem ends a login that [Client.Authorize] has begun. The parameters are
// those of the query of the callback; the transaction can be used once. The
// error is a [*gatehouse.Error].
func (c *Client) Redeem(ctx context.Context, transaction *Transaction, callback url.Values) (Result, error) {
	t, err := parseTransaction(transaction.kept.Reveal())
	if err == nil {
		err = t.of(callback)
	}
	if err != nil {
		return Result{}, c.refuse(gatehouse.CodeInvalidRequest, gatehouse.ReasonLoginTransaction, err)
	}
	if transaction.used.Swap(true) {
		return Result{}, c.refuse(gatehouse.CodeInvalidRequest, gatehouse.ReasonLoginTransaction, errUsed)
	}
	return c.redeem(ctx, t, callback)
}

func parseTransaction(text []byte) (transaction, error) {
	var t transaction
	if err := json.Unmarshal(text, &t); err != nil || t.State == "" || t.Verifier == "" {
		return transaction{}, errState
	}
	return t, nil
}

// of returns nil if the callback is that of the transaction.
func (t transaction) of(callback url.Values) error {
	if states := callback["state"]; len(states) != 1 || subtle.ConstantTimeCompare([]byte(states[0]), []byte(t.State)) != 1 {
		return errState
	}
	return nil
}

// redeem goes on where the state was found to be good: the issuer, the error,
// the code, the tokens, the nonce, in this order. A code that came with anything
// odd goes nowhere.
func (c *Client) redeem(ctx context.Context, t transaction, callback url.Values) (Result, error) {
	// RFC 9700 §4.4.2: the client stores "the issuer of the authorization server
	// they sent the authorization request to and bind[s] this information to the
	// user agent".
	if t.Issuer != c.issuer || t.Client != c.id {
		return Result{}, c.refuse(gatehouse.CodeInvalidRequest, gatehouse.ReasonLoginIssuer, errMixUp)
	}
	p, err := c.Provider(ctx)
	if err != nil {
		return Result{}, c.unavailable(err)
	}
	if err := checkIssuer(p, callback["iss"]); err != nil {
		return Result{}, c.refuse(gatehouse.CodeInvalidRequest, gatehouse.ReasonLoginIssuer, err)
	}
	if said := callback["error"]; len(said) > 0 {
		return Result{}, c.refused(said)
	}
	code := callback["code"]
	if len(code) != 1 || code[0] == "" {
		return Result{}, c.refuse(gatehouse.CodeInvalidRequest, gatehouse.ReasonLoginResponse, errNoCode)
	}
	asked, err := gatehouse.ParseScopes(t.Scopes)
	if err != nil {
		return Result{}, c.refuse(gatehouse.CodeInvalidRequest, gatehouse.ReasonLoginTransaction, err)
	}
	params := url.Values{
		"grant_type": {grantCode}, "code": code, "redirect_uri": {t.RedirectURI}, "code_verifier": {t.Verifier},
	}
	if len(t.Resources) > 0 {
		params["resource"] = t.Resources
	}
	tokens, err := c.token(ctx, params, asked)
	switch {
	case errors.Is(err, ErrUnavailable):
		return Result{}, c.unavailable(err)
	case err != nil:
		return Result{}, c.refuse(gatehouse.CodeInvalidRequest, gatehouse.ReasonLoginCode, err)
	}
	result := Result{Tokens: tokens, Issuer: c.issuer, Client: c.id}
	if asked.Has(openid) {
		if err := c.identify(ctx, t, &result); err != nil {
			return Result{}, err
		}
	}
	return result, nil
}

// checkIssuer says whether the response is of the server that was asked.
//
//	RFC 9207 §2.4: "This comparison MUST use simple string comparison ... If the
//	value does not match the expected issuer identifier, clients MUST reject the
//	authorization response and MUST NOT proceed with the authorization grant. For
//	error responses, clients MUST NOT assume that the error originates from the
//	intended authorization server." "Clients MUST reject authorization responses
//	without the iss parameter from authorization servers that do support the
//	parameter according to the client's configuration."
func checkIssuer(p Provider, said []string) error {
	switch {
	case len(said) > 1:
		return errDoubled
	case len(said) == 1 && said[0] != p.Issuer:
		return errIssuer
	case len(said) == 0 && p.ResponseIssuer:
		return errNoIssuer
	}
	return nil
}

// refused makes an error of the parameter error.
func (c *Client) refused(said []string) error {
	if len(said) > 1 {
		return c.refuse(gatehouse.CodeInvalidRequest, gatehouse.ReasonLoginResponse, errDoubled)
	}
	cause := &Error{Endpoint: "authorization", Code: known(said[0])}
	switch cause.Code {
	case "server_error", "temporarily_unavailable":
		return c.unavailable(cause)
	case "access_denied", "login_required", "consent_required", "interaction_required", "account_selection_required":
		return c.refuse(gatehouse.CodeAccessDenied, gatehouse.ReasonLoginRefused, cause)
	}
	return c.refuse(gatehouse.CodeInvalidRequest, gatehouse.ReasonLoginRefused, cause)
}

// identify adds who has logged in.
func (c *Client) identify(ctx context.Context, t transaction, result *Result) error {
	if result.Tokens.ID.Len() == 0 {
		return c.refuse(gatehouse.CodeInvalidRequest, gatehouse.ReasonLoginToken, errNoID)
	}
	id, err := c.verifyIDToken(ctx, result.Tokens.ID)
	switch {
	case errors.Is(err, ErrUnavailable):
		return c.unavailable(err)
	case err == nil:
		err = id.fits(t, c.skew)
	}
	if err != nil {
		return c.refuse(gatehouse.CodeInvalidRequest, gatehouse.ReasonLoginToken, err)
	}
	result.Subject, result.SessionID, result.AuthTime, result.Claims = id.Subject, id.sessionID, id.authTime, id.Claims
	return nil
}
