// SPDX-License-Identifier: Apache-2.0

package pkce_test

import (
	"fmt"
	"net/url"

	"github.com/gatehouse-go/gatehouse/pkce"
)

// authorizationServer keeps the challenge of every code that it has given out.
type authorizationServer map[string]pkce.Challenge

// authorize answers an authorization request.
func (s authorizationServer) authorize(query url.Values) (code string, err error) {
	challenge, err := pkce.ParseChallenge(query.Get("code_challenge"), query.Get("code_challenge_method"))
	if err != nil {
		return "", fmt.Errorf("invalid_request: %w", err)
	}
	s["the-code"] = challenge
	return "the-code", nil
}

// token answers a token request. A code is good for one of them.
func (s authorizationServer) token(form url.Values) (string, error) {
	challenge := s[form.Get("code")] // of a code that it does not know, one that nothing satisfies
	delete(s, form.Get("code"))
	verifier, err := pkce.ParseVerifier(form.Get("code_verifier"))
	if err == nil {
		err = challenge.Verify(verifier)
	}
	if err != nil {
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
		"code_challenge":        {verifier.Challenge().String()},
		"code_challenge_method": {pkce.Method},
	})
	fmt.Println("code:", code, err)

	// Somebody who has read the code in the browser's history.
	_, err = server.token(url.Values{"code": {code}, "code_verifier": {pkce.NewVerifier().Reveal()}})
	fmt.Println("thief:", err)

	// That used the code up. The client starts again and gets its token.
	verifier = pkce.NewVerifier()
	code, _ = server.authorize(url.Values{
		"code_challenge":        {verifier.Challenge().String()},
		"code_challenge_method": {pkce.Method},
	})
	token, err := server.token(url.Values{"code": {code}, "code_verifier": {verifier.Reveal()}})
	fmt.Println("token:", token, err)

	// A client that leaves the method out asks for "plain".
	_, err = server.authorize(url.Values{"code_challenge": {verifier.Challenge().String()}})
	fmt.Println("plain:", err)

	// Output:
	// verifier: [redacted]
	// code: the-code <nil>
	// thief: invalid_grant: pkce: the code_verifier is not that of the code_challenge
	// token: the-token <nil>
	// plain: invalid_request: pkce: the code_challenge_method must be S256
}
