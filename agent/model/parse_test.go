// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/model"
)

const (
	malformed = "400 invalid_request model_malformed"
	unbounded = "403 access_denied model_unbounded"

	chat = model.ChatCompletions
)

// The members of each API that decide on the worst case.
func TestParse(t *testing.T) {
	for _, test := range []struct {
		name  string
		shape model.Shape
		body  string
		want  model.Call // Shape is that of the row
	}{
		{
			"chat", chat, `{"model":"fast","messages":[{"role":"user","content":"hello"}]}`,
			model.Call{Name: "fast", Choices: 1, Input: 5 + 16, Texts: []string{"hello"}},
		},
		{
			"chat with everything", chat,
			`{"model":"m","messages":[{"role":"system","content":"abc"},{"role":"user","name":"bob","content":[{"type":"text","text":"de"},{"type":"text","text":"f\u00e9"}]}],` +
				`"n":3,"max_tokens":7,"max_completion_tokens":5,"stream":true,"stream_options":{"include_usage":true},"temperature":0.1}`,
			model.Call{
				Name: "m", Choices: 3, Limit: 5, Stream: true, IncludeUsage: true, Input: 3 + 16 + 3 + 5 + 16,
				Texts: []string{"abc", "bobdefé"},
			},
		},
		{
			"tools", chat, `{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"f"}}]}`,
			model.Call{Name: "m", Choices: 1, Input: 45, Tools: true},
		},
		{"no tools", chat, `{"model":"m","messages":[],"tools":[]}`, model.Call{Name: "m", Choices: 1, Input: 2}},
		{
			"tool calls and results", chat,
			`{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"42"}]}`,
			model.Call{Name: "m", Choices: 1, Input: 2*16 + len64(`[{"id":"1","function":{"name":"f","arguments":"{}"}}]`+"1"+"42"), Texts: []string{"1f{}", "142"}},
		},
		{"null", chat, `{"model":"m","messages":[],"n":null,"max_tokens":null,"stream":null,"stream_options":null,"prompt":null,"tools":null}`, model.Call{Name: "m", Choices: 1}},
		{"smallest limit", chat, `{"model":"m","messages":[],"max_tokens":1}`, model.Call{Name: "m", Choices: 1, Limit: 1}},
		{"largest limit", chat, `{"model":"m","messages":[],"max_tokens":9007199254740991}`, model.Call{Name: "m", Choices: 1, Limit: model.MaxTokens}},
		{"null in values", chat, `{"model":"m","messages":[],"stream_options":{"include_usage":null},"x":null}`, model.Call{Name: "m", Choices: 1}},
		{"null as type of a tool", chat, `{"model":"m","messages":[],"tools":[{"type":null}]}`, model.Call{Name: "m", Choices: 1, Input: 15, Tools: true}},
		{"functions", chat, `{"model":"m","messages":[],"functions":[{"name":"f"}]}`, model.Call{Name: "m", Choices: 1, Input: 14, Tools: true}},
		{"name in another case", chat, `{"model":"m","messages":[{"role":"user","Name":"bob","content":"x"}]}`, model.Call{Name: "m", Choices: 1, Input: 16 + 4, Texts: []string{"bobx"}}},
		{"all three limits", chat, `{"model":"m","messages":[],"max_tokens":9,"max_output_tokens":3,"max_completion_tokens":8}`, model.Call{Name: "m", Choices: 1, Limit: 3}},
		{"huge numbers", chat, `{"model":"m","messages":[],"max_tokens":9999999999999999999999,"n":9007199254740993}`, model.Call{Name: "m", Choices: 1 << 53, Limit: 1 << 53}},
		{"best_of", chat, `{"model":"m","messages":[],"n":2,"best_of":4}`, model.Call{Name: "m", Choices: 4}},
		{"best_of before a smaller n", chat, `{"model":"m","messages":[],"best_of":4,"n":2}`, model.Call{Name: "m", Choices: 4}},
		{"unknown member", chat, `{"model":"m","messages":[],"documents":[{"text":"abc"},12]}`, model.Call{Name: "m", Choices: 1, Input: len64(`[{"text":"abc"},12]`)}},
		{"schema", chat, `{"model":"m","messages":[],"response_format":{"type":"x"}}`, model.Call{Name: "m", Choices: 1, Input: len64(`{"type":"x"}`)}},
		{"brackets of a schema", chat, `{"model":"m","messages":[],"response_format":[[[]],{},true]}`, model.Call{Name: "m", Choices: 1, Input: len64(`[[[]],{},true]`)}},
		{"long role", chat, `{"model":"m","messages":[{"role":"0123456789abcdefghij","content":"x"}]}`, model.Call{Name: "m", Choices: 1, Input: 1 + 22, Texts: []string{"x"}}},
		{
			"responses with a string", model.Responses, `{"model":"m","input":"hello","instructions":"be brief","max_output_tokens":10}`,
			model.Call{Name: "m", Choices: 1, Limit: 10, Input: 5 + 16 + 8, Texts: []string{"hello", "be brief"}},
		},
		{"null as instructions", model.Responses, `{"model":"m","input":"x","instructions":null}`, model.Call{Name: "m", Choices: 1, Input: 1 + 16, Texts: []string{"x"}}},
		{"brackets in a string", model.Responses, `{"model":"m","input":"a[b"}`, model.Call{Name: "m", Choices: 1, Input: 3 + 16, Texts: []string{"a[b"}}},
		{
			"responses with items", model.Responses,
			`{"model":"m","input":[{"role":"user","content":"ab"},{"type":"message","role":"user","content":[{"type":"input_text","text":"cd"}]},` +
				`{"type":"function_call","arguments":"{}"},{"type":"function_call_output","output":[{"type":"input_text","text":"ef"}]},` +
				`{"type":"reasoning","summary":[{"type":"summary_text","text":"gh"}],"encrypted_content":"ij"}]}`,
			model.Call{Name: "m", Choices: 1, Input: 5*16 + 12, Texts: []string{"ab", "cd", "{}", "ef", "ghij"}},
		},
		{"custom tool", model.Responses, `{"model":"m","input":"","tools":[{"type":"custom"}],"background":false}`, model.Call{Name: "m", Choices: 1, Input: 16 + 19, Tools: true, Texts: []string{""}}},
		{
			"messages", model.Messages,
			`{"model":"m","max_tokens":20,"system":[{"type":"text","text":"sys","cache_control":{"type":"ephemeral"}}],"thinking":{"type":"enabled","budget_tokens":12},` +
				`"messages":[{"role":"user","content":"ab"},{"role":"assistant","content":[{"type":"thinking","thinking":"cd","signature":"ef"},{"type":"tool_use","id":"1","name":"f","input":{"g":3}}]},` +
				`{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":[{"type":"text","text":"hi"}]}]}]}`,
			model.Call{
				Name: "m", Choices: 1, Limit: 20, Thinking: 12, Input: 3 + 3*16 + 2 + 4 + 2 + len64(`{"g":3}`) + 3,
				Texts: []string{"sys", "ab", "cdef1f", "1hi"},
			},
		},
		{"no thinking", model.Messages, `{"model":"m","messages":[],"thinking":{"type":"disabled","budget_tokens":null}}`, model.Call{Name: "m", Choices: 1}},
		{"negative budget", model.Messages, `{"model":"m","messages":[],"thinking":{"budget_tokens":-5}}`, model.Call{Name: "m", Choices: 1}},
		{"thinking of many members", model.Messages, `{"model":"m","messages":[],"thinking":{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"budget_tokens":5}}`, model.Call{Name: "m", Choices: 1, Thinking: 5}},
		{"embeddings of brackets", model.Embeddings, `{"model":"m","input":"a[b{"}`, model.Call{Name: "m", Choices: 1, Input: 4, Texts: []string{"a[b{"}}},
		{"embeddings", model.Embeddings, `{"model":"m","input":"abc","dimensions":5}`, model.Call{Name: "m", Choices: 1, Input: 3, Texts: []string{"abc"}}},
		{"embeddings of texts", model.Embeddings, `{"model":"m","input":["abc","é"]}`, model.Call{Name: "m", Choices: 1, Input: 5, Texts: []string{"abc", "é"}}},
		{"embeddings of tokens", model.Embeddings, `{"model":"m","input":[1,22,333]}`, model.Call{Name: "m", Choices: 1, Input: 3}},
		{"embeddings of token lists", model.Embeddings, `{"model":"m","input":[[1,22],[333]]}`, model.Call{Name: "m", Choices: 1, Input: 3}},
		{"no model", chat, `{"messages":[]}`, model.Call{Choices: 1}},
		{"escaped model", chat, `{"model":"sm\u0061ll-1","messages":[]}`, model.Call{Name: "small-1", Choices: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := model.Parse(test.shape, []byte(test.body))
			if err != nil {
				t.Fatalf("Parse error = %v %v", err, status(err))
			}
			test.want.Shape = test.shape
			if diff := cmp.Diff(test.want, *got, cmpopts.IgnoreUnexported(model.Call{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("Parse(%s) (-want +got):\n%s", test.body, diff)
			}
		})
	}
}

func len64(s string) int64 { return int64(len(s)) }

func TestParseRefuses(t *testing.T) {
	message := func(content string) string {
		return `{"model":"m","messages":[{"role":"user","content":` + content + `}]}`
	}
	input := func(items string) string { return `{"model":"m","input":` + items + `}` }
	for _, test := range []struct {
		name  string
		shape model.Shape
		body  string
		want  string
	}{
		{"empty", chat, ``, malformed},
		{"no object", chat, `[]`, malformed},
		{"two objects", chat, `{"model":"m","messages":[]}{}`, malformed},
		{"comment", chat, `{"model":"m","messages":[]/**/}`, malformed},
		{"trailing comma", chat, `{"model":"m","messages":[],}`, malformed},
		{"byte order mark", chat, "\ufeff" + `{"model":"m","messages":[]}`, malformed},
		{"UTF-16", chat, "\xff\xfe{\x00}\x00", malformed},
		{"invalid UTF-8", chat, message("\"\xff\""), malformed},
		{"lone surrogate", chat, message(`"\ud800"`), malformed},
		{"model twice", chat, `{"model":"m","messages":[],"model":"m"}`, malformed},
		{"model twice by case", chat, `{"model":"m","messages":[],"Model":"m"}`, malformed},
		{"model twice by an escape", chat, `{"model":"m","messages":[],"mod\u0065l":"n"}`, malformed},
		{"model in another case", chat, `{"MODEL":"m","messages":[]}`, malformed},
		{"model is a number", chat, `{"model":1,"messages":[]}`, malformed},
		{"model is an array", chat, `{"model":["m"],"messages":[]}`, malformed},
		{"limit twice", chat, `{"model":"m","messages":[],"max_tokens":1,"max_tokens":2}`, malformed},
		{"limit in another case", chat, `{"model":"m","messages":[],"Max_Tokens":1}`, malformed},
		{"limit by the long s", chat, `{"model":"m","messages":[],"max_token` + "\u017f" + `":1}`, malformed},
		{"limit is a fraction", chat, `{"model":"m","messages":[],"max_tokens":1.5}`, malformed},
		{"limit with a fraction of 0", chat, `{"model":"m","messages":[],"max_tokens":1.0}`, malformed},
		{"limit with an exponent", chat, `{"model":"m","messages":[],"max_tokens":1e3}`, malformed},
		{"limit is a string", chat, `{"model":"m","messages":[],"max_tokens":"1"}`, malformed},
		{"limit 0", model.Messages, `{"model":"m","messages":[],"max_tokens":0}`, malformed},
		{"limit -0", chat, `{"model":"m","messages":[],"max_tokens":-0}`, malformed},
		{"limit below 0", model.Responses, `{"model":"m","input":"","max_output_tokens":-5}`, malformed},
		{"n is 0", chat, `{"model":"m","messages":[],"n":0}`, malformed},
		{"n is a string", chat, `{"model":"m","messages":[],"n":"2"}`, malformed},
		{"best_of below 0", chat, `{"model":"m","messages":[],"best_of":-1}`, malformed},
		{"stream is a string", chat, `{"model":"m","messages":[],"stream":"true"}`, malformed},
		{"stream is a number", chat, `{"model":"m","messages":[],"stream":1}`, malformed},
		{"stream options are an array", chat, `{"model":"m","messages":[],"stream_options":[]}`, malformed},
		{"include_usage is a string", chat, `{"model":"m","messages":[],"stream_options":{"include_usage":"false"}}`, malformed},
		{"include_usage in another case", chat, `{"model":"m","messages":[],"stream_options":{"Include_Usage":false}}`, malformed},
		{"no messages", chat, `{"model":"m"}`, malformed},
		{"messages are null", chat, `{"model":"m","messages":null}`, malformed},
		{"messages are an object", chat, `{"model":"m","messages":{}}`, malformed},
		{"message is a string", chat, `{"model":"m","messages":["hi"]}`, malformed},
		{"content is an object", chat, message(`{"type":"text"}`), malformed},
		{"part is a string", chat, message(`["hi"]`), malformed},
		{"type is a number", chat, message(`[{"type":1}]`), malformed},
		{"role in another case", chat, `{"model":"m","messages":[{"Role":"user"}]}`, malformed},
		{"content in another case", chat, `{"model":"m","messages":[{"role":"user","Content":[{"type":"image_url","image_url":{"url":"https://example.com/x.png"}}]}]}`, malformed},
		{"output in another case", model.Responses, `{"model":"m","input":[{"type":"function_call_output","output":"x","OUTPUT":[{"type":"input_image"}]}]}`, malformed},
		{"content of a result in another case", model.Messages, message(`[{"type":"tool_result","Content":[{"type":"image"}]}]`), malformed},
		{"tools are an object", chat, `{"model":"m","messages":[],"tools":{}}`, malformed},
		{"tool is a string", chat, `{"model":"m","messages":[],"tools":["web_search"]}`, malformed},
		{"no input", model.Responses, `{"model":"m"}`, malformed},
		{"input is a number", model.Responses, input(`1`), malformed},
		{"input is null", model.Embeddings, input(`null`), malformed},
		{"three levels of tokens", model.Embeddings, input(`[[[1]]]`), malformed},
		{"token is a fraction", model.Embeddings, input(`[1.5]`), malformed},
		{"thinking is a string", model.Messages, `{"model":"m","messages":[],"thinking":"on"}`, malformed},
		{"budget is a string", model.Messages, `{"model":"m","messages":[],"thinking":{"budget_tokens":"5"}}`, malformed},
		{"budget in another case", model.Messages, `{"model":"m","messages":[],"thinking":{"Budget_Tokens":5}}`, malformed},
		{"deep", chat, message(strings.Repeat("[", 99) + strings.Repeat("]", 99)), malformed},

		{"image", chat, message(`[{"type":"image_url","image_url":{"url":"https://example.com/x.png"}}]`), unbounded},
		{"image beside text", chat, message(`[{"type":"text","text":"x","image_url":"https://example.com/x.png"}]`), unbounded},
		{"image beside text in another case", chat, message(`[{"type":"text","text":"x","Image_URL":"https://example.com/x.png"}]`), unbounded},
		{"part without type", chat, message(`[{"text":"x"}]`), unbounded},
		{"images beside content", chat, `{"model":"m","messages":[{"role":"user","content":"x","images":["https://example.com/x.png"]}]}`, unbounded},
		{"unknown part", chat, message(`[{"type":"hologram"}]`), unbounded},
		{"type by an escape", chat, message(`[{"type":"input\u005faudio"}]`), unbounded},
		{"audio of an earlier answer", chat, `{"model":"m","messages":[{"role":"assistant","audio":{"id":"a"}}]}`, unbounded},
		{"web search", chat, `{"model":"m","messages":[],"web_search_options":{}}`, unbounded},
		{"stored prompt", model.Responses, `{"model":"m","input":"","prompt":{"id":"p"}}`, unbounded},
		{"stored prompt in another case", model.Responses, `{"model":"m","input":"","Prompt":{"id":"p"}}`, unbounded},
		{"previous response", model.Responses, `{"model":"m","input":"","previous_response_id":"r"}`, unbounded},
		{"conversation", model.Responses, `{"model":"m","input":"","conversation":"c"}`, unbounded},
		{"background", model.Responses, `{"model":"m","input":"","background":true}`, unbounded},
		{"item reference", model.Responses, input(`[{"type":"item_reference","id":"x"}]`), unbounded},
		{"item reference without type", model.Responses, input(`[{"id":"x"}]`), unbounded},
		{"message with almost a content", model.Responses, input(`[{"type":"message","contents":"x","cont":"x"}]`), unbounded},
		{"message without content", model.Responses, input(`[{"type":"message","role":"assistant","id":"x"}]`), unbounded},
		{"call without arguments", model.Responses, input(`[{"type":"function_call","id":"x"}]`), unbounded},
		{"stored reasoning", model.Responses, input(`[{"type":"reasoning","id":"x","encrypted_content":null}]`), unbounded},
		{"image in a result", model.Responses, input(`[{"type":"function_call_output","output":[{"type":"input_image"}]}]`), unbounded},
		{"file", model.Responses, input(`[{"role":"user","content":[{"type":"input_file","file_id":"f"}]}]`), unbounded},
		{"hosted tool", model.Responses, `{"model":"m","input":"","tools":[{"type":"web_search"}]}`, unbounded},
		{"function in another case", model.Responses, `{"model":"m","input":"","tools":[{"Type":"function"}]}`, unbounded},
		{"hosted tool in another case", model.Responses, `{"model":"m","input":"","tools":[{"Type":"web_search"}]}`, unbounded},
		{"server tool", model.Messages, `{"model":"m","messages":[],"tools":[{"type":"web_search_20250305","name":"web_search"}]}`, unbounded},
		{"image of Anthropic", model.Messages, message(`[{"type":"image","source":{"type":"url"}}]`), unbounded},
		{"document", model.Messages, message(`[{"type":"document"}]`), unbounded},
		{"document in a result", model.Messages, message(`[{"type":"tool_result","content":[{"type":"document"}]}]`), unbounded},
		{"image as system", model.Messages, `{"model":"m","messages":[],"system":[{"type":"image"}]}`, unbounded},
		{"MCP", model.Messages, `{"model":"m","messages":[],"mcp_servers":[]}`, unbounded},
		{"other models", chat, `{"model":"m","messages":[],"models":["n"]}`, unbounded},
		{"fallbacks of the upstream", chat, `{"model":"m","messages":[],"fallbacks":["n"]}`, unbounded},
		{"members for another API", chat, `{"model":"m","messages":[],"extra_body":{"max_tokens":9}}`, unbounded},
		{"template", chat, `{"model":"m","messages":[],"chat_template":"{% for i in range(9) %}x{% endfor %}"}`, unbounded},
		{"container", model.Messages, `{"model":"m","messages":[],"container":"c"}`, unbounded},
		{"object in embeddings", model.Embeddings, input(`[{"image":"x"}]`), unbounded},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := model.Parse(test.shape, []byte(test.body))
			if got := status(err); got != test.want {
				t.Errorf("Parse(%s) = %s (%v), want %s", test.body, got, err, test.want)
			}
		})
	}
}

