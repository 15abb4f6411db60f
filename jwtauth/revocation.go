// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"time"
)

// Revocations says which tokens were withdrawn before their time. It is asked
// in every request with an otherwise good token, so it must be quick, and must
// be safe for concurrent use. An error means that it cannot tell now: the
// request is answered with 503. Package revocation has an implementation.
type Revocations interface {
	Revoked(ctx context.Context, t Token) (bool, error)

	// MaxLifetime returns the longest lifetime of a token for which revocations
	// are kept. New rejects a larger Issuer.MaxLifetime.
	MaxLifetime() time.Duration
}

// Token is what there is to revoke of a verified token: itself, all of its
// subject or all of its client that were issued before a certain time, or those
// that come from one family of refresh tokens. Subject and Client are the
// issuer's own words, whatever Issuer.Principal makes of them.
type Token struct {
	Issuer   string
	ID       string // jti, "" where the issuer does not set it
	Subject  string
	Client   string    // "" where the issuer does not say
	Family   string    // sid, "" where the issuer does not set it
	IssuedAt time.Time // in whole seconds, zero where the issuer does not say
}
