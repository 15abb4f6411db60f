// SPDX-License-Identifier: Apache-2.0

package pkce_test

import (
	"fmt"
	"net/url"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/pkce"
)

// authorizationServer holds the challenge of each authorization code.
type authorizationServer map[string]string

// authorize answers an authorization request.
func (s authorizationServer) authorize(query url.Values) (code string, err error) {
	if err := pkce.CheckRequest(query.Get("code_challenge"), query.Get("code_challenge_method")); err != nil {
		return "", fmt.Errorf("invalid_request: %w", err)
	}
	s["the-code"] = query.Get("code_challenge")
	return "the-code", nil
}

// token answers a token request. A code can be redeemed once.
func (s authorizationServer) token(form url.Values) (string, error) {
	challenge := s[form.Get("code")] // "" for an unknown code, which matches no verifier
	delete(s, form.Get("code"))
	if err := pkce.Verify(challenge, gatehouse.NewSecret([]byte(form.Get("code_verifier")))); err != nil {
		return "", fmt.Errorf("invalid_grant: %w", err)
	}
	return "the-token", nil
}

// A login, seen from the client and from the authorization server.
func Example() {
	server := make(authorizationServer)

	// The client starts. The verifier stays with it.
	verifier := pkce.NewVerifier()
	fmt.Println("verifier:", verifier)

	code, err := server.authorize(url.Values{
		"response_type":         {"code"},
		"code_challenge":        {pkce.Challenge(verifier)},
		"code_challenge_method": {pkce.Method},
	})
	fmt.Println("code:", code, err)

	// An attacker has read the code in the browser's history.
	_, err = server.token(url.Values{"code": {code}, "code_verifier": {string(pkce.NewVerifier().Reveal())}})
	fmt.Println("attacker:", err)

	// The code is used up. The client starts again and gets its token.
	verifier = pkce.NewVerifier()
	code, _ = server.authorize(url.Values{"code_challenge": {pkce.Challenge(verifier)}, "code_challenge_method": {pkce.Method}})
	token, err := server.token(url.Values{"code": {code}, "code_verifier": {string(verifier.Reveal())}})
	fmt.Println("token:", token, err)

	// A client that leaves the method out asks for "plain".
	_, err = server.authorize(url.Values{"code_challenge": {pkce.Challenge(verifier)}})
	fmt.Println("plain:", err)

	// Output:
	// verifier: [redacted]
	// code: the-code <nil>
	// attacker: invalid_grant: pkce: the code_verifier does not match the code_challenge
	// token: the-token <nil>
	// plain: invalid_request: pkce: invalid authorization request: code_challenge_method must be S256
}
