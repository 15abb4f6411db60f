// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/model"
	"github.com/gatehouse-go/gatehouse/agent/prompt"
)

// newFilter returns the filter of the configured categories, nil if there are none. An
// application with another classifier, such as a model, replaces classify.
func newFilter(prompts []promptConfig, observer gatehouse.Observer) (*prompt.Filter, error) {
	if len(prompts) == 0 {
		return nil, nil //nolint:nilnil // prompts are not configured
	}
	rules := make(map[string]prompt.Rule)
	for _, p := range prompts {
		rules[p.Category] = prompt.Rule{Roles: p.Roles}
	}
	return prompt.New(prompt.Config{
		Classify: func(r *http.Request) ([]string, error) { return classify(r, prompts), nil },
		Rules:    rules, Observer: observer,
	})
}

// classify returns all categories with a text that the prompt contains, or else the
// default, or none.
func classify(r *http.Request, prompts []promptConfig) []string {
	call, _ := model.FromContext(r.Context())
	var found, otherwise []string
	for _, p := range prompts {
		contains := func(text string) bool {
			return slices.ContainsFunc(p.Contains, func(part string) bool { return strings.Contains(text, part) })
		}
		if slices.ContainsFunc(call.Texts, contains) {
			found = append(found, p.Category)
		}
		if p.Default {
			otherwise = append(otherwise, p.Category)
		}
	}
	if len(found) > 0 {
		return found
	}
	return otherwise
}
