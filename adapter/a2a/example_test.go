// SPDX-License-Identifier: Apache-2.0

package gatea2a_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	sdk "github.com/a2aproject/a2a-go/a2a"
	"github.com/a2aproject/a2a-go/a2aclient"
	"github.com/a2aproject/a2a-go/a2asrv"
	"github.com/a2aproject/a2a-go/a2asrv/eventqueue"

	"github.com/gatehouse-go/gatehouse"
	gatea2a "github.com/gatehouse-go/gatehouse/adapter/a2a"
	"github.com/gatehouse-go/gatehouse/adapter/internal/agentkit"
	"github.com/gatehouse-go/gatehouse/agent/tool"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

type greeting struct {
	Name string `json:"name"`
}

// greeter is an agent with one skill.
type greeter struct{}

func (greeter) Execute(ctx context.Context, request *a2asrv.RequestContext, queue eventqueue.Queue) error {
	call, ok := gatea2a.CallFrom(ctx)
	if !ok {
		return sdk.ErrInternalError
	}
	text := "Hello " + call.Arguments.(*greeting).Name + ", says " + call.Principal.Subject
	return queue.Write(ctx, sdk.NewMessageForTask(sdk.MessageRoleAgent, request, sdk.TextPart{Text: text}))
}

func (greeter) Cancel(context.Context, *a2asrv.RequestContext, eventqueue.Queue) error {
	return sdk.ErrTaskNotCancelable
}

// An agent with one skill. In a program the authenticator is that of package jwtauth,
// the facts come from the registry of package agent, the tasks are in a database, and
// the key of the cards is loaded.
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
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	keys, err := jwtauth.NewKeyRing(jwtauth.SigningKey{Algorithm: jwtauth.ES256, Private: private})
	if err != nil {
		log.Fatal(err)
	}
	authenticators := []gatehouse.Authenticator{callers}

	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	agent, err := gatea2a.New(gatea2a.Config{
		Executor: greeter{}, Table: table, Tasks: &memory{tasks: make(map[sdk.TaskID][]byte)},
		Card: sdk.AgentCard{
			Name: "greeter", Version: "1.0.0", ProtocolVersion: "0.3.0", URL: server.URL + "/a2a",
			PreferredTransport: sdk.TransportProtocolJSONRPC,
			Skills:             []sdk.AgentSkill{{ID: "greet", Name: "Greet", Description: "Greets."}},
		},
		Authenticators: authenticators, Keys: keys,
	})
	if err != nil {
		log.Fatal(err)
	}
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: authenticators, Realm: "greeter"})
	if err != nil {
		log.Fatal(err)
	}
	mux.Handle("/.well-known/agent-card.json", agent.Card())
	mux.Handle("/.well-known/jwks.json", keys)
	mux.Handle("/a2a", gate.Handler(agent))

	for _, caller := range []string{"key", "unknown"} {
		client, err := a2aclient.NewFromEndpoints(context.Background(),
			[]sdk.AgentInterface{{Transport: sdk.TransportProtocolJSONRPC, URL: server.URL + "/a2a"}},
			a2aclient.WithJSONRPCTransport(&http.Client{Transport: agentkit.Bearer{Base: http.DefaultTransport, Caller: caller}}))
		if err != nil {
			log.Fatal(err)
		}
		for _, skill := range []string{"greet", "delete"} {
			result, err := client.SendMessage(context.Background(), message(skill, map[string]any{"name": "Ada"}))
			if err != nil {
				fmt.Println(err)
				continue
			}
			fmt.Println(result.(*sdk.Message).Parts[0].(sdk.TextPart).Text)
		}
	}
	// Output:
	// Hello Ada, says reader
	// access_denied: unknown skill: this operation is not supported
	// unexpected HTTP status: 401 Unauthorized
	// unexpected HTTP status: 401 Unauthorized
}
