// SPDX-License-Identifier: Apache-2.0

package prompt_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/prompt"
)

const secret = "the text of the prompt"

func newFilter(t *testing.T, config prompt.Config) *prompt.Filter {
	t.Helper()
	f, err := prompt.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func answers(categories ...string) func(*http.Request) ([]string, error) {
	return func(*http.Request) ([]string, error) { return categories, nil }
}

func caller(tenant, scopes string, roles ...string) gatehouse.Principal {
	held, err := gatehouse.ParseScopes(scopes)
	if err != nil {
		panic(err)
	}
	has, err := gatehouse.NewRoles(roles...)
	if err != nil {
		panic(err)
	}
	return gatehouse.Principal{Subject: "alice", Tenant: tenant, Method: "test", Scopes: held, Roles: has}
}

// authorize returns the reason of a denial, "allowed" if there is none.
func authorize(t *testing.T, f *prompt.Filter, p gatehouse.Principal) string {
	t.Helper()
	err := f.Authorize(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/messages", nil), p)
	if err == nil {
		return "allowed"
	}
	e, ok := errors.AsType[*gatehouse.Error](err)
	if !ok || e.Code != gatehouse.CodeAccessDenied || e.Cause == nil {
		t.Fatalf("Authorize error = %v, want access_denied with a cause", err)
	}
	for _, text := range []string{secret, "invented"} {
		if strings.Contains(fmt.Sprint(e, e.Cause), text) {
			t.Errorf("Authorize error = %v, %v, want no text of the classifier", e, e.Cause)
		}
	}
	return string(e.Reason)
}

func TestRules(t *testing.T) {
	rules := map[string]prompt.Rule{
		"general": {},
		"code":    {Roles: []string{"developer", "admin"}},
		"legal":   {Scopes: []string{"legal:ask", "legal:read"}},
		"both":    {Scopes: []string{"legal:ask"}, Roles: []string{"lawyer"}},
	}
	tenants := map[string]map[string]prompt.Rule{"strict": {"code": {}}, "none": {}}
	const notAllowed, unknown = string(prompt.ReasonNotAllowed), string(prompt.ReasonUnknown)
	for _, test := range []struct {
		name       string
		categories []string
		caller     gatehouse.Principal
		want       string
	}{
		{"rule without conditions", []string{"general"}, caller("", ""), "allowed"},
		{"role", []string{"code"}, caller("", "", "admin"), "allowed"},
		{"no role", []string{"code"}, caller("", "code developer"), notAllowed},
		{"role in another case", []string{"code"}, caller("", "", "Developer"), notAllowed},
		{"scopes", []string{"legal"}, caller("", "legal:ask legal:read"), "allowed"},
		{"one scope", []string{"legal"}, caller("", "legal:ask"), notAllowed},
		{"scope and role", []string{"both"}, caller("", "legal:ask", "lawyer"), "allowed"},
		{"scope alone", []string{"both"}, caller("", "legal:ask"), notAllowed},
		{"role alone", []string{"both"}, caller("", "", "lawyer"), notAllowed},
		{"all categories", []string{"general", "code"}, caller("", ""), notAllowed},
		{"no category", nil, caller("", ""), unknown},
		{"unknown category", []string{"invented"}, caller("", "", "admin"), unknown},
		{"unknown beside a known category", []string{"general", "invented"}, caller("", ""), unknown},
		{"category in another case", []string{"General"}, caller("", ""), unknown},
		{"rules of the tenant", []string{"code"}, caller("strict", ""), "allowed"},
		{"rules of the tenant replace all", []string{"general"}, caller("strict", ""), unknown},
		{"tenant without rules", []string{"general"}, caller("none", ""), unknown},
		{"other tenant", []string{"code"}, caller("acme", ""), notAllowed},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFilter(t, prompt.Config{Classify: answers(test.categories...), Rules: rules, Tenants: tenants})
			if got := authorize(t, f, test.caller); got != test.want {
				t.Errorf("Authorize = %s, want %s", got, test.want)
			}
		})
	}
}

