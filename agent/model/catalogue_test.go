// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/model"
)

const (
	unknown = "400 invalid_request model_unknown"
	missing = "403 insufficient_scope scopes_missing"
)

func TestResolve(t *testing.T) {
	c := catalogue(t)
	standard, both := caller("acme", "model:standard"), caller("globex", "model:standard", "model:premium")
	for _, test := range []struct {
		name   string
		caller gatehouse.Principal
		model  string
		want   string
	}{
		{"model", standard, "small-1", "ok small-1"},
		{"alias", standard, "fast", "ok small-1"},
		{"model of the tenant", standard, "tuned-acme-1", "ok tuned-acme-1"},
		{"model of another tenant", both, "tuned-acme-1", unknown},
		{"model of a tenant, caller without", caller("", "model:standard"), "tuned-acme-1", unknown},
		{"model of a tenant in another case", caller("Acme", "model:standard"), "tuned-acme-1", unknown},
		{"other tier", standard, "large-1", missing},
		{"alias of another tier", standard, "best", missing},
		{"both tiers", both, "best", "ok large-1"},
		{"no scopes", caller("acme"), "small-1", missing},
		{"scope in another case", caller("acme", "model:Standard"), "small-1", missing},
		{"wildcard scope", caller("acme", "model:*", "model", "*"), "small-1", missing},
		{"scope of the model", caller("acme", "model:small-1"), "small-1", missing},
		{"empty", both, "", unknown},
		{"case", both, "Small-1", unknown},
		{"alias in another case", both, "FAST", unknown},
		{"Unicode look-alike", both, "sm\u0430ll-1", unknown},
		{"full-width", both, "ｓmall-1", unknown},
		{"long s", both, "\u017fmall-1", unknown},
		{"trailing space", both, "small-1 ", unknown},
		{"leading space", both, " small-1", unknown},
		{"zero byte", both, "small-1\x00", unknown},
		{"path", both, "x/small-1", unknown},
		{"provider prefix", both, "openai/small-1", unknown},
		{"wildcard", both, "small-*", unknown},
		{"suffix", both, "small-1-2026", unknown},
		{"tier", both, "standard", unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, err := c.Resolve(test.caller, test.model)
			got := status(err)
			if err == nil {
				got += " " + m.Name
			}
			if got != test.want {
				t.Errorf("Resolve(%q) = %s, want %s", test.model, got, test.want)
			}
		})
	}
	m, err := c.Resolve(both, "best")
	want := model.Model{Name: "large-1", Tier: "premium", MaxOutput: 8192, ToolOverhead: 500}
	if diff := cmp.Diff(want, m); err != nil || diff != "" {
		t.Errorf("Resolve error = %v, model (-want +got):\n%s", err, diff)
	}
	_, err = c.Resolve(standard, "best")
	if e, ok := err.(*gatehouse.Error); !ok || e.Scopes.String() != "model:premium" {
		t.Errorf("Resolve(best) error = %v, want the scope model:premium", err)
	}
}

// A fallback is checked like the model that the client named.
func TestFallbacksAreCheckedAgain(t *testing.T) {
	c := catalogue(t)
	for _, test := range []struct {
		name   string
		caller gatehouse.Principal
		model  string
		want   string
	}{
		{"all", caller("acme", "model:standard", "model:premium"), "large-1", "small-1 tuned-acme-1"},
		{"other tenant", caller("globex", "model:standard", "model:premium"), "large-1", "small-1"},
		{"tier that is not held", caller("acme", "model:premium"), "large-1", ""},
		{"dearer tier that is not held", caller("acme", "model:standard"), "small-1", "small-2"},
		{"none", caller("acme", "model:standard"), "small-2", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var names []string
			for _, m := range c.Fallbacks(test.caller, model.Model{Name: test.model}) {
				names = append(names, m.Name)
			}
			if got := strings.Join(names, " "); got != test.want {
				t.Errorf("Fallbacks(%s) = %q, want %q", test.model, got, test.want)
			}
		})
	}
}

