// SPDX-License-Identifier: Apache-2.0

package prompt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// Rule is the condition for sending a prompt of a category: the caller needs all of the
// scopes and, if there are roles, one of them. The zero Rule allows every caller.
type Rule struct {
	Scopes []string
	Roles  []string
}

// Config configures a [Filter].
type Config struct {
	// Classify returns the categories of the prompt of a request. Every category must be
	// allowed. The context of r has the deadline. Classify must be safe for concurrent
	// use and must not read the body. Calls that continue after their deadline count for
	// Concurrent. Required.
	Classify func(r *http.Request) ([]string, error)
	// Timeout limits the duration of a call of Classify. By default 1 s.
	Timeout time.Duration
	// Concurrent limits the calls of Classify in progress, including calls after their
	// deadline. By default 1,000.
	Concurrent int
	// Rules are the rules for each category.
	Rules map[string]Rule
	// Tenants contains rules for single tenants. They replace all of Rules.
	Tenants map[string]map[string]Rule
	// Observer receives an [EventDecision] for each prompt that is allowed. Optional.
	Observer gatehouse.Observer
}

const (
	defaultTimeout    = time.Second
	defaultConcurrent = 1000
)

// Filter is a [gatehouse.Policy] that allows prompts by their categories. It is safe
// for concurrent use.
type Filter struct {
	classify func(*http.Request) ([]string, error)
	timeout  time.Duration
	calls    chan struct{}
	rules    map[string]Rule
	tenants  map[string]map[string]Rule
	observer gatehouse.Observer
}

// New returns a filter. It reports all configuration errors at once.
func New(config Config) (*Filter, error) {
	f := &Filter{
		classify: config.Classify, timeout: config.Timeout, observer: config.Observer,
		rules: clone(config.Rules), tenants: map[string]map[string]Rule{},
	}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("prompt: Config."+format, args...)) }
	if f.classify == nil {
		fail("Classify: required")
	}
	switch {
	case f.timeout == 0:
		f.timeout = defaultTimeout
	case f.timeout < 0:
		fail("Timeout: negative")
	}
	switch {
	case config.Concurrent == 0:
		config.Concurrent = defaultConcurrent
	case config.Concurrent < 0:
		fail("Concurrent: negative")
		config.Concurrent = 0
	}
	f.calls = make(chan struct{}, config.Concurrent)
	if len(config.Rules) == 0 && len(config.Tenants) == 0 {
		fail("Rules: at least one is required")
	}
	if f.observer != nil && typednil.Is(f.observer) {
		fail("Observer: is a nil %T", f.observer)
	}
	check("Rules", config.Rules, fail)
	for _, tenant := range slices.Sorted(maps.Keys(config.Tenants)) {
		if tenant == "" {
			fail("Tenants: empty tenant")
		}
		check(fmt.Sprintf("Tenants[%q]", tenant), config.Tenants[tenant], fail)
		f.tenants[tenant] = clone(config.Tenants[tenant])
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return f, nil
}

func clone(rules map[string]Rule) map[string]Rule {
	copied := map[string]Rule{}
	for category, rule := range rules {
		copied[category] = Rule{slices.Clone(rule.Scopes), slices.Clone(rule.Roles)}
	}
	return copied
}

func check(field string, rules map[string]Rule, fail func(string, ...any)) {
	for _, category := range slices.Sorted(maps.Keys(rules)) {
		rule := rules[category]
		if category == "" {
			fail("%s: empty category", field)
		}
		for _, scope := range rule.Scopes {
			if s, err := gatehouse.NewScopes(scope); err != nil || s.Len() != 1 || strings.Contains(scope, "*") {
				fail("%s[%q].Scopes: %q is not a scope", field, category, scope)
			}
		}
		for _, role := range rule.Roles {
			if _, err := gatehouse.NewRoles(role); err != nil {
				fail("%s[%q].Roles: %q is not a role", field, category, role)
			}
		}
	}
}

// Authorize implements [gatehouse.Policy]. The error is a [*gatehouse.Error] with 403.
func (f *Filter) Authorize(r *http.Request, p gatehouse.Principal) error {
	start := time.Now()
	categories, err := f.categories(r)
	if err != nil {
		return denied(ReasonFailed, err)
	}
	rules, own := f.tenants[p.Tenant]
	if !own {
		rules = f.rules
	}
	if len(categories) == 0 {
		return denied(ReasonUnknown, errors.New("prompt: the classifier returned no category"))
	}
	for _, category := range categories {
		// Do not log the name of an unknown category: it may be text of the prompt.
		rule, ok := rules[category]
		if !ok {
			return denied(ReasonUnknown, errors.New("prompt: the classifier returned a category without a rule"))
		}
		if !rule.allows(p) {
			return denied(ReasonNotAllowed, fmt.Errorf("prompt: category %q: needs the scopes %q and one of the roles %q", category, rule.Scopes, rule.Roles))
		}
	}
	return gatehouse.Report(r.Context(), f.observer, gatehouse.Event{
		Type: EventDecision, Level: slog.LevelDebug, Decision: gatehouse.Allowed, Principal: p, Credential: p.Credential, Issuer: p.Issuer,
		Method: r.Method, Host: r.Host, Path: r.URL.Path, Route: r.Pattern, Duration: time.Since(start),
		Attrs: []slog.Attr{slog.Any(AttrCategories, slices.Clone(categories))},
	})
}

func denied(reason gatehouse.Reason, cause error) error {
	return &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: reason, Cause: cause}
}

func (r Rule) allows(p gatehouse.Principal) bool {
	for _, scope := range r.Scopes {
		if !p.Scopes.Has(scope) {
			return false
		}
	}
	return len(r.Roles) == 0 || slices.ContainsFunc(r.Roles, p.Roles.Has)
}

// categories calls the classifier and waits until its deadline. The errors contain no
// text of the classifier, which may quote the prompt.
func (f *Filter) categories(r *http.Request) ([]string, error) {
	ctx, cancel := context.WithTimeout(r.Context(), f.timeout)
	defer cancel()
	select {
	case f.calls <- struct{}{}:
	default:
		return nil, fmt.Errorf("prompt: %d calls of the classifier are in progress", cap(f.calls))
	}
	type answer struct {
		categories []string
		err        error
	}
	answers := make(chan answer, 1)
	go func() {
		done := answer{err: errors.New("prompt: the classifier panicked or ended its goroutine")}
		defer func() {
			_ = recover() // the value may quote the prompt
			<-f.calls
			answers <- done
		}()
		categories, err := f.classify(r.WithContext(ctx))
		if err != nil {
			err = fmt.Errorf("prompt: the classifier failed: %T", err)
		}
		done = answer{categories, err}
	}()
	select {
	case a := <-answers:
		if a.err == nil && ctx.Err() != nil {
			a.err = fmt.Errorf("prompt: classifier: %w", ctx.Err())
		}
		return a.categories, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("prompt: classifier: %w", ctx.Err())
	}
}
