// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/fetch"
	"github.com/gatehouse-go/gatehouse/internal/jose"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

// ask sends the token and returns the JSON object of a response with status 200.
//
// Implements RFC 7662 §2.1 (POST, authenticated), §2.3, §4 (TLS).
func (e *introspectionEndpoint) ask(ctx context.Context, token string) (string, error) {
	address := e.URL
	if address == "" {
		p, err := e.Client.Provider(ctx)
		if err != nil {
			return "", err
		}
		if address = p.IntrospectionEndpoint; address == "" {
			return "", fmt.Errorf("oauth: introspection endpoint: %w", ErrNotOffered)
		}
	}
	var response fetch.Response
	err := e.Client.introspections.do(ctx, func() (err error) {
		response, err = e.send(ctx, address, token)
		return err
	})
	if err != nil || e.verifier == nil {
		return string(response.Body), err
	}
	return e.signed(ctx, response.Header.Get("Content-Type"), string(response.Body))
}

// send sends the request and returns a response with status 200.
func (e *introspectionEndpoint) send(ctx context.Context, address, token string) (fetch.Response, error) {
	header, form := make(http.Header), tokenParams(gatehouse.NewSecret([]byte(token)), AccessToken)
	if e.verifier != nil {
		// RFC 9701 §4: the resource server requests the media type
		// application/token-introspection+jwt in Accept.
		header.Set("Accept", introspectionJWTAccept)
	}
	if err := e.Client.auth(header, form); err != nil {
		return fetch.Response{}, err
	}
	response, err := e.Client.http.PostForm(ctx, address, header, form)
	switch {
	case err != nil:
		return fetch.Response{}, fmt.Errorf("oauth: introspection endpoint: %w: %w", ErrUnavailable, err)
	case response.Status != http.StatusOK:
		return fetch.Response{}, parseError("introspection", response)
	}
	return response, nil
}

// signed verifies a JWT response and returns its member token_introspection.
//
//	RFC 9701 §5: The JWT has the type token-introspection+jwt, the issuer, the
//	resource server as its audience, iat, and the response in the claim
//	token_introspection.
//
// Implements RFC 9701 §8.1.
func (e *introspectionEndpoint) signed(ctx context.Context, contentType, body string) (string, error) {
	if kind, _, _ := mime.ParseMediaType(contentType); kind != introspectionJWTAccept {
		return "", malformed("introspection", "is not signed: its Content-Type is not "+introspectionJWTAccept)
	}
	verified, err := e.verifier.Verify(ctx, strings.TrimSpace(body))
	if err != nil {
		return "", fmt.Errorf("oauth: introspection endpoint: %w: %w", ErrUnavailable, err)
	}
	kind := strings.ToLower(verified.Type)
	if strings.TrimPrefix(kind, "application/") != "token-introspection+jwt" {
		return "", malformed("introspection", "has another typ than token-introspection+jwt")
	}
	var inner string
	err = strictjson.Object(verified.Claims.String(), limits, func(name, value string) error {
		if name == "token_introspection" {
			inner = value
		}
		return nil
	})
	if err != nil || inner == "" {
		return "", malformed("introspection", "has no claim token_introspection")
	}
	return inner, nil
}

// introspectionMembers are the raw members of a response, "" for those that are
// missing.
type introspectionMembers struct {
	body                                                          string
	active, scope, client, sub, iss, aud, exp, nbf, jti, authTime string
	confirmation, tenant, roles, actor, tokenType, use, typ       string
}

var introspectionTable = strictjson.NewTable("active", "scope", "client_id", "sub", "iss", "aud", "exp", "nbf", "jti", "auth_time",
	"cnf", "tenant", "roles", "act", "token_type", "token_use", "typ")

// parse reports whether the token is active. It returns an error if the response is
// malformed.
//
// Implements RFC 7662 §2.2 (active, inactive).
func (m *introspectionMembers) parse(body string) (active bool, err error) {
	m.body = body
	err = introspectionTable.Read(body, limits, &m.active, &m.scope, &m.client, &m.sub, &m.iss, &m.aud, &m.exp, &m.nbf, &m.jti, &m.authTime,
		&m.confirmation, &m.tenant, &m.roles, &m.actor, &m.tokenType, &m.use, &m.typ)
	switch {
	case err != nil:
		return false, malformed("introspection", "is not a JSON object without ambiguity")
	case m.active != "true" && m.active != "false":
		return false, malformed("introspection", "has no boolean member active")
	}
	return m.active == "true", nil
}

