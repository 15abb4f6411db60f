// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/model"
)

func TestForModel(t *testing.T) {
	const messages = `"messages":[{"role":"user","content":"hi"}]}`
	limit := int64(9)
	for _, test := range []struct {
		shape model.Shape
		body  string
		want  Call
	}{
		{model.ChatCompletions, `{"model":"m","stream":true,` + messages, Call{Output: 100, MinOutput: 1, Choices: 1, HideUsage: true}},
		{model.ChatCompletions, `{"model":"m","stream":true,"stream_options":{"include_usage":true},` + messages, Call{Output: 100, MinOutput: 1, Choices: 1}},
		{model.ChatCompletions, `{"model":"m","n":3,"max_tokens":99,` + messages, Call{Output: 99, MinOutput: 1, Choices: 3, HideUsage: true}},
		{model.Messages, `{"model":"m","max_tokens":101,"thinking":{"type":"enabled","budget_tokens":50},` + messages, Call{Output: 100, MinOutput: 51, Choices: 1, HideUsage: true}},
		{model.Embeddings, `{"model":"m","input":"hi"}`, Call{Choices: 1, HideUsage: true}},
	} {
		c, err := model.Parse(test.shape, []byte(test.body))
		if err != nil {
			t.Fatal(err)
		}
		m := model.Model{Name: "small-1", MaxOutput: 100}
		call := ForModel(c, m, nil, &limit)
		test.want.Model, test.want.Shape, test.want.Input, test.want.Cap = m.Name, test.shape, c.InputBound(m), &limit
		if diff := cmp.Diff(test.want, call, cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Rewrite" }, cmp.Ignore())); diff != "" {
			t.Errorf("ForModel(%s) (-want +got):\n%s", test.body, diff)
		}
		r := httptest.NewRequest("POST", "/", strings.NewReader("{}"))
		r.Header.Set("Content-Length", "2")
		r.TransferEncoding = []string{"chunked"}
		if err := call.Rewrite(r, 7); err != nil || len(r.Header) > 0 || r.TransferEncoding != nil || r.ContentLength < int64(len(test.body)) {
			t.Errorf("Rewrite = %v: header %v, transfer encoding %v, length %d", err, r.Header, r.TransferEncoding, r.ContentLength)
		}
	}
}

// The limit and the hold of the output of a call, or why it is refused.
func TestAdmit(t *testing.T) {
	const chat, most = model.ChatCompletions, int64(MaxAmount)
	limit := int64(50)
	count := func([]byte) int64 { return 0 }
	for _, test := range []struct {
		call Call
		want string
	}{
		{Call{Shape: chat, Input: 10, Output: 100, Choices: 2, Cap: &limit}, "20 40"},
		{Call{Shape: chat, Input: 49, Output: 1, MinOutput: 1, Cap: &limit}, "1 1"},
		{Call{Shape: chat, Input: 50, Output: 1, Cap: &limit}, "budget_cap: budget: the call needs 51 tokens or more, and the caller may use 50 "},
		{Call{Shape: chat, Input: 51, Output: 1, Cap: &limit}, "budget_cap: budget: the call needs 51 tokens "},
		{Call{Shape: chat, Input: 45, Output: 9, MinOutput: 3, Choices: 2, Cap: &limit}, "budget_cap: budget: the call needs 51 tokens "},
		{Call{Shape: chat, Output: 4, MinOutput: 5, Cap: &limit}, "budget_cap: budget: the call needs more than 4 output tokens"},
		{Call{Shape: chat, Output: 4, MinOutput: 5}, "budget_cap: budget: the call needs more than 4 output tokens"},
		{Call{Shape: chat, Output: 5, MinOutput: 5}, "5 5"},
		{Call{Shape: chat, Output: most, MinOutput: most, Choices: 2}, "budget_cap: budget: the call needs more than 9007199254740991 output tokens"},
		{Call{Shape: model.Embeddings, Input: 50, Cap: &limit}, "0 0"},
		{Call{Shape: model.Embeddings, Input: 51, Cap: &limit}, "budget_cap: budget: the call needs 51 tokens "},
		{Call{Shape: model.Embeddings, Output: 5}, "5 5"},
		{Call{Shape: chat}, "budget_invalid: budget: Call.Output: required"},
		{Call{Shape: "chat", Output: 1}, `budget_invalid: budget: Call.Shape: "chat" is unknown`},
		{Call{Shape: chat, Output: 1, Input: -1}, "budget_invalid: budget: Call: Input, Output and Choices must not be negative"},
		{Call{Shape: model.Embeddings, Output: -1}, "budget_invalid: budget: Call: Input, Output and Choices must not be negative"},
		{Call{Shape: chat, Output: 1, Choices: -1}, "budget_invalid: budget: Call: Input, Output and Choices must not be negative"},
		{Call{Shape: chat, Output: 1, Lines: []Line{}}, "budget_invalid: budget: Call: Input, Output and Choices must not be negative, and at least one of Lines is required"},
		{Call{Shape: chat, Output: 1, Input: most, Choices: 1 << 20}, "1 1048576"},
		{Call{Shape: chat, Output: 1, Input: most + 1}, "budget_cap: budget: the call has no end"},
		{Call{Shape: chat, Output: 1, Choices: 1<<20 + 1}, "budget_cap: budget: the call has no end"},
		{Call{Shape: chat, Output: most, Choices: 2}, fmt.Sprint(most/2, most/2*2)},
		{Call{Shape: chat, Output: 100, Step: 10, Count: count}, "100 10"},
		{Call{Shape: chat, Output: 100, Step: 200, Count: count}, "100 100"},
		{Call{Shape: chat, Output: 100, Count: count}, "100 100"},
		{Call{Shape: chat, Output: 100, Step: 10}, "100 100"},
	} {
		if test.call.Lines == nil {
			test.call.Lines = make([]Line, 1)
		}
		f := &flow{call: test.call}
		got := ""
		if err := f.admit(); err == nil {
			got = fmt.Sprint(f.limit, f.held)
		} else if e, ok := errors.AsType[*gatehouse.Error](err); ok {
			got = string(e.Reason) + ": " + e.Cause.Error()
		}
		if refused := strings.HasPrefix(test.want, "budget_"); !refused && got != test.want || !strings.HasPrefix(got, test.want) || f.call.ID == "" {
			t.Errorf("admit(%+v) = %s, want %s, and an ID", test.call, got, test.want)
		}
	}
}

