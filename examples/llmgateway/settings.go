// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/model"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// settings are the values of a configuration that the library needs.
type settings struct {
	issuers  []jwtauth.Issuer
	cacheTTL time.Duration
	models   model.Config
	apis     map[string]string // of each model
	windows  []budget.Window   // of each budget
	hold     time.Duration
	maxBody  int64
}

// settings checks the values that the library does not check.
func (c *config) settings() (settings, error) {
	s := settings{apis: make(map[string]string), hold: time.Minute, maxBody: 1 << 20}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for n, i := range c.Issuers {
		issuer, mistakes := i.issuer()
		for _, err := range mistakes {
			fail("issuers[%d].%w", n, err)
		}
		s.issuers = append(s.issuers, issuer)
	}
	if len(c.Issuers) == 0 && c.APIKeys == nil {
		fail("issuers: at least one is required, or api_keys")
	}
	if c.APIKeys != nil {
		var err error
		if s.cacheTTL, err = c.APIKeys.check(); err != nil {
			errs = append(errs, err)
		}
	}
	c.checkUpstreams(s.apis, fail)
	c.checkModels(s.apis, fail)
	s.models = c.catalogue()
	s.windows = c.checkBudgets(fail)
	c.checkPrompts(fail)
	if c.Hold != "" {
		var err error
		if s.hold, err = time.ParseDuration(c.Hold); err != nil || s.hold <= 0 {
			fail(`hold: %q is not a duration above 0, such as "60s"`, c.Hold)
		}
	}
	if c.MaxBody != nil {
		if s.maxBody = *c.MaxBody; s.maxBody <= 0 {
			fail("max_body_bytes: %d is not above 0", s.maxBody)
		}
	}
	return s, errors.Join(errs...)
}

const (
	openAI    = "openai"
	anthropic = "anthropic"
)

// checkUpstreams fills in the API of each model.
func (c *config) checkUpstreams(apis map[string]string, fail func(string, ...any)) {
	if len(c.Upstreams) == 0 {
		fail("upstreams: at least one is required")
	}
	for n, u := range c.Upstreams {
		in := func(field, format string, args ...any) {
			fail("upstreams[%d].%s: "+format, append([]any{n, field}, args...)...)
		}
		if u.Name == "" || slices.ContainsFunc(c.Upstreams[:n], func(o upstreamConfig) bool { return o.Name == u.Name }) {
			in("name", "%q is empty or occurs twice", u.Name)
		}
		if u.API != openAI && u.API != anthropic {
			in("api", `%q is neither "openai" nor "anthropic"`, u.API)
		}
		if err := checkBaseURL(u.BaseURL); err != nil {
			in("base_url", "%w", err)
		}
		if len(u.Models) == 0 {
			in("models", "at least one is required")
		}
		for _, name := range u.Models {
			if _, ok := apis[name]; ok {
				in("models", "%q occurs twice", name)
			}
			apis[name] = u.API
		}
	}
}

// checkBaseURL requires https, or http of a loopback address.
func checkBaseURL(base string) error {
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("not an https URL")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("must have neither user, query nor fragment")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return errors.New("plain http is for loopback addresses only")
	}
	return nil
}

func isLoopback(host string) bool {
	addr, _ := netip.ParseAddr(host) // on failure the zero Addr, which is no loopback address
	return host == "localhost" || addr.Unmap().IsLoopback()
}

// checkModels checks the fields that refer to models.
func (c *config) checkModels(apis map[string]string, fail func(string, ...any)) {
	known := func(field, name string) {
		if _, ok := apis[name]; !ok {
			fail("%s: unknown model %q", field, name)
		}
	}
	tier := make(map[string]string)
	for _, t := range sorted(c.Tiers) {
		for _, name := range c.Tiers[t] {
			known("tiers."+t, name)
			if other, ok := tier[name]; ok {
				fail("tiers.%s: model %q is in the tier %q already", t, name, other)
			}
			tier[name] = t
		}
	}
	for _, name := range sorted(apis) {
		if limit, ok := c.MaxOutput[name]; !ok || limit < 1 || limit > model.MaxTokens {
			fail("max_output_tokens.%s: required, 1 to %d", name, int64(model.MaxTokens))
		}
	}
	for _, name := range sorted(c.MaxOutput) {
		known("max_output_tokens", name)
	}
	for _, name := range sorted(c.ToolOverhead) {
		if known("tool_overhead", name); c.ToolOverhead[name] < 0 || c.ToolOverhead[name] > model.MaxTokens {
			fail("tool_overhead.%s: must be 0 to %d", name, int64(model.MaxTokens))
		}
	}
	for _, name := range sorted(c.ModelTenants) {
		if known("model_tenants", name); c.ModelTenants[name] == "" {
			fail("model_tenants.%s: empty tenant", name)
		}
	}
	for _, alias := range sorted(c.Aliases) {
		known("aliases."+alias, c.Aliases[alias])
		if _, ok := apis[alias]; ok {
			fail("aliases: %q is a model", alias)
		}
	}
	for _, name := range sorted(c.Fallbacks) {
		known("fallbacks", name)
		for _, other := range c.Fallbacks[name] {
			known("fallbacks."+name, other)
			if other == name || apis[other] != apis[name] {
				fail("fallbacks.%s: %q is the model itself or has the other API", name, other)
			}
		}
	}
}

