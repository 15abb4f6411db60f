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

// renewBefore is how long before its end a token is replaced, so that none ends
// on its way. Of one that lives shorter than two minutes, it is a quarter of its
// life.
const renewBefore = 30 * time.Second

// Credentials are the access tokens of a client that acts for itself, RFC 6749
// section 4.4. One token is used until shortly before its end; however many ask
// for a new one, the server is asked once. It is safe for concurrent use.
type Credentials struct {
	client *Client
	params url.Values
	scopes gatehouse.Scopes
	flight flight[Tokens]

	mu    sync.Mutex
	token Tokens
	renew time.Time
}

// CredentialsRequest says what the tokens are to be good for.
type CredentialsRequest struct {
	Scopes gatehouse.Scopes

	// Resources are the APIs that the tokens are for, by their identifiers, RFC
	// 8707.
	Resources []string

	// Audience is what some servers ask for instead.
	Audience string
}

// ClientCredentials returns the source of such tokens. It makes no request
// itself. Public clients have no credentials.
func (c *Client) ClientCredentials(request CredentialsRequest) (*Credentials, error) {
	// RFC 6749 §4.4: "The client credentials grant type MUST only be used by
	// confidential clients."
	if c.public {
		return nil, errors.New("oauth: client credentials: a public client has none")
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

// Token returns a token that is good for a while. The request for a new one is
// shared and does not end with ctx, which bounds only how long this caller waits
// for it. If there is no new one to be had and the old one is good, it is that.
func (s *Credentials) Token(ctx context.Context) (Tokens, error) {
	s.mu.Lock()
	token, renew := s.token, s.renew
	s.mu.Unlock()
	if time.Now().Before(renew) {
		return token, nil
	}
	fresh, err := s.flight.do(ctx, s.client, s.fetch)
	if err == nil {
		return fresh, nil
	}
	if token.Access.Len() > 0 && time.Now().Before(token.Expires) && ctx.Err() == nil && errors.Is(err, ErrUnavailable) {
		return token, nil
	}
	return Tokens{}, err
}

func (s *Credentials) fetch(ctx context.Context) (Tokens, error) {
	// Whoever asked just after the last request has ended finds its token.
	s.mu.Lock()
	token, renew := s.token, s.renew
	s.mu.Unlock()
	if time.Now().Before(renew) {
		return token, nil
	}
	token, err := s.client.token(ctx, s.params, s.scopes)
	if err != nil {
		return Tokens{}, err
	}
	// RFC 6749 §4.4.3: "A refresh token SHOULD NOT be included." It would be one
	// more secret to keep, for nothing.
	token.Refresh = gatehouse.Secret{}
	early := min(renewBefore, time.Until(token.Expires)/4)
	s.mu.Lock()
	s.token, s.renew = token, token.Expires.Add(-early)
	s.mu.Unlock()
	return token, nil
}

// Forget drops a token that an API has refused, so that the next call asks for
// another one. A token that is not the current one is left alone.
func (s *Credentials) Forget(token Tokens) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token.Access.Equal(token.Access) {
		s.token, s.renew = Tokens{}, time.Time{}
	}
}

// OAuth2 returns the source for a client that is written against
// golang.org/x/oauth2, whose interface has no context: each call waits no longer
// than two timeouts of the [Config]. It must not be wrapped in
// oauth2.ReuseTokenSource, which would keep tokens for longer than s does.
func (s *Credentials) OAuth2() oauth2.TokenSource { return credentialsSource{s} }

type credentialsSource struct{ *Credentials }

func (s credentialsSource) Token() (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*s.client.timeout)
	defer cancel()
	t, err := s.Credentials.Token(ctx)
	if err != nil {
		return nil, err
	}
	return t.OAuth2(), nil
}