// What a usage costs each budget, or why it has no price.
func TestAmounts(t *testing.T) {
	for _, test := range []struct {
		price int64
		err   error
		want  string
	}{
		{0, nil, "[30 1 0]"},
		{MaxAmount, nil, "[30 1 9007199254740991]"},
		{-1, nil, `budget: price of "small-1" in micro_usd: -1: must be`},
		{MaxAmount + 1, nil, `budget: price of "small-1" in micro_usd: 9007199254740992: must be`},
		{1, ErrUnbounded, `budget: price of "small-1" in micro_usd: ` + ErrUnbounded.Error()},
	} {
		m := &Meter{price: func(name string, unit Unit, u Usage) (int64, error) {
			if name != "small-1" || unit != "micro_usd" || u != (Usage{Input: 10, Output: 20, Total: 30, Worst: true}) {
				t.Errorf("Price(%s, %s, %+v), want the worst case of the call", name, unit, u)
			}
			return test.price, test.err
		}}
		f := &flow{meter: m, held: 20, call: Call{ID: "1", Model: "small-1", Input: 10, Lines: []Line{{}, {Unit: Requests}, {Unit: "micro_usd"}}}}
		charges, err := f.charges()
		var amounts []int64
		for _, c := range charges {
			amounts = append(amounts, c.Amount)
		}
		got := fmt.Sprint(amounts)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, test.want) || test.err != nil && !errors.Is(err, test.err) {
			t.Errorf("charges at a price of %d = %s, want %s", test.price, got, test.want)
		}
	}
}

