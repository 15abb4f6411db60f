// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// maxActors bounds the length of a delegation chain.
const maxActors = 4

// principal returns the caller for verified claims.
//
// Implements RFC 8725 §3.8 (subject); RFC 9700 §4.15; ASVS 5.0 §10.3.3.
func (i *issuer) principal(ctx context.Context, t *token, binding gatehouse.Binding) (gatehouse.Principal, rejection) {
	c := &t.claims
	p := gatehouse.Principal{
		Kind:       gatehouse.KindUser,
		Subject:    c.subject,
		Issuer:     i.URL,
		Client:     c.client,
		Method:     Method,
		Credential: c.id,
		Binding:    binding,
		Expires:    time.Unix(c.expires.seconds, 0),
		Claims:     gatehouse.VerifiedClaims(c.text),
	}
	// RFC 9068 §2.2 (client): where no resource owner is involved, "the value
	// of "sub" SHOULD correspond to an identifier the authorization server uses
	// to indicate the client application."
	if p.Subject == p.Client || slices.ContainsFunc(i.services, func(m mark) bool { return m.holds(t) }) {
		p.Kind = gatehouse.KindService
	}
	if c.authTime.present {
		p.AuthTime = time.Unix(c.authTime.seconds, 0)
	}
	err := i.grants(ctx, c, &p)
	if err != nil {
		return gatehouse.Principal{}, rejection{ReasonClaims, err}
	}
	if i.Principal != nil {
		mapped, err := i.Principal(p.Claims, p)
		if err != nil {
			return gatehouse.Principal{}, rejection{ReasonClaims, err}
		}
		mapped.Issuer, mapped.Method, mapped.Credential = p.Issuer, p.Method, p.Credential
		mapped.Binding, mapped.Expires, mapped.Claims = p.Binding, p.Expires, p.Claims
		p = mapped
	}
	if i.Tenants != nil && !slices.Contains(i.Tenants, p.Tenant) {
		if p.Tenant == "" {
			return gatehouse.Principal{}, invalid(ReasonTenant, "the token has no tenant, want one of Tenants %s: set TenantClaim or Principal", list(i.Tenants))
		}
		return gatehouse.Principal{}, invalid(ReasonTenant, "the tenant is none of Tenants %s", list(i.Tenants))
	}
	return i.capped(p), rejection{}
}

// grants reads the scopes, the tenant, the roles and the actors.
func (i *issuer) grants(ctx context.Context, c *claims, p *gatehouse.Principal) error {
	i.reportMissing(ctx, c)
	var err error
	if p.Scopes, err = i.scopes(c); err != nil {
		return err
	}
	if i.tenant != nil {
		var d claimDecoder
		p.Tenant = d.identifier(i.TenantClaim, i.optional(c, i.tenant))
		if err := d.err(); err != nil {
			return err
		}
	} else if tenant, ok := identifier(c.raw[claimTenant]); ok {
		p.Tenant = tenant
	}
	if p.Roles, err = i.rolesOf(c); err != nil {
		return err
	}
	p.Actors, err = actors(c.raw[claimAct])
	return err
}

// scopes reads the scope claims. A token without one has no scopes.
//
//	RFC 9068 §2.2.3, by way of RFC 8693 §4.2: "The value of the "scope" claim is
//	a JSON string containing a space-separated list of scopes".
//
// Implements RFC 9068 §2.2.3; ASVS 5.0 §10.3.2.
func (i *issuer) scopes(c *claims) (gatehouse.Scopes, error) {
	if i.scope == nil {
		return i.parseScopes("scope", c.raw[claimScope])
	}
	var all []string
	for _, s := range i.scope {
		scopes, err := i.parseScopes(s.name, i.optional(c, s))
		if err != nil {
			return gatehouse.Scopes{}, err
		}
		all = slices.AppendSeq(all, scopes.All())
	}
	return gatehouse.NewScopes(all...)
}

func (i *issuer) parseScopes(name, raw string) (gatehouse.Scopes, error) {
	if raw == "" {
		return gatehouse.Scopes{}, nil
	}
	if text, ok := strictjson.String(raw); ok {
		return gatehouse.ParseScopes(text)
	}
	var tokens []string
	// RFC 9068 defines the form of scope only. Other claims with scopes, such as
	// permissions, may be arrays with both profiles.
	if i.Profile == RFC9068 && name == "scope" || !strictjson.Strings(raw, func(s string) bool { tokens = append(tokens, s); return true }) {
		return gatehouse.Scopes{}, claimError(name)
	}
	return gatehouse.NewScopes(tokens...)
}

