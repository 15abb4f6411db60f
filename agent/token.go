// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/mtls"
)

// issue is a token that the server issues.
type issue struct {
	agent  Agent
	token  jwtauth.AccessToken
	signed jwtauth.Signed
	parent string      // jti of the exchanged token, "" for none
	header http.Header // of the response
}

// mint returns an agent's own token.
func (s *Server) mint(r *http.Request, c *client, asked gatehouse.Scopes) (*issue, *gatehouse.Error) {
	a := &c.entry.agent
	switch {
	case asked.Len() == 0:
		asked = c.entry.scopes
	case !c.entry.scopes.HasAll(asked):
		return nil, refuse(codeInvalidScope, ReasonScope, a.ID, fmt.Errorf("scope: the request has %q, the roles of the agent only %q", asked.String(), c.entry.scopes.String()))
	}
	claims := map[string]any{claimType: typeAgent, claimGenerations: []int64{a.Generation}}
	attested, e := s.attested(r, c)
	if e != nil {
		return nil, e
	}
	if attested {
		claims[claimAttestation] = a.Attestation
	}
	return s.sign(r, c, &issue{agent: c.entry.agent, token: jwtauth.AccessToken{
		Subject: a.ID, Client: a.ID, Tenant: a.Tenant, Scopes: asked, Claims: c.entry.limits.claims(claims),
	}})
}

// attested verifies the evidence that the policy requires for a token, and reports
// whether the agent is attested.
func (s *Server) attested(r *http.Request, c *client) (bool, *gatehouse.Error) {
	a := &c.entry.agent
	attestation, ok := s.registry.config.Attestations[a.Attestation]
	switch {
	case a.Attestation == "":
		return false, nil
	case !ok:
		return false, unavailable(ReasonRole, fmt.Errorf("agent: %.64q has the attestation %.64q, which Config.Attestations lacks", a.ID, a.Attestation))
	case !attestation.Issue:
		return true, nil // it was verified at registration
	}
	if _, key := attestation.Attestor.(KeyPossession); key && c.byKey {
		return true, nil
	}
	evidence := gatehouse.NewSecret([]byte(r.PostForm.Get("attestation")))
	err := s.registry.attest(r.Context(), *a, r.PostForm.Get("attestation_nonce"), evidence)
	if e, ok := errors.AsType[*gatehouse.Error](err); ok && e.Code.Status() == http.StatusServiceUnavailable {
		return false, e
	}
	if err != nil {
		return false, refuse(codeInvalidClient, ReasonAttestation, a.ID, err)
	}
	return true, nil
}

// claims adds the caps to claims.
func (l Limits) claims(claims map[string]any) map[string]any {
	for name, limit := range map[string]int64{claimPerRequest: l.PerRequest, claimPerDay: l.PerDay, claimTotal: l.Total} {
		if limit > 0 {
			claims[name] = limit
		}
	}
	return claims
}

// sign binds the token to the keys that the request proves, and signs it. Call it last,
// because it uses the DPoP proof.
func (s *Server) sign(r *http.Request, c *client, t *issue) (*issue, *gatehouse.Error) {
	t.token.Audience = s.config.Audience
	t.token.Confirmation = make(map[string]string)
	if c.presents != nil {
		t.token.Confirmation["x5t#S256"] = c.presents.Thumbprint
	}
	if s.config.DPoP != nil {
		thumbprint, header, err := s.config.DPoP.Thumbprint(r)
		if err != nil {
			return nil, proofError(err)
		}
		if t.header = header; thumbprint != "" {
			t.token.Confirmation["jkt"] = thumbprint
		}
	} else if len(r.Header["Dpop"]) > 0 {
		return nil, refuse(codeInvalidProof, ReasonProof, t.agent.ID, errors.New("DPoP is not supported"))
	}
	signed, err := s.signer.Sign(t.token)
	if err != nil {
		return nil, unavailable(ReasonSigning, err)
	}
	t.signed = signed
	return t, nil
}

// proofError returns the refusal for an invalid DPoP proof.
func proofError(err error) *gatehouse.Error {
	e := asError(err)
	refusal := *e
	switch e.Code {
	case dpop.CodeUseNonce:
		refusal.Code = codeUseNonce
	case gatehouse.CodeTemporarilyUnavailable:
	default:
		refusal.Code = codeInvalidProof
	}
	return &refusal
}

// response returns the body of a successful response.
func (t *issue) response() any {
	kind := "Bearer"
	if t.token.Confirmation["jkt"] != "" {
		kind = "DPoP"
	}
	exchanged := ""
	if t.token.Actors.Len() > 0 {
		exchanged = typeAccessToken
	}
	return struct {
		AccessToken string `json:"access_token"`
		Issued      string `json:"issued_token_type,omitempty"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int64  `json:"expires_in"`
		Scope       string `json:"scope"`
	}{
		string(t.signed.Token.Reveal()), exchanged, kind, max(0, int64(time.Until(t.signed.Expires)/time.Second)), t.token.Scopes.String(),
	}
}

// principal returns the holder of the token, for the event.
func (t *issue) principal() gatehouse.Principal {
	p := gatehouse.Principal{
		Kind: gatehouse.KindAgent, Subject: t.token.Subject, Tenant: t.token.Tenant, Client: t.token.Client, Method: jwtauth.Method,
		Credential: t.signed.ID, Scopes: t.token.Scopes, Actors: t.token.Actors, Expires: t.signed.Expires,
	}
	if issuer, ok := t.token.Claims[claimSubjectIssuer].(string); ok {
		p.Kind, p.Issuer = gatehouse.KindUser, issuer
	}
	switch _, bound := t.token.Confirmation["x5t#S256"]; {
	case bound && t.token.Confirmation["jkt"] != "":
		p.Binding = dpop.Binding + "+" + mtls.Binding
	case bound:
		p.Binding = mtls.Binding
	case t.token.Confirmation["jkt"] != "":
		p.Binding = dpop.Binding
	}
	return p
}
