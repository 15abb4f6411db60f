// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/MicahParks/keyfunc/v3"
	jwtmiddleware "github.com/auth0/go-jwt-middleware/v2"
	"github.com/auth0/go-jwt-middleware/v2/validator"
	"github.com/coreos/go-oidc/v3/oidc"
	chi "github.com/go-chi/jwtauth/v5"
	"github.com/golang-jwt/jwt/v5"
	jwx2 "github.com/lestrrat-go/jwx/v2/jwt"
	"github.com/lestrrat-go/jwx/v3/jwk"
	jwx "github.com/lestrrat-go/jwx/v3/jwt"
	"github.com/modelcontextprotocol/go-sdk/auth"
	tink "github.com/tink-crypto/tink-go/v2/jwt"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// peer is a way to put a handler behind a JWT check.
type peer struct {
	name string
	// protect puts next behind the check, as the library's documentation shows
	// for the algorithm, the issuer and the audience of m. errUnsupported says
	// that the library cannot.
	protect func(m *material, next http.Handler) (http.Handler, error)
}

var errUnsupported = errors.New("not supported")

func peers() []peer {
	return []peer{
		{"Gatehouse, token not seen before", func(m *material, next http.Handler) (http.Handler, error) { return protect(m, -1, next) }},
		{"Gatehouse, token seen before", func(m *material, next http.Handler) (http.Handler, error) { return protect(m, 10_000, next) }},
		{"golang-jwt v5", golangJWT},
		{"keyfunc v3", withKeyfunc},
		{"MCP go-sdk", mcp},
		{"tink v2", withTink},
		{"go-oidc v3", goOIDC},
		{"jwx v3", withJWX},
		{"go-chi/jwtauth v5", goChi},
		{"auth0/go-jwt-middleware v2", auth0},
	}
}

// protect is Gatehouse with a cache of so many entries.
func protect(m *material, entries int, next http.Handler, confirmers ...gatehouse.Confirmer) (http.Handler, error) {
	keys := jwtauth.RemoteKeys(m.jwksURL)
	if m.public == nil {
		keys = jwtauth.SharedSecret(gatehouse.NewSecret(m.secret))
	}
	a, err := jwtauth.New(jwtauth.Config{
		CacheEntries: entries, Confirmers: confirmers,
		Issuers: []jwtauth.Issuer{{
			URL: issuerURL, Audiences: []string{audience}, Keys: keys, Profile: m.profile,
			Algorithms: []jwtauth.Algorithm{jwtauth.Algorithm(m.algorithm)},
		}},
	})
	if err != nil {
		return nil, err
	}
	if err := a.Ready(context.Background()); err != nil {
		return nil, err
	}
	g, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{a}, Realm: "bench"})
	if err != nil {
		return nil, err
	}
	return g.Handler(next), nil
}

type contextKey struct{}

// accessClaims are what a service would read.
type accessClaims struct {
	jwt.RegisteredClaims
	Scope  string `json:"scope"`
	Tenant string `json:"tenant"`
}

func parser(m *material) *jwt.Parser {
	return jwt.NewParser(jwt.WithValidMethods([]string{m.algorithm}), jwt.WithIssuer(issuerURL), jwt.WithAudience(audience), jwt.WithExpirationRequired())
}

func bearer(next http.Handler, parse func(string) (*accessClaims, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		claims, err := parse(token)
		if err != nil {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, claims)))
	})
}

func golangJWT(m *material, next http.Handler) (http.Handler, error) {
	p := parser(m)
	var key any = m.public
	if m.public == nil {
		key = m.secret
	}
	return bearer(next, func(token string) (*accessClaims, error) {
		claims := new(accessClaims)
		_, err := p.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return key, nil })
		return claims, err
	}), nil
}

func withKeyfunc(m *material, next http.Handler) (http.Handler, error) {
	k, err := keyfunc.NewJWKSetJSON(m.jwks)
	if err != nil {
		return nil, err
	}
	p := parser(m)
	return bearer(next, func(token string) (*accessClaims, error) {
		claims := new(accessClaims)
		_, err := p.ParseWithClaims(token, claims, k.Keyfunc)
		return claims, err
	}), nil
}

