// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/jose"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
	"github.com/gatehouse-go/gatehouse/internal/text"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/spiffe"
)

// Agent is a registered agent. It contains no secrets.
type Agent struct {
	// ID is the client_id of the agent, the sub of its own tokens and the sub of the
	// act claim in delegated tokens. It is unique in the registry, across tenants, and
	// is never used for another agent. Required, at most 255 bytes of UTF-8 without
	// control characters.
	ID string

	// Tenant is the customer that the agent belongs to. It never changes. Required,
	// same limits as ID.
	Tenant string

	// Owner is the person or team that is responsible for the agent. Optional, same
	// limits as ID.
	Owner string

	// Roles are names of roles in Config.Roles. They determine the scopes of the agent.
	// At least one is required.
	Roles gatehouse.Roles

	// Keys are the public keys of the agent, each a JWK, RFC 7517, with an asymmetric
	// signature key. If there are several, each needs a different kid. An RSA key needs
	// an alg. At least one of Keys, SPIFFEID and Certificates is required.
	Keys []string

	// SPIFFEID is the SPIFFE ID of the agent, the sub of its JWT-SVIDs. Optional.
	SPIFFEID string

	// Certificates are the client certificates by which the agent authenticates: a
	// thumbprint as "sha256:" and the value of x5t#S256, or a subject alternative name
	// such as "uri:spiffe://example.org/agent" or "dns:agent.example.org". Optional.
	Certificates []string

	// Attestation is the name of the required attestation in Config.Attestations, ""
	// for none.
	Attestation string

	// Limits are caps for the tokens of the agent. Those of its roles apply too.
	Limits Limits

	// The registry sets the fields below. Generation counts the changes of the agent,
	// beginning with 1: a token of an earlier generation is rejected. Created, Changed
	// and Decommissioned are times of the store; Decommissioned is zero for an active
	// agent.
	Generation                       int64
	Created, Changed, Decommissioned time.Time
}

// Active reports whether the agent is registered and not decommissioned.
func (a Agent) Active() bool { return a.Generation > 0 && a.Decommissioned.IsZero() }

// Role is a set of permissions for agents.
type Role struct {
	// Scopes are the scopes of the role, without wildcards. At least one is required.
	Scopes []string

	// Limits are caps for the tokens of the agents with the role.
	Limits Limits
}

// Limits are caps for calls of language models, in tokens of the model. Access tokens
// carry them as claims. They are limits, not balances. Zero means no cap. Of several
// caps, including those of an exchanged token, the smallest applies.
type Limits struct {
	PerRequest int64 `json:"max_tokens_per_request,omitzero"` // claim max_tokens_per_request
	PerDay     int64 `json:"max_tokens_per_day,omitzero"`     // claim max_tokens_per_day
	Total      int64 `json:"token_budget,omitzero"`           // claim token_budget: of one access token
}

// and returns the smaller of each cap.
func (l Limits) and(other Limits) Limits {
	least := func(a, b int64) int64 {
		if a == 0 || b == 0 {
			return max(a, b)
		}
		return min(a, b)
	}
	return Limits{least(l.PerRequest, other.PerRequest), least(l.PerDay, other.PerDay), least(l.Total, other.Total)}
}

func (l Limits) check() error {
	if l.PerRequest < 0 || l.PerDay < 0 || l.Total < 0 {
		return errors.New("Limits: must not be negative")
	}
	return nil
}

const (
	maxText  = 255 // bytes of an identifier
	maxKeys  = 8
	maxNames = 8 // of certificates
	maxKey   = 4 << 10
)

func isIdentifier(s string) bool { return s != "" && text.IsClean(s, maxText) }

