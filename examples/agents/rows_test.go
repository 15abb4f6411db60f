// SPDX-License-Identifier: Apache-2.0

package main

import (
	"database/sql"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

var (
	reading = object{"topic": "hello"}
	profile = object{"display_name": "Alice A."}
	code    = object{"language": "echo", "source": "1+1"}
)

// Each row of the table runs with its proof, scope and approval.
func TestRows(t *testing.T) {
	n := newWorld(t).start(t, nil)
	key := "X-API-Key: " + n.keys["reader"]
	alice := n.person("alice", "acme")
	own := n.own(t, n.client, "helper-1")
	delegated := n.delegated(t, n.client, "helper-1", alice)
	partner := object{"url": n.partner.URL, "amount": 5}
	for _, row := range []struct {
		name, credential string
		client           *http.Client
		arguments        object
		decider          string // token, "" for an automatic approval
		want             string // in the result
	}{
		{"read_public", key, n.browser, reading, "", `"topic":"hello"`},
		{"read_public", "Authorization: Bearer " + alice, n.browser, reading, "", `"topic":"hello"`},
		{"read_public", own, n.client, reading, "", `"topic":"hello"`},
		{"read_public", delegated, n.client, reading, "", `"topic":"hello"`},
		{"update_profile", delegated, n.client, profile, alice, `"display_name":"Alice A."`},
		{"call_partner", own, n.client, partner, n.person("bob", "acme", "operator"), `"structuredContent":{"status":201}`},
		{"call_partner", delegated, n.client, partner, n.person("carol", "acme", "admin"), `"structuredContent":{"status":201}`},
		{"run_code", own, n.client, code, n.person("carol", "acme", "admin"), `"structuredContent":{"output":"1+1"}`},
	} {
		r := n.callTool(t, row.client, row.credential, row.name, row.arguments)
		if row.decider != "" {
			if got := r.outcome(); got != "approval_required" {
				t.Errorf("%s before the approval: %s, want approval_required", row.name, got)
				continue
			}
			n.decides(t, "the decider on "+row.name, row.decider, r.approval(), "approve", "approved")
			r = n.callTool(t, row.client, row.credential, row.name, row.arguments)
		}
		if r.outcome() != "done" || !strings.Contains(r.text, row.want) {
			t.Errorf("%s: %d %s, want %s", row.name, r.status, r.text, row.want)
		}
		if row.decider == "" {
			continue
		}
		if twice := n.callTool(t, row.client, row.credential, row.name, row.arguments); twice.outcome() != "approval_required" || twice.approval() == r.approval() {
			t.Errorf("%s with a used approval: %s, want another approval", row.name, twice.outcome())
		}
	}
}

// Each proof weakened in turn is denied with the right answer, and recorded.
func TestWeakenedProofs(t *testing.T) {
	w := newWorld(t)
	n := w.start(t, nil)
	log, _ := w.trail()
	key := "X-API-Key: " + n.keys["reader"]
	alice, carol := n.person("alice", "acme"), n.person("carol", "acme", "admin")
	own := n.own(t, n.client, "helper-1")
	unbound := n.own(t, n.browser, "helper-1")
	partner := object{"url": n.partner.URL, "amount": 5}
	for _, test := range []struct {
		name, tool, credential string
		client                 *http.Client
		arguments              any
		status                 int
		outcome                string
		reason                 string // of the record
	}{
		{"no credential", "read_public", "", n.browser, reading, 401, "missing_credentials", "no_credentials"},
		{"key instead of OAuth", "update_profile", key, n.browser, profile, 403, "access_denied", "tool_proof"},
		{"key instead of OAuth", "call_partner", key, n.browser, partner, 403, "access_denied", "tool_proof"},
		{"key instead of OAuth", "run_code", key, n.browser, code, 403, "access_denied", "tool_proof"},
		{"no actor", "update_profile", "Authorization: Bearer " + alice, n.browser, profile, 403, "access_denied", "tool_proof"},
		{"own token instead of delegated", "update_profile", own, n.client, profile, 403, "access_denied", "tool_proof"},
		{"no certificate, bound token", "call_partner", own, n.browser, partner, 401, "invalid_token", "mtls_no_certificate"},
		{"another certificate", "call_partner", own, n.spare, partner, 401, "invalid_token", "mtls_thumbprint"},
		{"unbound token", "call_partner", unbound, n.browser, partner, 401, "invalid_token", "tool_binding"},
		{"unbound token, certificate beside it", "call_partner", unbound, n.client, partner, 401, "invalid_token", "tool_binding"},
		{"person without an agent", "run_code", "Authorization: Bearer " + carol, n.browser, code, 403, "access_denied", "tool_proof"},
		{"delegated instead of own", "run_code", n.delegated(t, n.client, "helper-1", alice), n.client, code, 403, "access_denied", "tool_proof"},
		{"no attestation", "run_code", n.own(t, n.client, "plain"), n.client, code, 403, "access_denied", "tool_attestation"},
		{"a role without the scope", "run_code", n.own(t, n.client, "helper-2"), n.client, code, 403, "insufficient_scope", "tool_scope"},
		{"scope not asked for", "run_code", n.own(t, n.client, "helper-1", "scope", "data:read"), n.client, code, 403, "insufficient_scope", "tool_scope"},
		{"unknown argument", "read_public", own, n.client, object{"topic": "hello", "more": 1}, 400, "invalid_arguments", "tool_arguments"},
		{"argument twice", "read_public", own, n.client, `{"topic":"hello","topic":"hello"}`, 400, "", ""},
		{"argument of another type", "call_partner", own, n.client, object{"url": n.partner.URL, "amount": "5"}, 400, "invalid_arguments", "tool_arguments"},
		{"fraction for an integer", "call_partner", own, n.client, `{"url":"http://127.0.0.1","amount":5.5}`, 400, "invalid_arguments", "tool_arguments"},
		{"number beyond RFC 8785", "call_partner", own, n.client, `{"url":"http://127.0.0.1","amount":9007199254740993}`, 400, "invalid_arguments", "tool_arguments"},
		{"partner over plain http", "call_partner", own, n.client, object{"url": "http://partner.example", "amount": 5}, 400, "invalid_arguments", "tool_constraint"},
		{"relative URL", "call_partner", own, n.client, object{"url": "/x", "amount": 5}, 400, "invalid_arguments", "tool_constraint"},
		{"another language", "run_code", own, n.client, object{"language": "sh", "source": "id"}, 400, "invalid_arguments", "tool_constraint"},
		{"unlisted tool", "delete_everything", own, n.client, object{}, 200, `unknown tool "delete_everything"`, "tool_unlisted"},
	} {
		r := n.callTool(t, test.client, test.credential, test.tool, test.arguments)
		if r.status != test.status || test.outcome != "" && r.outcome() != test.outcome || r.body["id"] != 5.0 {
			t.Errorf("%s: %s: %d %s, want %d %s with the ID", test.name, test.tool, r.status, r.text, test.status, test.outcome)
		}
		if challenge := r.header.Get("WWW-Authenticate"); test.outcome == "insufficient_scope" &&
			(!strings.Contains(challenge, `scope="exec:sandbox"`) || !strings.Contains(challenge, `resource_metadata="`+n.origin+`/.well-known/oauth-protected-resource/mcp"`)) {
			t.Errorf("%s: WWW-Authenticate is %s, want scope and resource_metadata", test.name, challenge)
		}
		if test.reason != "" {
			w.wantRecord(t, log, object{"reason": test.reason})
		}
	}
}

// An approval is for one call of one actor, by the people whom the rule names.
func TestWeakenedApprovals(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "agents.db")
	n := w.start(t, object{"approvals": object{"ttl": "10m", "admins_for_exec": 2}, "store": object{"driver": "sqlite", "dsn": path}})
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(path))
	must(t, err)
	defer func() { _ = db.Close() }()
	log, _ := w.trail()
	alice, bob := n.person("alice", "acme"), n.person("bob", "acme", "operator")
	carol, dave := n.person("carol", "acme", "admin"), n.person("dave", "acme", "admin")
	own := n.own(t, n.client, "helper-1")
	delegated := n.delegated(t, n.client, "helper-1", alice)
	ask := func(when, credential, tool string, arguments object) string {
		t.Helper()
		return n.want(t, when, credential, tool, arguments, "approval_required").approval()
	}

	id := ask("first", own, "run_code", code)
	n.decides(t, "the agent that asks", bare(own), id, "approve", 401, 403, 404)
	n.decides(t, "a token with an actor", bare(n.delegated(t, n.browser, "helper-1", carol)), id, "approve", 403, 404)
	n.decides(t, "an operator", bob, id, "approve", 403, 404)
	n.decides(t, "an admin of another tenant", n.person("eve", "globex", "admin"), id, "approve", 403, 404)
	n.decides(t, "malformed", carol, id, "perhaps", 400)
	w.wantRecord(t, log, object{"reason": "approval_not_entitled"})
	n.decides(t, "the first of two admins", carol, id, "approve", "pending")
	ask("with one of two approvals", own, "run_code", code)
	n.decides(t, "the same person twice", carol, id, "approve", 409)
	n.decides(t, "the second of two admins", dave, id, "approve", "approved")
	ask("with other arguments", own, "run_code", object{"language": "echo", "source": "other"})
	ask("in another tenant", n.own(t, n.client, "other"), "run_code", code)
	n.want(t, "after both", own, "run_code", code, "done")
	n.decides(t, "used", dave, id, "approve", 409, 404, 410)

	id = ask("first", delegated, "update_profile", profile)
	n.decides(t, "consent by an admin", carol, id, "approve", 403, 404)
	n.decides(t, "consent", alice, id, "approve", "approved")
	ask("for another person", n.delegated(t, n.client, "helper-1", n.person("mallory", "acme")), "update_profile", profile)
	_, err = db.ExecContext(t.Context(), "UPDATE gatehouse_approvals SET expires = created WHERE id = ?", id)
	must(t, err)
	if r := n.get(t, "/approvals/"+id, alice); r.body["status"] != "expired" {
		t.Errorf("the approval: %d %s, want expired", r.status, r.text)
	}
	ask("with a stale approval", delegated, "update_profile", profile)
	n.decides(t, "expired", alice, id, "approve", 409, 404, 410)

	payment := object{"url": n.partner.URL, "amount": 7}
	id = ask("first", own, "call_partner", payment)
	n.decides(t, "denial", bob, id, "deny", "denied")
	n.decides(t, "denied", carol, id, "approve", 409, 404, 410)
	if again := ask("after a denial", own, "call_partner", payment); again == id {
		t.Error("after a denial the same approval is offered again, want another one")
	}
}

