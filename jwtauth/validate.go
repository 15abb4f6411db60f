// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"fmt"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// maxAudiences bounds the aud array.
const maxAudiences = 32

// verdict is why claims make no token that is good now. Its cause is for the
// operator, and made of configuration and names of claims only: what a token
// says is not believed before its signature is checked, and not repeated after.
// The zero verdict is that they are good.
type verdict struct {
	reason gatehouse.Reason
	cause  error
}

func bad(reason gatehouse.Reason, format string, args ...any) verdict {
	return verdict{reason, fmt.Errorf(format, args...)}
}

// judge says why claims that are truly those of the issuer make no access token
// that is good now.
func (i *issuer) judge(c *claims, now time.Time) verdict {
	for _, claim := range [...]claimThere{{"exp", c.expires.present}, {"aud", c.audience != ""}, {"sub", c.subject != ""}} {
		if !claim.there {
			return bad(gatehouse.ReasonTokenClaims, "claim %s is missing", claim.name)
		}
	}
	if i.Profile == RFC9068 {
		// RFC 9068 §2.2: iss, exp, aud, sub, client_id, iat and jti are REQUIRED.
		for _, claim := range [...]claimThere{{"client_id", c.client != ""}, {"iat", c.issued.present}, {"jti", c.id != ""}} {
			if !claim.there {
				return bad(gatehouse.ReasonTokenClaims, "claim %s is missing, without which only Profile: Compatible takes a token", claim.name)
			}
		}
	}
	if i.Profile == Compatible && c.foreign {
		return bad(gatehouse.ReasonTokenType, "a claim shows that this is no access token")
	}
	if v := i.judgeAudience(c); v.reason != "" {
		return v
	}
	if v := i.judgeTime(c, now); v.reason != "" {
		return v
	}
	// RFC 7800 §3.1 leaves it to the application what to do with a cnf that it
	// cannot confirm. A token that is bound to a key and accepted without it
	// is worth stealing, so it is refused.
	if c.confirmed {
		return bad(gatehouse.ReasonTokenBinding, "claim cnf binds the token to a key, and nothing here can check that")
	}
	return verdict{}
}

// claimThere is a claim that must be there, and whether it is.
type claimThere struct {
	name  string
	there bool
}

func (i *issuer) judgeAudience(c *claims) verdict {
	named, ok := names(c.audience, i.Audience)
	switch {
	case !ok:
		return verdict{gatehouse.ReasonTokenClaims, claimError("aud")}
	case !named:
		return bad(gatehouse.ReasonTokenAudience, "claim aud does not name %s", i.Audience)
	}
	return verdict{}
}

// judgeTime says why exp, nbf and iat are not good now. exp is there.
func (i *issuer) judgeTime(c *claims, now time.Time) verdict {
	// RFC 7519 §4.1.4: exp is the time "on or after which the JWT MUST NOT be
	// accepted for processing", a small leeway aside.
	if ended := time.Unix(c.expires.seconds, 0); !now.Before(ended.Add(i.skew)) {
		return bad(gatehouse.ReasonTokenExpired, "ended at %s", ended.UTC().Format(time.RFC3339))
	}
	// RFC 7519 §4.1.5: nbf is the time "before which the JWT MUST NOT be
	// accepted for processing".
	latest := now.Add(i.skew)
	if latest.Before(time.Unix(c.notBefore.seconds, 0)) { // zero if it is not there
		return bad(gatehouse.ReasonTokenNotYetValid, "claim nbf lies ahead of the clock of this machine")
	}
	issued := latest
	if c.issued.present {
		if issued = time.Unix(c.issued.seconds, 0); latest.Before(issued) {
			return bad(gatehouse.ReasonTokenNotYetValid, "claim iat lies ahead of the clock of this machine")
		}
	}
	// Seconds, because a lifetime of eight thousand years overflows a Duration.
	lifetime := c.expires.seconds - issued.Unix()
	if c.issued.present && lifetime <= 0 || lifetime > int64(i.MaxLifetime/time.Second) {
		return bad(gatehouse.ReasonTokenLifetime, "lives for %d s, MaxLifetime is %v", lifetime, i.MaxLifetime)
	}
	return verdict{}
}

// names reports whether an aud claim names the audience, and whether it has
// the form that it must have.
//
//	RFC 7519 §4.1.3: "the "aud" value is an array of case-sensitive strings, each
//	containing a StringOrURI value. In the special case when the JWT has one
//	audience, the "aud" value MAY be a single case-sensitive string".
func names(value, audience string) (named, ok bool) {
	if single, ok := strictjson.String(value); ok {
		return single == audience, single != ""
	}
	n := 0
	ok = strictjson.Strings(value, func(one string) bool {
		n++
		named = named || one == audience
		return one != "" && n <= maxAudiences
	})
	return named, ok && n > 0
}
