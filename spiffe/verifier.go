// SPDX-License-Identifier: Apache-2.0

// Package spiffe verifies the identities of workloads, SPIFFE: JWT-SVIDs, and the
// SPIFFE ID in an X.509-SVID.
//
// A [Verifier] verifies JWT-SVIDs with the keys of the trust bundle of their trust
// domain. It is not a gatehouse.Authenticator, because a JWT-SVID is not an access
// token: the caller decides where it is accepted, for example in a token exchange.
// [CertificateID] returns the ID in a certificate, for mtls.Config.Principal.
//
// # Choices that the standards leave open
//
//   - aud is one audience, because an SVID for several could be used at each of them. A
//     string and an array with one element are accepted.
//   - The header has alg, kid and optionally typ, and nothing else. kid is required.
//   - exp is at most a day ahead. The clocks may differ by 30 s.
//   - The path of the ID must not be empty: the ID of a trust domain is not a workload.
package spiffe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/base64url"
	"github.com/gatehouse-go/gatehouse/internal/jose"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

const (
	maxBytes    = 8 << 10
	skew        = 30 * time.Second
	maxLifetime = 24 * time.Hour
)

// Config configures a [Verifier].
type Config struct {
	// TrustDomains are the trust bundles by the name of their trust domain, such as
	// "example.org". At least one is required. The keys of one trust domain are never
	// used for another.
	TrustDomains map[string]Bundle

	// Audiences are the audiences of this program, often its SPIFFE ID. aud must be
	// one of them. At least one is required.
	Audiences []string
}

// Verifier verifies JWT-SVIDs. It is safe for concurrent use.
type Verifier struct {
	domains   map[string]*keys
	audiences []string
}

// SVID is a verified JWT-SVID.
type SVID struct {
	ID      ID
	Expires time.Time
	Claims  gatehouse.Claims
}

// New returns a verifier. It reports all configuration errors at once and reads no
// bundle.
func New(config Config) (*Verifier, error) {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("spiffe: Config."+format, args...)) }
	if len(config.Audiences) == 0 || slices.Contains(config.Audiences, "") {
		fail("Audiences: at least one is required, none may be empty")
	}
	if len(config.TrustDomains) == 0 {
		fail("TrustDomains: at least one is required")
	}
	v := &Verifier{domains: make(map[string]*keys), audiences: slices.Clone(config.Audiences)}
	for name, bundle := range config.TrustDomains {
		switch {
		case !isTrustDomain(name):
			fail("TrustDomains: %q is not the name of a trust domain", name)
		case bundle.read == nil:
			fail("TrustDomains: %s: use BundleFile or BundleURL", name)
		case bundle.err != nil:
			fail("TrustDomains: %s: %w", name, bundle.err)
		}
		k := &keys{bundle: bundle}
		k.group.Timeout = bundleTimeout
		v.domains[name] = k
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return v, nil
}

// Close cancels running requests for bundles and waits for them.
func (v *Verifier) Close() error {
	for _, k := range v.domains {
		k.group.Close()
	}
	return nil
}

// isAlgorithm reports whether the JWT-SVID specification allows the algorithm.
func isAlgorithm(name string) bool {
	switch name {
	case "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512":
		return true
	}
	return false
}

// Verify verifies a JWT-SVID: its form, that sub is the ID of a workload in a
// configured trust domain, that aud is one of the audiences, its times, and the
// signature by a key of the trust bundle. The error is a [*gatehouse.Error].
func (v *Verifier) Verify(ctx context.Context, token string) (SVID, error) {
	if len(token) > maxBytes {
		return SVID{}, reject(ReasonMalformed, "the token is too long")
	}
	parts, err := jose.Split(token)
	if err != nil {
		return SVID{}, reject(ReasonMalformed, err.Error())
	}
	algorithm, kid, problem := parseHeader(parts.Header)
	if problem != "" {
		return SVID{}, reject(ReasonMalformed, problem)
	}
	svid, e := v.parseClaims(parts.Payload, time.Now())
	if e != nil {
		return SVID{}, e
	}
	signature, err := base64url.Decode(nil, parts.Signature)
	if err != nil {
		return SVID{}, reject(ReasonMalformed, "signature: "+err.Error())
	}
	set, err := v.domains[svid.ID.trustDomain].current(ctx)
	if err != nil {
		return SVID{}, &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: ReasonBundleUnavailable, Issuer: svid.ID.trustDomain, Cause: err}
	}
	for _, key := range set[kid] {
		if jose.Verify(algorithm, key.Public, parts.SigningInput, signature) {
			return svid, nil
		}
	}
	return SVID{}, reject(ReasonSignature, "no key of the trust bundle verifies the signature")
}