// The tier of a usage is beside the record of OpenAI, and in that of Anthropic.
func TestUsage(t *testing.T) {
	const chat, responses, messages = model.ChatCompletions, model.Responses, model.Messages
	for _, test := range []struct {
		shape model.Shape
		text  string
		want  Usage
	}{
		{chat, `{"service_tier":"flex","usage":{"service_tier":"x","total_tokens":9}}`, Usage{Total: 9, Tier: "flex"}},
		{chat, `{"usage":{"total_tokens":9}} {"usage":{"total_tokens":1}}`, Usage{Total: 9}},
		{chat, `{"usage":{"total_tokens":9},"x":{"service_tier":"x\n\""},"service_tier":"flex"}`, Usage{Total: 9, Tier: "flex"}},
		{chat, `{"service_tier":null,"service_tiers":"x","usage":{"total_tokens":9}}`, Usage{Total: 9}},
		{
			chat, `{"usage":{"cost":"0.5","prompt_tokens":7,"completion_tokens":5,"prompt_tokens_details":{"audio_tokens":1,"cached_tokens":3,"cache_write_tokens":2}}}`,
			Usage{Input: 7, CacheRead: 3, CacheWrite: 2, Output: 5, Total: 12},
		},
		{chat, `{"usage":{"total_tokens":9007199254740991,"prompt_tokens_details":[{}]}}`, Usage{Total: MaxAmount}},
		{messages, `{"usage":{"input_tokens":9007199254740990,"output_tokens":1}}`, Usage{Input: MaxAmount - 1, Output: 1, Total: MaxAmount}},
		{chat, `{"service_tier":"flex","usage":{"prompt_tokens":0,"completion_tokens":0}}`, Usage{}}, // nothing was served
		{
			messages, "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":7}}}\n\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":5}}\n\n" +
				"event: message_stop\ndata: {\"type\":\"message\\u005fstop\"}\n\n", Usage{Input: 7, Output: 5, Total: 12},
		},
		{responses, `{"service_tier":"priority","usage":{"input_tokens":6,"output_tokens":5}}`, Usage{Input: 6, Output: 5, Total: 11, Tier: "priority"}},
		{responses, `{"service_tiers":"flex","usages":{},"service_tie":"flex","usage":{"input_tokens":6,"output_tokens":5}}`, Usage{Input: 6, Output: 5, Total: 11}},
		{
			messages, `{"usage":{"input_tokens":7,"cache_read_input_tokens":3,"cache_creation_input_tokens":2,"output_tokens":5,"service_tier":"batch"}}`,
			Usage{Input: 12, CacheRead: 3, CacheWrite: 2, Output: 5, Total: 17, Tier: "batch"},
		},
		{chat, "data: {\"service_tier\":\"default\",\"usage\":{\"total_tokens\":4}}\n\ndata: {\"service_tier\":\"flex\",\"usage\":{\"total_tokens\":5}}\n\ndata: {\"choices\":[],\"usage\":{\"total_tokens\":9}}\n\n", Usage{Total: 9, Tier: "flex"}},
		{responses, "data: {\"type\":\"response.completed\",\"response\":{\"service_tier\":\"priority\",\"usage\":{\"total_tokens\":9}}}\n\n", Usage{Total: 9, Tier: "priority"}},
		{
			messages, "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":7,\"output_tokens\":1,\"service_tier\":\"standard\"}}}\n\n" +
				"data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":5,\"service_tier\":\"batch\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n", Usage{Input: 7, Output: 5, Total: 12, Tier: "batch"},
		},
	} {
		var got Usage
		var ok bool
		if strings.HasPrefix(test.text, "{") {
			p := plain{}
			for piece := range strings.SplitSeq(test.text, "") {
				p.feed([]byte(piece))
			}
			got, ok = p.usage(test.shape)
		} else {
			e := events{shape: test.shape}
			e.feed(nil, []byte(test.text))
			got, ok = e.usage()
		}
		if !ok || got != test.want {
			t.Errorf("usage of %s = %+v, %v, want %+v", test.text, got, ok, test.want)
		}
	}
}

// What follows the end of a stream neither extends its hold nor cuts it.
func TestGrowAfterTheEnd(t *testing.T) {
	f := &flow{ended: true, counted: 9, events: &events{fresh: true}}
	if err := f.grow(); err != nil {
		t.Errorf("grow after the end = %v, want nil", err)
	}
}

// An unfinished message costs its input and the whole limit, also if less is held.
func TestUsedOfUnfinishedMessage(t *testing.T) {
	f := &flow{limit: 50, held: 10, call: Call{Shape: model.Messages, Choices: 2}, events: &events{shape: model.Messages}}
	f.events.feed(nil, []byte("data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":7}}}\n\n"))
	if u, ok := f.used(false); !ok || u != (Usage{Input: 7, Output: 100, Total: 107}) {
		t.Errorf("used = %+v, %v, want 7 and 100 tokens", u, ok)
	}
	f.events.feed(nil, []byte("data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9007199254740891}}}\n\n"))
	if u, ok := f.used(false); !ok || u.Total != MaxAmount {
		t.Errorf("used = %+v, %v, want MaxAmount", u, ok)
	}
}

// The tail of a stream follows what was read, and an error event is one of its own.
func TestTail(t *testing.T) {
	for _, test := range []struct {
		events events
		want   string
	}{
		{events{last: true, rest: []byte("b")}, "ab"},
		{events{single: true, rest: []byte("b")}, "aevent: error\ndata: {"},
		{events{unread: true}, "a\n\nevent: error\ndata: {"},
	} {
		if got := string((&flow{events: &test.events}).tail([]byte("a"))); !strings.HasPrefix(got, test.want) {
			t.Errorf("tail(a) of %+v = %q, want %q", test.events, got, test.want)
		}
	}
}