func TestClassifierFailureDenies(t *testing.T) {
	for name, classify := range map[string]func(*http.Request) ([]string, error){
		"error":      func(*http.Request) ([]string, error) { return []string{"general"}, errors.New(secret) },
		"panic":      func(*http.Request) ([]string, error) { panic(secret) },
		"goroutine":  func(*http.Request) ([]string, error) { runtime.Goexit(); return nil, nil },
		"deadline":   func(r *http.Request) ([]string, error) { <-r.Context().Done(); return []string{"general"}, nil },
		"no context": func(*http.Request) ([]string, error) { time.Sleep(time.Hour); return []string{"general"}, nil },
		"late": func(*http.Request) ([]string, error) {
			time.Sleep(time.Second + time.Nanosecond)
			return []string{"general"}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFilter(t, prompt.Config{Classify: classify, Rules: map[string]prompt.Rule{"general": {}}})
				start := time.Now()
				if got := authorize(t, f, caller("", "")); got != string(prompt.ReasonFailed) {
					t.Errorf("Authorize = %s, want %s", got, prompt.ReasonFailed)
				}
				if waited := time.Since(start); waited > time.Second {
					t.Errorf("Authorize returned after %v, want the default timeout of 1 s", waited)
				}
				time.Sleep(time.Hour) // until every classifier has returned
			})
		})
	}
}

// Classifiers that ignore their deadline do not pile up.
func TestConcurrentClassifiersAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var started atomic.Int64
		f := newFilter(t, prompt.Config{
			Rules: map[string]prompt.Rule{"general": {}}, Concurrent: 2, Timeout: time.Millisecond,
			Classify: func(*http.Request) ([]string, error) {
				if started.Add(1) <= 2 {
					time.Sleep(time.Hour)
				}
				return []string{"general"}, nil
			},
		})
		for range 4 {
			if got := authorize(t, f, caller("", "")); got != string(prompt.ReasonFailed) {
				t.Errorf("Authorize = %s, want %s", got, prompt.ReasonFailed)
			}
		}
		if n := started.Load(); n != 2 {
			t.Errorf("the classifier was called %d times, want 2", n)
		}
		time.Sleep(2 * time.Hour)
		if got := authorize(t, f, caller("", "")); got != "allowed" {
			t.Errorf("Authorize after the classifiers have returned = %s, want allowed", got)
		}
	})
}

func TestDecisionIsRecorded(t *testing.T) {
	var events []gatehouse.Event
	var failure error
	classified := []string{"general", "code"}
	f := newFilter(t, prompt.Config{
		Classify: func(r *http.Request) ([]string, error) {
			if _, ok := r.Context().Deadline(); !ok {
				t.Error("the classifier has no deadline")
			}
			return classified, nil
		}, Rules: map[string]prompt.Rule{"general": {}, "code": {}},
		Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
			events = append(events, e)
			return failure
		}),
	})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.example.com/v1/chat", nil)
	r.Pattern = "POST /v1/{call}"
	ada := gatehouse.Principal{Method: "jwt", Issuer: "https://issuer.example", Subject: "ada", Credential: "token-1", Tenant: "acme"}
	if err := f.Authorize(r, ada); err != nil || len(events) != 1 {
		t.Fatalf("Authorize error = %v with %d events, want nil with 1", err, len(events))
	}
	classified[0] = "code" // of the classifier
	e := events[0]
	got := fmt.Sprintln(e.Type, e.Decision, e.Principal.Tenant, e.Credential, e.Issuer, e.Method, e.Host, e.Path, e.Route, e.Attrs, e.Duration < time.Minute)
	if want := "prompt_decision allowed acme token-1 https://issuer.example POST api.example.com /v1/chat POST /v1/{call} [categories=[general code]] true\n"; got != want {
		t.Errorf("event = %s, want %s", got, want)
	}
	failure = errors.New("disk full")
	err := f.Authorize(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil), caller("acme", ""))
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Reason != gatehouse.ReasonObserverFailed {
		t.Errorf("Authorize with a failing observer error = %v, want %s", err, gatehouse.ReasonObserverFailed)
	}
	strict := newFilter(t, prompt.Config{
		Classify: func(*http.Request) ([]string, error) { return []string{"code"}, nil },
		Rules:    map[string]prompt.Rule{"code": {Scopes: []string{"code:write"}, Roles: []string{"developer"}}},
	})
	want := `prompt: category "code": needs the scopes ["code:write"] and one of the roles ["developer"]`
	if e, ok := errors.AsType[*gatehouse.Error](strict.Authorize(r, ada)); !ok || e.Cause.Error() != want {
		t.Errorf("Authorize without scopes and roles error = %v, want the cause %s", e, want)
	}
}

