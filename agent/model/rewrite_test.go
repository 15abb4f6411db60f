// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/agent/model"
)

func TestRewrite(t *testing.T) {
	for _, test := range []struct {
		name       string
		shape      model.Shape
		changes    model.Changes
		body, want string
	}{
		{"nothing", chat, model.Changes{}, ` { "model" : "m" , "messages":[] } `, ` { "model" : "m" , "messages":[] } `},
		{"model", chat, model.Changes{Model: "small-1"}, ` { "model" : "fast" , "messages":[],"seed":12345678901234567890.10 } `, ` { "model" : "small-1" , "messages":[],"seed":12345678901234567890.10 } `},
		{"same model", chat, model.Changes{Model: "m"}, `{"model":"\u006d","messages":[]}`, `{"model":"\u006d","messages":[]}`},
		{"shorter model", chat, model.Changes{Model: "small-1"}, `{"model":"small-12","messages":[]}`, `{"model":"small-1","messages":[]}`},
		{"longer model", chat, model.Changes{Model: "small-12"}, `{"model":"small-1","messages":[]}`, `{"model":"small-12","messages":[]}`},
		{"model that the path names", chat, model.Changes{Model: "small-1"}, `{"messages":[]}`, `{"messages":[]}`},
		{"larger limit", chat, model.Changes{Limit: 5}, `{"max_tokens":6,"model":"m","messages":[]}`, `{"max_tokens":5,"model":"m","messages":[]}`},
		{"smaller limit", chat, model.Changes{Limit: 5}, `{"max_tokens":4,"model":"m","messages":[]}`, `{"max_tokens":4,"model":"m","messages":[]}`},
		{"huge limit", chat, model.Changes{Limit: 5}, `{"max_tokens":99999999999999999999,"messages":[]}`, `{"max_tokens":5,"messages":[]}`},
		{"all limits", chat, model.Changes{Limit: 5}, `{"max_tokens":6,"max_output_tokens":7,"max_completion_tokens":8,"messages":[]}`, `{"max_tokens":5,"max_output_tokens":5,"max_completion_tokens":5,"messages":[]}`},
		{"limit of another API", chat, model.Changes{Limit: 5}, `{"max_output_tokens":6,"messages":[]}`, `{"max_output_tokens":5,"messages":[],"max_completion_tokens":5}`},
		{"no limit", chat, model.Changes{Limit: 5}, "{\"messages\":[]\n}\n", "{\"messages\":[],\"max_completion_tokens\":5\n}\n"},
		{"null", chat, model.Changes{Limit: 5}, `{"max_tokens":null,"messages":[]}`, `{"max_tokens":5,"messages":[]}`},
		{"two nulls", chat, model.Changes{Limit: 5}, `{"max_tokens":null,"messages":[],"max_completion_tokens":null}`, `{"max_tokens":null,"messages":[],"max_completion_tokens":5}`},
		{"null beside a limit", chat, model.Changes{Limit: 5}, `{"max_tokens":9,"messages":[],"max_completion_tokens":null}`, `{"max_tokens":5,"messages":[],"max_completion_tokens":null}`},
		{"responses", model.Responses, model.Changes{Limit: 5}, `{"input":""}`, `{"input":"","max_output_tokens":5}`},
		{"messages", model.Messages, model.Changes{Limit: 5}, `{"messages":[]}`, `{"messages":[],"max_tokens":5}`},
		{"embeddings", model.Embeddings, model.Changes{Limit: 5}, `{"input":""}`, `{"input":""}`},
		{"limit of embeddings", model.Embeddings, model.Changes{Limit: 5}, `{"input":"","max_tokens":6}`, `{"input":"","max_tokens":5}`},
		{"no options", chat, model.Changes{IncludeUsage: true}, `{"stream":true,"messages":[]}`, `{"stream":true,"messages":[],"stream_options":{"include_usage":true}}`},
		{"no options beside tools", chat, model.Changes{IncludeUsage: true}, `{"stream":true,"messages":[],"tools":[{}]}`, `{"stream":true,"messages":[],"tools":[{}],"stream_options":{"include_usage":true}}`},
		{"options are null", chat, model.Changes{IncludeUsage: true}, `{"stream":true,"stream_options":null,"messages":[]}`, `{"stream":true,"stream_options":{"include_usage":true},"messages":[]}`},
		{"empty options", chat, model.Changes{IncludeUsage: true}, `{"stream":true,"stream_options":{ },"messages":[]}`, `{"stream":true,"stream_options":{"include_usage":true},"messages":[]}`},
		{"other options", chat, model.Changes{IncludeUsage: true}, `{"stream":true,"stream_options":{ "x" : 1.0 },"messages":[]}`, `{"stream":true,"stream_options":{ "x" : 1.0,"include_usage":true },"messages":[]}`},
		{"options with false", chat, model.Changes{IncludeUsage: true}, `{"stream":true,"stream_options":{"include_usage": false,"x":1},"messages":[]}`, `{"stream":true,"stream_options":{"include_usage": true,"x":1},"messages":[]}`},
		{"options with true", chat, model.Changes{IncludeUsage: true}, `{"stream":true,"stream_options":{"include_usage" :true},"messages":[]}`, `{"stream":true,"stream_options":{"include_usage" :true},"messages":[]}`},
		{"no stream", chat, model.Changes{IncludeUsage: true}, `{"messages":[]}`, `{"messages":[]}`},
		{"stream of responses", model.Responses, model.Changes{IncludeUsage: true}, `{"stream":true,"input":""}`, `{"stream":true,"input":""}`},
		{"all", chat, model.Changes{"small-1", 5, true}, `{"stream":true,"messages":[],"n":2,"model":"fast"}`, `{"stream":true,"messages":[],"n":2,"model":"small-1","max_completion_tokens":5,"stream_options":{"include_usage":true}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			call := must(model.Parse(test.shape, []byte(test.body)))
			if got := string(call.Rewrite(test.changes)); got != test.want {
				t.Errorf("Rewrite(%+v) =\n%s, want\n%s", test.changes, got, test.want)
			}
		})
	}
}

func TestWorst(t *testing.T) {
	m := model.Model{ToolOverhead: 10}
	for _, test := range []struct {
		name  string
		call  model.Call
		limit int64
		want  int64
	}{
		{"input and output", model.Call{Input: 5, Choices: 1}, 100, 105},
		{"choices", model.Call{Input: 5, Choices: 3}, 100, 305},
		{"tools", model.Call{Input: 5, Choices: 1, Tools: true}, 100, 115},
		{"embeddings", model.Call{Shape: model.Embeddings, Input: 5, Choices: 1}, 100, 5},
		{"embeddings with a limit", model.Call{Shape: model.Embeddings, Input: 5, Choices: 1, Limit: 1}, 100, 105},
		{"no output", model.Call{Input: 5, Choices: 1}, 0, 5},
		{"one token", model.Call{Input: 5, Choices: 1}, 1, 6},
		{"one below the largest", model.Call{Input: 8, Choices: 1}, model.MaxTokens - 9, model.MaxTokens - 1},
		{"largest", model.Call{Input: 7, Choices: 1}, model.MaxTokens - 7, model.MaxTokens},
		{"above the largest", model.Call{Input: 8, Choices: 1}, model.MaxTokens - 7, model.MaxTokens},
		{"overflow", model.Call{Input: 8, Choices: 1 << 53}, 1 << 52, model.MaxTokens},
		{"overflow of the input", model.Call{Input: model.MaxTokens, Choices: 1, Tools: true}, 1, model.MaxTokens},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.call.Worst(m, test.limit); got != test.want {
				t.Errorf("Worst = %d, want %d", got, test.want)
			}
		})
	}
}

// What Parse accepts means the same to encoding/json. The rewritten body differs only
// in the members that were to change, and its output is bounded.
func FuzzRewrite(f *testing.F) {
	for _, body := range []string{
		`{"model":"fast","messages":[{"role":"user","content":"x"}],"max_tokens":null,"n":2,"stream":true}`,
		`{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"é\n"}]}],"max_output_tokens":7,"seed":1.50}`,
		`{"input":[[1,2],[3]]}`, `{"messages":[],"stream":true,"stream_options":{"include_usage":false}}`, `{}`, `{"model":"m","model":"n"}`,
		` {"messages":[{"content":[{"type":"text","text":"\ud83d\ude00"}]}],"tools":[{"type":"custom"}],"MAX_TOKENS":5}`,
	} {
		f.Add(body)
	}
	shapes := []model.Shape{chat, model.Responses, model.Embeddings, model.Messages}
	f.Fuzz(func(t *testing.T, body string) {
		for _, shape := range shapes {
			call, err := model.Parse(shape, []byte(body))
			if err != nil {
				continue
			}
			before, after := decode(t, body), decode(t, string(call.Rewrite(model.Changes{Model: "small-1", Limit: 5, IncludeUsage: true})))
			if unchanged := string(call.Rewrite(model.Changes{})); unchanged != body {
				t.Fatalf("Rewrite without changes = %q, want %q", unchanged, body)
			}
			if name, _ := before["model"].(string); name != call.Name {
				t.Fatalf("Parse(%q) reads the model %q, encoding/json %q", body, call.Name, name)
			}
			own := map[model.Shape][]string{chat: {"max_tokens", "max_completion_tokens"}, model.Responses: {"max_output_tokens"}, model.Messages: {"max_tokens"}}[shape]
			bounded := len(own) == 0
			for name, value := range after {
				if strings.HasPrefix(name, "max_") && strings.HasSuffix(name, "_tokens") && value != nil {
					n, err := value.(json.Number).Int64()
					if isLimit := name == "max_tokens" || name == "max_completion_tokens" || name == "max_output_tokens"; isLimit && (err != nil || n < 1 || n > 5) {
						t.Fatalf("Rewrite(%q): %s = %v, want 1 to 5", body, name, value)
					}
				}
				for _, limit := range own {
					bounded = bounded || name == limit && value != nil
				}
			}
			if !bounded {
				t.Fatalf("Rewrite(%q) has no output limit", body)
			}
			for _, name := range []string{"model", "max_tokens", "max_completion_tokens", "max_output_tokens", "stream_options"} {
				delete(before, name)
				delete(after, name)
			}
			if !reflect.DeepEqual(before, after) {
				t.Fatalf("Rewrite(%q) changes other members: %v, want %v", body, after, before)
			}
			text := 0
			for _, s := range call.Texts {
				text += len(s)
			}
			if call.Input < int64(text) || call.Input > int64(len(body))+17*int64(len(body)) {
				t.Fatalf("Parse(%q).Input = %d with %d bytes of text", body, call.Input, text)
			}
		}
	})
}

func decode(t *testing.T, body string) map[string]any {
	t.Helper()
	var members map[string]any
	d := json.NewDecoder(bytes.NewReader([]byte(body)))
	d.UseNumber()
	if err := d.Decode(&members); err != nil {
		t.Fatalf("encoding/json refuses %q: %v", body, err)
	}
	return members
}
