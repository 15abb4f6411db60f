// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/assertion"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/mtls"
	"github.com/gatehouse-go/gatehouse/spiffe"
)

const (
	maxLifetime       = 15 * time.Minute
	assertionLifetime = time.Minute
)

// ServerConfig configures a [Server].
type ServerConfig struct {
	// Registry keeps the agents. Its Config.Issuer is the issuer of the tokens, and must
	// be an https URL; plain http is accepted for loopback addresses only. Required.
	Registry *Registry

	// Keys sign the tokens. The keyring is also the handler of the JWK Set. Required.
	Keys *jwtauth.KeyRing

	// Audience identifies the API that accepts the tokens: the aud of each token, and the
	// only accepted value of the parameters resource and audience. Required.
	Audience string

	// TokenEndpoint and JWKS are the URLs of the token endpoint and of the JWK Set,
	// for the metadata. Required.
	TokenEndpoint, JWKS string

	// Challenge is the URL of [Server.Challenge], for the metadata. Optional.
	Challenge string

	// Subjects verifies the tokens of persons that agents exchange. Use the issuers and
	// settings with which the API accepts these tokens. Revocations are checked too.
	// Confirmers are not used, because the agent does not hold the key of the person: a
	// bound token is exchanged only for a token that is bound to a key of the agent.
	// Without Issuers, agents get only tokens of their own.
	Subjects jwtauth.Config

	// DPoP verifies proofs: the token for a request with a proof is bound to the key of
	// the proof. Optional; without it a request with a proof is refused.
	DPoP *dpop.Verifier

	// Certificates configures the verification of client certificates. If it is set,
	// agents can authenticate with a certificate, and the token for a request with a
	// certificate is bound to it. Certificates.Subjects and Certificates.Principal are
	// not used. Optional.
	Certificates *mtls.Config

	// SPIFFE verifies JWT-SVIDs with which agents authenticate. Its audience should be
	// the issuer identifier. Optional.
	SPIFFE *spiffe.Verifier

	// Lifetime is the lifetime of the tokens: 15 minutes by default and at most.
	Lifetime time.Duration
}

// Server is an authorization server for agents: the token endpoint with the grant
// types client_credentials, RFC 6749 section 4.4, and token exchange, RFC 8693. It
// issues access tokens in the profile of RFC 9068. It is safe for concurrent use.
type Server struct {
	config   ServerConfig
	registry *Registry
	signer   *jwtauth.Signer
	clients  *assertion.Verifier
	subjects *jwtauth.Authenticator
	certs    *mtls.Authenticator // nil without Certificates
	metadata []byte
}

