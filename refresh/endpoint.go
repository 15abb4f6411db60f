// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

const (
	maxForm    = 64 << 10 // bytes of a request
	retryAfter = 5 * time.Second
)

// ErrInvalidClient is the error of a [ClientAuthenticator] for a client that is unknown
// or fails to authenticate: the response is invalid_client.
var ErrInvalidClient = errors.New("refresh: invalid_client")

// ClientAuthenticator authenticates the client of a request, RFC 6749 section 2.3, and
// returns its client_id. It reads the Authorization header, r.PostForm, which is parsed,
// or the TLS state. For a public client it checks the parameter client_id and that the
// client is registered as public. The errors [ErrInvalidClient] and
// [gatehouse.ErrNoCredentials], and a [*gatehouse.Error] with another status than 503,
// mean invalid_client; for any other error the response is 503. The method Authenticate
// of an assertion.Verifier is a ClientAuthenticator.
//
// A nil ClientAuthenticator is for an authorization server with public clients only. The
// client is then the parameter client_id, and a request with client credentials is
// rejected, because the server cannot verify them.
type ClientAuthenticator func(r *http.Request) (client string, err error)

// TokenEndpointConfig configures a [TokenEndpoint].
type TokenEndpointConfig struct {
	// Signer signs the access tokens. Required.
	Signer *jwtauth.Signer

	// Audience is the aud of the access tokens. Required.
	Audience string

	// AccessToken, if set, completes the access token that is issued with a refresh
	// token: it may add roles and claims. If it returns an error, such as a
	// database error, the response is 503.
	AccessToken func(ctx context.Context, token *jwtauth.AccessToken) error

	// Client authenticates clients, nil for public clients only.
	Client ClientAuthenticator
}

// TokenEndpoint is the token endpoint of an authorization server, RFC 6749 section
// 3.2, for the grant type refresh_token. Register it for all methods of its path,
// as a public route: mux.Public("/token", endpoint). It is safe for concurrent use.
//
//   - The request is a POST of an application/x-www-form-urlencoded body of at
//     most 64 KiB, with the parameters grant_type, refresh_token and optionally
//     scope. Parameters must not be repeated, or be in the URL.
//   - The response is that of RFC 6749 section 5.1, with a new refresh token, or
//     section 5.2: invalid_request, invalid_client, invalid_grant, invalid_scope,
//     unsupported_grant_type. It is 503 temporarily_unavailable with Retry-After
//     if a backend fails.
//
// Config.Observer receives an event for each rejected request.
//
// An application with more grant types handles their requests itself, responds with
// [TokenEndpoint.Begin], and passes requests with the grant type refresh_token to
// ServeHTTP.
type TokenEndpoint struct {
	tokens *Tokens
	config TokenEndpointConfig
}

