// SPDX-License-Identifier: Apache-2.0

package llm_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"

	"github.com/gatehouse-go/gatehouse/interop/program"
)

// llmGateway is examples/llmgateway in front of its fake upstream, with API keys by name.
type llmGateway struct {
	url  string
	keys map[string]string
}

func newLLMGateway(t *testing.T) *llmGateway {
	t.Helper()
	binary := program.Build(t, "../../examples/llmgateway")
	fake := program.Start(t, binary, nil, "-fake", "127.0.0.1:0")
	upstream := fake.Prints(t, &fake.Out, `listening (\S+)`)
	type object = map[string]any
	key := func(name string, more object) object {
		all := object{"name": name, "tenant": "acme", "scopes": []string{"model:standard", "spend:read"}}
		maps.Copy(all, more)
		return all
	}
	config, err := json.Marshal(object{
		"addr": "127.0.0.1:0",
		"api_keys": object{"driver": "memory", "mint": []object{
			key("web", object{"scopes": []string{"model:standard", "model:premium", "spend:read"}}), key("batch", nil), key("night", nil),
			key("capped", object{"max_tokens_per_request": 10}), key("spent", object{"max_tokens_per_day": 60}),
		}},
		"ledger": object{"driver": "memory"},
		"upstreams": []object{
			{"name": "a", "api": "openai", "base_url": upstream, "credential": "env:PROVIDER_KEY", "models": []string{"small-1", "large-1"}},
			{"name": "b", "api": "anthropic", "base_url": upstream, "credential": "env:PROVIDER_KEY", "models": []string{"claude-1"}},
		},
		"tiers":             object{"standard": []string{"small-1", "claude-1"}, "premium": []string{"large-1"}},
		"max_output_tokens": object{"small-1": 24, "large-1": 24, "claude-1": 24},
		"budgets": []object{
			{"per": "tenant", "window": "month", "zone": "Europe/Berlin", "max_tokens": 2500},
			{"per": "tenant_tier", "window": "rolling_24h", "max_tokens": 1200},
			{"per": "key", "window": "rolling_24h", "max_tokens": 700},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		t.Fatal(err)
	}
	app := program.Start(t, binary, append(os.Environ(), "PROVIDER_KEY=the-key-of-the-provider"), "-config", path)
	g := &llmGateway{url: app.Prints(t, &app.Out, `listening (\S+)`), keys: map[string]string{}}
	for _, name := range []string{"web", "batch", "night", "capped", "spent"} {
		g.keys[name] = app.Prints(t, &app.Out, `api-key `+name+` (\S+)`)
	}
	return g
}

// The official clients of both providers talk to the gateway unchanged.
func TestOfficialClientsOfLLMs(t *testing.T) {
	t.Parallel()
	g := newLLMGateway(t)
	ctx := t.Context()

	t.Run("openai-go", func(t *testing.T) {
		client := openai.NewClient(option.WithBaseURL(g.url+"/v1"), option.WithAPIKey(g.keys["web"]))
		chat := openai.ChatCompletionNewParams{Model: "small-1", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Hello")}, MaxCompletionTokens: openai.Int(3)}
		answer, err := client.Chat.Completions.New(ctx, chat)
		if err != nil || len(answer.Choices) != 1 || answer.Choices[0].Message.Content != "word1 word2 word3 " || answer.Usage.CompletionTokens != 3 {
			t.Errorf("Chat.Completions.New = %+v, %v", answer, err)
		}
		var text, delta strings.Builder
		stream := client.Chat.Completions.NewStreaming(ctx, chat)
		for stream.Next() {
			chunk := stream.Current()
			if chunk.Usage.TotalTokens != 0 || len(chunk.Choices) != 1 {
				t.Errorf("a chunk reports the usage, which the client has not asked for: %s", chunk.RawJSON())
			} else {
				text.WriteString(chunk.Choices[0].Delta.Content)
			}
		}
		if stream.Err() != nil || text.String() != "word1 word2 word3 " {
			t.Errorf("stream = %q, %v", text.String(), stream.Err())
		}
		response, err := client.Responses.New(ctx, responses.ResponseNewParams{Model: "small-1", Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("Hello")}, MaxOutputTokens: openai.Int(2)})
		if err != nil || response.OutputText() != "word1 word2 " {
			t.Errorf("Responses.New = %+v, %v", response, err)
		}
		events := client.Responses.NewStreaming(ctx, responses.ResponseNewParams{Model: "large-1", Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("Hello")}})
		for events.Next() {
			if event := events.Current(); event.Type == "response.output_text.delta" {
				delta.WriteString(event.Delta)
			}
		}
		if events.Err() != nil || !strings.HasSuffix(delta.String(), "word24 ") {
			t.Errorf("stream of responses = %q, %v", delta.String(), events.Err())
		}
		if list, err := client.Embeddings.New(ctx, openai.EmbeddingNewParams{Model: "small-1", Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("Hello")}}); err != nil || len(list.Data) != 1 {
			t.Errorf("Embeddings.New = %+v, %v", list, err)
		}
		if models, err := client.Models.List(ctx); err != nil || len(models.Data) != 3 {
			t.Errorf("Models.List = %+v, %v", models, err)
		}
		for who, want := range map[string]string{"batch": "403 insufficient_scope", "capped": "403 budget_exceeded", "spent": "429 budget_exceeded", "unknown": "401 missing_credentials"} {
			refused := openai.NewClient(option.WithBaseURL(g.url+"/v1"), option.WithAPIKey(g.keys[who]))
			if who == "unknown" {
				refused = openai.NewClient(option.WithBaseURL(g.url+"/v1"), option.WithHeaderDel("Authorization"))
			}
			model := map[string]openai.ChatModel{"batch": "large-1"}[who]
			if model == "" {
				model = "small-1"
			}
			var err error
			for range 4 { // until the budget of the day is spent
				if _, err = refused.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{Model: model, Messages: chat.Messages}); err != nil {
					break
				}
			}
			failure, ok := errors.AsType[*openai.Error](err)
			if !ok || fmt.Sprint(failure.StatusCode, " ", failure.Code) != want || failure.Type == "" {
				t.Errorf("%s: error = %v, want %s", who, err, want)
			}
		}
	})

	t.Run("anthropic-sdk-go", func(t *testing.T) {
		message := anthropic.MessageNewParams{Model: "claude-1", MaxTokens: 3, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Hello"))}}
		for name, credential := range map[string]anthropicoption.RequestOption{
			"X-Api-Key": anthropicoption.WithAPIKey(g.keys["web"]), "Bearer": anthropicoption.WithAuthToken(g.keys["web"]),
		} {
			client := anthropic.NewClient(anthropicoption.WithBaseURL(g.url), credential)
			answer, err := client.Messages.New(ctx, message)
			if err != nil || len(answer.Content) != 1 || answer.Content[0].Text != "word1 word2 word3 " || answer.Usage.OutputTokens != 3 {
				t.Errorf("%s: Messages.New = %+v, %v", name, answer, err)
			}
			stream, whole := client.Messages.NewStreaming(ctx, message), anthropic.Message{}
			for stream.Next() {
				if err := whole.Accumulate(stream.Current()); err != nil {
					t.Errorf("%s: Accumulate: %v", name, err)
				}
			}
			if stream.Err() != nil || len(whole.Content) != 1 || whole.Content[0].Text != "word1 word2 word3 " || whole.Usage.OutputTokens != 3 {
				t.Errorf("%s: stream = %+v, %v", name, whole, stream.Err())
			}
			if models, err := client.Models.List(ctx, anthropic.ModelListParams{}); err != nil || len(models.Data) != 3 {
				t.Errorf("%s: Models.List = %+v, %v", name, models, err)
			}
		}
		client := anthropic.NewClient(anthropicoption.WithBaseURL(g.url), anthropicoption.WithAPIKey(g.keys["capped"]))
		_, err := client.Messages.New(ctx, message)
		failure, ok := errors.AsType[*anthropic.Error](err)
		if !ok || failure.StatusCode != http.StatusForbidden || failure.Type() != "permission_error" || !strings.Contains(failure.RawJSON(), "budget_exceeded") {
			t.Errorf("capped: error = %v, want 403 permission_error with budget_exceeded", err)
		}
	})
}
