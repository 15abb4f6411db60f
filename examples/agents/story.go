// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// story runs an agent from refused to approved to done to decommissioned, and prints
// each step. It returns an error if a step has another outcome than the story.
func story(ctx context.Context, out io.Writer) (err error) {
	c, err := newCast(ctx)
	if c != nil {
		defer c.close()
	}
	if err != nil {
		return err
	}
	stopped := false
	defer func() {
		if !stopped {
			err = errors.Join(err, c.stop())
		}
	}()
	s := &scene{cast: c, out: out}
	alice, err1 := c.person("alice")
	bob, err2 := c.person("bob", "operator")
	carol, err3 := c.person("carol", "admin")
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	s.title("An agent reads public data: an API key is enough")
	key := "X-API-Key: " + c.apiKey
	s.step(ctx, c.browser, key, "read_public", map[string]any{"topic": "hello"}, "done")

	s.title("It changes a profile: as Alice, and with her consent")
	profile := map[string]any{"display_name": "Alice A."}
	s.step(ctx, c.browser, key, "update_profile", profile, "refused")
	delegated, err := c.token(ctx, url.Values{
		"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token":      {alice},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		"scope":              {"data:read data:write"},
	})
	if err != nil {
		return fmt.Errorf("token exchange: %w", err)
	}
	s.line("token", "helper-1 exchanges Alice's token for one with sub alice and act helper-1")
	s.step(ctx, c.client, "Authorization: Bearer "+delegated, "update_profile", profile, "approval required")
	s.decide(ctx, "bob, an operator", bob, "refused")
	s.decide(ctx, "alice", alice, "approved")
	s.step(ctx, c.client, "Authorization: Bearer "+delegated, "update_profile", profile, "done")
	s.step(ctx, c.client, "Authorization: Bearer "+delegated, "update_profile", profile, "approval required")

	s.title("It calls a partner: with its certificate, and an operator's approval")
	own, err := c.token(ctx, url.Values{"grant_type": {"client_credentials"}})
	if err != nil {
		return fmt.Errorf("client credentials: %w", err)
	}
	s.line("token", "helper-1 gets a token that is bound to its certificate")
	payment := map[string]any{"url": c.partner.URL + "/orders", "amount": 250}
	s.step(ctx, c.browser, "Authorization: Bearer "+own, "call_partner", payment, "refused")
	s.step(ctx, c.client, "Authorization: Bearer "+own, "call_partner", payment, "approval required")
	s.decide(ctx, "bob, an operator", bob, "approved")
	s.step(ctx, c.client, "Authorization: Bearer "+own, "call_partner", map[string]any{"url": c.partner.URL + "/orders", "amount": 9999}, "approval required")
	s.step(ctx, c.client, "Authorization: Bearer "+own, "call_partner", payment, "done")

	s.title("It runs code: attested, with an admin's approval, recorded before it runs")
	code := map[string]any{"language": "echo", "source": "print('hi')"}
	s.step(ctx, c.client, "Authorization: Bearer "+delegated, "run_code", code, "refused")
	s.step(ctx, c.client, "Authorization: Bearer "+own, "run_code", code, "approval required")
	s.decide(ctx, "bob, an operator", bob, "refused")
	s.decide(ctx, "carol, an admin", carol, "approved")
	s.step(ctx, c.client, "Authorization: Bearer "+own, "run_code", code, "done")

	s.title("Carol decommissions it")
	s.decommission(ctx, carol)
	s.step(ctx, c.client, "Authorization: Bearer "+own, "read_public", map[string]any{"topic": "hello"}, "refused")
	s.step(ctx, c.client, "Authorization: Bearer "+delegated, "read_public", map[string]any{"topic": "hello"}, "refused")

	stopped = true
	if err := c.stop(); err != nil {
		return err
	}
	s.title("The audit log")
	var verified strings.Builder
	if err := verifyTrail(filepath.Join(c.dir, "audit.jsonl"), filepath.Join(c.dir, "audit.key"), &verified); err != nil {
		return err
	}
	s.line("verified", strings.TrimSpace(verified.String())+", none changed, missing, inserted or out of place")
	return errors.Join(s.failures...)
}

// scene prints the steps.
type scene struct {
	*cast
	out      io.Writer
	approval string // that was asked for last
	failures []error
}

func (s *scene) title(text string) { fmt.Fprintf(s.out, "\n%s\n", text) }

func (s *scene) line(what, text string) { fmt.Fprintf(s.out, "  %-16s%s\n", what, text) }

func (s *scene) expect(step, got, want string) {
	if got != want {
		s.failures = append(s.failures, fmt.Errorf("%s: %s, want %s", step, got, want))
	}
}

// step calls a tool and prints the outcome.
func (s *scene) step(ctx context.Context, client *http.Client, credential, name string, arguments map[string]any, want string) {
	content, err := s.call(ctx, client, credential, name, arguments)
	var detail string
	outcome := "done"
	switch {
	case err != nil:
		outcome, detail = "refused", brief(err)
	case content["error"] == "approval_required":
		outcome = "approval required"
		s.approval, _ = content["approval"].(string)
		detail, _ = content["url"].(string)
		detail = strings.TrimPrefix(detail, s.origin)
	default:
		encoded, _ := json.Marshal(content)
		detail = string(encoded)
	}
	if amount, ok := arguments["amount"]; ok {
		detail = fmt.Sprintf("%s (amount %v)", detail, amount)
	}
	s.line(name, outcome+": "+detail)
	s.expect(name, outcome, want)
}

// brief returns the error code of an answer.
func brief(err error) string {
	var data struct {
		Error string `json:"error"`
	}
	if answer, ok := errors.AsType[*jsonrpc.Error](err); ok && json.Unmarshal(answer.Data, &data) == nil && data.Error != "" {
		return data.Error
	}
	return err.Error()
}

func (s *scene) decide(ctx context.Context, who, token, want string) {
	got, err := s.cast.decide(ctx, token, s.approval)
	if err != nil {
		got = err.Error()
	}
	if got != "approved" {
		got = "refused"
	}
	s.line(got, "by "+who)
	s.expect("decision of "+who, got, want)
}

func (s *scene) decommission(ctx context.Context, token string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.origin+"/agents/"+agentID+"/decommission", http.NoBody)
	if err == nil {
		request.Header.Set("Authorization", "Bearer "+token)
		var response *http.Response
		if response, err = s.browser.Do(request); err == nil {
			_ = response.Body.Close()
			s.expect("decommission", response.Status, "204 No Content")
		}
	}
	if err != nil {
		s.failures = append(s.failures, err)
	}
	s.line("decommissioned", agentID)
}

func digestOf(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }
