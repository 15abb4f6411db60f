// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
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
func (s *Statements) Verify(ctx context.Context, token string) (Statement, error) {
	i, now := s.issuer, time.Now()
	if len(token) > i.MaxTokenBytes {
		return Statement{}, refuse(gatehouse.ReasonTokenOversized, i, nil)
	}
	parts, err := cut(token)
	if err != nil {
		return Statement{}, refuse(gatehouse.ReasonTokenMalformed, i, err)
	}
	head, err1 := decode(nil, parts.header)
	payload, err2 := decode(nil, parts.payload)
	signature, err3 := decode(nil, parts.signature)
	if err := errors.Join(err1, err2, err3); err != nil {
		return Statement{}, refuse(gatehouse.ReasonTokenMalformed, i, err)
	}
	h, err := parseHeader(string(head))
	if err != nil {
		return Statement{}, refuse(gatehouse.ReasonTokenHeader, i, fmt.Errorf("header: %w", err))
	}
	c, err := parseClaims(string(payload))
	if err != nil {
		return Statement{}, refuse(gatehouse.ReasonTokenClaims, i, err)
	}
	switch {
	case c.issuer != i.URL:
		return Statement{}, refuse(gatehouse.ReasonTokenIssuer, i, nil)
	case !slices.Contains(i.Algorithms, h.algorithm):
		return Statement{}, refuse(gatehouse.ReasonTokenAlgorithm, i, nil)
	}
	// Judged first and said last, as for access tokens: only what would be good
	// may cause a fetch.
	reason, good := i.judgeStatement(&c, now)
	set, keys, err := i.choose(ctx, h, good, now)
	switch {
	case err != nil:
		return Statement{}, err
	case set == nil:
		return Statement{}, refuse(reason, i, errors.New("and its signature was not checked: there are no keys"))
	case keys[0] == nil:
		return Statement{}, refuse(gatehouse.ReasonTokenKey, i, nil)
	case !keys.verify(h.algorithm, parts.signingInput, signature):
		return Statement{}, refuse(gatehouse.ReasonTokenSignature, i, nil)
	case !good:
		return Statement{}, refuse(reason, i, nil)
	}
	return Statement{Type: h.typ, Subject: c.subject, Claims: gatehouse.VerifiedClaims(c.text)}, nil
}

// judgeStatement says whether the claims that every statement has are good now.
//
//	OpenID Connect Core 1.0 §2: iss, aud, exp and iat are REQUIRED in an ID
//	token; Back-Channel Logout 1.0 §2.4: in a logout token.
func (i *issuer) judgeStatement(c *claims, now time.Time) (gatehouse.Reason, bool) {
	if !c.expires.present || !c.issued.present || c.audience == "" {
		return gatehouse.ReasonTokenClaims, false
	}
	if named, ok := names(c.audience, i.Audience); !ok {
		return gatehouse.ReasonTokenClaims, false
	} else if !named {
		return gatehouse.ReasonTokenAudience, false
	}
	if !now.Before(time.Unix(c.expires.seconds, 0).Add(i.skew)) {
		return gatehouse.ReasonTokenExpired, false
	}
	latest := now.Add(i.skew)
	if latest.Before(time.Unix(c.issued.seconds, 0)) || c.notBefore.present && latest.Before(time.Unix(c.notBefore.seconds, 0)) {
		return gatehouse.ReasonTokenNotYetValid, false
	}
	lifetime := c.expires.seconds - c.issued.seconds
	if lifetime <= 0 || lifetime > int64(i.MaxLifetime/time.Second) {
		return gatehouse.ReasonTokenLifetime, false
	}
	return "", true
}

// SignStatement signs a JWT that is no access token with the key that signs
// now, such as the assertion by which a client authenticates itself. The typ is
// left out if it is empty.
func (r *KeyRing) SignStatement(typ string, claims map[string]any) (gatehouse.Secret, error) {
	k := r.signing()
	header := map[string]string{"alg": string(k.Algorithm), "kid": k.ID}
	if typ != "" {
		header["typ"] = typ
	}
	head, err1 := json.Marshal(header)
	payload, err2 := json.Marshal(claims)
	if err := errors.Join(err1, err2); err != nil {
		return gatehouse.Secret{}, fmt.Errorf("jwtauth: sign: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	input := encode(head) + "." + encode(payload)
	signature, err := algorithms[k.Algorithm].method.Sign(input, k.Private)
	if err != nil {
		return gatehouse.Secret{}, fmt.Errorf("jwtauth: sign: %w", err)
	}
	return gatehouse.NewSecret([]byte(input + "." + encode(signature))), nil
}
