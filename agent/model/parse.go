// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// maxDepth bounds the nesting of a body: JSON schemas are deep.
const maxDepth = 64

// Parse parses a request body. It is strict: one JSON object in UTF-8 without members
// whose names are equal or differ only in case, and numbers, names and switches of the
// right type. The time is linear in the length of the body. The errors are
// [*gatehouse.Error]: 400 for a malformed body, 403 for content whose cost cannot be
// bounded; they contain no text of the body. Parse panics if the shape is unknown.
//
// The call keeps body and does not change it.
func Parse(shape Shape, body []byte) (*Call, error) {
	switch shape {
	case ChatCompletions, Responses, Embeddings, Messages:
	default:
		panic(fmt.Sprintf("model: Parse: unknown shape %q", shape))
	}
	p := &parser{Call: Call{Shape: shape, Choices: 1, body: body, members: make([]member, 0, 8), empty: true}, text: string(body)}
	err := strictjson.Members(p.text, strictjson.Limits{Depth: maxDepth, Members: len(body)}, p.member)
	switch {
	case err != nil:
		return nil, asRefusal(err)
	case p.empty:
		p.end = strings.IndexByte(p.text, '{') + 1
	}
	if content := contents[shape]; !p.content {
		return nil, malformed("%s: required", content)
	}
	p.Input = min(p.Input, MaxTokens)
	return &p.Call, nil
}

// contents are the members that contain the input of each shape.
var contents = map[Shape]string{ChatCompletions: "messages", Responses: "input", Embeddings: "input", Messages: "messages"}

func malformed(format string, args ...any) *gatehouse.Error {
	return refuse(CodeInvalidRequest, ReasonMalformed, format, args...)
}

func unbounded(format string, args ...any) *gatehouse.Error {
	return refuse(CodeUnbounded, ReasonUnbounded, format, args...)
}

// asRefusal returns err if it is a refusal, and otherwise the refusal of a malformed
// body.
func asRefusal(err error) error {
	if e, ok := err.(*gatehouse.Error); ok { //nolint:errorlint // the parser does not wrap
		return e
	}
	return malformed("%w", err)
}

// parser reads one body.
type parser struct {
	Call
	text    string
	content bool     // the body has the content of its shape
	pieces  []string // of the text at hand
}

// free are the members that the model does not read.
var free = set("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "seed", "user", "metadata",
	"logit_bias", "logprobs", "top_logprobs", "store", "service_tier", "parallel_tool_calls", "reasoning_effort", "verbosity",
	"prompt_cache_key", "prompt_cache_retention", "safety_identifier", "stop", "stop_sequences", "include", "truncation",
	"max_tool_calls", "reasoning", "modalities", "encoding_format", "dimensions", "inference_geo", "speed")

// known are the members whose names must have the right case: an upstream that ignores
// case would read another body than the gateway.
var known = set("model", "stream", "stream_options", "n", "best_of", "max_tokens", "max_completion_tokens", "max_output_tokens",
	"thinking", "messages", "input", "instructions", "system", "tools", "functions", "background")

// stored are the members that refer to content outside the body, or let the upstream
// run tools, further calls of models, other models or another template.
var stored = set("previous_response_id", "conversation", "prompt", "context_management", "web_search_options", "mcp_servers", "container",
	"models", "fallbacks", "chat_template", "extra_body")

func set(names ...string) map[string]bool {
	all := map[string]bool{}
	for _, name := range names {
		all[name] = true
	}
	return all
}

// member reads one member of the body.
func (p *parser) member(name string, start, end int) error {
	value := p.text[start:end]
	p.empty, p.end = false, end
	switch folded := strictjson.Fold(name); {
	case known[folded] && folded != name:
		return malformed("%s: in another case", folded)
	case stored[folded]:
		if value != "null" {
			return unbounded("%s: refers to content or tools outside the request", folded)
		}
		return nil
	case free[name]:
		return nil
	case !known[name]:
		return p.add(value, nil) // unknown members count as input
	}
	p.members = append(p.members, member{name, span{start, end}})
	switch name {
	case "messages", "input", "instructions", "system":
		return p.prompt(name, value)
	case "tools", "functions":
		return p.tools(name, value)
	}
	if value == "null" {
		return nil
	}
	switch name {
	case "model":
		var ok bool
		if p.Name, ok = strictjson.String(value); !ok {
			return malformed("model: not a string")
		}
	case "stream", "background":
		if value != "true" && value != "false" {
			return malformed("%s: not a boolean", name)
		}
		if name == "stream" {
			p.Stream = value == "true"
		} else if value == "true" {
			return unbounded("background: the usage is not in the response")
		}
	case "stream_options":
		return p.streamOptions(value)
	case "thinking":
		return strictjson.Object(value, nested(value), func(name, value string) error {
			if strictjson.Fold(name) != "budget_tokens" || value == "null" {
				return nil
			}
			n, ok := integer(value)
			if name != "budget_tokens" || !ok {
				return malformed("thinking.budget_tokens: not an integer")
			}
			p.Thinking = max(n, 0)
			return nil
		})
	default:
		return p.number(name, value)
	}
	return nil
}

// number reads an output limit or a number of choices.
func (p *parser) number(name, value string) error {
	n, ok := integer(value)
	switch {
	case !ok || n < 1:
		return malformed("%s: not an integer above 0", name)
	case name == "n" || name == "best_of":
		p.Choices = max(p.Choices, n)
	case p.Limit == 0 || n < p.Limit:
		p.Limit = n
	}
	return nil
}

// integer returns the value of a JSON number without fraction and exponent, at most
// 2^53 and at least -1.
func integer(value string) (int64, bool) {
	digits, negative := strings.CutPrefix(value, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case negative:
		return -1, true
	case err != nil || n > MaxTokens:
		return MaxTokens + 1, true
	}
	return n, true
}

// streamOptions reads stream_options, and keeps its value with include_usage set to true.
func (p *parser) streamOptions(value string) error {
	place, last := span{}, 0
	err := strictjson.Members(value, nested(value), func(name string, start, end int) error {
		last = end
		if strictjson.Fold(name) != "include_usage" {
			return nil
		}
		switch v := value[start:end]; {
		case name != "include_usage" || v != "true" && v != "false" && v != "null":
			return malformed("stream_options.include_usage: not a boolean")
		default:
			place, p.IncludeUsage = span{start, end}, v == "true"
		}
		return nil
	})
	switch {
	case err != nil:
		return asRefusal(err)
	case place.end > 0:
		p.options = value[:place.start] + "true" + value[place.end:]
	case last > 0:
		p.options = value[:last] + `,"include_usage":true` + value[last:]
	}
	return nil
}

// nested returns the limits for a value of the body, which was checked with the body.
func nested(value string) strictjson.Limits {
	return strictjson.Limits{Depth: maxDepth, Members: len(value)}
}
