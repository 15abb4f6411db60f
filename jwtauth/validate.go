// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// maxAudiences bounds the aud array.
const maxAudiences = 32

// rejection is why claims are invalid; the zero value means that they are valid.
// The cause is for operators. It is made of configuration, claim names and
// times, never of other text from a token.
type rejection struct {
	reason gatehouse.Reason
	cause  error
}

func invalid(reason gatehouse.Reason, format string, args ...any) rejection {
	return rejection{reason, fmt.Errorf(format, args...)}
}

// requiredClaim is the name of a required claim and whether the token has it.
type requiredClaim struct {
	name    string
	present bool
}

// validateAccessToken validates the claims of an access token.
//
// Implements RFC 6750 §5.3 (lifetime); RFC 7519 §4.1.4, §4.1.5; RFC 8725 §3.9,
// §3.12; RFC 9068 §4 (exp).
func (i *issuer) validateAccessToken(c *claims, now time.Time) rejection {
	for _, claim := range [...]requiredClaim{{"exp", c.expires.present}, {"aud", c.audience != ""}, {"sub", c.subject != ""}} {
		if !claim.present {
			return invalid(ReasonClaims, "claim %s is missing", claim.name)
		}
	}
	if i.Profile == RFC9068 {
		// RFC 9068 §2.2: iss, exp, aud, sub, client_id, iat and jti are REQUIRED.
		for _, claim := range [...]requiredClaim{{"client_id", c.client != ""}, {"iat", c.issued.present}, {"jti", c.id != ""}} {
			if !claim.present {
				return invalid(ReasonClaims, "claim %s is missing: required unless Profile is Compatible", claim.name)
			}
		}
	}
	if i.Profile == Compatible && c.foreign {
		return invalid(ReasonType, "not an access token: a claim of another kind of token is present")
	}
	if r := i.validateAudience(c); r.reason != "" {
		return r
	}
	if r := i.validateTime(c, now); r.reason != "" {
		return r
	}
	return rejection{}
}

// validateJWT validates the claims of an ID token or a logout token.
//
//	OIDC Core §2 (claims): iss, aud, exp and iat are REQUIRED in an ID token.
//
//	OIDC Back-Channel Logout §2.4 (claims): they are REQUIRED in a logout
//	token.
func (i *issuer) validateJWT(c *claims, now time.Time) rejection {
	for _, claim := range [...]requiredClaim{{"exp", c.expires.present}, {"iat", c.issued.present}, {"aud", c.audience != ""}} {
		if !claim.present {
			return invalid(ReasonClaims, "claim %s is missing", claim.name)
		}
	}
	if r := i.validateAudience(c); r.reason != "" {
		return r
	}
	return i.validateTime(c, now)
}

// Implements RFC 9700 §2.3 (audience); ASVS 5.0 §9.2.3, §10.3.1; OIDC Core
// §3.1.3.7 (step 3).
func (i *issuer) validateAudience(c *claims) rejection {
	found, ok := hasAudience(c.audience, i.Audiences)
	switch {
	case !ok:
		return rejection{ReasonClaims, claimError("aud")}
	case !found:
		return invalid(ReasonAudience, "claim aud contains none of %s", strings.Join(i.Audiences, ", "))
	}
	return rejection{}
}

// validateTime validates exp, nbf, iat and the lifetime. The token has an exp.
//
// Implements ASVS 5.0 §9.2.1; OIDC Core §3.1.3.7 (step 9, step 10).
func (i *issuer) validateTime(c *claims, now time.Time) rejection {
	// RFC 7519 §4.1.4: exp is the time "on or after which the JWT MUST NOT be
	// accepted for processing", a small leeway aside.
	if expired := time.Unix(c.expires.seconds, 0); !now.Before(expired.Add(i.skew)) {
		return invalid(ReasonExpired, "expired at %s", expired.UTC().Format(time.RFC3339))
	}
	// RFC 7519 §4.1.5: nbf is the time "before which the JWT MUST NOT be
	// accepted for processing".
	latest := now.Add(i.skew)
	if latest.Before(time.Unix(c.notBefore.seconds, 0)) { // zero if it is missing
		return invalid(ReasonNotYetValid, "claim nbf is in the future")
	}
	issued := latest
	if c.issued.present {
		if issued = time.Unix(c.issued.seconds, 0); latest.Before(issued) {
			return invalid(ReasonNotYetValid, "claim iat is in the future")
		}
	}
	// Seconds, because a lifetime of eight thousand years overflows a Duration.
	lifetime := c.expires.seconds - issued.Unix()
	if c.issued.present && lifetime <= 0 || lifetime > int64(i.MaxLifetime/time.Second) {
		return invalid(ReasonLifetime, "lifetime: got %d s, must be 1 s to MaxLifetime %v", lifetime, i.MaxLifetime)
	}
	return rejection{}
}

// hasAudience reports whether a raw aud claim contains one of the audiences, and
// whether it is well-formed.
//
//	RFC 7519 §4.1.3 (form): "the "aud" value is an array of case-sensitive
//	strings, each containing a StringOrURI value. In the special case when the
//	JWT has one audience, the "aud" value MAY be a single case-sensitive
//	string".
//
// Implements RFC 6750 §5.3 (audience); RFC 7519 §4.1.3 (mismatch); RFC 9068 §4
// (aud).
func hasAudience(value string, audiences []string) (found, ok bool) {
	if single, ok := strictjson.String(value); ok {
		return slices.Contains(audiences, single), single != ""
	}
	n := 0
	ok = strictjson.Strings(value, func(one string) bool {
		n++
		found = found || slices.Contains(audiences, one)
		return one != "" && n <= maxAudiences
	})
	return found, ok && n > 0
}
