// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// StatementConfig configures [Statements].
type StatementConfig struct {
	// Issuer is who makes the statements. Its URL, Audience, Algorithms, Keys,
	// MaxLifetime and MaxTokenBytes count; the audience is that of the
	// statements, such as a client_id.
	Issuer Issuer

	// Skew, Transport and OnKeyProblem are as in [Config].
	Skew         time.Duration
	Transport    http.RoundTripper
	OnKeyProblem func(issuer string, err error)
}

// Statements verifies JWTs of one issuer that are no access tokens: the ID
// tokens and logout tokens of a client. It reads as strictly and chooses keys as
// [Authenticator] does, and is safe for concurrent use.
//
// It does not know what a statement is about. Whoever calls it must look at the
// type, so that one kind is not taken for another, and at the claims that tie
// the statement to a request, such as the nonce.
type Statements struct{ issuer *issuer }

// Statement is what an issuer has said.
type Statement struct {
	Type    string // typ, "" if the header has none
	Subject string // sub, "" if there is none
	Claims  gatehouse.Claims
}

// NewStatements makes a verifier. It reports all mistakes in the configuration
// at once, and makes no network call.
func NewStatements(config StatementConfig) (*Statements, error) {
	c := Config{
		Issuers: []Issuer{config.Issuer}, Skew: config.Skew, Transport: config.Transport,
		OnKeyProblem: config.OnKeyProblem, CacheEntries: -1, // a statement is used once
	}
	// The same conditions as for access tokens, and the same defaults.
	a, err := New(c)
	if err != nil {
		return nil, fmt.Errorf("jwtauth: StatementConfig: %w", err)
	}
	return &Statements{a.issuers[config.Issuer.URL]}, nil
}

// Close ends the fetches under way and waits for them.
func (s *Statements) Close() error {
	s.issuer.keys.close()
	return nil
}

// Verify verifies a compact JWT: its form, its iss, its algorithm, its
// signature, that its aud holds the audience, and that now lies between its iat
// and its exp, both of which it must have. The error is a [*gatehouse.Error].
func (s *Statements) Verify(ctx context.Context, text string) (Statement, error) {
	t, err := read(text, s.issuer.MaxTokenBytes, nil)
	if err != nil {
		return Statement{}, err
	}
	i, now := s.issuer, time.Now()
	if t.claims.issuer != i.URL {
		return Statement{}, refuse(gatehouse.ReasonTokenIssuer, i, nil)
	}
	if _, err := i.check(ctx, &t, i.judgeStatement(&t.claims, now), now); err != nil {
		return Statement{}, err
	}
	return Statement{Type: t.head.typ, Subject: t.claims.subject, Claims: gatehouse.VerifiedClaims(t.claims.text)}, nil
}

// judgeStatement says why the claims that every statement has are not good now.
//
//	OpenID Connect Core 1.0 §2: iss, aud, exp and iat are REQUIRED in an ID
//	token; Back-Channel Logout 1.0 §2.4: in a logout token.
func (i *issuer) judgeStatement(c *claims, now time.Time) verdict {
	for _, claim := range [...]claimThere{{"exp", c.expires.present}, {"iat", c.issued.present}, {"aud", c.audience != ""}} {
		if !claim.there {
			return bad(gatehouse.ReasonTokenClaims, "claim %s is missing", claim.name)
		}
	}
	if v := i.judgeAudience(c); v.reason != "" {
		return v
	}
	return i.judgeTime(c, now)
}

// SignStatement signs a JWT that is no access token with the key that signs
// now, such as the assertion by which a client authenticates itself. The typ is
// left out if it is empty.
func (r *KeyRing) SignStatement(typ string, claims map[string]any) (gatehouse.Secret, error) {
	token, err := r.sign(typ, claims)
	if err != nil {
		return gatehouse.Secret{}, fmt.Errorf("jwtauth: sign: %w", err)
	}
	return gatehouse.NewSecret([]byte(token)), nil
}
