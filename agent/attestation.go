// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/base64url"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// Attestation is a required proof about an agent or about the place where it runs.
type Attestation struct {
	// Attestor verifies the evidence. Required.
	Attestor Attestor

	// Registration requires evidence when the agent is registered, Issue each time it
	// gets a token of its own. At least one of the two is required.
	Registration, Issue bool
}

// Attestor verifies the evidence of an agent. [KeyPossession], [SVID] and [EAT] are
// attestors.
type Attestor interface {
	// Attest verifies evidence of an agent. The evidence must be bound to a key of the
	// agent and to the nonce. The server has issued the nonce to this agent within the
	// last five minutes, and it was not used before. An error rejects the evidence.
	// Return a [*gatehouse.Error] of status 503 if the evidence cannot be verified now.
	// Attest must be safe for concurrent use.
	Attest(ctx context.Context, c Challenge, evidence gatehouse.Secret) error
}

// Challenge contains the values to which evidence must be bound.
type Challenge struct {
	Agent    Agent
	Keys     []Key  // of Agent
	Nonce    string // 43 to 88 characters of base64url
	Audience string // the issuer identifier of the own server
}

// Key is a public key of an agent.
type Key struct {
	// Thumbprint is the JWK thumbprint, RFC 7638.
	Thumbprint string

	verify func(algorithm, input string, signature []byte) bool
}

func (a Attestation) check(name string) error {
	switch {
	case !isIdentifier(name):
		return errors.New("malformed name")
	case typednil.Is(a.Attestor):
		return errors.New("Attestor: required")
	case !a.Registration && !a.Issue:
		return errors.New("Registration or Issue is required")
	}
	return nil
}

// Nonce returns a nonce for the evidence of the agent with the ID, which is valid for
// five minutes and can be used once. It does not reveal whether the agent exists.
func (r *Registry) Nonce(id string) string { return r.nonces.issue(id, time.Now()) }

// Challenge returns the handler of a public route that returns a nonce for the evidence
// of a token request. The response to POST with the parameter client_id is a JSON object
// with the member attestation_challenge. The handler stores nothing.
func (s *Server) Challenge() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		id := ""
		if parseForm(w, r) == nil {
			id = r.PostForm.Get("client_id")
		}
		if !isIdentifier(id) {
			s.write(w, refuse(codeInvalidRequest, ReasonRequest, "", errors.New("client_id: required")))
			return
		}
		writeJSON(w, http.StatusOK, map[string]string{"attestation_challenge": s.registry.Nonce(id)})
	})
}

// errEvidence rejects evidence.
func errEvidence(cause string) error { return errors.New("agent: evidence: " + cause) }

// attest verifies the evidence of an agent.
func (r *Registry) attest(ctx context.Context, a Agent, nonce string, evidence gatehouse.Secret) error {
	if evidence.Len() == 0 || evidence.Len() > maxEvidence {
		return errEvidence("missing or too long")
	}
	left := r.nonces.check(a.ID, nonce, time.Now())
	if left <= 0 {
		return errEvidence("the nonce is expired, or not one of this server for this agent")
	}
	keys, _ := parseKeys(a.Keys) // they are those of a valid agent
	c := Challenge{Agent: a.clone(), Nonce: nonce, Audience: r.config.Issuer}
	for _, k := range keys {
		c.Keys = append(c.Keys, k.key())
	}
	if err := r.config.Attestations[a.Attestation].Attestor.Attest(ctx, c, evidence); err != nil {
		return err
	}
	// Record the nonce as used last, so that rejected evidence does not use it.
	inserted, err := r.config.Replays.Insert(ctx, sha256.Sum256([]byte("agent nonce\x00"+nonce)), left)
	switch {
	case err != nil:
		return unavailable(ReasonStoreUnavailable, fmt.Errorf("agent: replay store: %w", err))
	case !inserted:
		return errEvidence("the nonce was used before")
	}
	return nil
}

const (
	nonceLife    = 5 * time.Minute
	nonceAhead   = 10 * time.Second // the allowed difference between the clocks of servers
	minNonceKey  = 32
	maxNonceKeys = 8
	nonceTime    = 8
	nonceRandom  = 16
	maxEvidence  = 16 << 10
)

// nonces creates and verifies nonces without a store. A nonce is a time, a random number,
// and a MAC over both and the ID of the agent.
type nonces struct{ keys [][]byte }

func newNonces(secrets []gatehouse.Secret) (nonces, error) {
	if len(secrets) == 0 {
		key := make([]byte, minNonceKey)
		_, _ = rand.Read(key) // it never fails
		secrets = []gatehouse.Secret{gatehouse.NewSecret(key)}
	}
	if len(secrets) > maxNonceKeys {
		return nonces{}, fmt.Errorf("at most %d", maxNonceKeys)
	}
	var n nonces
	for i, secret := range secrets {
		if secret.Len() < minNonceKey {
			return nonces{}, fmt.Errorf("[%d]: got %d bytes, at least %d are required", i, secret.Len(), minNonceKey)
		}
		// Fails only for a length above 255 hashes.
		key, _ := hkdf.Key(sha256.New, secret.Reveal(), nil, "gatehouse agent nonce 1", sha256.Size)
		n.keys = append(n.keys, key)
	}
	return n, nil
}

func (n nonces) mac(key, stamp []byte, id string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write(slices.Concat(stamp, []byte(id)))
	return h.Sum(nil)
}

func (n nonces) issue(id string, now time.Time) string {
	stamp := make([]byte, nonceTime+nonceRandom, nonceTime+nonceRandom+sha256.Size)
	binary.BigEndian.PutUint64(stamp, uint64(now.Unix())) //nolint:gosec // after 1970
	_, _ = rand.Read(stamp[nonceTime:])
	return base64.RawURLEncoding.EncodeToString(append(stamp, n.mac(n.keys[0], stamp, id)...))
}

// check returns the remaining lifetime of a nonce, 0 if it is not valid.
func (n nonces) check(id, nonce string, now time.Time) time.Duration {
	decoded, _ := base64url.Decode(nil, nonce) // nil on failure
	if len(decoded) != nonceTime+nonceRandom+sha256.Size {
		return 0
	}
	stamp, valid := decoded[:nonceTime+nonceRandom], false
	for _, key := range n.keys {
		valid = hmac.Equal(n.mac(key, stamp, id), decoded[nonceTime+nonceRandom:]) || valid
	}
	made := time.Unix(int64(binary.BigEndian.Uint64(decoded)), 0) //nolint:gosec // this server made it
	if !valid || made.After(now.Add(nonceAhead)) {
		return 0
	}
	return made.Add(nonceLife).Sub(now)
}
