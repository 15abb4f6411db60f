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
	// request that carries an otherwise valid token, cached tokens included. An
	// error means that the answer is unavailable: the request is answered with
	// 503.
	Revoked(ctx context.Context, t Token) (bool, error)

	// MaxLifetime is the longest lifetime of an access token for which
	// revocations are kept. [New] rejects an Issuer.MaxLifetime that is longer,
	// because a revoked token would become valid again.
	MaxLifetime() time.Duration
}

// Token identifies a verified token by what it can be revoked by: the token
// itself, its subject or client together with its time of issue, or its family
// of refresh tokens. Subject and Client are the values of the claims, whatever
// Issuer.Principal makes of them.
type Token struct {
	Issuer   string
	ID       string    // jti, "" if the token has none
	Subject  string    // sub
	Client   string    // client_id, "" if the token has none
	Family   string    // sid, "" if the token has none
	IssuedAt time.Time // iat in whole seconds, zero if the token has none
}
