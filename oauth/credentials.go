// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/gatehouse-go/gatehouse"
)

// renewBefore is the time before its expiry at which a token is replaced, so that
// it does not expire in transit. For lifetimes under two minutes it is a quarter
// of the lifetime.
const renewBefore = 30 * time.Second

// Credentials is the source of access tokens of the client credentials grant, RFC
// 6749 section 4.4. It caches a token until shortly before its expiry. Concurrent
// calls share one request (single flight). It is safe for concurrent use.
type Credentials struct {
	client *Client
	params url.Values
	scopes gatehouse.Scopes

	mu    sync.Mutex
	token Tokens
	renew time.Time
}

// CredentialsRequest holds the parameters of [Client.ClientCredentials].
type CredentialsRequest struct {
	Scopes gatehouse.Scopes

	// Resources are the resource indicators (URLs) of the APIs that will accept the
	// tokens, RFC 8707.
	Resources []string

	// Audience is the parameter that some authorization servers use instead of
	// resource.
	Audience string
}

// ClientCredentials returns a source of tokens. It makes no network call. It
// returns an error for public clients.
func (c *Client) ClientCredentials(request CredentialsRequest) (*Credentials, error) {
	// RFC 6749 §4.4: "The client credentials grant type MUST only be used by
	// confidential clients."
	if c.public {
		return nil, errors.New("oauth: ClientCredentials: not available to public clients")
	}
	params := url.Values{"grant_type": {grantCredentials}}
	setScope(params, request.Scopes)
	if len(request.Resources) > 0 {
		params["resource"] = slices.Clone(request.Resources)
	}
	if request.Audience != "" {
		params.Set("audience", request.Audience)
	}
	return &Credentials{client: c, params: params, scopes: request.Scopes}, nil
}

// Token returns the cached token, or a new one shortly before the expiry.
// Concurrent calls share the request for a new token: ctx limits only the wait
// of this caller and does not cancel the request. If the authorization server
// is unavailable, Token returns the old token until it expires.
func (s *Credentials) Token(ctx context.Context) (Tokens, error) {
	token, renew := s.cached()
	if time.Now().Before(renew) {
		return token, nil
	}
	fresh, err := s.client.grants.Do(ctx, s, s.fetch)
	if err == nil {
		return fresh, nil
	}
	if token.Access.Len() > 0 && time.Now().Before(token.Expires) && errors.Is(err, ErrUnavailable) {
		return token, nil
	}
	return Tokens{}, err
}

// cached returns the current token, and when it must be replaced.
func (s *Credentials) cached() (token Tokens, renew time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token, s.renew
}

func (s *Credentials) fetch(ctx context.Context) (Tokens, error) {
	// The previous request may have stored a token just before this one began.
	token, renew := s.cached()
	if time.Now().Before(renew) {
		return token, nil
	}
	token, err := s.client.token(ctx, s.client.grantRequests, s.params, s.scopes)
	if err != nil {
		return Tokens{}, err
	}
	// RFC 6749 §4.4.3: "A refresh token SHOULD NOT be included."
	token.Refresh = gatehouse.Secret{}
	early := min(renewBefore, time.Until(token.Expires)/4)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token, s.renew = token, token.Expires.Add(-early)
	return token, nil
}

// Forget removes token from the cache, so that the next call of Token requests
// a new one. Call it when an API rejects the token. If token is not in the
// cache, Forget does nothing.
func (s *Credentials) Forget(token Tokens) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token.Access.Equal(token.Access) {
		s.token, s.renew = Tokens{}, time.Time{}
	}
}

// OAuth2 returns a token source for golang.org/x/oauth2. The interface has no context, so
// each call waits at most twice Config.Timeout. Do not wrap it in
// oauth2.ReuseTokenSource, which caches tokens for longer than s does.
func (s *Credentials) OAuth2() oauth2.TokenSource { return credentialsSource{s} }

type credentialsSource struct{ *Credentials }

func (s credentialsSource) Token() (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*s.client.http.Timeout)
	defer cancel()
	t, err := s.Credentials.Token(ctx)
	if err != nil {
		return nil, err
	}
	return ToOAuth2(t), nil
}