func mcp(m *material, next http.Handler) (http.Handler, error) {
	p := parser(m)
	var key any = m.public
	if m.public == nil {
		key = m.secret
	}
	verify := func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		claims := new(accessClaims)
		if _, err := p.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return key, nil }); err != nil {
			return nil, fmt.Errorf("%w: %w", auth.ErrInvalidToken, err)
		}
		return &auth.TokenInfo{Scopes: strings.Fields(claims.Scope), Expiration: claims.ExpiresAt.Time, UserID: claims.Subject}, nil
	}
	return auth.RequireBearerToken(verify, nil)(next), nil
}

func withTink(m *material, next http.Handler) (http.Handler, error) {
	if m.algorithm == "HS256" || m.algorithm == "EdDSA" {
		return nil, errUnsupported // from a JWK Set
	}
	handle, err := tink.JWKSetToPublicKeysetHandle(m.jwks)
	if err != nil {
		return nil, err
	}
	verifier, err := tink.NewVerifier(handle)
	if err != nil {
		return nil, err
	}
	typ, iss, aud := "at+jwt", issuerURL, audience
	check, err := tink.NewValidator(&tink.ValidatorOpts{ExpectedTypeHeader: &typ, ExpectedIssuer: &iss, ExpectedAudience: &aud})
	if err != nil {
		return nil, err
	}
	return bearer(next, func(token string) (*accessClaims, error) {
		verified, err := verifier.VerifyAndDecode(token, check)
		if err != nil {
			return nil, err
		}
		claims := new(accessClaims)
		if claims.Subject, err = verified.Subject(); err != nil {
			return nil, err
		}
		if claims.Scope, err = verified.StringClaim("scope"); err != nil {
			return nil, err
		}
		claims.Tenant, err = verified.StringClaim("tenant")
		return claims, err
	}), nil
}

func goOIDC(m *material, next http.Handler) (http.Handler, error) {
	if m.public == nil {
		return nil, errUnsupported
	}
	verifier := oidc.NewVerifier(issuerURL, oidc.NewRemoteKeySet(context.Background(), m.jwksURL), &oidc.Config{
		ClientID: audience, SupportedSigningAlgs: []string{m.algorithm},
	})
	return bearer(next, func(token string) (*accessClaims, error) {
		verified, err := verifier.Verify(context.Background(), token)
		if err != nil {
			return nil, err
		}
		claims := new(accessClaims)
		return claims, verified.Claims(claims)
	}), nil
}

func withJWX(m *material, next http.Handler) (http.Handler, error) {
	set, err := jwk.Parse(m.jwks)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := jwx.ParseRequest(r, jwx.WithKeySet(set), jwx.WithIssuer(issuerURL), jwx.WithAudience(audience))
		if err != nil {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, token)))
	}), nil
}

func goChi(m *material, next http.Handler) (http.Handler, error) {
	var a *chi.JWTAuth
	options := []jwx2.ValidateOption{jwx2.WithIssuer(issuerURL), jwx2.WithAudience(audience)}
	switch {
	case m.public == nil:
		a = chi.New(m.algorithm, m.secret, nil, options...)
	default:
		a = chi.New(m.algorithm, m.private, m.public, options...)
	}
	return chi.Verifier(a)(chi.Authenticator(a)(next)), nil
}

func auth0(m *material, next http.Handler) (http.Handler, error) {
	var key any = m.public
	if m.public == nil {
		key = m.secret
	}
	if _, ok := key.(ed25519.PublicKey); ok {
		return nil, errUnsupported // by v2
	}
	v, err := validator.New(func(context.Context) (any, error) { return key, nil },
		validator.SignatureAlgorithm(m.algorithm), issuerURL, []string{audience},
		validator.WithCustomClaims(func() validator.CustomClaims { return new(auth0Claims) }))
	if err != nil {
		return nil, err
	}
	return jwtmiddleware.New(v.ValidateToken).CheckJWT(next), nil
}

type auth0Claims struct {
	Scope  string `json:"scope"`
	Tenant string `json:"tenant"`
}

func (*auth0Claims) Validate(context.Context) error { return nil }
