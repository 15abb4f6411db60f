// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// maxAudiences bounds the aud array.
const maxAudiences = 32

// judge says why claims that are truly those of the issuer make no access token
// that is good now, "" if they do.
func (i *issuer) judge(c *claims, now time.Time) gatehouse.Reason {
	switch {
	case !c.expires.present, c.audience == "", c.subject == "":
		return gatehouse.ReasonTokenClaims
	// RFC 9068 §2.2: iss, exp, aud, sub, client_id, iat and jti are REQUIRED.
	case i.Profile == RFC9068 && (c.client == "" || !c.issued.present || c.id == ""):
		return gatehouse.ReasonTokenClaims
	case i.Profile == Compatible && c.foreign:
		return gatehouse.ReasonTokenType
	}
	if reason := i.judgeAudience(c); reason != "" {
		return reason
	}
	if reason := i.judgeTime(c, now); reason != "" {
		return reason
	}
	// RFC 7800 §3.1 leaves it to the application what to do with a cnf that it
	// cannot confirm. A token that is bound to a key and accepted without it
	// is worth stealing, so it is refused.
	if c.confirmed {
		return gatehouse.ReasonTokenBinding
	}
	return ""
}

func (i *issuer) judgeAudience(c *claims) gatehouse.Reason {
	named, ok := names(c.audience, i.Audience)
	switch {
	case !ok:
		return gatehouse.ReasonTokenClaims
	case !named:
		return gatehouse.ReasonTokenAudience
	}
	return ""
}

// judgeTime says why exp, nbf and iat are not good now. exp is there.
func (i *issuer) judgeTime(c *claims, now time.Time) gatehouse.Reason {
	// RFC 7519 §4.1.4: exp is the time "on or after which the JWT MUST NOT be
	// accepted for processing", a small leeway aside.
	if !now.Before(time.Unix(c.expires.seconds, 0).Add(i.skew)) {
		return gatehouse.ReasonTokenExpired
	}
	// RFC 7519 §4.1.5: nbf is the time "before which the JWT MUST NOT be
	// accepted for processing".
	latest := now.Add(i.skew)
	if c.notBefore.present && latest.Before(time.Unix(c.notBefore.seconds, 0)) {
		return gatehouse.ReasonTokenNotYetValid
	}
	issued := latest
	if c.issued.present {
		if issued = time.Unix(c.issued.seconds, 0); latest.Before(issued) {
			return gatehouse.ReasonTokenNotYetValid
		}
	}
	// Seconds, because a lifetime of eight thousand years overflows a Duration.
	lifetime := c.expires.seconds - issued.Unix()
	if c.issued.present && lifetime <= 0 || lifetime > int64(i.MaxLifetime/time.Second) {
		return gatehouse.ReasonTokenLifetime
	}
	return ""
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
