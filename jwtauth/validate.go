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

// rejection is the reason why claims are invalid. The zero value means that they are
// valid. The cause is for operators. It contains configuration, claim names and times,
// but no other text of a token.
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
func (i *issuer) validateAccessToken(t *token, now time.Time) rejection {
	c := &t.claims
	if err := i.decode(c); err != nil {
		return rejection{ReasonClaims, err}
	}
	if !c.expires.present {
		return invalid(ReasonClaims, "claim exp is missing")
	}
	if c.subject == "" {
		if i.subject != nil {
			return invalid(ReasonClaims, "no claim for the subject: %s are missing or empty", list(i.SubjectClaims))
		}
		return invalid(ReasonClaims, "claim sub is missing")
	}
	if i.Profile == RFC9068 {
		// RFC 9068 §2.2: iss, exp, aud, sub, client_id, iat and jti are REQUIRED.
		for _, claim := range [...]requiredClaim{{"client_id", c.raw[claimClientID] != ""}, {"iat", c.issued.present}, {"jti", c.id != ""}} {
			if !claim.present {
				return invalid(ReasonClaims, "claim %s is missing: required unless Profile is Compatible", claim.name)
			}
		}
	}
	if r := i.validateKind(t); r.reason != "" {
		return r
	}
	if r := i.validateAudience(c); r.reason != "" {
		return r
	}
	return i.validateTime(c, now)
}

// validateJWT validates the claims of an ID token, a logout token or, if response is
// true, a response. A response does not need exp and iat.
//
//	OIDC Core §2 (claims): iss, aud, exp and iat are REQUIRED in an ID token.
//
//	OIDC Back-Channel Logout §2.4 (claims): they are REQUIRED in a logout
//	token.
func (i *issuer) validateJWT(c *claims, response bool, now time.Time) rejection {
	if err := i.decode(c); err != nil {
		return rejection{ReasonClaims, err}
	}
	if i.maxAge > 0 && !c.expires.present && c.issued.present {
		c.expires.present, c.expires.seconds = true, c.issued.seconds+int64(i.maxAge/time.Second)
	}
	if response && !c.expires.present {
		c.expires.present, c.expires.seconds = true, max(now.Unix(), c.issued.seconds)+1
	}
	for _, claim := range [...]requiredClaim{{"exp", c.expires.present}, {"iat", response || c.issued.present}, {"aud", c.raw[claimAud] != ""}} {
		if !claim.present {
			return invalid(ReasonClaims, "claim %s is missing", claim.name)
		}
	}
	if r := i.validateAudience(c); r.reason != "" {
		return r
	}
	return i.validateTime(c, now)
}

// validateAudience validates aud and, if Clients are configured, the client.
//
// Implements RFC 9700 §2.3 (audience); ASVS 5.0 §9.2.3, §10.3.1; OIDC Core
// §3.1.3.7 (step 3).
func (i *issuer) validateAudience(c *claims) rejection {
	var client string // the value of client_id and azp
	if len(i.Clients) > 0 {
		for _, n := range [...]int{claimClientID, claimAzp} {
			if c.raw[n] == "" {
				continue
			}
			value, ok := identifier(c.raw[n])
			switch {
			case !ok:
				return rejection{ReasonClaims, claimError(claimNames[n])}
			case client != "" && client != value:
				return invalid(ReasonAudience, "claims client_id and azp differ: Clients requires that they are equal")
			}
			client = value
		}
	}
	if c.raw[claimAud] == "" {
		switch {
		case slices.Contains(i.Clients, client), i.AcceptMissingAudience:
			return rejection{}
		case len(i.Clients) > 0:
			return invalid(ReasonAudience, "claim aud is missing, and client_id or azp is none of Clients %s", list(i.Clients))
		case i.Profile == Compatible:
			return invalid(ReasonClaims, "claim aud is missing: set Clients if the issuer sends none")
		}
		return invalid(ReasonClaims, "claim aud is missing")
	}
	n, found, ok := audiences(c.raw[claimAud], i.Audiences)
	switch {
	case n == 0 && ok:
		return invalid(ReasonClaims, "claim aud is empty")
	case !ok:
		return rejection{ReasonClaims, claimError("aud")}
	case !found && len(i.Audiences) == 0:
		return invalid(ReasonAudience, "claim aud is present: set Audiences to accept it")
	case !found:
		return invalid(ReasonAudience, "claim aud contains none of Audiences %s", list(i.Audiences))
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
	// In seconds, because a Duration overflows after 292 years.
	lifetime := c.expires.seconds - issued.Unix()
	if c.issued.present && lifetime <= 0 || lifetime > int64(i.MaxLifetime/time.Second) {
		return invalid(ReasonLifetime, "lifetime: got %d s, must be 1 s to MaxLifetime %v", lifetime, i.MaxLifetime)
	}
	return rejection{}
}

// audiences returns the number of audiences in a raw aud claim, whether it contains one
// of accepted, and whether the claim is well-formed.
//
//	RFC 7519 §4.1.3 (form): "the "aud" value is an array of case-sensitive
//	strings, each containing a StringOrURI value. In the special case when the
//	JWT has one audience, the "aud" value MAY be a single case-sensitive
//	string".
//
// Implements RFC 6750 §5.3 (audience); RFC 7519 §4.1.3 (mismatch); RFC 9068 §4
// (aud).
func audiences(raw string, accepted []string) (n int, found, ok bool) {
	if single, ok := strictjson.String(raw); ok {
		return min(len(single), 1), slices.Contains(accepted, single), true
	}
	ok = strictjson.Strings(raw, func(one string) bool {
		n++
		found = found || slices.Contains(accepted, one)
		return one != "" && n <= maxAudiences
	})
	return n, found, ok
}

// list formats configured values for a message. It shortens long lists.
func list(values []string) string {
	const most = 5
	if len(values) <= most {
		return strings.Join(values, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(values[:most], ", "), len(values)-most)
}
