// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/internal/base64url"
	"github.com/gatehouse-go/gatehouse/internal/jose"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Profile is a security profile. The [Client] follows it and requires it of the
// authorization server.
type Profile string

// FAPI2 is the FAPI 2.0 Security Profile. [New] requires client authentication with
// [PrivateKeyJWT], [TLSClient] or [SelfSignedTLS], sender-constrained tokens by
// Config.DPoP or by a client certificate, and PS256, ES256 or EdDSA for everything that
// is signed. The authorization server must have a pushed authorization request endpoint,
// add iss to its responses, and bind tokens. If its metadata show that it does not, each
// request fails with [ErrUnavailable].
//
// docs/fapi.md lists each requirement of the profile with its code and tests.
const FAPI2 Profile = "fapi2"

// fapiAlgorithms are the signature algorithms that the profile allows.
var fapiAlgorithms = []string{"PS256", "ES256", "EdDSA", "Ed25519"}

// checkProfile sets the defaults of the profile and returns all errors.
func (c *Config) checkProfile() error {
	if c.Profile == "" {
		return nil
	}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("oauth: Config."+format, args...)) }
	if c.Profile != FAPI2 {
		fail("Profile: %q is not supported", string(c.Profile))
		return errors.Join(errs...)
	}
	certificate := c.Auth == TLSClient || c.Auth == SelfSignedTLS
	if c.Auth != PrivateKeyJWT && !certificate {
		fail("Auth: FAPI 2.0 requires private_key_jwt, tls_client_auth or self_signed_tls_client_auth")
	}
	if c.DPoP == nil && !certificate {
		fail("DPoP: FAPI 2.0 requires sender-constrained tokens: a key, or client authentication by certificate")
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = []jwtauth.Algorithm{jwtauth.PS256, jwtauth.ES256, jwtauth.EdDSA}
	}
	for _, a := range c.Algorithms {
		if !slices.Contains(fapiAlgorithms, string(a)) {
			fail("Algorithms: %s: FAPI 2.0 allows %s", a, strings.Join(fapiAlgorithms, ", "))
		}
	}
	if c.DPoP != nil && !slices.Contains(fapiAlgorithms, string(c.DPoP.Algorithm())) {
		fail("DPoP: %s: FAPI 2.0 allows %s", c.DPoP.Algorithm(), strings.Join(fapiAlgorithms, ", "))
	}
	if c.Keys != nil {
		if a := signingAlgorithm(c.Keys); !slices.Contains(fapiAlgorithms, a) {
			fail("Keys: %s: FAPI 2.0 allows %s", a, strings.Join(fapiAlgorithms, ", "))
		}
	}
	return errors.Join(errs...)
}

// signingAlgorithm returns the algorithm with which a keyring signs, "" if it cannot
// sign.
func signingAlgorithm(keys *jwtauth.KeyRing) string {
	signed, err := keys.SignJWT("JWT", map[string]any{})
	if err != nil {
		return ""
	}
	parts, err := jose.Split(string(signed.Reveal()))
	if err != nil {
		return ""
	}
	text, err := base64url.Decode(nil, parts.Header)
	var parsed struct {
		Algorithm string `json:"alg"`
	}
	if err != nil || json.Unmarshal(text, &parsed) != nil {
		return ""
	}
	return parsed.Algorithm
}

// checkProfile returns an error for each requirement of the profile that the metadata do
// not satisfy.
func (p *Provider) checkProfile(profile Profile, key *dpop.Key) error {
	if profile != FAPI2 {
		return nil
	}
	var errs []error
	fail := func(name string) { errs = append(errs, errors.New(name+": required by FAPI 2.0")) }
	if p.AuthorizationEndpoint != "" && p.PushedAuthorizationEndpoint == "" {
		fail("pushed_authorization_request_endpoint")
	}
	if p.AuthorizationEndpoint != "" && !p.ResponseIssuer {
		fail("authorization_response_iss_parameter_supported")
	}
	if key == nil && !p.CertificateBoundTokens {
		fail("tls_client_certificate_bound_access_tokens")
	}
	return errors.Join(errs...)
}
