// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
)

// maxIssuedLifetime is the longest lifetime of a token from Signer. It is short, because
// revocation has an effect only at verifiers that check revocations.
const maxIssuedLifetime = 15 * time.Minute

// SignerConfig configures a [Signer].
type SignerConfig struct {
	// Issuer is the issuer identifier, the iss of all tokens. Required, https;
	// plain http for loopback addresses only.
	Issuer string

	// Keys sign the tokens. Required unless Secret is set.
	Keys *KeyRing

	// Secret signs with HS256 instead: at least 32 random bytes. Every verifier
	// can also sign, so use it only if one program does both.
	Secret gatehouse.Secret

	// Lifetime is the lifetime of the tokens: 15 minutes by default, from 1 s to
	// 15 minutes.
	Lifetime time.Duration
}

// Signer signs access tokens in the profile of RFC 9068. It is safe for
// concurrent use.
type Signer struct {
	issuer   string
	keys     *KeyRing
	secret   gatehouse.Secret
	lifetime time.Duration
}

// AccessToken holds the claims of a token that [Signer.Sign] signs.
type AccessToken struct {
	Subject  string // sub; required
	Audience string // aud: the API that the token is for; required
	Client   string // client_id; required
	Scopes   gatehouse.Scopes
	Tenant   string
	Roles    gatehouse.Roles
	Actors   gatehouse.Actors
	AuthTime time.Time // when the user authenticated, zero if unknown

	// Family is the token family of the refresh token that belongs to this token, the sid
	// claim. Revoking the family revokes this token too. Optional.
	Family string

	// Lifetime is the lifetime of this token: SignerConfig.Lifetime by default, and at
	// most.
	Lifetime time.Duration

	// NotAfter is the latest expiry, such as the expiry of the credential for which the
	// token is issued. Zero means no limit.
	NotAfter time.Time

	// Confirmation binds the token to keys of the sender, the cnf claim of RFC 7800: jkt
	// for DPoP, x5t#S256 for a client certificate. Optional.
	Confirmation map[string]string

	// Claims are additional claims. Their names must not be those of registered claims.
	// Every holder of a token can read them, so Sign returns an error for values that
	// look like secrets.
	Claims map[string]any
}

// Signed is a signed access token.
type Signed struct {
	Token   gatehouse.Secret // the compact form, for the client
	ID      string           // jti; safe to log
	Expires time.Time
}

