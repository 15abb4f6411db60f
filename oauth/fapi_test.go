// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// fapi is a client of the profile: private_key_jwt and DPoP.
func fapi() func(*oauth.Config) {
	key := must(dpop.GenerateKey())
	return func(c *oauth.Config) {
		c.Profile, c.Auth, c.Secret, c.Keys, c.DPoP, c.Algorithms = oauth.FAPI2, oauth.PrivateKeyJWT, secret(""), providertest.Keys(), key, nil
	}
}

func TestFAPIRefusesConfig(t *testing.T) {
	private := must(rsa.GenerateKey(rand.Reader, 2048))
	rs256 := must(jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "k1", Algorithm: jwtauth.RS256, Private: private}))
	rsaProofs := must(dpop.NewKey(dpop.RS256, private))
	for name, test := range map[string]struct {
		change func(*oauth.Config)
		want   string
	}{
		"unknown profile": {func(c *oauth.Config) { c.Profile = "fapi1" }, "Config.Profile: "},
		"client secret":   {func(c *oauth.Config) { c.Auth, c.Secret, c.Keys = "", secret("s"), nil }, "Config.Auth: "},
		"public client":   {func(c *oauth.Config) { c.Auth, c.Keys = oauth.Public, nil }, "Config.Auth: "},
		"bearer tokens":   {func(c *oauth.Config) { c.DPoP = nil }, "Config.DPoP: "},
		"RS256 ID tokens": {func(c *oauth.Config) { c.Algorithms = []jwtauth.Algorithm{jwtauth.PS256, jwtauth.RS256} }, "Config.Algorithms: RS256: "},
		"RS256 assertion": {func(c *oauth.Config) { c.Keys = rs256 }, "Config.Keys: RS256: "},
		"RS256 proofs":    {func(c *oauth.Config) { c.DPoP = rsaProofs }, "Config.DPoP: RS256: "},
		"metadata": {func(c *oauth.Config) {
			c.Provider = oauth.Provider{Issuer: c.Issuer, TokenEndpoint: c.Issuer + "/token", AuthorizationEndpoint: c.Issuer + "/auth"}
		}, "pushed_authorization_request_endpoint: required by FAPI 2.0\nauthorization_response_iss_parameter_supported: "},
	} {
		t.Run(name, func(t *testing.T) {
			config := providertest.New(t).Config()
			fapi()(&config)
			test.change(&config)
			if _, err := oauth.New(config); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("New() error = %v, want %q", err, test.want)
			}
		})
	}
}

func TestFAPIAlgorithmsOfIDTokens(t *testing.T) {
	s := providertest.New(t)
	s.Metadata["pushed_authorization_request_endpoint"] = providertest.Issuer + "/par"
	s.Metadata["dpop_signing_alg_values_supported"] = []string{"ES256"}
	for listed, good := range map[string]bool{"RS256": false, "PS256": true, "ES256": true, "EdDSA": true} {
		s.Metadata["id_token_signing_alg_values_supported"] = []string{listed}
		err := s.Client(fapi()).Ready(t.Context(), oauth.AuthorizationRequest{RedirectURI: redirect, Scopes: scopes("openid")})
		if (err == nil) != good || err != nil && !errors.Is(err, oauth.ErrUnsupported) {
			t.Errorf("Ready with %s error = %v, want accepted: %t", listed, err, good)
		}
	}
}

func TestFAPIDemandsMetadata(t *testing.T) {
	for _, test := range []struct {
		name    string
		remove  string     // a member of the metadata
		auth    oauth.Auth // with tokens bound by a certificate, "" for DPoP
		refused bool
	}{
		{"all there", "", "", false},
		{"no PAR", "pushed_authorization_request_endpoint", "", true},
		{"no iss", "authorization_response_iss_parameter_supported", "", true},
		{"no DPoP", "dpop_signing_alg_values_supported", "", true},
		{"certificate", "dpop_signing_alg_values_supported", oauth.TLSClient, false},
		{"self-signed certificate", "dpop_signing_alg_values_supported", oauth.SelfSignedTLS, false},
		{"DPoP, tokens not bound to a certificate", "tls_client_certificate_bound_access_tokens", "", false},
		{"certificate, unbound tokens", "tls_client_certificate_bound_access_tokens", oauth.TLSClient, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := providertest.New(t)
			s.Metadata["pushed_authorization_request_endpoint"] = providertest.Issuer + "/par"
			s.Metadata["dpop_signing_alg_values_supported"] = []string{"ES256"}
			s.Metadata["tls_client_certificate_bound_access_tokens"] = true
			delete(s.Metadata, test.remove)
			config := s.Config()
			fapi()(&config)
			if test.auth != "" {
				config.Auth, config.Keys, config.DPoP, config.Transport = test.auth, nil, nil, nil
				config.TLS = &tls.Config{Certificates: make([]tls.Certificate, 1)}
				config.Provider = oauth.Provider{
					Issuer: config.Issuer, TokenEndpoint: config.Issuer + "/token",
					CertificateBoundTokens: s.Metadata["tls_client_certificate_bound_access_tokens"] == true,
				}
			}
			client, err := oauth.New(config)
			if err == nil {
				_, err = client.Provider(t.Context())
			}
			if (err != nil) != test.refused || err != nil && !strings.Contains(err.Error(), test.remove) {
				t.Errorf("New() and Provider() error = %v, want refused: %t", err, test.refused)
			}
		})
	}
}
