// SPDX-License-Identifier: Apache-2.0

package model

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/text"
	"github.com/gatehouse-go/gatehouse/scopes"
)

// MaxTokens is the largest number of tokens, 2^53 - 1: every JSON parser and every store
// of budgets represents it exactly.
const MaxTokens = 1<<53 - 1

// Config configures a [Catalogue]. The names of models and aliases are 1 to 256
// visible ASCII characters without quotes and backslashes.
type Config struct {
	// Tiers has the models of each tier. A model is in one tier. Required.
	Tiers map[string][]string
	// Aliases are other names for models. An alias cannot name another alias.
	Aliases map[string]string
	// Fallbacks are the models to try, in order, when the upstream of a model fails.
	Fallbacks map[string][]string
	// Tenants limits models, such as fine-tuned ones, to one tenant each. For every
	// other caller the model is unknown. Models that are not listed are for all.
	Tenants map[string]string
	// MaxOutput is the output limit of each model in tokens, 1 to MaxTokens. Required
	// for every model: without a limit a request has no worst case.
	MaxOutput map[string]int64
	// ToolOverhead is the number of tokens that the upstream adds to the input of a
	// request with tools, 0 to MaxTokens.
	ToolOverhead map[string]int64
}

// Model is one model of a [Catalogue].
type Model struct {
	Name         string
	Tier         string
	Tenant       string // the only tenant that may use it, "" for all
	MaxOutput    int64  // tokens
	ToolOverhead int64  // tokens
}

// Catalogue is the list of the models of an application. It is immutable and safe
// for concurrent use.
type Catalogue struct {
	models    map[string]Model
	aliases   map[string]string
	fallbacks map[string][]string
	policies  map[string]gatehouse.Policy // by tier
}

// Scope returns the scope that allows the models of a tier.
func Scope(tier string) string { return "model:" + tier }

// New returns a catalogue. It reports all configuration errors at once.
func New(config Config) (*Catalogue, error) {
	c := &Catalogue{
		models: map[string]Model{}, policies: map[string]gatehouse.Policy{},
		aliases: maps.Clone(config.Aliases), fallbacks: map[string][]string{},
	}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("model: Config."+format, args...)) }
	if len(config.Tiers) == 0 {
		fail("Tiers: required")
	}
	for _, tier := range sorted(config.Tiers) {
		switch scope, err := gatehouse.NewScopes(Scope(tier)); {
		case tier == "" || err != nil || scope.Len() != 1 || strings.Contains(tier, "*"):
			fail("Tiers: %q is not a tier: a scope without an asterisk", tier)
			continue
		case len(config.Tiers[tier]) == 0:
			fail("Tiers[%q]: has no model", tier)
		}
		c.policies[tier] = scopes.All(Scope(tier))
		for _, name := range config.Tiers[tier] {
			switch _, ok := c.models[name]; {
			case ok:
				fail("Tiers[%q]: model %q is in a tier already", tier, name)
			case !isName(name):
				fail("Tiers[%q]: %q is not a name: 1 to %d visible ASCII characters without quotes", tier, name, maxName)
			}
			limit := config.MaxOutput[name]
			if limit < 1 || limit > MaxTokens {
				fail("MaxOutput[%q]: got %d, want 1 to %d", name, limit, int64(MaxTokens))
			}
			c.models[name] = Model{name, tier, config.Tenants[name], limit, config.ToolOverhead[name]}
		}
	}
	c.check(config, fail)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, nil
}

// check checks the fields that refer to models.
func (c *Catalogue) check(config Config, fail func(string, ...any)) {
	unknown := func(field, key, name string) bool {
		_, ok := c.models[name]
		if !ok {
			fail("%s[%q]: unknown model %q", field, key, name)
		}
		return !ok
	}
	for _, name := range sorted(config.Aliases) {
		if unknown("Aliases", name, config.Aliases[name]); !isName(name) {
			fail("Aliases: %q is not a name", name)
		}
		if _, ok := c.models[name]; ok {
			fail("Aliases: %q is a model", name)
		}
	}
	for _, name := range sorted(config.Fallbacks) {
		unknown("Fallbacks", name, name)
		for n, other := range config.Fallbacks[name] {
			if !unknown("Fallbacks", name, other) && (other == name || slices.Contains(config.Fallbacks[name][:n], other)) {
				fail("Fallbacks[%q]: %q is the model itself, or occurs twice", name, other)
			}
		}
		c.fallbacks[name] = slices.Clone(config.Fallbacks[name])
	}
	for _, name := range sorted(config.Tenants) {
		if unknown("Tenants", name, name); config.Tenants[name] == "" {
			fail("Tenants[%q]: empty tenant", name)
		}
	}
	for _, name := range sorted(config.MaxOutput) {
		unknown("MaxOutput", name, name)
	}
	for _, name := range sorted(config.ToolOverhead) {
		unknown("ToolOverhead", name, name)
		if n := config.ToolOverhead[name]; n < 0 || n > MaxTokens {
			fail("ToolOverhead[%q]: got %d, want 0 to %d", name, n, int64(MaxTokens))
		}
	}
}

const maxName = 256

// isName reports whether s can be a name, which needs no escapes in JSON.
func isName(s string) bool {
	return len(s) <= maxName && text.IsVisible(s) && !strings.ContainsAny(s, `"\`)
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Resolve returns the model with a name or alias, if p may use it. Otherwise the error is
// a [*gatehouse.Error]: 400 for an unknown name or a model of another tenant, and 403
// with insufficient_scope if p does not have the scope of the tier.
func (c *Catalogue) Resolve(p gatehouse.Principal, name string) (Model, error) {
	if resolved, ok := c.aliases[name]; ok {
		name = resolved
	}
	m, ok := c.models[name]
	if !ok || m.Tenant != "" && m.Tenant != p.Tenant {
		return Model{}, refuse(CodeInvalidRequest, ReasonUnknown, "unknown model %.64q", name)
	}
	if err := c.policies[m.Tier].Authorize(nil, p); err != nil {
		return Model{}, err
	}
	return m, nil
}

// Fallbacks returns the models to try after m, in order, without those that p may not
// use.
func (c *Catalogue) Fallbacks(p gatehouse.Principal, m Model) []Model {
	var all []Model
	for _, name := range c.fallbacks[m.Name] {
		if other, err := c.Resolve(p, name); err == nil {
			all = append(all, other)
		}
	}
	return all
}

// Models returns the models that p may use, sorted by name.
func (c *Catalogue) Models(p gatehouse.Principal) []Model {
	var all []Model
	for _, name := range sorted(c.models) {
		if m, err := c.Resolve(p, name); err == nil {
			all = append(all, m)
		}
	}
	return all
}

// Aliases returns the aliases of the models that p may use, with their models.
func (c *Catalogue) Aliases(p gatehouse.Principal) map[string]string {
	all := map[string]string{}
	for alias, name := range c.aliases {
		if _, err := c.Resolve(p, name); err == nil {
			all[alias] = name
		}
	}
	return all
}

func refuse(code gatehouse.Code, reason gatehouse.Reason, format string, args ...any) *gatehouse.Error {
	return &gatehouse.Error{Code: code, Reason: reason, Cause: fmt.Errorf("model: "+format, args...)}
}