// accept returns the caller from the members of an active token, or an error if the token
// is not valid for this API. until is when the endpoint must be called again.
//
// Implements RFC 7662 §2.2 (members), §4 (audience); RFC 9470 §6.2; RFC 9701 §8.1; ASVS 5.0
// §10.3.1.
func (e *introspectionEndpoint) accept(m *introspectionMembers, confirmers *gatehouse.Confirmers, now, until time.Time) (*introspected, error) {
	p := gatehouse.Principal{
		Kind: gatehouse.KindUser, Issuer: e.Client.issuer, Method: MethodIntrospection, Claims: gatehouse.VerifiedClaims(m.body),
	}
	reject := func(reason gatehouse.Reason, cause string) (*introspected, error) {
		return nil, &gatehouse.Error{
			Code: gatehouse.CodeInvalidToken, Reason: reason, Issuer: e.Client.issuer, Credential: p.Credential, Cause: errors.New("oauth: introspection: " + cause),
		}
	}
	malformed := ""
	identifier := func(name, value string) (s string) {
		if value != "" {
			var ok bool
			if s, ok = strictjson.String(value); !ok || s == "" || !text.IsClean(s, 255) {
				malformed, s = name, ""
			}
		}
		return s
	}
	p.Credential, p.Subject, p.Client, p.Tenant = identifier("jti", m.jti), identifier("sub", m.sub), identifier("client_id", m.client), identifier("tenant", m.tenant)
	tokenType := identifier("token_type", m.tokenType)
	var err error
	if p.Scopes, p.Roles, p.Actors, err = m.rights(); err != nil {
		malformed = err.Error()
	}
	expires, notBefore := m.date("exp", m.exp, &malformed), m.date("nbf", m.nbf, &malformed)
	p.AuthTime = m.date("auth_time", m.authTime, &malformed)
	audience, ok := audiences(m.aud)
	if m.aud != "" && !ok {
		malformed = "aud"
	}
	if malformed != "" {
		return reject(ReasonIntrospectionClaims, "malformed member "+malformed)
	}
	if m.iss != "" && identifier("iss", m.iss) != e.Client.issuer {
		return reject(ReasonIntrospectionIssuer, "iss is not the issuer of the client")
	}
	if !slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(e.Audiences, a) }) {
		return reject(ReasonIntrospectionAudience, "aud is missing or contains none of Audiences")
	}
	if !expires.IsZero() && !now.Before(expires) || now.Before(notBefore.Add(-e.Client.skew)) {
		return reject(ReasonIntrospectionExpired, "exp is in the past, or nbf in the future")
	}
	// The client itself is the caller: in RFC 7662 §2.2 sub is optional.
	if p.Subject == "" {
		p.Subject = p.Client
	}
	if p.Subject == "" {
		return reject(ReasonIntrospectionClaims, "sub and client_id are missing")
	}
	if p.Subject == p.Client {
		p.Kind = gatehouse.KindService
	}
	bound := strings.EqualFold(tokenType, "DPoP")
	if tokenType != "" && !bound && !strings.EqualFold(tokenType, bearer) || isOtherKind(m.use) || isOtherKind(m.typ) {
		return reject(ReasonIntrospectionClaims, "not an access token: see token_type, token_use and typ")
	}
	if e.Tenants != nil && !slices.Contains(e.Tenants, p.Tenant) {
		return reject(ReasonIntrospectionTenant, "tenant is none of Tenants")
	}
	var confirmation gatehouse.Confirmation
	if m.confirmation != "" {
		if confirmation, err = confirmers.Parse(m.confirmation); err != nil {
			return reject(gatehouse.ReasonUnconfirmed, err.Error())
		}
	} else if bound {
		return reject(gatehouse.ReasonUnconfirmed, "token_type is DPoP, and there is no member cnf")
	}
	p.Binding, p.Expires = confirmation.Binding(), expires
	p.Scopes, p.Roles = e.capped(p.Scopes, p.Roles)
	if !expires.IsZero() && expires.Before(until) {
		until = expires
	}
	return &introspected{principal: p, confirmation: confirmation, tenants: e.Tenants, until: until}, nil
}

// isOtherKind reports whether token_use or typ shows that the token is not an access
// token: the endpoint also reports refresh tokens as active.
func isOtherKind(value string) bool {
	kind, _ := strictjson.String(value)
	switch strings.ToLower(kind) {
	case "refresh", "refresh_token", "offline", "id", "id_token":
		return true
	}
	return false
}

// rights parses the members with scopes, roles and actors. The error is the name of a
// malformed one.
func (m *introspectionMembers) rights() (scopes gatehouse.Scopes, roles gatehouse.Roles, actors gatehouse.Actors, err error) {
	if m.scope != "" {
		list, ok := strictjson.String(m.scope)
		if scopes, err = gatehouse.ParseScopes(list); !ok || err != nil {
			return scopes, roles, actors, errors.New("scope")
		}
	}
	if m.roles != "" {
		var names []string
		ok := strictjson.Strings(m.roles, func(name string) bool { names = append(names, name); return true })
		if roles, err = gatehouse.NewRoles(names...); !ok || err != nil {
			return scopes, roles, actors, errors.New("roles")
		}
	}
	if m.actor != "" && actors.UnmarshalJSON([]byte(m.actor)) != nil {
		return scopes, roles, actors, errors.New("act")
	}
	return scopes, roles, actors, nil
}

func (m *introspectionMembers) date(name, value string, malformed *string) time.Time {
	if value == "" {
		return time.Time{}
	}
	seconds, ok := jose.NumericDate(value)
	if !ok {
		*malformed = name
	}
	return time.Unix(seconds, 0)
}

// capped returns the scopes and roles that the endpoint may grant.
func (e *introspectionEndpoint) capped(scopes gatehouse.Scopes, roles gatehouse.Roles) (gatehouse.Scopes, gatehouse.Roles) {
	if e.AllowedScopes != nil {
		kept := slices.DeleteFunc(slices.Collect(scopes.All()), func(s string) bool { return !slices.Contains(e.AllowedScopes, s) })
		scopes, _ = gatehouse.NewScopes(kept...) // valid: a subset of valid scopes
	}
	if e.AllowedRoles != nil {
		kept := slices.DeleteFunc(slices.Collect(roles.All()), func(r string) bool { return !slices.Contains(e.AllowedRoles, r) })
		roles, _ = gatehouse.NewRoles(kept...)
	}
	return scopes, roles
}
