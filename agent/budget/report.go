// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-go/gatehouse/agent/model"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// Usage is the usage of a call, or its upper bound.
type Usage struct {
	Input      int64 // all input tokens, cached ones included
	CacheRead  int64 // the part of Input that was read from a cache
	CacheWrite int64 // the part of Input that was written to a cache
	Output     int64 // output tokens, reasoning included

	// Total is the amount that budgets of tokens are charged: Input + Output, or the
	// total that the upstream reports if it is larger.
	Total int64

	// Tier is the service tier that the upstream reports, "" if none.
	Tier string

	// Worst is true if this is an upper bound: use the price of the most expensive tier.
	Worst bool
}

// bound returns the usage of a call with the given bounds.
func bound(input, output int64) Usage {
	return Usage{Input: input, Output: output, Total: min(input+output, MaxAmount), Worst: true}
}

// The members of a usage record, as indices in [fields].
const (
	promptTokens = iota
	completionTokens
	totalTokens
	inputTokens
	outputTokens
	cacheReadInputTokens
	cacheCreationInputTokens
	cachedTokens     // of the details
	cacheWriteTokens // of the details
	numberOfFields
)

var fieldNames = [numberOfFields]string{
	"prompt_tokens", "completion_tokens", "total_tokens",
	"input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
	"cached_tokens", "cache_write_tokens",
}

// fields are the members of a usage record.
type fields struct {
	values [numberOfFields]int64
	has    [numberOfFields]bool
	tier   string
	ok     bool // all are integers from 0 to MaxAmount
}

// parseFields reads a usage record. ok is false if raw is not an object, or a count is
// not an integer from 0 to MaxAmount. A null count is missing.
func parseFields(raw string) fields {
	f := fields{ok: true}
	err := strictjson.Object(raw, recordLimits, func(name, value string) error {
		switch name {
		case "service_tier":
			f.tier, _ = strictjson.String(value)
		case "prompt_tokens_details", "input_tokens_details":
			if strings.HasPrefix(value, "{") {
				return strictjson.Object(value, recordLimits, func(name, value string) error {
					f.read(fieldNames[cachedTokens:], cachedTokens, name, value)
					return nil
				})
			}
		default:
			f.read(fieldNames[:cachedTokens], 0, name, value)
		}
		return nil
	})
	if err != nil {
		return fields{}
	}
	return f
}

// recordLimits are larger than any usage record.
var recordLimits = strictjson.Limits{Depth: 64, Members: maxRecord}

// read reads a count. names are the names of the fields from first on.
func (f *fields) read(names []string, first int, name, value string) {
	n := slices.Index(names, name)
	if n < 0 || value == "null" {
		return
	}
	count, err := strconv.ParseUint(value, 10, 63)
	if err != nil || count > MaxAmount {
		f.ok = false
		return
	}
	f.values[first+n], f.has[first+n] = int64(count), true
}

// add replaces each member that newer has.
func (f *fields) add(newer *fields) {
	for i, has := range newer.has {
		if has {
			f.values[i], f.has[i] = newer.values[i], true
		}
	}
	f.tier = cmp.Or(newer.tier, f.tier)
}

// openAI returns the usage of a record in the format of OpenAI. Total is total_tokens, or
// the sum of its parts if that is larger.
func (f *fields) openAI(shape model.Shape) (Usage, bool) {
	input, output := promptTokens, completionTokens
	if shape == model.Responses {
		input, output = inputTokens, outputTokens
	}
	u := Usage{
		Input: f.values[input], Output: f.values[output], Tier: f.tier,
		CacheRead: f.values[cachedTokens], CacheWrite: f.values[cacheWriteTokens],
	}
	u.Total = max(f.values[totalTokens], u.Input+u.Output)
	parts := f.has[input] && (f.has[output] || shape == model.Embeddings)
	return u, f.ok && (f.has[totalTokens] || parts) && u.Total <= MaxAmount
}

// anthropic returns the usage of a record in the format of Anthropic. There input_tokens
// does not include cached input.
func (f *fields) anthropic() (Usage, bool) {
	u := Usage{
		CacheRead: f.values[cacheReadInputTokens], CacheWrite: f.values[cacheCreationInputTokens],
		Output: f.values[outputTokens], Tier: f.tier,
	}
	u.Input = f.values[inputTokens] + u.CacheRead + u.CacheWrite
	u.Total = u.Input + u.Output
	return u, f.ok && f.has[inputTokens] && f.has[outputTokens] && u.Total <= MaxAmount
}

// parseUsage returns the usage that a plain response reports.
func parseUsage(shape model.Shape, raw []byte) (Usage, bool) {
	f := parseFields(string(raw))
	if shape == model.Messages {
		return f.anthropic()
	}
	return f.openAI(shape)
}
