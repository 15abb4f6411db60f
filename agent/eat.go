// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/jose"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

const eatMaxLifetime = 15 * time.Minute

// EATConfig configures an [EAT].
type EATConfig struct {
	// Issuer is the iss of the tokens: the attester, or a verifier that acts for it. Keys
	// are the keys of the issuer and Algorithms their algorithms. Required.
	Issuer     string
	Keys       jwtauth.Keys
	Algorithms []jwtauth.Algorithm

	// Audience is the aud of the tokens, such as the issuer identifier of the own
	// server. Required.
	Audience string

	// Profile is the eat_profile of the tokens. Required.
	Profile string

	// Accept checks the claims about the platform, such as measres, swname and
	// measurements. Required, because without it a token proves nothing about the
	// platform.
	Accept func(ctx context.Context, agent Agent, claims gatehouse.Claims) error
}

// EAT is an attestor for sandboxes and other platforms that issue an Entity
// Attestation Token as a JWT, RFC 9711. The token must have:
//
//   - typ eat+jwt, and the iss, aud, iat and exp of a JWT, exp at most 15 minutes after
//     iat;
//   - eat_nonce, which is the nonce of the challenge or an array that has it;
//   - cnf with the jwk of a key of the agent, or with its thumbprint as jkt;
//   - eat_profile as configured;
//   - dbgstat, which is not "enabled".
type EAT struct {
	config   EATConfig
	verifier *jwtauth.Verifier
}

var _ Attestor = (*EAT)(nil)

// NewEAT returns an attestor. It reports all configuration errors at once and makes no
// network call.
func NewEAT(config EATConfig) (*EAT, error) {
	var errs []error
	if config.Profile == "" {
		errs = append(errs, errors.New("agent: EATConfig.Profile: required"))
	}
	if config.Accept == nil {
		errs = append(errs, errors.New("agent: EATConfig.Accept: required"))
	}
	verifier, err := jwtauth.NewVerifier(jwtauth.VerifierConfig{Issuer: jwtauth.Issuer{
		URL: config.Issuer, Audiences: []string{config.Audience}, Algorithms: config.Algorithms, Keys: config.Keys,
		MaxLifetime: eatMaxLifetime,
	}})
	if err != nil {
		errs = append(errs, fmt.Errorf("agent: EATConfig: %w", err))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &EAT{config, verifier}, nil
}

// Close cancels running fetches of the keys and waits for them.
func (e *EAT) Close() error { return e.verifier.Close() }

// eatTable lists the claims that Attest reads, in this order.
var eatTable = strictjson.NewTable("eat_nonce", "cnf", "eat_profile", "dbgstat")

// Attest implements [Attestor].
func (e *EAT) Attest(ctx context.Context, c Challenge, evidence gatehouse.Secret) error {
	token, err := e.verifier.Verify(ctx, string(evidence.Reveal()))
	if err != nil {
		return err
	}
	if strings.TrimPrefix(strings.ToLower(token.Type), "application/") != "eat+jwt" {
		return errEvidence("typ is not eat+jwt")
	}
	var nonce, cnf, profile, debug string
	if err := eatTable.Read(token.Claims.String(), factLimits, &nonce, &cnf, &profile, &debug); err != nil {
		return errEvidence("malformed claims")
	}
	for _, claim := range []*string{&profile, &debug} {
		*claim, _ = strictjson.String(*claim)
	}
	switch {
	case !hasNonce(nonce, c.Nonce):
		return errEvidence("eat_nonce is not that of the challenge")
	case !isBoundTo(cnf, c.Keys):
		return errEvidence("cnf is not a key of the agent")
	case profile != e.config.Profile:
		return errEvidence("eat_profile is another one")
	// With an enabled debugger, the measurements prove nothing.
	case !slices.Contains([]string{"disabled", "disabled-since-boot", "disabled-permanently", "disabled-fully-and-permanently"}, debug):
		return errEvidence("dbgstat is missing, or debugging is enabled")
	}
	return e.config.Accept(ctx, c.Agent, token.Claims)
}

// hasNonce reports whether a claim eat_nonce, a string or an array of strings, has a
// nonce.
func hasNonce(claim, nonce string) bool {
	if single, ok := strictjson.String(claim); ok {
		return single == nonce
	}
	found := false
	return strictjson.Strings(claim, func(one string) bool { found = found || one == nonce; return true }) && found
}

// isBoundTo reports whether a claim cnf has at least one member and each is a key of the
// agent.
func isBoundTo(cnf string, keys []Key) bool {
	bound := false
	err := strictjson.Object(cnf, strictjson.Limits{Depth: 4, Members: 64}, func(name, value string) error {
		thumbprint := ""
		switch name {
		case "jkt":
			thumbprint, _ = strictjson.String(value)
		case "jwk":
			key, _ := jose.ParseKey(value) // the zero key is not one of the agent
			thumbprint = key.Thumbprint
		}
		if !slices.ContainsFunc(keys, func(k Key) bool { return k.Thumbprint == thumbprint }) {
			return errors.New("another key")
		}
		bound = true
		return nil
	})
	return err == nil && bound
}
