// SPDX-License-Identifier: Apache-2.0

package prompt_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/model"
	"github.com/gatehouse-go/gatehouse/agent/prompt"
)

// classify returns the categories of the prompt. A real classifier is a model.
func classify(r *http.Request) ([]string, error) {
	call, _ := model.FromContext(r.Context())
	for _, text := range call.Texts {
		if strings.Contains(text, "func main") {
			return []string{"code"}, nil
		}
	}
	return []string{"general"}, nil
}

// Only developers may send code.
func Example() {
	filter, err := prompt.New(prompt.Config{
		Classify: classify,
		Rules:    map[string]prompt.Rule{"general": {}, "code": {Roles: []string{"developer"}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := gatehouse.Require(filter)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
	}))
	for _, text := range []string{"Hello", "func main() {}"} {
		// In a server, the gate and the middleware of package agent/model do this.
		ctx := gatehouse.NewContext(context.Background(), gatehouse.Principal{Subject: "alice", Method: "example"})
		ctx = model.NewContext(ctx, &model.Call{Texts: []string{text}})
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/messages", nil))
		fmt.Println(w.Code)
	}
	// Output:
	// 200
	// 403
}