// Every caller sees the tools that it can ever call.
func TestListing(t *testing.T) {
	n := newWorld(t).start(t, nil)
	for _, test := range []struct{ name, credential, want string }{
		{"key", "X-API-Key: " + n.keys["reader"], "read_public"},
		{"person", "Authorization: Bearer " + n.person("alice", "acme"), "call_partner read_public"},
		{"executor", n.own(t, n.browser, "helper-1", "scope", "data:read"), "call_partner read_public run_code"},
		{"not attested", n.own(t, n.browser, "plain"), "call_partner read_public"},
		{"reader", n.own(t, n.browser, "helper-2"), "read_public"},
		{"delegated", n.delegated(t, n.browser, "helper-1", n.person("alice", "acme")), "call_partner read_public update_profile"},
	} {
		var names []string
		r := n.do(t, n.browser, n.message(test.credential, "tools/list", "{}"))
		result, _ := r.body["result"].(object)
		list, _ := result["tools"].([]any)
		for _, tool := range list {
			name, _ := tool.(object)["name"].(string)
			names = append(names, name)
		}
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("tools/list of %s: %s, want %s", test.name, got, test.want)
		}
	}
}

// call_partner makes one request of its own: it follows no redirect, and nothing of the
// caller is in it.
func TestPartnerRequest(t *testing.T) {
	n := newWorld(t).start(t, nil)
	var requests []string
	partner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests = append(requests, r.Method+" "+r.URL.Path+" "+string(body))
		for name := range r.Header {
			if !slices.Contains([]string{"Accept-Encoding", "Content-Length", "Content-Type", "User-Agent"}, name) {
				t.Errorf("the partner gets the header %s: %s", name, r.Header.Get(name))
			}
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer partner.Close()
	own, arguments := n.own(t, n.client, "helper-1"), object{"url": partner.URL + "/pay", "amount": 5}
	n.decide(t, n.person("bob", "acme", "operator"), n.callTool(t, n.client, own, "call_partner", arguments).approval(), "approve")
	if r := n.want(t, "approved", own, "call_partner", arguments, "done"); !strings.Contains(r.text, `{"status":307}`) {
		t.Errorf("call_partner: %d %s, want status 307", r.status, r.text)
	}
	if len(requests) != 1 || requests[0] != `POST /pay {"amount":5}` {
		t.Errorf("requests = %q, want one", requests)
	}
}
