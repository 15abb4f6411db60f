// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/base64url"
	"github.com/gatehouse-go/gatehouse/internal/jose"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/spiffe"
)

// KeyPossession accepts the evidence that the agent holds one of its keys: a JWT of
// the type agent-evidence+jwt that the key has signed, with the claims iss (the ID of
// the agent), aud (the issuer identifier of the server), nonce, and exp, at most five
// minutes ahead.
//
// With Attestation.Issue, a private_key_jwt assertion is such evidence too: the key has
// signed it, it is short-lived, and it is accepted once.
type KeyPossession struct{}

var _ Attestor = KeyPossession{}

// Attest implements [Attestor].
func (KeyPossession) Attest(_ context.Context, c Challenge, evidence gatehouse.Secret) error {
	_, err := readEvidence(c, evidence)
	return err
}

const (
	evidenceType   = "agent-evidence+jwt"
	evidenceMaxAge = 5 * time.Minute
)

// evidenceTable lists the claims that readEvidence reads, in this order.
var evidenceTable = strictjson.NewTable("iss", "aud", "nonce", "exp", "svid")

// readEvidence verifies the JWT of [KeyPossession] and returns its claim svid.
func readEvidence(c Challenge, evidence gatehouse.Secret) (svid string, err error) {
	parts, err := jose.Split(string(evidence.Reveal()))
	if err != nil {
		return "", errEvidence(err.Error())
	}
	header, err := base64url.Decode(nil, parts.Header)
	if err != nil {
		return "", errEvidence("header: " + err.Error())
	}
	payload, err := base64url.Decode(nil, parts.Payload)
	if err != nil {
		return "", errEvidence("payload: " + err.Error())
	}
	signature, err := base64url.Decode(nil, parts.Signature)
	if err != nil {
		return "", errEvidence("signature: " + err.Error())
	}
	algorithm, typ := "", ""
	err = strictjson.Object(string(header), strictjson.Limits{Depth: 2, Members: 8}, func(name, value string) error {
		switch name {
		case "alg":
			algorithm, _ = strictjson.String(value)
		case "typ":
			typ, _ = strictjson.String(value)
		case "kid":
		default: // crit, jwk and all others
			return errors.New("has a parameter other than alg, typ and kid")
		}
		return nil
	})
	if err == nil && typ != evidenceType {
		err = errors.New("typ is not " + evidenceType)
	}
	if err != nil {
		return "", errEvidence("header: " + err.Error())
	}
	var iss, aud, nonce, exp string
	if err := evidenceTable.Read(string(payload), strictjson.Limits{Depth: 4, Members: 64}, &iss, &aud, &nonce, &exp, &svid); err != nil {
		return "", errEvidence("malformed claims")
	}
	for _, claim := range []*string{&iss, &aud, &nonce, &svid} {
		*claim, _ = strictjson.String(*claim)
	}
	seconds, _ := jose.NumericDate(exp)
	left := time.Until(time.Unix(seconds, 0))
	switch {
	case iss != c.Agent.ID:
		return "", errEvidence("iss is not the agent")
	case aud != c.Audience:
		return "", errEvidence("aud is not the issuer identifier of this server")
	case nonce != c.Nonce:
		return "", errEvidence("nonce is not that of the challenge")
	case left <= 0 || left > evidenceMaxAge+nonceAhead:
		return "", errEvidence("exp is missing, in the past or more than 5 minutes ahead")
	case !slices.ContainsFunc(c.Keys, func(k Key) bool { return k.verify(algorithm, parts.SigningInput, signature) }):
		return "", errEvidence("no key of the agent verifies the signature")
	}
	return svid, nil
}

// key returns the key in the form for an [Attestor].
func (k publicKey) key() Key {
	return Key{k.thumbprint, func(algorithm, input string, signature []byte) bool {
		return slices.Contains(k.algorithms(), jwtauth.Algorithm(algorithm)) && jose.Verify(algorithm, k.Public, input, signature)
	}}
}

// SVID returns an attestor for workloads of SPIFFE: the evidence is that of
// [KeyPossession] with a claim svid, a JWT-SVID of the agent's SPIFFEID that verifier
// accepts. A JWT-SVID alone is bound to neither a key nor a nonce. SVID panics if
// verifier is nil.
func SVID(verifier *spiffe.Verifier) Attestor {
	if verifier == nil {
		panic("agent: SVID: nil verifier")
	}
	return svidAttestor{verifier}
}

type svidAttestor struct{ verifier *spiffe.Verifier }

// Attest implements [Attestor].
func (s svidAttestor) Attest(ctx context.Context, c Challenge, evidence gatehouse.Secret) error {
	text, err := readEvidence(c, evidence)
	if err != nil {
		return err
	}
	svid, err := s.verifier.Verify(ctx, text)
	if err != nil {
		return err
	}
	if svid.ID.String() != c.Agent.SPIFFEID {
		return errEvidence("the SVID is that of another workload")
	}
	return nil
}
