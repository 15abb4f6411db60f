// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"fmt"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// billing is the client. It gets tokens with the client credentials grant and calls
// the API with them.
type billing struct {
	oauth  *oauth.Client
	tokens *oauth.Credentials
	http   *http.Client // adds a token, and a proof, to requests to the API
}

// newBilling returns a client whose tokens have the binding. It uses the FAPI 2.0
// Security Profile, which requires strong client authentication and bound tokens.
//
//	mtls  tls_client_auth: its certificate authenticates it, and its tokens are bound to it
//	dpop  private_key_jwt: one key authenticates it, its tokens are bound to another
func newBilling(c config, binding string) (*billing, error) {
	settings := oauth.Config{Issuer: c.Issuer, ClientID: c.Billing.Clients[binding], Profile: oauth.FAPI2}
	var certificates []tls.Certificate
	switch binding {
	case bindingMTLS:
		certificate, err := c.certificate(c.Billing.Cert, c.Billing.Key)
		if err != nil {
			return nil, fmt.Errorf("billing: %w", err)
		}
		certificates, settings.Auth = append(certificates, certificate), oauth.TLSClient
	case bindingDPoP:
		private, err := jwtauth.LoadPrivateKey("file:" + c.path(c.Billing.AssertionKey))
		if err != nil {
			return nil, fmt.Errorf("billing.assertion_key: %w", err)
		}
		settings.Auth = oauth.PrivateKeyJWT
		if settings.Keys, err = jwtauth.NewKeyRing(jwtauth.SigningKey{Algorithm: jwtauth.ES256, Private: private}); err != nil {
			return nil, fmt.Errorf("billing.assertion_key: %w", err)
		}
		if settings.DPoP, err = dpop.GenerateKey(); err != nil { // lives as long as this process, as its tokens do
			return nil, err
		}
	}
	var err error
	if settings.TLS, err = c.client(certificates...); err != nil {
		return nil, err
	}
	b := &billing{}
	if b.oauth, err = oauth.New(settings); err != nil {
		return nil, err
	}
	scopes, err := gatehouse.NewScopes(scope)
	if err == nil {
		b.tokens, err = b.oauth.ClientCredentials(oauth.CredentialsRequest{Scopes: scopes, Resources: []string{c.Reports.Origin}})
	}
	var transport http.RoundTripper
	if err == nil {
		transport, err = oauth.NewTransport(oauth.TransportConfig{
			Source: b.tokens, Origins: []string{c.Reports.Origin}, Base: &http.Transport{TLSClientConfig: settings.TLS, ForceAttemptHTTP2: true},
		})
	}
	if err != nil {
		b.close()
		return nil, err
	}
	b.http = &http.Client{Transport: transport, Timeout: timeout}
	return b, nil
}

func (b *billing) close() { _ = b.oauth.Close() }
