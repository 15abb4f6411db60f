// SPDX-License-Identifier: Apache-2.0

package gatea2a

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	sdk "github.com/a2aproject/a2a-go/a2a"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// cards are the cards of an agent.
type cards struct {
	card     sdk.AgentCard // the public one, without a signature
	extended []sdk.AgentSkill
	keys     *jwtauth.KeyRing
}

func (c *cards) init(config Config) error {
	text, err := json.Marshal(config.Card) // a deep copy
	if err == nil {
		err = json.Unmarshal(text, &c.card)
	}
	if err != nil {
		return err
	}
	c.keys = config.Keys
	c.card.SupportsAuthenticatedExtendedCard = true
	c.card.SecuritySchemes = schemes(config.Authenticators, config.OAuth)
	c.extended = slices.Clone(config.Skills)
	for _, skills := range [][]sdk.AgentSkill{c.card.Skills, c.extended} {
		for i := range skills {
			scopes, _ := config.Table.Scopes(skills[i].ID)
			skills[i].Security = c.security(slices.Collect(scopes.All()))
		}
	}
	c.card.Security = c.security(nil)
	_, err = c.sign(c.card)
	return err
}

// schemes returns the security schemes of what the gate reads.
func schemes(authenticators []gatehouse.Authenticator, oauth *sdk.OAuth2SecurityScheme) sdk.NamedSecuritySchemes {
	named := make(sdk.NamedSecuritySchemes)
	for _, authenticator := range authenticators {
		reads := authenticator.Reads()
		for _, scheme := range reads.Schemes {
			name := strings.ToLower(scheme.Name)
			switch {
			case scheme.Silent:
			case oauth != nil && name == "bearer":
				named["oauth2"] = *oauth
			default:
				named[sdk.SecuritySchemeName(name)] = sdk.HTTPAuthSecurityScheme{Scheme: scheme.Name}
			}
		}
		for _, header := range reads.Headers {
			named[sdk.SecuritySchemeName("header-"+strings.ToLower(header.Name))] = sdk.APIKeySecurityScheme{In: sdk.APIKeySecuritySchemeInHeader, Name: header.Name}
		}
		for _, cookie := range reads.Cookies {
			named[sdk.SecuritySchemeName("cookie-"+cookie)] = sdk.APIKeySecurityScheme{In: sdk.APIKeySecuritySchemeInCookie, Name: cookie}
		}
		if reads.Connection {
			named["mtls"] = sdk.MutualTLSSecurityScheme{}
		}
	}
	return named
}

// security returns the requirements: one of the schemes. OAuth 2.0 has the scopes.
func (c *cards) security(scopes []string) []sdk.SecurityRequirements {
	var requirements []sdk.SecurityRequirements
	for name, scheme := range c.card.SecuritySchemes {
		needs := sdk.SecuritySchemeScopes{}
		if _, ok := scheme.(sdk.OAuth2SecurityScheme); ok {
			needs = append(needs, scopes...)
		}
		requirements = append(requirements, sdk.SecurityRequirements{name: needs})
	}
	slices.SortFunc(requirements, func(a, b sdk.SecurityRequirements) int {
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
	return requirements
}

// sign returns a card, which has no signatures, with one over its canonical JSON, RFC
// 8785, by the key that signs now.
func (c *cards) sign(card sdk.AgentCard) (*sdk.AgentCard, error) {
	text, _ := json.Marshal(card) // init has encoded what can fail
	canonical, err := approval.Canonical(text)
	if err != nil {
		return nil, err
	}
	protected, signature, err := c.keys.SignDetached("JOSE", []byte(canonical))
	if err != nil {
		return nil, err
	}
	card.Signatures = []sdk.AgentCardSignature{{Protected: protected, Signature: signature}}
	return &card, nil
}

// Card returns the handler of the public card, for /.well-known/agent-card.json. It
// needs no gate in front.
func (h *Handler) Card() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		card, err := h.cards.sign(h.cards.card)
		if err != nil {
			http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
			return
		}
		maps.Copy(w.Header(), http.Header{
			"Content-Type": {"application/json"}, "Cache-Control": {"max-age=60"},
			"X-Content-Type-Options": {"nosniff"}, "Access-Control-Allow-Origin": {"*"},
		})
		_ = json.NewEncoder(w).Encode(card) // a client that has hung up needs no answer
	})
}

// extended returns the card of a caller, with the skills that it can call.
func (h *Handler) extended(ctx context.Context) (*sdk.AgentCard, error) {
	p, _ := gatehouse.FromContext(ctx)
	card := h.cards.card
	card.Skills = []sdk.AgentSkill{}
	for _, skill := range slices.Concat(h.cards.card.Skills, h.cards.extended) {
		visible, err := h.table.Visible(ctx, p, skill.ID)
		if err != nil {
			return nil, refused(err)
		}
		if visible {
			card.Skills = append(card.Skills, skill)
		}
	}
	return h.cards.sign(card)
}