// catalogue returns the models that have a tier: all others are unknown to callers.
func (c *config) catalogue() model.Config {
	tiered := func(name string) bool {
		for _, names := range c.Tiers {
			if slices.Contains(names, name) {
				return true
			}
		}
		return false
	}
	m := model.Config{
		Tiers: c.Tiers, Aliases: maps.Clone(c.Aliases), Fallbacks: make(map[string][]string), Tenants: maps.Clone(c.ModelTenants),
		MaxOutput: maps.Clone(c.MaxOutput), ToolOverhead: maps.Clone(c.ToolOverhead),
	}
	maps.DeleteFunc(m.Aliases, func(_, name string) bool { return !tiered(name) })
	for name, others := range c.Fallbacks {
		if tiered(name) {
			m.Fallbacks[name] = slices.DeleteFunc(slices.Clone(others), func(other string) bool { return !tiered(other) })
		}
	}
	maps.DeleteFunc(m.Tenants, func(name, _ string) bool { return !tiered(name) })
	maps.DeleteFunc(m.MaxOutput, func(name string, _ int64) bool { return !tiered(name) })
	maps.DeleteFunc(m.ToolOverhead, func(name string, _ int64) bool { return !tiered(name) })
	return m
}

// The kinds of accounts of budgets.
const (
	perKey        = "key"
	perSubject    = "subject"
	perTenant     = "tenant"
	perTenantTier = "tenant_tier"
	perAgent      = "agent"
)

// checkBudgets returns the window of each budget.
func (c *config) checkBudgets(fail func(string, ...any)) []budget.Window {
	var windows []budget.Window
	for n, b := range c.Budgets {
		switch b.Per {
		case perKey, perSubject, perTenant, perTenantTier, perAgent:
		default:
			fail(`budgets[%d].per: %q is none of "key", "subject", "tenant", "tenant_tier" and "agent"`, n, b.Per)
		}
		_, err := budget.ParseWindow("day", b.Zone)
		if b.Window == "minute" || b.Window == "rolling_24h" {
			b.Zone = "" // the zone makes no difference
		}
		window, errWindow := budget.ParseWindow(b.Window, b.Zone)
		if err = cmp.Or(err, errWindow); err != nil {
			fail("budgets[%d]: %s", n, strings.TrimPrefix(err.Error(), "budget: "))
		}
		windows = append(windows, window)
		if b.MaxTokens < 1 || b.MaxTokens > model.MaxTokens {
			fail("budgets[%d].max_tokens: %d is not from 1 to %d", n, b.MaxTokens, int64(model.MaxTokens))
		}
		for _, part := range b.Warn {
			if !(part > 0 && part <= 1) {
				fail("budgets[%d].warn: %v is not above 0 and at most 1", n, part)
			}
		}
	}
	return windows
}

func (c *config) checkPrompts(fail func(string, ...any)) {
	defaults := 0
	for n, p := range c.Prompts {
		switch {
		case p.Category == "" || slices.ContainsFunc(c.Prompts[:n], func(o promptConfig) bool { return o.Category == p.Category }):
			fail("prompts[%d].category: %q is empty or occurs twice", n, p.Category)
		case len(p.Contains) == 0 && !p.Default:
			fail("prompts[%d]: needs contains or default", n)
		case slices.Contains(p.Contains, ""):
			fail("prompts[%d].contains: an empty text is in every prompt", n)
		}
		if p.Default {
			if defaults++; defaults > 1 {
				fail("prompts[%d].default: there is another default", n)
			}
		}
		if _, err := gatehouse.NewRoles(p.Roles...); err != nil {
			fail("prompts[%d].roles: %w", n, err)
		}
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
