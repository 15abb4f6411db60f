// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"encoding/json"
	"strconv"

	"github.com/gatehouse-go/gatehouse/agent/model"
)

// Usage is what a call has used, or may use at most.
type Usage struct {
	Input      int64 // all input tokens, cached ones included
	CacheRead  int64 // the part of Input that was read from a cache
	CacheWrite int64 // the part of Input that was written to a cache
	Output     int64 // output tokens, reasoning included

	// Total is what budgets of tokens are charged: the sum of Input and Output, or what
	// the upstream reports as total if that is more.
	Total int64

	// Tier is the service tier that the upstream reports, "" if none.
	Tier string

	// Worst says that this is an upper bound: price it at the dearest tier.
	Worst bool
}

// bound returns the usage of a call with the given bounds.
func bound(input, output int64) Usage {
	return Usage{Input: input, Output: output, Total: min(input+output, MaxAmount), Worst: true}
}

// fields are the members of a usage record that count.
type fields struct {
	values map[string]int64
	tier   string
	ok     bool // all are integers from 0 to MaxAmount
}

var counted = []string{
	"prompt_tokens", "completion_tokens", "total_tokens",
	"input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
}

// parseFields reads a usage record. It is not ok if it is no object, or if a count is
// no integer from 0 to MaxAmount; null is absent.
func parseFields(raw json.RawMessage) fields {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil || members == nil {
		return fields{}
	}
	f := fields{values: make(map[string]int64), ok: true}
	for _, name := range counted {
		f.read(name, members[name])
	}
	for _, name := range []string{"prompt_tokens_details", "input_tokens_details"} {
		var details map[string]json.RawMessage
		if json.Unmarshal(members[name], &details) == nil {
			f.read("cached_tokens", details["cached_tokens"])
			f.read("cache_write_tokens", details["cache_write_tokens"])
		}
	}
	_ = json.Unmarshal(members["service_tier"], &f.tier)
	return f
}

func (f *fields) read(name string, raw json.RawMessage) {
	if len(raw) == 0 || string(raw) == "null" {
		return
	}
	n, err := strconv.ParseUint(string(raw), 10, 63)
	if err != nil || n > MaxAmount {
		f.ok = false
		return
	}
	f.values[name] = int64(n)
}

func (f *fields) has(name string) bool { _, ok := f.values[name]; return ok }

// openAI returns the usage of a record of OpenAI's shape: the larger of total_tokens
// and the sum of its parts.
func (f *fields) openAI(shape model.Shape) (Usage, bool) {
	input, output := f.values["prompt_tokens"], f.values["completion_tokens"]
	hasInput, hasOutput := f.has("prompt_tokens"), f.has("completion_tokens") || shape == model.Embeddings
	if shape == model.Responses {
		input, output = f.values["input_tokens"], f.values["output_tokens"]
		hasInput, hasOutput = f.has("input_tokens"), f.has("output_tokens")
	}
	u := Usage{
		Input: input, Output: output, Total: max(f.values["total_tokens"], input+output), Tier: f.tier,
		CacheRead: f.values["cached_tokens"], CacheWrite: f.values["cache_write_tokens"],
	}
	return u, f.ok && (f.has("total_tokens") || hasInput && hasOutput) && u.Total <= MaxAmount
}

// anthropic returns the usage of a record of Anthropic's shape, in which cached input
// is not a part of input_tokens.
func (f *fields) anthropic() (Usage, bool) {
	u := Usage{
		CacheRead: f.values["cache_read_input_tokens"], CacheWrite: f.values["cache_creation_input_tokens"],
		Output: f.values["output_tokens"], Tier: f.tier,
	}
	u.Input = f.values["input_tokens"] + u.CacheRead + u.CacheWrite
	u.Total = u.Input + u.Output
	return u, f.ok && f.has("input_tokens") && f.has("output_tokens") && u.Total <= MaxAmount
}

// parseUsage returns the usage that a plain response reports.
func parseUsage(shape model.Shape, raw []byte) (Usage, bool) {
	f := parseFields(raw)
	if shape == model.Messages {
		return f.anthropic()
	}
	return f.openAI(shape)
}