// check returns all errors in the fields that do not depend on the registry.
func (a Agent) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !isIdentifier(a.ID) {
		fail("ID: must be 1 to %d bytes of UTF-8 without control characters", maxText)
	}
	if !isIdentifier(a.Tenant) {
		fail("Tenant: must be 1 to %d bytes of UTF-8 without control characters", maxText)
	}
	if !text.IsClean(a.Owner, maxText) {
		fail("Owner: must be at most %d bytes of UTF-8 without control characters", maxText)
	}
	if a.Roles.Len() == 0 {
		fail("Roles: at least one is required")
	}
	if len(a.Keys) == 0 && a.SPIFFEID == "" && len(a.Certificates) == 0 {
		fail("Keys: at least one key, SPIFFEID or certificate is required")
	}
	if _, err := parseKeys(a.Keys); err != nil {
		errs = append(errs, err)
	}
	if id, _ := spiffe.ParseID(a.SPIFFEID); a.SPIFFEID != "" && id.Path() == "" { // also after an error
		fail("SPIFFEID: not the SPIFFE ID of a workload")
	}
	if len(a.Certificates) > maxNames {
		fail("Certificates: at most %d", maxNames)
	}
	for n, name := range a.Certificates {
		kind, value, _ := strings.Cut(name, ":")
		if !slices.Contains([]string{thumbprintKind, "uri", "dns", "email"}, kind) || !text.IsVisible(value) || len(value) > 2048 {
			fail(`Certificates[%d]: must begin with "sha256:", "uri:", "dns:" or "email:"`, n)
		}
	}
	if err := a.Limits.check(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// publicKey is a public key of an agent.
type publicKey struct {
	jwtauth.Key
	thumbprint string
}

// parseKeys parses the JWKs of an agent.
func parseKeys(jwks []string) ([]publicKey, error) {
	if len(jwks) > maxKeys {
		return nil, fmt.Errorf("Keys: at most %d", maxKeys)
	}
	var keys []publicKey
	var errs []error
	for n, jwk := range jwks {
		key, err := parseKey(jwk)
		if err == nil && len(jwks) > 1 && (key.ID == "" || slices.ContainsFunc(keys, func(k publicKey) bool { return k.ID == key.ID })) {
			err = errors.New("kid is missing or that of another key")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("Keys[%d]: %w", n, err))
		}
		if len(jwks) == 1 {
			key.ID = "" // the key verifies tokens with any kid and without one
		}
		keys = append(keys, key)
	}
	return keys, errors.Join(errs...)
}

// algorithms returns the algorithms in which the key may sign.
func (k publicKey) algorithms() []jwtauth.Algorithm {
	if k.Algorithm == jwtauth.EdDSA {
		return []jwtauth.Algorithm{jwtauth.EdDSA, jwtauth.Ed25519} // another name of it
	}
	return []jwtauth.Algorithm{k.Algorithm}
}

func parseKey(jwk string) (publicKey, error) {
	if len(jwk) > maxKey {
		return publicKey{}, fmt.Errorf("more than %d bytes", maxKey)
	}
	parsed, err := jose.ParseKey(jwk)
	if err != nil {
		return publicKey{}, err
	}
	kid := ""
	_ = strictjson.Object(jwk, strictjson.Limits{Depth: 4, Members: 64}, func(name, value string) error { // ParseKey has read it
		if name == "kid" {
			kid, _ = strictjson.String(value)
		}
		return nil
	})
	algorithm := parsed.Algorithm
	switch public := parsed.Public.(type) {
	case ed25519.PublicKey:
		if algorithm == "" {
			algorithm = "EdDSA"
		}
	case *ecdsa.PublicKey:
		if algorithm == "" {
			algorithm = map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[public.Params().BitSize]
		}
	}
	switch {
	case algorithm == "":
		return publicKey{}, errors.New("alg: required for an RSA key")
	case !jose.Fits(algorithm, parsed.Public):
		return publicKey{}, errors.New("alg does not fit the key")
	}
	return publicKey{jwtauth.Key{ID: kid, Algorithm: jwtauth.Algorithm(algorithm), Public: parsed.Public}, parsed.Thumbprint}, nil
}
