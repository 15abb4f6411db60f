// SPDX-License-Identifier: Apache-2.0

package mcp_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/adapter/mcp"
	"github.com/gatehouse-go/gatehouse/agent/tool"
)

type greeting struct {
	Name string `json:"name" jsonschema:"whom to greet"`
}

// An MCP server with one tool. In a program the authenticator is that of package
// jwtauth, and the facts come from the registry of package agent.
func Example() {
	needed, err := gatehouse.NewScopes("data:read")
	if err != nil {
		log.Fatal(err)
	}
	table, err := tool.New(tool.Config{
		Classes: map[string]tool.Class{"public": {Proof: tool.Proof{Kind: tool.APIKey}, Scopes: needed, AllowUnrecorded: true}},
		Tools:   []tool.Tool{{Name: "greet", Class: "public", Arguments: tool.Args[greeting]()}},
		Facts: func(context.Context, gatehouse.Principal) (tool.Facts, error) {
			return tool.Facts{Kind: tool.UserToken}, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	server := sdk.NewServer(&sdk.Implementation{Name: "greeter", Version: "1.0.0"}, nil)
	mcp.AddTool(server, &sdk.Tool{Name: "greet", Description: "Greets."},
		func(_ context.Context, call *tool.Call, in greeting) (map[string]string, error) {
			return map[string]string{"greeting": "Hello " + in.Name + ", says " + call.Principal.Subject}, nil
		})

	tools, err := mcp.New(mcp.Config{Server: server, Table: table, Origin: "https://tools.example.com"})
	if err != nil {
		log.Fatal(err)
	}
	metadata, err := gatehouse.NewMetadata(gatehouse.ProtectedResource{
		Resource: "https://tools.example.com/mcp", AuthorizationServers: []string{"https://login.example.com"},
	})
	if err != nil {
		log.Fatal(err)
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{callers}, Realm: "tools", Metadata: metadata, ErrorBody: mcp.ErrorBody,
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := gate.Mux() // serves the metadata too
	mux.Handle("/mcp", tools, gatehouse.Authenticated)
	root := tools.Front(mux)

	for _, caller := range []string{"key", "unknown"} {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "https://tools.example.com/mcp",
			strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet","arguments":{"name":"Ada"}}}`))
		r.Header.Set("Authorization", "Bearer "+caller)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		w := httptest.NewRecorder()
		root.ServeHTTP(w, r)
		_, said, _ := strings.Cut(w.Body.String(), `"structuredContent":`)
		fmt.Println(w.Code, strings.TrimRight(said, "}\n")+w.Header().Get("WWW-Authenticate"))
	}
	// Output:
	// 200 {"greeting":"Hello Ada, says reader"
	// 401 Bearer realm="tools", error="invalid_token", error_description="The access token is expired, revoked, malformed or invalid for other reasons.", resource_metadata="https://tools.example.com/.well-known/oauth-protected-resource/mcp"
}
