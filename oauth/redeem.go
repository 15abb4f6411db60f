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

// Result is a completed authorization.
type Result struct {
	// Tokens are the tokens of the response. A server must not send them to the
	// browser.
	Tokens Tokens

	// Subject identifies the user within the issuer. Subject, SessionID, AuthTime and
	// Claims come from the ID token and are zero without the scope openid.
	Subject string

	// Issuer is the issuer identifier of the authorization server, and Client the
	// client_id.
	Issuer, Client string

	// SessionID is the sid of the user's session at the authorization server. Logout
	// tokens contain it.
	SessionID string

	// AuthTime is the time of the authentication of the user, zero if unknown.
	AuthTime time.Time

	// Implements ASVS 5.0 §6.8.4.
	Claims gatehouse.Claims
}

// Principal returns a principal with the claims of the ID token. Tenant and Roles are
// empty: the application derives them from the Claims.
//
// Implements ASVS 5.0 §10.5.2; OIDC Core §5.7.
func (r Result) Principal() gatehouse.Principal {
	return gatehouse.Principal{
		Kind: gatehouse.KindUser, Subject: r.Subject, Issuer: r.Issuer, Client: r.Client,
		Scopes: r.Tokens.Scopes, AuthTime: r.AuthTime, Claims: r.Claims,
	}
}

var (
	errState    = errors.New("oauth: response: state: differs from that of the transaction")
	errUsed     = errors.New("oauth: transaction: already redeemed")
	errRepeated = errors.New("oauth: response: repeated parameter")
	errIssuer   = errors.New("oauth: response: iss: differs from Config.Issuer")
	errNoIssuer = errors.New("oauth: response: iss: missing, required by the metadata")
	errMixUp    = errors.New("oauth: transaction: belongs to another issuer or client")
	errNoCode   = errors.New("oauth: response: code: missing")
	errKept     = errors.New("oauth: the tokens of the response are not revoked: that could end an earlier login of the user too")
	errNoID     = errors.New("oauth: token response: id_token: missing")
)

// Redeem completes a transaction with the query parameters of the authorization response.
// It verifies, in this order: the state, the issuer (RFC 9207), the parameter error; then
// it redeems the code with the PKCE verifier and verifies the ID token and its nonce. It
// sends the code only if all previous checks passed, and returns tokens only if all
// checks passed. If it rejects tokens that were issued, it revokes them; the cause of the
// error says if that failed.
//
// A transaction can be redeemed once; see [Config].Once for several processes. The error is a [*gatehouse.Error]: 400 for
// a response that does not belong to the transaction, 403 if the user or the
// authorization server denied access, 503 if the authorization server is
// unavailable.
//
// Implements RFC 6749 §4.1.2 (once); RFC 8252 §6.
func (c *Client) Redeem(ctx context.Context, transaction *Transaction, response url.Values) (Result, error) {
	t, err := transaction.open(response)
	if err == nil && transaction.used.Swap(true) {
		err = errUsed
	}
	if err != nil {
		return Result{}, c.reject(gatehouse.CodeInvalidRequest, ReasonTransaction, err)
	}
	return c.redeem(ctx, t, response)
}

// open returns the content of the transaction if the response has its state.
//
// Implements RFC 6749 §3.1 (once); RFC 8252 §8.9; RFC 9700 §2.1 (CSRF).
func (t *Transaction) open(response url.Values) (transaction, error) {
	var kept transaction
	if err := json.Unmarshal(t.kept.Reveal(), &kept); err != nil {
		return transaction{}, errTransaction
	}
	if states := response["state"]; len(states) != 1 || subtle.ConstantTimeCompare([]byte(states[0]), []byte(kept.State)) != 1 {
		return transaction{}, errState
	}
	return kept, nil
}