func TestModelsListsOnlyWhatTheCallerMayUse(t *testing.T) {
	c := catalogue(t)
	for _, test := range []struct {
		name            string
		caller          gatehouse.Principal
		models, aliases string
	}{
		{"standard of acme", caller("acme", "model:standard"), "small-1 small-2 tuned-acme-1", "fast=small-1"},
		{"standard of globex", caller("globex", "model:standard"), "small-1 small-2", "fast=small-1"},
		{"premium", caller("acme", "model:premium"), "large-1", "best=large-1"},
		{"none", caller("acme", "spend:read"), "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var names, aliases []string
			for _, m := range c.Models(test.caller) {
				names = append(names, m.Name)
			}
			for alias, name := range c.Aliases(test.caller) {
				aliases = append(aliases, alias+"="+name)
			}
			if got := strings.Join(names, " "); got != test.models {
				t.Errorf("Models = %q, want %q", got, test.models)
			}
			if got := strings.Join(aliases, " "); got != test.aliases {
				t.Errorf("Aliases = %q, want %q", got, test.aliases)
			}
		})
	}
}

func TestNewCopiesTheConfig(t *testing.T) {
	config := config()
	c := must(model.New(config))
	config.Aliases["cheap"], config.Fallbacks["large-1"][0], config.Tiers["standard"][0] = "large-1", "small-2", "other"
	p := caller("acme", "model:standard")
	if _, err := c.Resolve(p, "cheap"); status(err) != unknown {
		t.Errorf("Resolve(cheap) error = %v, want unknown: the catalogue must have a copy", err)
	}
	if got := c.Fallbacks(p, model.Model{Name: "large-1"}); len(got) != 2 || got[0].Name != "small-1" {
		t.Errorf("Fallbacks = %v, want those of the original", got)
	}
}

// Each limit is accepted, and a model whose name begins with that of another one.
func TestNewAcceptsLimits(t *testing.T) {
	config, long := config(), strings.Repeat("m", 256)
	config.Tiers["x"] = []string{"small-12", long}
	config.Fallbacks["small-12"], config.Fallbacks["small-1"] = []string{"small-1"}, []string{"small-12"}
	config.MaxOutput["small-12"], config.MaxOutput[long] = model.MaxTokens, 1
	config.ToolOverhead["small-12"], config.ToolOverhead[long] = model.MaxTokens, 0
	if _, err := model.New(config); err != nil {
		t.Errorf("New error = %v, want none", err)
	}
}

