// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"time"
)

// Revocations reports which access tokens are revoked before they expire. The
// package revocation has an implementation. All methods must be safe for
// concurrent use.
type Revocations interface {
	// Revoked reports whether t is revoked. An [Authenticator] calls it on every
	// request with an otherwise valid token, including cached tokens. If it returns
	// an error, the request is answered with 503.
	Revoked(ctx context.Context, t Token) (bool, error)

	// MaxLifetime is the longest lifetime of an access token for which revocations
	// are kept. [New] rejects an Issuer.MaxLifetime that is longer, because a
	// revoked token could become valid again.
	MaxLifetime() time.Duration
}

// Token contains the claims of a verified token by which it can be revoked: its
// jti, its subject or client together with iat, or its token family (sid).
// Subject and Client are the values of the claims, without changes by
// Issuer.Principal.
type Token struct {
	Issuer   string
	ID       string    // jti, "" if the token has none
	Subject  string    // sub
	Client   string    // client_id, "" if the token has none
	Family   string    // sid, "" if the token has none
	IssuedAt time.Time // iat in whole seconds, zero if the token has none
}