// redeem continues after the check of the state: issuer, error, code, tokens,
// nonce, in this order.
//
// Implements RFC 6749 §3.1 (once), §4.1.2 (unknown), §4.1.3; RFC 7636 §4.3
// (request); RFC 9207 §2.4 (mismatch, errors), §4 (one issuer); RFC 9700 §2.1
// (mix-up); ASVS 5.0 §6.8.1, §10.2.2; OIDC Core §3.1.2.1 (openid).
func (c *Client) redeem(ctx context.Context, t transaction, response url.Values) (Result, error) {
	// RFC 9700 §4.4.2: the client stores "the issuer of the authorization server
	// they sent the authorization request to and bind[s] this information to the
	// user agent".
	if t.Issuer != c.issuer || t.Client != c.id {
		return Result{}, c.reject(gatehouse.CodeInvalidRequest, ReasonIssuer, errMixUp)
	}
	p, err := c.Provider(ctx)
	if err != nil {
		return Result{}, c.unavailable(err)
	}
	if err := checkIssuer(p, response["iss"]); err != nil {
		return Result{}, c.reject(gatehouse.CodeInvalidRequest, ReasonIssuer, err)
	}
	if codes := response["error"]; len(codes) > 0 {
		return Result{}, c.refused(codes)
	}
	code := response["code"]
	if len(code) != 1 || code[0] == "" {
		return Result{}, c.reject(gatehouse.CodeInvalidRequest, ReasonResponse, errNoCode)
	}
	requested, err := gatehouse.ParseScopes(t.Scopes)
	if err != nil {
		return Result{}, c.reject(gatehouse.CodeInvalidRequest, ReasonTransaction, err)
	}
	params := url.Values{
		"grant_type": {grantCode}, "code": code, "redirect_uri": {t.RedirectURI}, "code_verifier": {t.Verifier},
	}
	if len(t.Resources) > 0 {
		params["resource"] = t.Resources
	}
	var a answer
	err = c.codes.do(ctx, func() error {
		if err := c.first(ctx, t.State); err != nil {
			return err
		}
		a, err = c.post(ctx, nil, "token", p.TokenEndpoint, params)
		return err
	})
	// A malformed response for one user must not begin a pause for others.
	var tokens Tokens
	if err == nil {
		tokens, err = parseTokens(a, requested, c.tokenType(), false)
	}
	result := Result{Tokens: tokens, Issuer: c.issuer, Client: c.id}
	refusal, refused := errors.AsType[*gatehouse.Error](err)
	switch {
	case refused: // the error of first
		return Result{}, refusal
	case errors.Is(err, ErrUnavailable):
		refusal = c.unavailable(err)
	case err != nil:
		refusal = c.reject(gatehouse.CodeInvalidRequest, ReasonCode, err)
	case requested.Has(openid):
		refusal = c.identify(ctx, t, &result)
	}
	switch {
	case refusal == nil:
		return result, nil
	case refusal.Reason == ReasonStepUp: // the user may have an older login with the same grant
		refusal.Cause = errors.Join(refusal.Cause, errKept)
	default:
		refusal.Cause = errors.Join(refusal.Cause, c.discard(ctx, tokens))
	}
	return Result{}, refusal
}

// first checks that the code was not sent before, by any process.
//
// Implements RFC 6749 §4.1.2 (once).
func (c *Client) first(ctx context.Context, state string) error {
	if c.once == nil {
		return nil
	}
	switch first, err := c.once(ctx, state); {
	case err != nil:
		return c.unavailable(err)
	case !first:
		return c.reject(gatehouse.CodeInvalidRequest, ReasonTransaction, errUsed)
	}
	return nil
}

// checkIssuer checks that the response comes from the authorization server that received
// the request.
//
//	RFC 9207 §2.4 (compare): "This comparison MUST use simple string
//	comparison ... If the value does not match the expected issuer identifier,
//	clients MUST reject the authorization response and MUST NOT proceed with
//	the authorization grant. For error responses, clients MUST NOT assume that
//	the error originates from the intended authorization server." "Clients
//	MUST reject authorization responses without the iss parameter from
//	authorization servers that do support the parameter according to the
//	client's configuration."
//
// Implements RFC 9207 §2.4 (metadata, missing), §4 (several); RFC 9700
// §4.4.2.1; ASVS 5.0 §10.2.2.
func checkIssuer(p Provider, issuers []string) error {
	switch {
	case len(issuers) > 1:
		return errRepeated
	case len(issuers) == 1 && issuers[0] != p.Issuer:
		return errIssuer
	case len(issuers) == 0 && p.ResponseIssuer:
		return errNoIssuer
	}
	return nil
}

// refused returns the error for a response with the parameter error.
func (c *Client) refused(codes []string) error {
	if len(codes) > 1 {
		return c.reject(gatehouse.CodeInvalidRequest, ReasonResponse, errRepeated)
	}
	cause := &Error{Endpoint: "authorization", Code: known(codes[0])}
	switch cause.Code {
	case "server_error", "temporarily_unavailable":
		return c.unavailable(cause)
	case "unmet_authentication_requirements": // RFC 9470 §5
		return c.reject(gatehouse.CodeAccessDenied, ReasonStepUp, cause)
	case "access_denied", "login_required", "consent_required", "interaction_required", "account_selection_required":
		return c.reject(gatehouse.CodeAccessDenied, ReasonDenied, cause)
	}
	return c.reject(gatehouse.CodeInvalidRequest, ReasonDenied, cause)
}

// identify verifies the ID token and copies its claims to the result.
//
// Implements RFC 9700 §4.5.3.2; OIDC Core §3.1.3.3.
func (c *Client) identify(ctx context.Context, t transaction, result *Result) *gatehouse.Error {
	if result.Tokens.ID.Len() == 0 {
		return c.reject(gatehouse.CodeInvalidRequest, ReasonIDToken, errNoID)
	}
	id, err := c.verifyIDToken(ctx, result.Tokens.ID)
	switch {
	case errors.Is(err, ErrUnavailable):
		return c.unavailable(err)
	case err == nil:
		err = id.fits(t, c.skew)
	}
	if errors.Is(err, errAge) {
		return c.reject(gatehouse.CodeAccessDenied, ReasonStepUp, err)
	}
	if err != nil {
		return c.reject(gatehouse.CodeInvalidRequest, ReasonIDToken, err)
	}
	result.Subject, result.SessionID, result.AuthTime, result.Claims = id.Subject, id.sessionID, id.authTime, id.Claims
	return nil
}
