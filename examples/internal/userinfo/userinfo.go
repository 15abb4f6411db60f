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

	"github.com/gatehouse-go/gatehouse"
)

// maxAnswer bounds the answer, in bytes.
const maxAnswer = 256 << 10

// What can be wrong with the answer.
var (
	// ErrToken says that the access token is not taken: the person has to sign in
	// again.
	ErrToken = errors.New("userinfo: the access token is refused")
	// ErrUnavailable says that the server does not answer now.
	ErrUnavailable = errors.New("userinfo: the server does not answer")
	// ErrAnswer says that it does not answer as it should, which will stay so.
	ErrAnswer = errors.New("userinfo: the answer is not what it should be")
)

// Get returns what the server says about the subject, a JSON object, OpenID
// Connect Core 1.0 section 5.3. The client must have a timeout and follow no
// redirect, which would take the token to where nobody has said that it belongs.
func Get(ctx context.Context, client *http.Client, endpoint string, access gatehouse.Secret, subject string) ([]byte, error) {
	if endpoint == "" {
		return nil, fmt.Errorf("%w: there is no such endpoint", ErrAnswer)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	r.Header.Set("Accept", "application/json")
	// RFC 9700 §4.3.2: in the header, never in the address.
	r.Header.Set("Authorization", "Bearer "+string(access.Reveal()))
	response, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer response.Body.Close()
	switch status := response.StatusCode; {
	case status == http.StatusUnauthorized:
		return nil, ErrToken
	case status >= 500, status == http.StatusTooManyRequests:
		return nil, fmt.Errorf("%w: status %d", ErrUnavailable, status)
	case status != http.StatusOK:
		return nil, fmt.Errorf("%w: status %d", ErrAnswer, status)
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind != "application/json" {
		return nil, fmt.Errorf("%w: it is not JSON", ErrAnswer)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	if len(body) > maxAnswer || json.Unmarshal(body, &claims) != nil {
		return nil, fmt.Errorf("%w: it is too long, or not a JSON object", ErrAnswer)
	}
	// OpenID Connect Core 1.0 §5.3.2: "The sub Claim in the UserInfo Response MUST
	// be verified to exactly match the sub Claim in the ID Token; if they do not
	// match, the UserInfo Response values MUST NOT be used."
	if claims.Subject != subject {
		return nil, fmt.Errorf("%w: it is about somebody else", ErrAnswer)
	}
	return body, nil
}