func TestNewErrors(t *testing.T) {
	rules := map[string]prompt.Rule{"general": {}}
	var none *observer
	for name, test := range map[string]struct {
		config prompt.Config
		want   string
	}{
		"empty":      {prompt.Config{}, "prompt: Config.Classify: required\nprompt: Config.Rules: at least one is required"},
		"timeout":    {prompt.Config{Classify: answers(), Rules: rules, Timeout: -1}, "prompt: Config.Timeout: negative"},
		"concurrent": {prompt.Config{Classify: answers(), Rules: rules, Concurrent: -1}, "prompt: Config.Concurrent: negative"},
		"observer":   {prompt.Config{Classify: answers(), Rules: rules, Observer: none}, "prompt: Config.Observer: is a nil *prompt_test.observer"},
		"names": {
			prompt.Config{Classify: answers(), Rules: map[string]prompt.Rule{"": {}, "a": {Scopes: []string{"x", "x y"}, Roles: []string{"x", ""}}}},
			"prompt: Config.Rules: empty category\nprompt: Config.Rules[\"a\"].Scopes: \"x y\" is not a scope\nprompt: Config.Rules[\"a\"].Roles: \"\" is not a role",
		},
		"tenants": {
			prompt.Config{Classify: answers(), Tenants: map[string]map[string]prompt.Rule{"": nil, "b": {"a": {Scopes: []string{"x*"}}}}},
			"prompt: Config.Tenants: empty tenant\nprompt: Config.Tenants[\"b\"][\"a\"].Scopes: \"x*\" is not a scope",
		},
	} {
		if f, err := prompt.New(test.config); f != nil || err == nil || err.Error() != test.want {
			t.Errorf("%s: New error = %v, want\n%s", name, err, test.want)
		}
	}
}

type observer struct{}

func (*observer) Observe(context.Context, gatehouse.Event) error { return nil }

func TestNewCopiesTheConfig(t *testing.T) {
	rules := func() map[string]prompt.Rule {
		return map[string]prompt.Rule{"code": {Roles: []string{"developer"}, Scopes: []string{"ask"}}}
	}
	config := prompt.Config{Classify: answers("code"), Rules: rules(), Tenants: map[string]map[string]prompt.Rule{"acme": rules()}}
	f := newFilter(t, config)
	for tenant, changed := range map[string]map[string]prompt.Rule{"": config.Rules, "acme": config.Tenants["acme"]} {
		changed["code"].Roles[0], changed["code"].Scopes[0] = "admin", "other"
		for _, p := range []gatehouse.Principal{caller(tenant, "ask", "admin"), caller(tenant, "other", "developer")} {
			if got := authorize(t, f, p); got != string(prompt.ReasonNotAllowed) {
				t.Errorf("Authorize(%+v) = %s, want %s: the filter must have a copy", p, got, prompt.ReasonNotAllowed)
			}
		}
		delete(changed, "code")
		if got := authorize(t, f, caller(tenant, "ask", "developer")); got != "allowed" {
			t.Errorf("Authorize of the tenant %q = %s, want allowed: the filter must have a copy", tenant, got)
		}
	}
}
