// SPDX-License-Identifier: Apache-2.0

package model

import (
	"cmp"
	"context"
	"slices"
	"strconv"
)

// Shape is the format of a request body.
type Shape string

// The shapes.
const (
	ChatCompletions Shape = "chat_completions" // OpenAI, POST /v1/chat/completions
	Responses       Shape = "responses"        // OpenAI, POST /v1/responses
	Embeddings      Shape = "embeddings"       // OpenAI, POST /v1/embeddings
	Messages        Shape = "messages"         // Anthropic, POST /v1/messages
)

// Call is a request for a model. It is immutable and safe for concurrent use.
type Call struct {
	Shape Shape  // "" if only the path or a header names the model
	Name  string // the model as the request names it
	Model Model  // the model for which Name stands; [Catalogue.Require] sets it

	Stream       bool
	IncludeUsage bool // the client itself asks for stream_options.include_usage

	// Choices is the number of choices in the response: n or best_of, 1 if the body has
	// neither.
	Choices int64
	// Limit is the smallest output limit in the body, 0 if it has none.
	Limit int64
	// Thinking is thinking.budget_tokens of the Anthropic API, 0 if the body has none.
	// The upstream requires a larger output limit.
	Thinking int64
	// Input is an upper bound of the tokens of the input without tool overhead.
	Input int64
	// Tools reports whether the request has tools.
	Tools bool
	// Texts are the texts of the messages, each with its parts joined, and of system,
	// instructions and input, for package agent/prompt. Read-only.
	Texts []string

	body    []byte
	members []member // those that Rewrite can change
	end     int      // of the last member, or of the opening brace
	empty   bool     // the object has no members
	options string   // the value of stream_options with include_usage true, "" if the body has none
}

// span is the place of a value in the body.
type span struct{ start, end int }

type member struct {
	name string
	span
}

// member returns the place of a value, and false if the body does not have the member.
func (c *Call) member(name string) (span, bool) {
	for _, m := range c.members {
		if m.name == name {
			return m.span, true
		}
	}
	return span{}, false
}

// Output reports whether the model generates text: not for embeddings, unless the
// body has an output limit.
func (c *Call) Output() bool { return c.Shape != Embeddings || c.Limit > 0 }

// InputBound returns an upper bound of the input in tokens for m, at most MaxTokens.
func (c *Call) InputBound(m Model) int64 {
	if !c.Tools {
		return c.Input
	}
	return min(c.Input+m.ToolOverhead, MaxTokens)
}

// Worst returns the worst case of the call in tokens: the input bound for m plus the
// output limit for each choice, at most MaxTokens.
func (c *Call) Worst(m Model, limit int64) int64 {
	input := c.InputBound(m)
	if limit < 1 || !c.Output() {
		return input
	}
	if c.Choices > (MaxTokens-input)/limit {
		return MaxTokens
	}
	return input + c.Choices*limit
}

// Changes are the members that [Call.Rewrite] changes.
type Changes struct {
	// Model replaces the name of the model, if the body has one. "" keeps it.
	Model string
	// Limit bounds the output: it replaces each larger output limit, and is added if
	// the body has none. 0 changes nothing.
	Limit int64
	// IncludeUsage sets stream_options.include_usage to true in a streaming request
	// of chat completions.
	IncludeUsage bool
}

// limits are the output limits of the shapes, the preferred one of each first.
var limits = map[Shape][]string{
	ChatCompletions: {"max_completion_tokens", "max_tokens"},
	Responses:       {"max_output_tokens"},
	Messages:        {"max_tokens"},
}

var limitNames = []string{"max_tokens", "max_completion_tokens", "max_output_tokens"}

// Rewrite returns the body with the changes. Every byte outside the changed values is
// kept, also if several changes apply. A new member follows the last one.
func (c *Call) Rewrite(changes Changes) []byte {
	type edit struct {
		span
		value string
	}
	edits := make([]edit, 0, 8)
	added := make([]byte, 0, 64)
	set := func(name, value string) {
		if at, ok := c.member(name); ok {
			edits = append(edits, edit{at, value})
			return
		}
		if !c.empty || len(added) > 0 {
			added = append(added, ',')
		}
		added = append(append(append(append(added, '"'), name...), `":`...), value...)
	}
	if at, ok := c.member("model"); ok && changes.Model != "" && changes.Model != c.Name {
		edits = append(edits, edit{at, `"` + changes.Model + `"`})
	}
	if changes.Limit > 0 {
		limit := strconv.FormatInt(changes.Limit, 10)
		for _, name := range limitNames {
			if n, ok := c.limit(name); ok && n > changes.Limit {
				set(name, limit)
			}
		}
		own := limits[c.Shape]
		bounded := slices.ContainsFunc(own, func(name string) bool { _, ok := c.limit(name); return ok })
		if len(own) > 0 && !bounded {
			// A null is replaced, so that no name occurs twice.
			name := own[0]
			for _, other := range own {
				if _, null := c.member(other); null {
					name = other
					break
				}
			}
			set(name, limit)
		}
	}
	if changes.IncludeUsage && c.Shape == ChatCompletions && c.Stream && !c.IncludeUsage {
		set("stream_options", cmp.Or(c.options, `{"include_usage":true}`))
	}
	slices.SortFunc(edits, func(a, b edit) int { return a.start - b.start })
	body, from := make([]byte, 0, len(c.body)+len(added)+64), 0
	for _, e := range edits {
		body = append(append(body, c.body[from:e.start]...), e.value...)
		from = e.end
	}
	body = append(append(body, c.body[from:c.end]...), added...)
	return append(body, c.body[c.end:]...)
}

// limit returns an output limit of the body, and false if it is absent or null.
func (c *Call) limit(name string) (int64, bool) {
	at, ok := c.member(name)
	if !ok {
		return 0, false
	}
	return integer(string(c.body[at.start:at.end]))
}

type contextKey struct{}

// FromContext returns the call that [Catalogue.Require] has read, and false if there
// is none.
func FromContext(ctx context.Context) (*Call, bool) {
	c, ok := ctx.Value(contextKey{}).(*Call)
	return c, ok
}

// NewContext returns a context with the call, for tests of handlers and for work that
// continues after its request.
func NewContext(ctx context.Context, c *Call) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}
