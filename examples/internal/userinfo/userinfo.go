// SPDX-License-Identifier: Apache-2.0

// Package userinfo asks an OpenID provider about a person, on their behalf.
package userinfo

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
)

// maxAnswer bounds the answer, in bytes.
const maxAnswer = 256 << 10

// ErrToken is behind the refusal of a call whose access token is not taken.
var ErrToken = errors.New("userinfo: the access token is refused")

// Unavailable is the refusal of what cannot be told because the provider does not
// answer, or not as it should.
func Unavailable(cause error) error {
	return &gatehouse.Error{
		Code: gatehouse.CodeTemporarilyUnavailable, Reason: gatehouse.ReasonServerUnavailable, Cause: cause,
	}
}

// NewClient makes the client for calls with the token of a person. It goes where
// it is sent and nowhere else: a redirect would take the token along.
func NewClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute},
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Get returns what the provider says about the subject, a JSON object, OpenID
// Connect Core 1.0 section 5.3. The error is a [*gatehouse.Error]: 401 if the
// person has to sign in again, which is so with [ErrToken], and 503 if it cannot be
// told.
func Get(ctx context.Context, client *http.Client, endpoint string, access gatehouse.Secret, subject string) ([]byte, error) {
	body, err := get(ctx, client, endpoint, access, subject)
	switch {
	case errors.Is(err, ErrToken):
		return nil, &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: gatehouse.ReasonSessionRefresh, Cause: err}
	case err != nil:
		return nil, Unavailable(err)
	}
	return body, nil
}

func get(ctx context.Context, client *http.Client, endpoint string, access gatehouse.Secret, subject string) ([]byte, error) {
	if endpoint == "" {
		return nil, errors.New("userinfo: the provider has no such endpoint")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	// RFC 9700 §4.3.2: in the header, never in the address.
	r.Header.Set("Authorization", "Bearer "+string(access.Reveal()))
	response, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return nil, ErrToken
	default:
		return nil, fmt.Errorf("userinfo: status %d", response.StatusCode)
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind != "application/json" {
		return nil, errors.New("userinfo: the answer is not JSON")
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer)) // what is cut off is no JSON any more
	if err != nil {
		return nil, err
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	if json.Unmarshal(body, &claims) != nil {
		return nil, errors.New("userinfo: the answer is too long, or not a JSON object")
	}
	// OpenID Connect Core 1.0 §5.3.2: "The sub Claim in the UserInfo Response MUST
	// be verified to exactly match the sub Claim in the ID Token; if they do not
	// match, the UserInfo Response values MUST NOT be used."
	if claims.Subject != subject {
		return nil, errors.New("userinfo: the answer is about somebody else")
	}
	return body, nil
}