// NewServer returns a server. It reports all configuration errors at once and makes no
// network call.
func NewServer(config ServerConfig) (*Server, error) {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("agent: ServerConfig."+format, args...))
	}
	if config.Registry == nil {
		return nil, errors.New("agent: ServerConfig.Registry: required")
	}
	if config.Keys == nil {
		return nil, errors.New("agent: ServerConfig.Keys: required")
	}
	s := &Server{config: config, registry: config.Registry}
	issuer := config.Registry.config.Issuer
	if !isIdentifier(config.Audience) {
		fail("Audience: must be 1 to %d bytes of UTF-8 without control characters", maxText)
	}
	for name, address := range map[string]string{"TokenEndpoint": config.TokenEndpoint, "JWKS": config.JWKS, "Challenge": config.Challenge} {
		if _, err := safeurl.Parse(address); err != nil && (address != "" || name != "Challenge") {
			fail("%s: %w", name, err)
		}
	}
	if config.Lifetime < 0 || config.Lifetime > maxLifetime {
		fail("Lifetime: got %v, want 0 to %v", config.Lifetime, maxLifetime)
		config.Lifetime = 0
	}
	var err error
	if s.signer, err = jwtauth.NewSigner(jwtauth.SignerConfig{Issuer: issuer, Keys: config.Keys, Lifetime: config.Lifetime}); err != nil {
		errs = append(errs, err)
	}
	if s.clients, err = assertion.New(assertion.Config{
		Issuer: issuer, Find: s.client, Replays: config.Registry.config.Replays, MaxLifetime: assertionLifetime,
	}); err != nil {
		errs = append(errs, err)
	}
	for n, i := range config.Subjects.Issuers {
		if i.URL == issuer {
			fail("Subjects.Issuers[%d].URL: is the issuer of the registry", n)
		}
	}
	subjects := s.Trust(config.Subjects)
	subjects.Confirmers = []gatehouse.Confirmer{unconfirmed("jkt"), unconfirmed("x5t#S256")}
	if s.subjects, err = jwtauth.New(subjects); err != nil {
		fail("Subjects: %w", err)
	}
	if config.Certificates != nil {
		if s.certs, err = newCertificates(*config.Certificates); err != nil {
			fail("Certificates: %w", err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s.metadata, err = json.Marshal(s.document())
	return s, err
}

// Close cancels running fetches of key sets and waits for them.
func (s *Server) Close() error { return s.subjects.Close() }

// Trust returns config with the server as an additional issuer, for the API that accepts
// its tokens. If config has a single issuer without Tenants, Trust sets AnyTenant for it,
// which several issuers require.
//
// Wrap the authenticator with [Registry.Guard].
func (s *Server) Trust(config jwtauth.Config) jwtauth.Config {
	config.Issuers = slices.Clone(config.Issuers)
	if len(config.Issuers) == 1 && config.Issuers[0].Tenants == nil {
		config.Issuers[0].AnyTenant = true
	}
	config.Issuers = append(config.Issuers, jwtauth.Issuer{
		URL: s.registry.config.Issuer, Audiences: []string{s.config.Audience}, Keys: s.config.Keys, AnyTenant: true,
		Algorithms:  []jwtauth.Algorithm{jwtauth.ES256, jwtauth.ES384, jwtauth.ES512, jwtauth.EdDSA, jwtauth.Ed25519, jwtauth.RS256, jwtauth.PS256},
		MaxLifetime: maxLifetime,
	})
	return config
}

// unconfirmed is a confirmer of subject tokens. It accepts the binding without a proof:
// the client is authenticated, and gets only a bound token.
type unconfirmed string

func (u unconfirmed) Confirms() gatehouse.Confirms {
	return gatehouse.Confirms{Member: string(u), Binding: gatehouse.Binding(u)}
}

func (unconfirmed) Confirm(*http.Request, string, string, time.Time) (http.Header, error) {
	return nil, nil
} //nolint:nilnil // no header, and no error

// document returns the metadata.
//
// Implements RFC 8414 §2 (server).
func (s *Server) document() map[string]any {
	methods := []string{"private_key_jwt"}
	if s.config.SPIFFE != nil {
		methods = append(methods, "spiffe_jwt")
	}
	if s.certs != nil {
		methods = append(methods, "tls_client_auth")
	}
	var scopes []string
	for _, role := range s.registry.roles {
		scopes = slices.AppendSeq(scopes, role.scopes.All())
	}
	slices.Sort(scopes)
	document := map[string]any{
		"issuer":                                s.registry.config.Issuer,
		"token_endpoint":                        s.config.TokenEndpoint,
		"jwks_uri":                              s.config.JWKS,
		"scopes_supported":                      slices.Compact(scopes),
		"response_types_supported":              []string{},
		"grant_types_supported":                 []string{grantClientCredentials, grantExchange},
		"token_endpoint_auth_methods_supported": methods,
		"token_endpoint_auth_signing_alg_values_supported": []jwtauth.Algorithm{
			jwtauth.ES256, jwtauth.ES384, jwtauth.ES512, jwtauth.EdDSA, jwtauth.Ed25519, jwtauth.PS256, jwtauth.RS256,
		},
		"code_challenge_methods_supported":           []string{"S256"},
		"tls_client_certificate_bound_access_tokens": s.certs != nil,
	}
	if s.config.Challenge != "" {
		document["challenge_endpoint"] = s.config.Challenge
	}
	if s.config.DPoP != nil {
		for _, param := range s.config.DPoP.Confirms().Scheme.Params {
			if param.Name == "algs" {
				document["dpop_signing_alg_values_supported"] = strings.Fields(param.Value)
			}
		}
	}
	return document
}

// Metadata returns the handler of GET /.well-known/oauth-authorization-server, RFC 8414
// section 3. Register it as a public route.
//
// Implements RFC 8414 §3.
func (s *Server) Metadata() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "max-age=60")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Access-Control-Allow-Origin", "*")
		if r.Method == http.MethodGet {
			_, _ = w.Write(s.metadata)
		}
	})
}