// TokenEndpoint returns a token endpoint. It reports all configuration errors
// at once.
func (t *Tokens) TokenEndpoint(c TokenEndpointConfig) (*TokenEndpoint, error) {
	var errs []error
	if c.Signer == nil {
		errs = append(errs, errors.New("refresh: TokenEndpointConfig.Signer: required"))
	}
	if !isIdentifier(c.Audience) {
		errs = append(errs, fmt.Errorf("refresh: TokenEndpointConfig.Audience: must be 1 to %d bytes of UTF-8 without control characters", maxText))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &TokenEndpoint{t, c}, nil
}

// ServeHTTP serves a token request.
func (e *TokenEndpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := request{w, r, e.tokens, time.Now()}
	switch grantType, ok := req.parse("grant_type", "refresh_token"); {
	case !ok:
	case grantType != "refresh_token":
		req.refuse(codeUnsupportedGrantType, ReasonRequest, nil)
	default:
		client, ok := req.authenticate(e.config.Client)
		if !ok {
			return
		}
		var signed jwtauth.Signed
		issued, err := e.tokens.exchange(r.Context(), Request{
			Token: gatehouse.NewSecret([]byte(r.PostForm.Get("refresh_token"))), Client: client, Scope: r.PostForm.Get("scope"),
		}, func(i Issued) (err error) { signed, err = e.sign(r.Context(), i); return err })
		if err != nil { // exchange has reported it
			req.write(codeOf(err))
			return
		}
		e.issue(req, issued, signed)
	}
}

// Begin creates a token family, see [Tokens.Begin], and writes its tokens like a response
// of the token endpoint. Call it in the handler that authenticates the user, before
// anything is written to w. Check the client first: for an empty or malformed
// Grant.Client the response is 503, because it is a defect of the application.
func (e *TokenEndpoint) Begin(w http.ResponseWriter, r *http.Request, g Grant) {
	req := request{w, r, e.tokens, time.Now()}
	issued, err := e.tokens.Begin(r.Context(), g)
	if err != nil {
		req.refuse(gatehouse.CodeTemporarilyUnavailable, ReasonUnavailable, err)
		return
	}
	e.issue(req, issued, jwtauth.Signed{})
}

// sign returns the access token that is issued with a refresh token.
func (e *TokenEndpoint) sign(ctx context.Context, issued Issued) (signed jwtauth.Signed, err error) {
	token := issued.AccessToken(e.config.Audience)
	if e.config.AccessToken != nil {
		err = e.config.AccessToken(ctx, &token)
	}
	if err == nil {
		signed, err = e.config.Signer.Sign(token)
	}
	if err != nil {
		return jwtauth.Signed{}, fmt.Errorf("refresh: access token: %w", err)
	}
	if r := e.tokens.revocations; r != nil && time.Until(signed.Expires) > r.MaxLifetime() {
		return jwtauth.Signed{}, fmt.Errorf("refresh: access token: Signer: the token lives until %v, but Config.Revocations keeps revocations for lifetimes up to %v only: raise their MaxLifetime",
			signed.Expires, r.MaxLifetime())
	}
	return signed, nil
}

// issue writes a refresh token and an access token. It signs the access token if signed
// is zero.
func (e *TokenEndpoint) issue(req request, issued Issued, signed jwtauth.Signed) {
	var err error
	if signed.Token.Len() == 0 {
		signed, err = e.sign(req.r.Context(), issued)
	}
	if err != nil {
		req.refuse(gatehouse.CodeTemporarilyUnavailable, ReasonAccessToken, err)
		return
	}
	req.writeJSON(http.StatusOK, struct {
		AccessToken  string `json:"access_token"`
		TokenType    string `json:"token_type"`
		ExpiresIn    int    `json:"expires_in"`
		RefreshToken string `json:"refresh_token"`
		Scope        string `json:"scope,omitempty"`
	}{
		string(signed.Token.Reveal()), "Bearer", int(time.Until(signed.Expires) / time.Second), string(issued.Token.Reveal()), issued.Scopes.String(),
	})
}

// RevocationEndpoint returns the revocation endpoint of an authorization server, RFC
// 7009, for refresh tokens: it revokes the family of the token and, with
// Config.Revocations, its access tokens. Register it like a [TokenEndpoint]. It checks
// requests in the same way, and requires the parameter token. The response to a request
// to revoke a JWT, or with the token_type_hint access_token, is unsupported_token_type.
//
// Implements RFC 7009 §2.1 (client), §2.2.1 (503).
func (t *Tokens) RevocationEndpoint(client ClientAuthenticator) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req := request{w, r, t, time.Now()}
		text, ok := req.parse("token")
		if !ok {
			return
		}
		id, ok := req.authenticate(client)
		if !ok {
			return
		}
		token := gatehouse.NewSecret([]byte(text))
		if isAccessToken(text, r.PostForm.Get("token_type_hint")) {
			// RFC 7009 §2.2.1 (unsupported): "unsupported_token_type: ... the client tried to
			// revoke an access token on a server not supporting this feature."
			req.refuse(codeUnsupportedTokenType, ReasonRequest, nil)
			return
		}
		switch err := t.Revoke(r.Context(), token, id); {
		case err == nil:
			req.noStore()
			w.WriteHeader(http.StatusOK) // a router may have set another status
		case errors.Is(err, ErrInvalidGrant): // Revoke has reported it
			req.write(codeInvalidGrant)
		default:
			req.refuse(gatehouse.CodeTemporarilyUnavailable, ReasonUnavailable, err)
		}
	})
}