func TestNewErrors(t *testing.T) {
	long := strings.Repeat("m", 257)
	for _, test := range []struct {
		name   string
		change func(*model.Config)
		want   []string // the beginnings of the lines
	}{
		{"empty", func(c *model.Config) { *c = model.Config{} }, []string{"model: Config.Tiers: required"}},
		{"tier with a space", func(c *model.Config) { c.Tiers["a b"] = []string{"x"} }, []string{`model: Config.Tiers: "a b"`}},
		{"tier with an asterisk", func(c *model.Config) { c.Tiers["*"] = []string{"x"} }, []string{`model: Config.Tiers: "*"`}},
		{"tier without name", func(c *model.Config) { c.Tiers[""] = []string{"x"} }, []string{`model: Config.Tiers: ""`}},
		{"tier without models", func(c *model.Config) { c.Tiers["x"] = nil }, []string{`model: Config.Tiers["x"]: has no model`}},
		{"two tiers", func(c *model.Config) { c.Tiers["x"] = []string{"small-1"} }, []string{`model: Config.Tiers["x"]: model "small-1" is in a tier`}},
		{"no output limit", func(c *model.Config) { delete(c.MaxOutput, "small-1") }, []string{`model: Config.MaxOutput["small-1"]: got 0`}},
		{"output limit above the largest", func(c *model.Config) { c.MaxOutput["small-1"] = model.MaxTokens + 1 }, []string{`model: Config.MaxOutput["small-1"]: got 9007199254740992`}},
		{"model with a space", func(c *model.Config) { c.Tiers["x"], c.MaxOutput["a b"] = []string{"a b"}, 1 }, []string{`model: Config.Tiers["x"]: "a b"`}},
		{"model with a quote", func(c *model.Config) { c.Tiers["x"], c.MaxOutput[`a"`] = []string{`a"`}, 1 }, []string{`model: Config.Tiers["x"]: "a\""`}},
		{"model with Unicode", func(c *model.Config) { c.Tiers["x"], c.MaxOutput["é"] = []string{"é"}, 1 }, []string{`model: Config.Tiers["x"]: "é"`}},
		{"long model", func(c *model.Config) { c.Tiers["x"], c.MaxOutput[long] = []string{long}, 1 }, []string{`model: Config.Tiers["x"]: "mmm`}},
		{"alias of nothing", func(c *model.Config) { c.Aliases["x"] = "none" }, []string{`model: Config.Aliases["x"]: unknown model "none"`}},
		{"alias of an alias", func(c *model.Config) { c.Aliases["x"] = "fast" }, []string{`model: Config.Aliases["x"]: unknown model "fast"`}},
		{"alias with a model's name", func(c *model.Config) { c.Aliases["large-1"] = "small-1" }, []string{`model: Config.Aliases: "large-1" is a model`}},
		{"alias with a space", func(c *model.Config) { c.Aliases["a b"] = "small-1" }, []string{`model: Config.Aliases: "a b"`}},
		{"fallback of nothing", func(c *model.Config) { c.Fallbacks["none"] = []string{"small-1"} }, []string{`model: Config.Fallbacks["none"]`}},
		{"fallback to nothing", func(c *model.Config) { c.Fallbacks["small-2"] = []string{"none"} }, []string{`model: Config.Fallbacks["small-2"]: unknown model "none"`}},
		{"fallback to nothing twice", func(c *model.Config) { c.Fallbacks["small-2"] = []string{"none", "none"} }, []string{`model: Config.Fallbacks["small-2"]: unknown model "none"`, `model: Config.Fallbacks["small-2"]: unknown model "none"`}},
		{"fallback to itself", func(c *model.Config) { c.Fallbacks["small-2"] = []string{"small-2"} }, []string{`model: Config.Fallbacks["small-2"]: "small-2" is the model itself`}},
		{"fallback twice", func(c *model.Config) { c.Fallbacks["small-2"] = []string{"small-1", "small-1"} }, []string{`model: Config.Fallbacks["small-2"]: "small-1" is`}},
		{"tenant of nothing", func(c *model.Config) { c.Tenants["none"] = "acme" }, []string{`model: Config.Tenants["none"]`}},
		{"empty tenant", func(c *model.Config) { c.Tenants["small-1"] = "" }, []string{`model: Config.Tenants["small-1"]: empty tenant`}},
		{"limit of nothing", func(c *model.Config) { c.MaxOutput["none"] = 1 }, []string{`model: Config.MaxOutput["none"]: unknown`}},
		{"overhead of nothing", func(c *model.Config) { c.ToolOverhead["none"] = 1 }, []string{`model: Config.ToolOverhead["none"]: unknown`}},
		{"negative overhead", func(c *model.Config) { c.ToolOverhead["small-1"] = -1 }, []string{`model: Config.ToolOverhead["small-1"]: got -1`}},
		{"overhead above the largest", func(c *model.Config) { c.ToolOverhead["small-1"] = model.MaxTokens + 1 }, []string{`model: Config.ToolOverhead["small-1"]: got 9007199254740992`}},
		{"several", func(c *model.Config) { c.Tenants["none"], c.Tenants["none2"], c.Aliases["x"] = "acme", "acme", "none" }, []string{`model: Config.Aliases["x"]`, `model: Config.Tenants["none"]`, `model: Config.Tenants["none2"]`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := config()
			test.change(&config)
			c, err := model.New(config)
			if c != nil || err == nil {
				t.Fatalf("New = %v, %v, want an error", c, err)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(test.want) {
				t.Fatalf("New error = %v, want %d lines", err, len(test.want))
			}
			for n, want := range test.want {
				if !strings.HasPrefix(lines[n], want) {
					t.Errorf("New error = %s, want %s…", lines[n], want)
				}
			}
		})
	}
}