// parseHeader returns alg and kid, or an error.
func parseHeader(segment string) (algorithm, kid, problem string) {
	header, err := base64url.Decode(nil, segment)
	typ := ""
	if err == nil {
		err = strictjson.Object(string(header), strictjson.Limits{Depth: 2, Members: 8}, func(name, value string) error {
			text, ok := strictjson.String(value)
			switch name {
			case "alg":
				algorithm = text
			case "kid":
				kid = text
			case "typ":
				typ, ok = text, ok && text != ""
			default: // jku, jwk, x5c, crit, b64 and all others
				ok = false
			}
			if !ok {
				return errors.New("has another parameter than alg, kid and typ, or a malformed one")
			}
			return nil
		})
	}
	switch {
	case err != nil:
		return "", "", "header: " + err.Error()
	case !isAlgorithm(algorithm):
		return "", "", "alg is not one of RS, ES and PS with 256, 384 and 512"
	case kid == "":
		return "", "", "kid is missing"
	case typ != "" && !strings.EqualFold(typ, "JWT") && !strings.EqualFold(typ, "JOSE"):
		return "", "", "typ is neither JWT nor JOSE"
	}
	return algorithm, kid, ""
}

// parseClaims parses and validates the claims.
func (v *Verifier) parseClaims(segment string, now time.Time) (SVID, *gatehouse.Error) {
	payload, err := base64url.Decode(nil, segment)
	if err != nil {
		return SVID{}, reject(ReasonMalformed, "payload: "+err.Error())
	}
	text := string(payload)
	var sub, aud string
	var exp, nbf, iat int64
	valid := true
	date := func(value string) int64 {
		seconds, ok := jose.NumericDate(value)
		valid = valid && ok
		return seconds
	}
	err = strictjson.Object(text, strictjson.Limits{Depth: 16, Members: 2048}, func(name, value string) error {
		switch name {
		case "sub":
			sub, _ = strictjson.String(value)
		case "aud":
			aud = value
		case "exp":
			exp = date(value)
		case "nbf":
			nbf = date(value)
		case "iat":
			iat = date(value)
		}
		return nil
	})
	if err != nil || !valid {
		return SVID{}, reject(ReasonMalformed, "malformed claims")
	}
	id, err := ParseID(sub)
	switch {
	case err != nil || id.path == "" || v.domains[id.trustDomain] == nil:
		return SVID{}, reject(ReasonID, "sub is not the ID of a workload in a configured trust domain")
	case !v.isAudience(aud):
		return SVID{}, reject(ReasonAudience, "aud is not one of Config.Audiences alone")
	}
	expires, latest := time.Unix(exp, 0), now.Add(skew)
	if !now.Before(expires.Add(skew)) || expires.After(latest.Add(maxLifetime)) || latest.Before(time.Unix(nbf, 0)) || latest.Before(time.Unix(iat, 0)) {
		return SVID{}, reject(ReasonExpired, "exp is missing, in the past or more than a day ahead, or nbf or iat is in the future")
	}
	return SVID{ID: id, Expires: expires, Claims: gatehouse.VerifiedClaims(text)}, nil
}

// isAudience reports whether aud is one of the audiences and nothing else.
func (v *Verifier) isAudience(aud string) bool {
	if single, ok := strictjson.String(aud); ok {
		return slices.Contains(v.audiences, single)
	}
	n := 0
	return strictjson.Strings(aud, func(one string) bool { n++; return slices.Contains(v.audiences, one) }) && n == 1
}
