// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"time"
)

// Revocations says which tokens were withdrawn before their time. It is asked
// in every request with an otherwise good token, so it must be quick, and must
// be safe for concurrent use. An error means that it cannot tell now: the
// request is answered with 503.
type Revocations interface {
	Revoked(ctx context.Context, t Token) (bool, error)
}

// Token is what there is to revoke of a verified token: itself, all of its
// subject or all of its client, or those issued before a certain time.
type Token struct {
	Issuer   string
	ID       string // jti, "" where the issuer does not set it
	Subject  string
	Client   string
	IssuedAt time.Time // zero where the issuer does not say
}
