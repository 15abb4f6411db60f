// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"mime"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/fetch"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// Userinfo returns the claims of the userinfo endpoint about the user of an access token,
// OpenID Connect Core 1.0 section 5.3. subject is the sub of the ID token. The response
// is a JSON object or, if the client is registered for signed responses, a JWT signed
// with one of [Config].Algorithms. iss must be the issuer and aud this client; iat and
// exp are optional. Encrypted responses are not supported. Redirects are not followed.
//
// The error is an [*Error] if the authorization server rejects the access token,
// and wraps [ErrUnavailable] if the response is about another subject.
//
// Implements RFC 9700 §4.3.2.
func (c *Client) Userinfo(ctx context.Context, access gatehouse.Secret, subject string) (gatehouse.Claims, error) {
	p, err := c.Provider(ctx)
	if err != nil {
		return gatehouse.Claims{}, err
	}
	if p.UserinfoEndpoint == "" {
		return gatehouse.Claims{}, fmt.Errorf("oauth: userinfo endpoint: %w", ErrNotOffered)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.UserinfoEndpoint, http.NoBody)
	if err != nil {
		return gatehouse.Claims{}, errors.New("oauth: userinfo endpoint: malformed URL")
	}
	r.Header.Set("Authorization", c.tokenType()+" "+string(access.Reveal()))
	r.Header.Set("Accept", "application/json")
	client, err := c.withProof(p.UserinfoEndpoint)
	if err != nil {
		return gatehouse.Claims{}, fmt.Errorf("oauth: userinfo endpoint: %w", err)
	}
	response, err := client.Do(r)
	switch {
	case err != nil:
		return gatehouse.Claims{}, fmt.Errorf("oauth: userinfo endpoint: %w: %w", ErrUnavailable, err)
	case response.Status != http.StatusOK:
		return gatehouse.Claims{}, parseError("userinfo", response)
	}
	body, err := c.userinfoClaims(ctx, response)
	if err != nil {
		return gatehouse.Claims{}, err
	}
	about := ""
	if err := strictjson.Object(body, limits, func(name, value string) error {
		if name == "sub" {
			about, _ = strictjson.String(value)
		}
		return nil
	}); err != nil {
		return gatehouse.Claims{}, malformed("userinfo", "is not a JSON object")
	}
	// OIDC Core §5.3.2: "The sub Claim in the UserInfo Response MUST be verified to
	// exactly match the sub Claim in the ID Token; if they do not match, the UserInfo
	// Response values MUST NOT be used."
	if subject == "" || subtle.ConstantTimeCompare([]byte(about), []byte(subject)) != 1 {
		return gatehouse.Claims{}, malformed("userinfo", "is about another subject")
	}
	return gatehouse.VerifiedClaims(body), nil
}

// userinfoClaims returns the JSON object of a userinfo response.
//
//	OIDC Core §5.3.2 (type): "The content-type of the HTTP response MUST be
//	application/json if the response body is a text JSON object".
//
//	OIDC Core §5.3.2 (signed): "If signed, the UserInfo Response MUST contain the
//	Claims iss (issuer) and aud (audience) as members."
//
// The kind of the JWT is not checked: the response comes from the userinfo endpoint, and
// its sub is compared.
func (c *Client) userinfoClaims(ctx context.Context, response fetch.Response) (string, error) {
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		return string(response.Body), nil
	case "application/jwt":
		verified, err := c.verify(ctx, string(response.Body), true)
		if err != nil {
			return "", fmt.Errorf("oauth: userinfo endpoint: %w: %w", ErrUnavailable, err)
		}
		return verified.Claims.String(), nil
	}
	return "", malformed("userinfo", "is of neither type application/json nor application/jwt")
}