// The error of a body is written to logs, so it names the place but has no text of the prompt.
func TestErrorsHaveNoTextOfTheBody(t *testing.T) {
	for body, want := range map[string]string{
		`{"model":"m","messages":[{"role":"user","content":[{"type":"SECRET","text":"SECRET"}]}]}`: "content[].type: not a kind of text",
		`{"model":"m","messages":[{"role":"user","SECRET":"SECRET","content":{"SECRET":"x"}}]}`:    "content: not an array",
		`{"model":"m","messages":[{"role":"user","content":"SECRET`:                                "strictjson: ",
		`{"model":"m","messages":[],"tools":[{"type":"SECRET"}]}`:                                  "tools[].type: neither function nor custom",
		`{"model":"m","messages":[],"max_tokens":"SECRET"}`:                                        "max_tokens: not an integer",
		`{"model":"m","messages":"[SECRET"}`:                                                       "messages: not an array",
		`{"model":"m","messages":["{SECRET"]}`:                                                     "messages[]: not an object",
		`{"model":"m","messages":[{"Image":"SECRET"}]}`:                                            "messages[].image: only text",
		`{"model":"m","messages":[{"Content":"SECRET"}]}`:                                          "messages[].content: in another case",
		`{"model":"m","messages":[{"type":["SECRET"]}]}`:                                           "messages[].type: not a string",
		`{"model":"m","messages":[],"tools":"[SECRET"}`:                                            "tools: not an array",
		`{"model":"m","messages":[],"functions":"[SECRET"}`:                                        "functions: not an array",
		`{"model":"m","messages":[],"tools":["{SECRET"]}`:                                          "tools[]: not an object",
		`{"model":"m","messages":[],"Tools":"SECRET"}`:                                             "tools: in another case",
		`{"model":"m","messages":[],"Prompt":"SECRET"}`:                                            "prompt: refers to",
		`{"model":"m","messages":[],"stream":"SECRET"}`:                                            "stream: not a boolean",
		`{"model":"m","messages":[],"background":"SECRET"}`:                                        "background: not a boolean",
		`{"model":"m","messages":[],"thinking":{"budget_tokens":"SECRET"}}`:                        "thinking.budget_tokens: not an integer",
		`{"model":"m","messages":[],"stream_options":{"include_usage":"SECRET"}}`:                  "stream_options.include_usage: not a boolean",
		`{"model":"m","messages":[],"input":[{"type":"function_call","name":"SECRET"}]}`:           "input[]: without arguments it refers",
	} {
		_, err := model.Parse(chat, []byte(body))
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || !strings.HasPrefix(e.Cause.Error(), "model: "+want) {
			t.Errorf("Parse(%s) error = %v, want the cause %s", body, err, want)
		}
		for cause := err; cause != nil; {
			if strings.Contains(cause.Error(), "SECRET") {
				t.Errorf("Parse(%s) error = %v, want one without text of the body", body, cause)
			}
			next, ok := cause.(interface{ Unwrap() error })
			if !ok {
				break
			}
			cause = next.Unwrap()
		}
		if err == nil {
			t.Errorf("Parse(%s) succeeded", body)
		}
	}
}
