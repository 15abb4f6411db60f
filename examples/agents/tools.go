// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/adapter/mcp"
	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/tool"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/mtls"
)

// The arguments of the tools.
type (
	readPublicArguments struct {
		Topic string `json:"topic" jsonschema:"what to read about: hello"`
	}
	updateProfileArguments struct {
		DisplayName string `json:"display_name" jsonschema:"the new display name of the person"`
	}
	callPartnerArguments struct {
		URL    string `json:"url" jsonschema:"an https URL, or an http URL of a loopback address"`
		Amount int64  `json:"amount"`
	}
	runCodeArguments struct {
		Language string `json:"language" jsonschema:"the language of the source: echo"`
		Source   string `json:"source"`
	}
)

// allScopes are the scopes of the tools.
var allScopes = []string{"data:read", "data:write", "external:invoke", "exec:sandbox"}

// newTable returns the table of the tools, with the proof, scope and approval of each.
func newTable(c *config, registry *agent.Registry, approvals *approval.Approvals, admins int, observer gatehouse.Observer) (*tool.Table, error) {
	class := func(scope string, proof tool.Proof, rule approval.Rule) tool.Class {
		scopes, _ := gatehouse.NewScopes(scope)
		return tool.Class{Proof: proof, Scopes: scopes, Approval: rule}
	}
	roles := func(names ...string) gatehouse.Roles {
		r, _ := gatehouse.NewRoles(names...)
		return r
	}
	return tool.New(tool.Config{
		Classes: map[string]tool.Class{
			"read public data": class("data:read", tool.Proof{Kind: tool.APIKey}, approval.Rule{}),
			"modify user data": class("data:write", tool.Proof{Kind: tool.Delegated}, approval.Rule{Consent: true}),
			"call an external API": class("external:invoke", tool.Proof{Kind: tool.UserToken, Binding: mtls.Binding},
				approval.Rule{Roles: roles("operator", "admin"), Count: 1}),
			"execute code": class("exec:sandbox", tool.Proof{Kind: tool.OwnToken, Attested: true},
				approval.Rule{Roles: roles("admin"), Count: admins}),
		},
		Tools: []tool.Tool{
			{Name: "read_public", Class: "read public data", Arguments: tool.Args[readPublicArguments]()},
			{Name: "update_profile", Class: "modify user data", Arguments: tool.Args[updateProfileArguments]()},
			{Name: "call_partner", Class: "call an external API", Arguments: tool.Args[callPartnerArguments](), Check: checkPartner},
			{Name: "run_code", Class: "execute code", Arguments: tool.Args[runCodeArguments](), Check: checkCode},
		},
		Approvals: approvals,
		Facts:     c.facts(registry),
		Observer:  observer,
	})
}

// facts returns the facts about a caller for the table.
func (c *config) facts(registry *agent.Registry) func(context.Context, gatehouse.Principal) (tool.Facts, error) {
	all, _ := gatehouse.NewScopes(allScopes...)
	return func(ctx context.Context, p gatehouse.Principal) (tool.Facts, error) {
		caller, err := registry.Caller(ctx, p)
		if err != nil {
			return tool.Facts{}, err
		}
		// If the store is down no tool runs, even for callers without an agent and for
		// agents in the cache of the registry.
		if _, err := registry.Find(ctx, "none"); err != nil && !errors.Is(err, agent.ErrNotFound) {
			return tool.Facts{}, &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: gatehouse.ReasonPolicyFailed, Cause: err}
		}
		f := tool.Facts{Subject: caller.Subject, Attested: caller.Attestation != "", Obtainable: all}
		if caller.Agent.ID != "" {
			f.Actor = gatehouse.Key{Issuer: c.PublicOrigin, Subject: caller.Agent.ID}
			f.Obtainable = registry.Scopes(caller.Agent)
		}
		switch {
		case p.Method == apikey.Method:
			f.Kind = tool.APIKey
		case caller.Own:
			f.Kind = tool.OwnToken
		case caller.Delegated:
			f.Kind = tool.Delegated
		default:
			f.Kind = tool.UserToken
		}
		return f, nil
	}
}

// checkPartner allows https, and http to this machine.
func checkPartner(_ context.Context, call *tool.Call) error {
	arguments, _ := call.Arguments.(*callPartnerArguments)
	u, err := url.Parse(arguments.URL)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || u.User != nil || u.Fragment != "":
		return refuseArguments("url: want an absolute URL without user and fragment")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return refuseArguments("url: plain http is for loopback addresses only")
	case u.Scheme != "https" && u.Scheme != "http":
		return refuseArguments("url: want https")
	}
	return nil
}

// checkCode allows the languages of the sandbox.
func checkCode(_ context.Context, call *tool.Call) error {
	if arguments, _ := call.Arguments.(*runCodeArguments); arguments.Language != "echo" {
		return refuseArguments("language: the sandbox has echo only")
	}
	return nil
}

func refuseArguments(text string) error {
	return &gatehouse.Error{Code: tool.CodeArguments, Reason: tool.ReasonConstraint, Cause: errors.New(text)}
}

// tools are the tools with their data.
type tools struct {
	mu       sync.Mutex
	profiles map[gatehouse.Key]string // display names
	partners *http.Client
}

func newTools() *tools {
	return &tools{
		profiles: make(map[gatehouse.Key]string),
		partners: &http.Client{
			Timeout:       10 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// server returns the MCP server.
func (t *tools) server() *sdk.Server {
	server := sdk.NewServer(&sdk.Implementation{Name: "gatehouse-agents", Version: "1.0.0"}, nil)
	mcp.AddTool(server, &sdk.Tool{Name: "read_public", Description: "Reads public data."}, t.readPublic)
	mcp.AddTool(server, &sdk.Tool{Name: "update_profile", Description: "Changes the display name of the person, who must consent."}, t.updateProfile)
	mcp.AddTool(server, &sdk.Tool{Name: "call_partner", Description: "Sends an amount to a partner. An operator must approve."}, t.callPartner)
	mcp.AddTool(server, &sdk.Tool{Name: "run_code", Description: "Runs code in a sandbox. Admins must approve."}, t.runCode)
	return server
}

func (t *tools) readPublic(_ context.Context, _ *tool.Call, arguments readPublicArguments) (map[string]string, error) {
	if arguments.Topic != "hello" {
		return nil, errors.New("the only topic is hello")
	}
	return map[string]string{"topic": "hello", "text": "Hello from the gatehouse."}, nil
}

func (t *tools) updateProfile(_ context.Context, call *tool.Call, arguments updateProfileArguments) (map[string]string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.profiles[call.Facts.Subject] = arguments.DisplayName
	return map[string]string{"display_name": arguments.DisplayName}, nil
}

// callPartner sends its own request, which contains nothing from the caller.
func (t *tools) callPartner(ctx context.Context, _ *tool.Call, arguments callPartnerArguments) (map[string]int, error) {
	body, err := json.Marshal(map[string]int64{"amount": arguments.Amount})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, arguments.URL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the URL is malformed")
	}
	// One request: a client that may repeat it would need GetBody.
	request.GetBody = nil
	request.Header.Set("Content-Type", "application/json")
	response, err := t.partners.Do(request)
	if err != nil {
		return nil, errors.New("the partner did not answer")
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	return map[string]int{"status": response.StatusCode}, nil
}

// runCode stands for a sandbox.
func (t *tools) runCode(_ context.Context, _ *tool.Call, arguments runCodeArguments) (map[string]string, error) {
	return map[string]string{"output": arguments.Source}, nil
}
