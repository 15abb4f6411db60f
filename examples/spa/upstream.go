// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
)

const (
	upstreamTimeout = 20 * time.Second // for a call, with the refresh of the tokens; below the write timeout
	maxUserinfo     = 256 << 10        // bytes
)

// errToken means that the other server rejects the access token.
var errToken = errors.New("userinfo: access token rejected")

// newCalls returns the client for calls with access tokens. It follows no
// redirects: one would send the token to another address.
func newCalls() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute},
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// upstream calls another server with the access token of the session, which the
// browser never gets: the userinfo endpoint of the authorization server.
func (a *app) upstream(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), upstreamTimeout)
	defer cancel()
	body, err := a.userinfo(ctx)
	if errors.Is(err, errToken) { // the user has to log in again
		err = &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: session.ReasonNoTokens, Cause: err}
	}
	if err != nil {
		if _, ok := errors.AsType[*gatehouse.Error](err); !ok {
			err = &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: oauth.ReasonUnavailable, Cause: err}
		}
		gatehouse.Refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// userinfo returns the claims of the user, OpenID Connect Core 1.0 section 5.3. If
// the token expires on its way, it calls once more with a refreshed one.
func (a *app) userinfo(ctx context.Context) ([]byte, error) {
	provider, err := a.signin.Client.Provider(ctx)
	if err != nil {
		return nil, err
	}
	if provider.UserinfoEndpoint == "" {
		return nil, errors.New("userinfo: the authorization server has no userinfo_endpoint")
	}
	tokens, err := a.signin.Sessions.Tokens(ctx) // refreshes expired tokens
	if err != nil {
		return nil, err
	}
	body, err := a.get(ctx, provider.UserinfoEndpoint, tokens.Access)
	if !errors.Is(err, errToken) {
		return body, err
	}
	refreshed, errTokens := a.signin.Sessions.Tokens(ctx)
	if errTokens != nil {
		return nil, errTokens
	}
	if refreshed.Access.Equal(tokens.Access) {
		return nil, err
	}
	return a.get(ctx, provider.UserinfoEndpoint, refreshed.Access)
}

// get calls the userinfo endpoint once.
func (a *app) get(ctx context.Context, endpoint string, access gatehouse.Secret) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	// RFC 9700 §4.3.2: in the header, never in the URL.
	r.Header.Set("Authorization", "Bearer "+string(access.Reveal()))
	response, err := a.calls.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return nil, errToken
	default:
		return nil, fmt.Errorf("userinfo: HTTP status %d", response.StatusCode)
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind != "application/json" {
		return nil, errors.New("userinfo: the response is not JSON")
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxUserinfo)) // a longer body is cut and so no JSON
	if err != nil {
		return nil, err
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	if json.Unmarshal(body, &claims) != nil {
		return nil, errors.New("userinfo: the response is too long or not a JSON object")
	}
	// OpenID Connect Core 1.0 §5.3.2: "The sub Claim in the UserInfo Response MUST
	// be verified to exactly match the sub Claim in the ID Token; if they do not
	// match, the UserInfo Response values MUST NOT be used."
	if p, _ := gatehouse.FromContext(ctx); claims.Subject != p.Subject {
		return nil, errors.New("userinfo: sub is not the subject of the session")
	}
	return body, nil
}