// rolesOf reads the roles claims.
func (i *issuer) rolesOf(c *claims) (gatehouse.Roles, error) {
	if i.roles == nil {
		names, _ := i.roleNames(c.raw[claimRoles]) // none if it is malformed
		return gatehouse.NewRoles(names...)
	}
	var all []string
	for _, s := range i.roles {
		names, ok := i.roleNames(i.optional(c, s))
		if !ok {
			return gatehouse.Roles{}, claimError(s.name)
		}
		all = append(all, names...)
	}
	return gatehouse.NewRoles(all...)
}

// roleNames reads the names of roles from an array, with Compatible also from one string,
// and with RolesAreNames also from an object. It returns no names if one is malformed.
func (i *issuer) roleNames(raw string) ([]string, bool) {
	if raw == "" {
		return nil, true
	}
	var names []string
	valid := true
	add := func(name string) bool {
		names = append(names, name)
		valid = valid && isIdentifier(name)
		return valid
	}
	single, isString := strictjson.String(raw)
	switch {
	case isString && i.Profile == Compatible:
		add(single)
	case i.RolesAreNames && raw[0] == '{':
		_ = strictjson.Object(raw, jsonLimits, func(name, _ string) error { add(name); return nil })
	default:
		valid = strictjson.Strings(raw, add)
	}
	if !valid {
		return nil, false
	}
	return names, true
}

// capped returns p without the scopes and roles that the issuer may not grant.
func (i *issuer) capped(p gatehouse.Principal) gatehouse.Principal {
	if i.AllowedScopes != nil {
		// Cannot fail: they are a subset of those of p.
		p.Scopes, _ = gatehouse.NewScopes(only(p.Scopes.All(), i.AllowedScopes)...)
	}
	if i.AllowedRoles != nil {
		p.Roles, _ = gatehouse.NewRoles(only(p.Roles.All(), i.AllowedRoles)...)
	}
	return p
}

func only(values iter.Seq[string], allowed []string) []string {
	return slices.DeleteFunc(slices.Collect(values), func(v string) bool { return !slices.Contains(allowed, v) })
}

// maxPresent bounds the number of claim names in an event.
const maxPresent = 20

// reportMissing reports each configured claim that neither this token nor an earlier one
// has. It reports a claim once.
func (i *issuer) reportMissing(ctx context.Context, c *claims) {
	for _, s := range i.watched {
		if s.seen.Load() {
			continue
		}
		value, object := c.walk(s)
		if value != "" {
			s.seen.Store(true)
			continue
		}
		if s.reported.Swap(true) {
			continue
		}
		var present []string
		_ = strictjson.Object(object, jsonLimits, func(name, _ string) error {
			if len(present) < maxPresent && isIdentifier(name) {
				present = append(present, name)
			}
			return nil
		})
		_ = gatehouse.Report(ctx, i.observer, gatehouse.Event{
			Type: EventClaimMissing, Level: slog.LevelWarn, Issuer: i.URL,
			Attrs: []slog.Attr{slog.String(AttrClaim, s.name), slog.String(AttrPresent, strings.Join(present, " "))},
		})
	}
}

var actorTable = strictjson.NewTable("sub", "iss", "client_id", "act")

// actors parses the delegation chain of an act claim, RFC 8693 section 4.1.
func actors(value string) (gatehouse.Actors, error) {
	var chain []gatehouse.Actor
	for value != "" {
		var sub, iss, client, next string
		if len(chain) == maxActors || actorTable.Read(value, jsonLimits, &sub, &iss, &client, &next) != nil || sub == "" {
			return gatehouse.Actors{}, claimError("act")
		}
		var d claimDecoder
		chain = append(chain, gatehouse.Actor{Subject: d.bounded("act", sub, maxSubject), Issuer: d.identifier("act", iss), Client: d.identifier("act", client)})
		if err := d.err(); err != nil {
			return gatehouse.Actors{}, err
		}
		value = next
	}
	if chain == nil {
		return gatehouse.Actors{}, nil
	}
	return gatehouse.NewActors(chain...), nil
}