// NewSigner returns a signer. It reports all configuration errors at once.
func NewSigner(c SignerConfig) (*Signer, error) {
	s := &Signer{issuer: c.Issuer, keys: c.Keys, secret: c.Secret, lifetime: c.Lifetime}
	var errs []error
	if _, err := safeurl.Parse(c.Issuer); err != nil {
		errs = append(errs, fmt.Errorf("jwtauth: SignerConfig.Issuer: %w", err))
	}
	switch {
	case c.Keys == nil && s.secret.Len() == 0:
		errs = append(errs, errors.New("jwtauth: SignerConfig.Keys: required"))
	case c.Keys != nil && s.secret.Len() != 0:
		errs = append(errs, errors.New("jwtauth: SignerConfig: Keys and Secret are both set: remove one"))
	case c.Keys == nil:
		// The same checks as for a verifier with this secret.
		if _, err := SharedSecret(c.Secret).open(Issuer{Algorithms: []Algorithm{HS256}}, Config{}); err != nil {
			errs = append(errs, fmt.Errorf("jwtauth: SignerConfig.Secret: %w", err))
		}
	}
	if s.lifetime == 0 {
		s.lifetime = maxIssuedLifetime
	}
	if s.lifetime < time.Second || s.lifetime > maxIssuedLifetime {
		errs = append(errs, fmt.Errorf("jwtauth: SignerConfig.Lifetime: got %v, want 1s to %v", s.lifetime, maxIssuedLifetime))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// Sign returns a signed token. It returns an error for claims that
// [Authenticator] would reject, and for claims that look like secrets.
func (s *Signer) Sign(t AccessToken) (Signed, error) {
	claims, err := s.claims(t)
	if err != nil {
		return Signed{}, fmt.Errorf("jwtauth: sign: %w", err)
	}
	var token string
	if s.keys != nil {
		token, err = s.keys.sign("at+jwt", claims)
	} else {
		token, err = sign(jwt.SigningMethodHS256, header{algorithm: HS256, typ: "at+jwt"}, s.secret.Reveal(), claims)
	}
	if err != nil {
		return Signed{}, fmt.Errorf("jwtauth: sign: %w", err)
	}
	if len(token) > defaultTokenBytes {
		return Signed{}, fmt.Errorf("jwtauth: sign: the token has %d bytes, verifiers accept %d by default", len(token), defaultTokenBytes)
	}
	return Signed{
		Token: gatehouse.NewSecret([]byte(token)), ID: claims["jti"].(string), Expires: time.Unix(claims["exp"].(int64), 0),
	}, nil
}

// sign returns claims as a JWS in compact form, RFC 7515 section 7.1.
func sign(method jwt.SigningMethod, h header, private any, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	return signPayload(method, h, private, payload)
}

func signPayload(method jwt.SigningMethod, h header, private any, payload []byte) (string, error) {
	members := map[string]string{"alg": string(h.algorithm)}
	if h.kid != "" {
		members["kid"] = h.kid
	}
	if h.typ != "" {
		members["typ"] = h.typ
	}
	head, err := json.Marshal(members)
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	input := encode(head) + "." + encode(payload)
	signature, err := method.Sign(input, private)
	if err != nil {
		return "", err
	}
	return input + "." + encode(signature), nil
}

// claims returns the payload, RFC 9068 section 2.2.
//
// Implements ASVS 5.0 §9.2.4.
func (s *Signer) claims(t AccessToken) (map[string]any, error) {
	for name, text := range map[string]string{"Subject": t.Subject, "Audience": t.Audience, "Client": t.Client} {
		if !isIdentifier(text) {
			return nil, fmt.Errorf("AccessToken.%s: required, at most %d bytes without control characters", name, maxText)
		}
	}
	lifetime := s.lifetime
	if t.Lifetime != 0 {
		lifetime = t.Lifetime
	}
	if lifetime < time.Second || lifetime > s.lifetime {
		return nil, fmt.Errorf("AccessToken.Lifetime: got %v, want 1s to %v", lifetime, s.lifetime)
	}
	now := time.Now()
	expires := now.Add(lifetime).Unix()
	if !t.NotAfter.IsZero() {
		if expires = min(expires, t.NotAfter.Unix()); expires <= now.Unix() {
			return nil, errors.New("AccessToken.NotAfter: is in the past, or less than 1s ahead")
		}
	}
	claims := map[string]any{
		"iss": s.issuer, "sub": t.Subject, "aud": t.Audience, "client_id": t.Client,
		"iat": now.Unix(), "exp": expires, "jti": rand.Text(),
	}
	if len(t.Confirmation) > 0 {
		for name, value := range t.Confirmation {
			if !isIdentifier(name) || !isIdentifier(value) {
				return nil, errors.New("AccessToken.Confirmation: names and values must be 1 to 255 bytes without control characters")
			}
		}
		claims["cnf"] = t.Confirmation
	}
	if t.Scopes.Len() > 0 {
		claims["scope"] = t.Scopes.String()
	}
	if t.Tenant != "" {
		if !isIdentifier(t.Tenant) {
			return nil, errors.New("AccessToken.Tenant: must be at most 255 bytes without control characters")
		}
		claims["tenant"] = t.Tenant
	}
	if t.Family != "" {
		if !isIdentifier(t.Family) {
			return nil, errors.New("AccessToken.Family: must be at most 255 bytes without control characters")
		}
		claims["sid"] = t.Family
	}
	if t.Roles.Len() > 0 {
		claims["roles"] = slices.Collect(t.Roles.All())
	}
	if t.Actors.Len() > maxActors {
		return nil, fmt.Errorf("AccessToken.Actors: must be at most %d", maxActors)
	}
	if act := actClaim(t.Actors); act != nil {
		claims["act"] = act
	}
	if !t.AuthTime.IsZero() {
		claims["auth_time"] = t.AuthTime.Unix()
	}
	for name, value := range t.Claims {
		if err := checkCustomClaim(name, value); err != nil {
			return nil, fmt.Errorf("AccessToken.Claims[%q]: %w", name, err)
		}
		claims[name] = value
	}
	return claims, nil
}

// actClaim returns a chain as nested claims, the current actor outermost: RFC 8693
// section 4.1.
func actClaim(a gatehouse.Actors) map[string]any {
	var act map[string]any
	for _, actor := range slices.Backward(slices.Collect(a.All())) {
		outer := map[string]any{"sub": actor.Subject}
		if actor.Issuer != "" {
			outer["iss"] = actor.Issuer
		}
		if actor.Client != "" {
			outer["client_id"] = actor.Client
		}
		if act != nil {
			outer["act"] = act
		}
		act = outer
	}
	return act
}
