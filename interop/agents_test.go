// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	sdkauth "github.com/modelcontextprotocol/go-sdk/auth"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse/interop/provider"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// TestAgents runs examples/agents with the official MCP client and with npm
// oidc-provider as the issuer of people.
func TestAgents(t *testing.T) {
	enginetest.Slow(t)
	a := newAgentApp(t)
	s := a.start(t, map[string]string{"driver": "memory"})
	t.Run("rows", func(t *testing.T) { agentRows(t, s) })
	t.Run("weakened proofs", func(t *testing.T) { agentWeakenedProofs(t, s) })
	t.Run("step up", func(t *testing.T) { agentStepUp(t, s) })
	t.Run("postgres", func(t *testing.T) {
		dsn := enginetest.StartPostgres(t).Database(t)
		db := stdlib.OpenDB(*must(pgx.ParseConfig(dsn)))
		t.Cleanup(func() { _ = db.Close() })
		agentApprovals(t, a, map[string]string{"driver": "postgres", "dsn": dsn}, func(id string) (err error) {
			_, err = db.ExecContext(t.Context(), "UPDATE gatehouse_approvals SET expires = clock_timestamp() WHERE id = $1", id)
			return err
		})
	})
	t.Run("redis", func(t *testing.T) {
		dsn := enginetest.StartRedis(t).URL()
		client := redis.NewClient(must(redis.ParseURL(dsn)))
		t.Cleanup(func() { _ = client.Close() })
		agentApprovals(t, a, map[string]string{"driver": "redis", "dsn": dsn}, func(id string) error {
			keys, err := client.Keys(t.Context(), "*:approval:"+id).Result()
			if err != nil || len(keys) != 1 {
				return fmt.Errorf("KEYS %s: %q, %w", id, keys, err)
			}
			now, err := client.Time(t.Context()).Result()
			return errors.Join(err, client.HSet(t.Context(), keys[0], "expires", now.UnixMicro()).Err())
		})
	})
}

