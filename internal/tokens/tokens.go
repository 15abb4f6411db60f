// SPDX-License-Identifier: Apache-2.0

// Package tokens holds the type that the packages oauth and session share.
// Neither of them can import the other one.
package tokens

import (
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// Tokens are the tokens of a token response, RFC 6749 section 5.1. The secrets
// in it print as "[redacted]"; their method Reveal returns the token.
type Tokens struct {
	// Access is the access token, of type Bearer, or of type DPoP if DPoP is true.
	Access gatehouse.Secret

	// DPoP is true if the access token is bound to a key of the client, RFC 9449. Then
	// it is sent under the scheme DPoP with a proof.
	DPoP bool

	// Refresh is the refresh token, empty if there is none.
	Refresh gatehouse.Secret

	// ID is the ID token as received, empty if there is none. It serves as the
	// id_token_hint at logout.
	ID gatehouse.Secret

	// Scopes are the granted scopes, which may be fewer than the requested ones.
	Scopes gatehouse.Scopes

	// Expires is the expiry of the access token. Without expires_in in the
	// response, it is one hour after the response.
	Expires time.Time
}
