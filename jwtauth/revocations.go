// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"time"
)

// Revocations reports which access tokens are revoked before they expire. Package
// revocation implements it. All methods must be safe for concurrent use.
type Revocations interface {
	// Revoked reports whether t is revoked. An [Authenticator] calls it on every request
	// with an otherwise valid token, including cached tokens. If it returns an error, the
	// response is 503.
	Revoked(ctx context.Context, t Token) (bool, error)

	// MaxLifetime is the longest lifetime of an access token for which revocations are
	// kept. [New] rejects a longer Issuer.MaxLifetime, because a revoked token could
	// become valid again.
	MaxLifetime() time.Duration
}

// Token contains the claims of a verified token that identify it for revocation: jti,
// subject or client together with iat, or token family (sid). Subject and Client are the
// values of the claims, without the changes of Issuer.Principal.
type Token struct {
	Issuer   string
	ID       string    // jti, "" if the token has none
	Subject  string    // sub
	Client   string    // client_id, "" if the token has none
	Family   string    // sid, "" if the token has none
	IssuedAt time.Time // iat in whole seconds, zero if the token has none
}