// agentRows runs the four rows of the table, and weakens each approval.
func agentRows(t *testing.T, a *agentServer) {
	alice, bob, carol, eve := a.person(t, "alice", a.portal), a.person(t, "bob", a.portal), a.person(t, "carol", a.portal), a.person(t, "eve", a.portal)
	key := "X-API-Key: " + a.apiKey
	own := a.own(t, a.certified, "helper-1")
	exchanged := a.exchange(t, a.certified, "helper-1", alice)
	brokered := "Authorization: Bearer " + a.person(t, "alice", a.broker)
	reading, profile := map[string]any{"topic": "hello"}, map[string]any{"display_name": "Alice"}
	partner, code := map[string]any{"url": a.partner.URL, "amount": 5}, map[string]any{"language": "echo", "source": "1+1"}

	for _, row := range []struct {
		name, tool, credential string
		client                 *http.Client
		arguments, other       map[string]any
		wrong, decider         string
	}{
		{"key", "read_public", key, a.plain, reading, nil, "", ""},
		{"person", "read_public", "Authorization: Bearer " + alice, a.plain, reading, nil, "", ""},
		{"exchanged token", "update_profile", exchanged, a.certified, profile, map[string]any{"display_name": "Bob"}, carol, alice},
		{"token that the provider delegated", "update_profile", brokered, a.plain, map[string]any{"display_name": "A."}, profile, bob, alice},
		{"own token with certificate", "call_partner", own, a.certified, partner, map[string]any{"url": a.partner.URL, "amount": 6}, alice, bob},
		{"attested agent", "run_code", own, a.certified, code, map[string]any{"language": "echo", "source": "1+2"}, bob, carol},
	} {
		t.Run(row.tool+" by "+row.name, func(t *testing.T) {
			session := connect(t, row.client, row.credential, nil)
			outcome, approval := call(t, session, row.tool, row.arguments)
			if row.decider != "" {
				if outcome != "approval_required" {
					t.Fatalf("before the approval: %s, want approval_required", outcome)
				}
				actor, _ := strings.CutPrefix(row.credential, "Authorization: Bearer ")
				for _, weak := range []struct {
					name         string
					client       *http.Client
					token        string
					status       int
					code, reason string
				}{
					{"the wrong person", a.plain, row.wrong, 403, "access_denied", "approval_not_entitled"},
					{"an admin of another tenant", a.plain, eve, 404, "not_found", "approval_not_found"},
					{"the actor", row.client, actor, 403, "access_denied", "approval_not_entitled"},
				} {
					if status, code := a.decide(t, weak.client, weak.token, approval); status != weak.status || code != weak.code {
						t.Errorf("decision by %s: %d %s, want %d %s", weak.name, status, code, weak.status, weak.code)
					}
					a.wantRecord(t, `"approval_decided"`, approval, weak.reason)
				}
				if outcome, again := call(t, session, row.tool, row.arguments); outcome != "approval_required" || again != approval {
					t.Errorf("after the refused decisions: %s %s, want %s to be required", outcome, again, approval)
				}
				if status, state := a.decide(t, a.plain, row.decider, approval); status != 200 || state != "approved" {
					t.Fatalf("decision: %d %s, want approved", status, state)
				}
				a.wantRecord(t, `"approval_decided"`, approval, `"status":"approved"`)
				got, other := call(t, session, row.tool, row.other)
				if got != "approval_required" || other == approval {
					t.Errorf("other arguments: %s %s, want another approval", got, other)
				}
				a.wantRecord(t, `"tool_call"`, other, `"reason":"approval_required"`)
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

// agentWeakenedProofs calls each tool with a proof that is not enough.
func agentWeakenedProofs(t *testing.T, a *agentServer) {
	alice := a.person(t, "alice", a.portal)
	key := "X-API-Key: " + a.apiKey
	own := a.own(t, a.certified, "helper-1")
	brokered := "Authorization: Bearer " + a.person(t, "alice", a.broker)
	profile := map[string]any{"display_name": "Alice"}
	partner, code := map[string]any{"url": a.partner.URL, "amount": 5}, map[string]any{"language": "echo", "source": "1+1"}
	before := a.records(`"tool_call"`, `"decision":"allowed"`)
	for _, weak := range []struct {
		name, tool, credential string
		client                 *http.Client
		arguments              map[string]any
		status                 int
		code, reason           string
	}{
		{"key instead of OAuth", "update_profile", key, a.plain, profile, 403, "access_denied", "tool_proof"},
		{"key instead of OAuth", "call_partner", key, a.plain, partner, 403, "access_denied", "tool_proof"},
		{"key instead of OAuth", "run_code", key, a.plain, code, 403, "access_denied", "tool_proof"},
		{"no actor", "update_profile", "Authorization: Bearer " + alice, a.plain, profile, 403, "access_denied", "tool_proof"},
		{"no certificate", "call_partner", own, a.plain, partner, 401, "invalid_token", "mtls_no_certificate"},
		{"not bound", "call_partner", brokered, a.certified, partner, 401, "invalid_token", "tool_binding"},
		{"no attestation", "run_code", a.own(t, a.certified, "plain"), a.certified, code, 403, "access_denied", "tool_attestation"},
	} {
		if status, code := refused(t, weak.client, weak.credential, weak.tool, weak.arguments); status != weak.status || code != weak.code {
			t.Errorf("%s: %s: %d %s, want %d %s", weak.name, weak.tool, status, code, weak.status, weak.code)
		}
		a.wantRecord(t, `"reason":"`+weak.reason+`"`)
	}
	if got := a.records(`"tool_call"`, `"decision":"allowed"`); got != before {
		t.Errorf("%d calls ran, want none", got-before)
	}
}

// agentApprovals weakens approvals on two servers with one store. expire sets the expiry
// of an approval to the time of the store.
func agentApprovals(t *testing.T, a *agentApp, store map[string]string, expire func(id string) error) {
	servers := []*agentServer{a.start(t, store), a.start(t, store)}
	own, carol := a.own(t, servers[0].certified, "helper-1"), a.person(t, "carol", a.portal)
	var sessions []*sdk.ClientSession
	for i := range 4 {
		sessions = append(sessions, connect(t, servers[i%2].certified, own, nil))
	}
	approved := func(code map[string]any) string {
		t.Helper()
		outcome, id := call(t, sessions[0], "run_code", code)
		if outcome != "approval_required" {
			t.Fatalf("run_code: %s, want approval_required", outcome)
		}
		if status, state := servers[1].decide(t, servers[1].plain, carol, id); status != 200 || state != "approved" {
			t.Fatalf("decision on the other server: %d %s, want approved", status, state)
		}
		return id
	}

	// Four clients claim at the same instant, two on each server.
	for round := range 3 {
		code := map[string]any{"language": "echo", "source": fmt.Sprint(round)}
		id := approved(code)
		outcomes := make([]string, len(sessions))
		var calls sync.WaitGroup
		start := make(chan struct{})
		for i, session := range sessions {
			calls.Go(func() {
				<-start
				outcomes[i], _ = call(t, session, "run_code", code)
			})
		}
		close(start)
		calls.Wait()
		slices.Sort(outcomes)
		if diff := cmp.Diff([]string{"approval_required", "approval_required", "approval_required", "done"}, outcomes); diff != "" {
			t.Errorf("four claims at once (-want +got):\n%s", diff)
		}
		claimed, ran := 0, 0
		for _, s := range servers {
			claimed += s.records(`"approval_claimed"`, id)
			ran += s.records(`"tool_call"`, `"decision":"allowed"`, id)
		}
		if claimed != 1 || ran != 1 {
			t.Errorf("the audit logs have %d claims and %d calls of %s, want one of each", claimed, ran, id)
		}
	}

	stale := map[string]any{"language": "echo", "source": "stale"}
	id := approved(stale)
	if err := expire(id); err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		if status, code := s.decide(t, s.plain, carol, id); status != 409 || code != "approval_ended" {
			t.Errorf("decision on a stale approval: %d %s, want 409 approval_ended", status, code)
		}
		s.wantRecord(t, `"approval_decided"`, id, `"reason":"approval_ended"`, `"status":"expired"`)
	}
	for i, s := range servers {
		outcome, other := call(t, sessions[i], "run_code", stale)
		if outcome != "approval_required" || other == id {
			t.Errorf("run_code with a stale approval: %s %s, want another approval", outcome, other)
		}
		s.wantRecord(t, `"tool_call"`, other, `"reason":"approval_required"`)
		if got := s.records(`"approval_claimed"`, id); got != 0 {
			t.Errorf("the audit log has %d claims of a stale approval, want none", got)
		}
	}
}

// agentStepUp lets the client of the SDK find the provider by the metadata, log a
// person in with too small a scope, and step up after the refusal, on one connection.
func agentStepUp(t *testing.T, a *agentServer) {
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
