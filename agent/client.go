// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/assertion"
	"github.com/gatehouse-go/gatehouse/internal/san"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/mtls"
)

const (
	assertionJWT    = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	assertionSPIFFE = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"

	thumbprintKind = "sha256"
)

// client is the authenticated client of a token request.
type client struct {
	entry    *entry
	byKey    bool         // by private_key_jwt
	presents *certificate // of the connection, nil for none
}

// authenticate returns the client of a token request.
//
// Implements RFC 6749 §2.3.
func (s *Server) authenticate(r *http.Request) (*client, *gatehouse.Error) {
	presents, e := s.certificate(r)
	if e != nil {
		return nil, e
	}
	form := r.PostForm
	id, kind := form.Get("client_id"), form.Get("client_assertion_type")
	switch {
	case len(r.Header["Authorization"]) > 0 || form.Has("client_secret"):
		return nil, refuse(codeInvalidClient, ReasonClient, "", errors.New("the client sends a secret or another authentication method that is not supported"))
	case kind == assertionJWT:
		var err error
		if id, err = s.clients.Authenticate(r); err != nil {
			return nil, clientError(err)
		}
	}
	entry, err := s.registry.lookup(r.Context(), id)
	if err != nil {
		return nil, asError(err)
	}
	if e := checkClient(entry); e != nil {
		return nil, e
	}
	switch {
	case kind == assertionJWT:
	case kind == assertionSPIFFE && s.config.SPIFFE != nil:
		svid, err := s.config.SPIFFE.Verify(r.Context(), form.Get("client_assertion"))
		if err != nil {
			return nil, clientError(err)
		}
		if svid.ID.String() != entry.agent.SPIFFEID {
			return nil, refuse(codeInvalidClient, ReasonClient, id, errors.New("the SVID is that of another workload"))
		}
	case kind != "" || form.Has("client_assertion"):
		return nil, refuse(codeInvalidClient, ReasonClient, id, errors.New("client_assertion_type is not supported"))
	case presents == nil:
		return nil, refuse(codeInvalidClient, ReasonClient, id, errors.New("no client authentication"))
	case !presents.matches(entry.agent.Certificates):
		return nil, refuse(codeInvalidClient, ReasonClient, id, errors.New("the certificate is not one of the agent"))
	}
	return &client{entry, kind == assertionJWT, presents}, nil
}

// checkClient refuses a client that is unknown or decommissioned.
func checkClient(e *entry) *gatehouse.Error {
	switch a := &e.agent; {
	case !e.exists():
		return refuse(codeInvalidClient, ReasonClient, "", errors.New("the client is not registered, or client_id is missing"))
	case !a.Active():
		return refuse(codeInvalidClient, ReasonDecommissioned, a.ID, errors.New("the client is decommissioned"))
	}
	return nil
}

// clientError returns the refusal for an error of a client assertion.
func clientError(err error) *gatehouse.Error {
	e := asError(err)
	if e.Code.Status() == http.StatusServiceUnavailable {
		return e
	}
	refusal := *e
	refusal.Code = codeInvalidClient
	return &refusal
}

// client finds the keys of a client for package assertion.
func (s *Server) client(ctx context.Context, id string) (assertion.Client, error) {
	e, err := s.registry.lookup(ctx, id)
	if err != nil {
		return assertion.Client{}, err
	}
	if refusal := checkClient(e); refusal != nil { // before its assertion is verified and recorded
		return assertion.Client{}, refusal
	}
	if len(e.keys) == 0 {
		return assertion.Client{}, assertion.ErrUnknownClient
	}
	c := assertion.Client{ID: id}
	keys := make([]jwtauth.Key, len(e.keys))
	for n, k := range e.keys {
		keys[n] = k.Key
		c.Algorithms = append(c.Algorithms, k.algorithms()...)
	}
	c.Keys = jwtauth.StaticKeys(keys...)
	return c, nil
}

// certificate is a verified client certificate.
type certificate struct {
	Thumbprint string   `json:"thumbprint"`
	Names      []string `json:"names"`
}

func (c *certificate) matches(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return name == thumbprintKind+":"+c.Thumbprint || slices.Contains(c.Names, name)
	})
}

// newCertificates returns an authenticator that accepts every verified certificate and
// returns its contents.
func newCertificates(config mtls.Config) (*mtls.Authenticator, error) {
	config.Subjects = nil
	config.Principal = func(_ context.Context, leaf *x509.Certificate) (gatehouse.Principal, error) {
		text, err := json.Marshal(certificate{mtls.Thumbprint(leaf), san.Names(leaf)})
		return gatehouse.Principal{Kind: gatehouse.KindService, Subject: "certificate", Claims: gatehouse.VerifiedClaims(string(text))}, err
	}
	return mtls.New(config)
}

// certificate returns the client certificate of a request, nil for none.
func (s *Server) certificate(r *http.Request) (*certificate, *gatehouse.Error) {
	if s.certs == nil {
		return nil, nil
	}
	proof, err := s.certs.Authenticate(r)
	switch {
	case errors.Is(err, gatehouse.ErrNoCredentials):
		return nil, nil
	case err != nil:
		return nil, clientError(err)
	}
	var c certificate
	_ = proof.Principal().Claims.Decode(&c) // newCertificates has encoded it
	return &c, nil
}
