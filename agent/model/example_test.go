// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/model"
)

// A route of an LLM API lets callers use the models of their tiers. The handler sends
// the rewritten body to the upstream.
func Example() {
	models, err := model.New(model.Config{
		Tiers:     map[string][]string{"standard": {"small-1"}, "premium": {"large-1"}},
		Aliases:   map[string]string{"fast": "small-1"},
		MaxOutput: map[string]int64{"small-1": 4096, "large-1": 8192},
	})
	if err != nil {
		log.Fatal(err)
	}
	chat := models.Require(model.Source{Body: model.ChatCompletions})
	handler := chat(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		call, _ := model.FromContext(r.Context())
		limit := min(100, call.Model.MaxOutput)
		fmt.Println("at most", call.Worst(call.Model, limit), "tokens:")
		fmt.Printf("%s\n", call.Rewrite(model.Changes{Model: call.Model.Name, Limit: limit}))
	}))

	// In a server, the gate authenticates the caller.
	held, _ := gatehouse.NewScopes("model:standard")
	ctx := gatehouse.NewContext(context.Background(), gatehouse.Principal{Subject: "ci", Method: "example", Scopes: held})
	for _, name := range []string{"fast", "large-1"} {
		body := `{"model":"` + name + `","messages":[{"role":"user","content":"Hello"}]}`
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/chat/completions", strings.NewReader(body)))
		if w.Code != http.StatusOK {
			fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
		}
	}
	// Output:
	// at most 121 tokens:
	// {"model":"small-1","messages":[{"role":"user","content":"Hello"}],"max_completion_tokens":100}
	// 403 Bearer realm="gatehouse", error="insufficient_scope", error_description="The request requires higher privileges than the credential provides.", scope="model:premium"
}
