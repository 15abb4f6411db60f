// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	sdkauth "github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/gatehouse-go/gatehouse/interop/provider"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// TestAgents runs examples/agents with the official MCP client and with npm
// oidc-provider as the issuer of people. The tests of the app weaken each proof and each
// approval.
func TestAgents(t *testing.T) {
	enginetest.Slow(t)
	a := newAgentApp(t)
	t.Run("rows", func(t *testing.T) { agentRows(t, a) })
	t.Run("step up", func(t *testing.T) { agentStepUp(t, a) })
}

// agentRows runs the four rows of the table.
func agentRows(t *testing.T, a *agentApp) {
	alice, bob, carol := a.person(t, "alice", a.portal), a.person(t, "bob", a.portal), a.person(t, "carol", a.portal)
	key := "X-API-Key: " + a.apiKey
	own := a.token(t, url.Values{"grant_type": {"client_credentials"}})
	exchanged := a.token(t, url.Values{
		"grant_type":    {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token": {alice}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
	})
	brokered := "Authorization: Bearer " + a.person(t, "alice", a.broker)
	reading, profile := map[string]any{"topic": "hello"}, map[string]any{"display_name": "Alice"}
	partner, code := map[string]any{"url": a.partner.URL, "amount": 5}, map[string]any{"language": "echo", "source": "1+1"}

	for _, row := range []struct {
		name, tool, credential string
		client                 *http.Client
		arguments              map[string]any
		wrong, decider         string
	}{
		{"key", "read_public", key, a.plain, reading, "", ""},
		{"person", "read_public", "Authorization: Bearer " + alice, a.plain, reading, "", ""},
		{"exchanged token", "update_profile", exchanged, a.certified, profile, carol, alice},
		{"token that the provider delegated", "update_profile", brokered, a.plain, map[string]any{"display_name": "A."}, bob, alice},
		{"own token with certificate", "call_partner", own, a.certified, partner, alice, bob},
		{"attested agent", "run_code", own, a.certified, code, bob, carol},
	} {
		t.Run(row.tool+" by "+row.name, func(t *testing.T) {
			session := connect(t, row.client, row.credential, nil)
			outcome, approval := call(t, session, row.tool, row.arguments)
			if row.decider != "" {
				if outcome != "approval_required" {
					t.Fatalf("before the approval: %s, want approval_required", outcome)
				}
				if status, code := a.decide(t, row.wrong, approval); status != 403 || code != "access_denied" {
					t.Errorf("decision by the wrong person: %d %s, want 403 access_denied", status, code)
				}
				a.wantRecord(t, `"approval_decided"`, approval, "approval_not_entitled")
				if outcome, again := call(t, session, row.tool, row.arguments); outcome != "approval_required" || again != approval {
					t.Errorf("after the refused decision: %s %s, want %s to be required", outcome, again, approval)
				}
				if status, state := a.decide(t, row.decider, approval); status != 200 || state != "approved" {
					t.Fatalf("decision: %d %s, want approved", status, state)
				}
				a.wantRecord(t, `"approval_decided"`, approval, `"status":"approved"`)
				outcome, _ = call(t, session, row.tool, row.arguments)
			}
			if outcome != "done" {
				t.Errorf("%s: %s, want done", row.tool, outcome)
			}
			a.wantRecord(t, `"tool_call"`, `"decision":"allowed"`, row.tool, approval)
			if row.decider != "" {
				got, other := call(t, session, row.tool, row.arguments)
				if got != "approval_required" || other == approval {
					t.Errorf("used twice: %s %s, want another approval", got, other)
				}
				a.wantRecord(t, `"tool_call"`, other, `"reason":"approval_required"`)
			}
		})
	}
	if got := a.posts.Load(); got != 1 {
		t.Errorf("the partner was called %d times, want once", got)
	}
}

// agentStepUp lets the client of the SDK find the provider by the metadata, log a
// person in with too small a scope, and step up after the refusal, on one connection.
func agentStepUp(t *testing.T, a *agentApp) {
	browser := provider.NewBrowser(t, "alice")
	var asked []string
	handler := must(sdkauth.NewAuthorizationCodeHandler(&sdkauth.AuthorizationCodeHandlerConfig{
		PreregisteredClient: &oauthex.ClientCredentials{ClientID: a.portal.ID},
		RedirectURL:         a.portal.RedirectURIs[0],
		Client:              a.plain,
		ScopeFilter: func(discovered []string) []string {
			if len(asked) == 0 {
				return []string{"data:write"}
			}
			return discovered
		},
		AuthorizationCodeFetcher: func(_ context.Context, args *sdkauth.AuthorizationArgs) (*sdkauth.AuthorizationResult, error) {
			u, err := url.Parse(args.URL)
			if err != nil {
				return nil, err
			}
			if u.Query().Get("resource") != toolsOrigin+"/mcp" || u.Query().Get("code_challenge_method") != "S256" {
				return nil, fmt.Errorf("the request is %s", u)
			}
			asked = append(asked, u.Query().Get("scope"))
			callback := browser.Visit(t, args.URL, a.portal.RedirectURIs[0]).Query()
			return &sdkauth.AuthorizationResult{Code: callback.Get("code"), State: callback.Get("state"), Iss: callback.Get("iss")}, nil
		},
	}))
	session := connect(t, a.plain, "", handler)
	if outcome, _ := call(t, session, "read_public", map[string]any{"topic": "hello"}); outcome != "done" {
		t.Errorf("read_public: %s, want done after the step-up", outcome)
	}
	if len(asked) != 2 || asked[0] != "data:write" || !strings.Contains(asked[1], "data:read") {
		t.Errorf("the client asked for %q, want data:write and then data:read too", asked)
	}
	a.wantRecord(t, `"tool_scope"`, "alice")
	listed, err := session.ListTools(t.Context(), nil)
	if err != nil || len(listed.Tools) != 2 {
		t.Errorf("ListTools() = %v, %v, want read_public and call_partner", listed, err)
	}
}
