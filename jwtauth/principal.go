// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// maxActors bounds the length of a delegation chain.
const maxActors = 4

// principal returns the caller that verified claims name.
//
// Implements RFC 8725 §3.8 (subject); RFC 9700 §4.15; ASVS 5.0 §10.3.3.
func (i *issuer) principal(c *claims, binding gatehouse.Binding) (gatehouse.Principal, error) {
	if c.client == "" { // only Profile: Compatible accepts that
		for _, claim := range [...]struct{ name, value string }{{"azp", c.party}, {"cid", c.cid}} {
			if claim.value != "" {
				var ok bool
				if c.client, ok = identifier(claim.value); !ok {
					return gatehouse.Principal{}, claimError(claim.name)
				}
				break
			}
		}
	}
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
	if p.Subject == p.Client {
		p.Kind = gatehouse.KindService
	}
	if c.authTime.present {
		p.AuthTime = time.Unix(c.authTime.seconds, 0)
	}
	var err error
	if p.Scopes, err = i.scopes(i.claim(c, first(i.ScopeClaims, "scope"), "scope", c.scope)); err != nil {
		return gatehouse.Principal{}, err
	}
	if value := i.claim(c, first([]string{i.TenantClaim}, "tenant"), "tenant", c.tenant); value != "" {
		var ok bool
		if p.Tenant, ok = identifier(value); !ok {
			return gatehouse.Principal{}, claimError("tenant")
		}
	}
	if p.Roles, err = i.roles(i.claim(c, first(i.RolesClaims, "roles"), "roles", c.roles)); err != nil {
		return gatehouse.Principal{}, err
	}
	if p.Actors, err = actors(c.actor); err != nil {
		return gatehouse.Principal{}, err
	}
	if i.Principal == nil {
		return p, nil
	}
	mapped, err := i.Principal(p.Claims, p)
	if err != nil {
		return gatehouse.Principal{}, err
	}
	mapped.Issuer, mapped.Method, mapped.Credential = p.Issuer, p.Method, p.Credential
	mapped.Binding, mapped.Expires, mapped.Claims = p.Binding, p.Expires, p.Claims
	return mapped, nil
}

func first(names []string, byDefault string) string {
	if len(names) == 0 || names[0] == "" {
		return byDefault
	}
	return names[0]
}

// claim returns the raw value of the configured claim; parsed is that of the
// default claim.
func (i *issuer) claim(c *claims, configured, byDefault, parsed string) string {
	if configured == byDefault {
		return parsed
	}
	return c.member(configured)
}

// scopes parses a scope claim. A token without one has no scopes.
//
//	RFC 9068 §2.2.3, by way of RFC 8693 §4.2: "The value of the "scope" claim is
//	a JSON string containing a space-separated list of scopes".
//
// Implements RFC 9068 §2.2.3; ASVS 5.0 §10.3.2.
func (i *issuer) scopes(value string) (gatehouse.Scopes, error) {
	if value == "" {
		return gatehouse.Scopes{}, nil
	}
	if text, ok := strictjson.String(value); ok {
		return gatehouse.ParseScopes(text)
	}
	var tokens []string
	if i.Profile != Compatible || !strictjson.Strings(value, func(s string) bool { tokens = append(tokens, s); return true }) {
		return gatehouse.Scopes{}, claimError(first(i.ScopeClaims, "scope"))
	}
	return gatehouse.NewScopes(tokens...)
}

// roles parses a claim that is an array of role names.
func (i *issuer) roles(value string) (gatehouse.Roles, error) {
	if value == "" {
		return gatehouse.Roles{}, nil
	}
	var names []string
	if single, ok := strictjson.String(value); ok && i.Profile == Compatible {
		names = append(names, single)
	} else if !strictjson.Strings(value, func(s string) bool { names = append(names, s); return isIdentifier(s) }) {
		return gatehouse.Roles{}, claimError(first(i.RolesClaims, "roles"))
	}
	return gatehouse.NewRoles(names...)
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
		chain = append(chain, gatehouse.Actor{Subject: d.identifier("act", sub), Issuer: d.identifier("act", iss), Client: d.identifier("act", client)})
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
