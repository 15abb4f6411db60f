// SPDX-License-Identifier: Apache-2.0

package mcp_test

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/adapter/internal/agentkit"
	"github.com/gatehouse-go/gatehouse/adapter/mcp"
)

// A refused call has the status and the challenge of the gate and a JSON-RPC error with
// the ID of the request. Nothing runs.
func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name, caller, body string
		headers            []string
		status             int
		challenge          string // a part of WWW-Authenticate
		id                 string
		err                string // data.error, or a part of the message of a malformed request
	}{
		{"no credential", "", callOf("read", `{"topic":"a"}`), nil, 401, "Bearer realm", "7", "missing_credentials"},
		{"invalid token", "mallory", callOf("read", `{"topic":"a"}`), nil, 401, `error="invalid_token"`, "7", "invalid_token"},
		{"invalid token, malformed message", "mallory", `{`, nil, 401, `error="invalid_token"`, "null", "invalid_token"},
		{"invalid token, longest message that is read", "mallory", callOf("read", `{"topic":"`+strings.Repeat("a", 64<<10-len(callOf("read", `{"topic":""}`)))+`"}`), nil, 401, `error="invalid_token"`, "7", "invalid_token"},
		{"invalid token, large message", "mallory", callOf("read", `{"topic":"`+strings.Repeat("a", 64<<10)+`"}`), nil, 401, `error="invalid_token"`, "null", "invalid_token"},
		{"scope missing", "narrow", callOf("run", `{"source":"a"}`), nil, 403, `error="insufficient_scope"`, "7", "insufficient_scope"},
		{"proof too weak", "key", callOf("run", `{"source":"a"}`), nil, 403, "", "7", "access_denied"},
		{"unknown argument", "agent", callOf("read", `{"topic":"a","more":1}`), nil, 400, "", "7", "invalid_arguments"},
		{"argument of another type", "agent", callOf("read", `{"topic":1}`), nil, 400, "", "7", "invalid_arguments"},
		{"no arguments", "agent", `{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"read"}}`, nil, 400, "", `"x"`, "invalid_arguments"},
		{"backend down", "broken", callOf("read", `{"topic":"a"}`), nil, 503, "", "7", "temporarily_unavailable"},
		{"backend down, list", "broken", `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`, nil, 503, "", "7", "temporarily_unavailable"},
		{"not in the table", "agent", callOf("forgotten", `{}`), nil, 200, "", "7", `unknown tool "forgotten"`},
		{"no such tool", "agent", callOf("nothing", `{}`), nil, 200, "", "7", `unknown tool "nothing"`},
		{"an argument twice", "agent", callOf("read", `{"topic":"a","topic":"b"}`), nil, 400, "", "7", "invalid_request"},
		{"an argument in two cases", "agent", callOf("read", `{"topic":"a","Topic":"b"}`), nil, 400, "", "7", "invalid_request"},
		{"the name twice", "agent", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"run","name":"read","arguments":{"topic":"a"}}}`, nil, 400, "", "7", "invalid_request"},
		{"invalid UTF-8", "agent", callOf("read", "{\"topic\":\"\xff\"}"), nil, 400, "", "null", "invalid_request"},
		{"lone surrogate", "agent", callOf("read", `{"topic":"\ud800"}`), nil, 400, "", "7", "invalid_request"},
		{"nested too deep", "agent", callOf("read", `{"topic":`+strings.Repeat("[", 64)+strings.Repeat("]", 64)+`}`), nil, 400, "", "7", "invalid_request"},
		{"parameters of null", "agent", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":null}`, nil, 200, "", "7", "params"},
		{"invalid cursor", "agent", `{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"cursor":"?"}}`, nil, 200, "", "7", "invalid params"},
		{"batch", "agent", " \t\r\n[" + callOf("read", `{"topic":"a"}`) + "]", nil, 400, "", "null", "invalid_request"},
		{"ID of another type", "agent", `{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{"name":"read","arguments":{"topic":"a"}}}`, nil, 400, "", "null", "invalid_request"},
		{"ID above 2^53", "agent", strings.Replace(callOf("read", `{"topic":"a"}`), "7", "9007199254740992", 1), nil, 400, "", "null", "invalid_request"},
		{"too large", "agent", callOf("read", `{"topic":"`+strings.Repeat("a", 1<<20)+`"}`), nil, 413, "", "null", "invalid_request"},
		{"another origin", "agent", callOf("read", `{"topic":"a"}`), []string{"Origin", "https://evil.example.com"}, 403, "", "null", "access_denied"},
		{"another origin, no credential", "", callOf("read", `{"topic":"a"}`), []string{"Origin", "https://evil.example.com"}, 403, "", "null", "access_denied"},
		{"opaque origin", "agent", callOf("read", `{"topic":"a"}`), []string{"Origin", "null"}, 403, "", "null", "access_denied"},
		{"two origins", "agent", callOf("read", `{"topic":"a"}`), []string{"Origin", "https://console.example.com", "Origin", "https://console.example.com"}, 403, "", "null", "access_denied"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t)
			a := s.post(t, test.caller, test.body, test.headers...)
			challenge := strings.Join(a.Header.Values("WWW-Authenticate"), " ")
			got, _ := a.rpc.Error.Data["error"].(string)
			if got == "" {
				got = a.rpc.Error.Message
			}
			if a.StatusCode != test.status || !strings.Contains(got, test.err) || string(a.rpc.ID) != test.id || !strings.Contains(challenge, test.challenge) ||
				(test.challenge == "") != (challenge == "") {
				t.Errorf("POST: %d, challenge %q, %s, want %d, %q, ID %s, %s", a.StatusCode, challenge, a.body, test.status, test.challenge, test.id, test.err)
			}
			if want := map[string]int{
				"batch": -32600, "ID of another type": -32600, "too large": -32600, "invalid UTF-8": -32700, "not in the table": -32602,
				"invalid token, malformed message": -32000, "backend down": -32000, "another origin": -32000,
			}[test.name]; want != 0 && a.rpc.Error.Code != want {
				t.Errorf("POST: code %d, want %d", a.rpc.Error.Code, want)
			}
			if after := fmt.Sprint(a.rpc.Error.Data["retry_after"]); after != cmp.Or(a.Header.Get("Retry-After"), "<nil>") {
				t.Errorf("POST: retry_after %s, want %q as in the header", after, a.Header.Get("Retry-After"))
			}
			if _, ok := a.rpc.Error.Data["scope"]; ok != (test.err == "insufficient_scope") {
				t.Errorf("POST: %s, want data.scope only if scopes are missing", a.body)
			}
			if h := a.Header; test.status != 200 && (h.Get("Cache-Control") != "no-store" || h.Get("Content-Type") != "application/json" || h.Get("X-Content-Type-Options") != "nosniff") {
				t.Errorf("POST: headers %v, want those of JSON that is not for caches", h)
			}
			s.WantRan(t)
			if last := s.Last(); test.status >= 400 && last.Status != test.status {
				t.Errorf("the last event is %+v, want the refusal", last)
			}
		})
	}
}

// The challenge for a step-up has all scopes of the tool and the address of the
// metadata, and the events say why.
//
// Covers RFC 6750 §3.1 (insufficient_scope); RFC 9728 §5.1.
func TestStepUp(t *testing.T) {
	s := start(t)
	a := s.post(t, "narrow", callOf("run", `{"source":"a"}`))
	challenge := a.Header.Get("WWW-Authenticate")
	for _, want := range []string{`Bearer `, `error="insufficient_scope"`, `scope="data:read exec:run"`, `resource_metadata="` + s.URL + `/.well-known/oauth-protected-resource/mcp"`} {
		if !strings.Contains(challenge, want) {
			t.Errorf("WWW-Authenticate is %s, want %s in it", challenge, want)
		}
	}
	if got := a.rpc.Error.Data["scope"]; got != "data:read exec:run" {
		t.Errorf("data.scope is %v, want both scopes", got)
	}
}

// Pages of the server and of other configured origins may call tools.
func TestOwnOrigins(t *testing.T) {
	s := start(t)
	for _, origin := range []string{s.URL, "https://mixed.example.com", "https://ASCII.example.com", "https://console.example.com", "HTTPS://Console.Example.com"} {
		if a := s.post(t, "agent", callOf("read", `{"topic":"[a]"}`), "Origin", origin); a.StatusCode != 200 {
			t.Errorf("POST with Origin %s: %d %s, want 200", origin, a.StatusCode, a.body)
		}
	}
	s.post(t, "agent", callOf("read", `{"topic":"a"}`), "Origin", "https://evil.example.com")
	last := s.Last()
	if last.Reason != mcp.ReasonOrigin || last.Decision != gatehouse.Rejected || last.Duration > time.Hour {
		t.Errorf("the last event is %+v, want the refusal of the origin", last)
	}
}

// An event that cannot be recorded refuses the call before the tool runs.
func TestUnrecordedCallDoesNotRun(t *testing.T) {
	s := start(t)
	s.Lost = func(event gatehouse.EventType) error {
		if event == "decision" {
			return nil
		}
		return errors.New("the disk is full")
	}
	a := s.post(t, "agent", callOf("read", `{"topic":"a"}`))
	if a.StatusCode != 503 || a.rpc.Error.Data["error"] != "temporarily_unavailable" {
		t.Errorf("POST: %d %s, want 503", a.StatusCode, a.body)
	}
	s.WantRan(t)
	s.Lost = func(gatehouse.EventType) error { return errors.New("the disk is full") }
	if a = s.post(t, "agent", callOf("read", `{"topic":"a"}`), "Origin", "https://evil.example.com"); a.StatusCode != 503 {
		t.Errorf("POST of another origin: %d %s, want 503", a.StatusCode, a.body)
	}
}

// A call that needs an approval is answered with the approval, and runs once after it.
func TestApproval(t *testing.T) {
	s := start(t)
	a := s.post(t, "agent", callOf("run", `{"source":"x"}`))
	id, _ := a.rpc.Result.StructuredContent["approval"].(string)
	expires, _ := a.rpc.Result.StructuredContent["expires"].(string)
	at, err := time.Parse(time.RFC3339, expires)
	if a.StatusCode != 200 || !a.rpc.Result.IsError || a.rpc.Result.StructuredContent["error"] != "approval_required" || id == "" ||
		a.rpc.Result.StructuredContent["url"] != "https://tools.example.com/approvals/"+id || err != nil || !at.After(time.Now()) {
		t.Fatalf("POST: %d %s, want a tool result with an approval", a.StatusCode, a.body)
	}
	if again := s.post(t, "agent", callOf("run", `{"source":"x"}`)); again.rpc.Result.StructuredContent["approval"] != id {
		t.Errorf("the same call again: %s, want the same approval", again.body)
	}
	must(s.approvals.Decide(t.Context(), agentkit.Admin(), id, true, ""))
	if other := s.post(t, "agent", callOf("run", `{"source":"y"}`)); other.rpc.Result.StructuredContent["approval"] == nil {
		t.Errorf("other arguments: %s, want another approval", other.body)
	}
	s.WantRan(t)
	if done := s.post(t, "agent", callOf("run", `{"source":"x"}`)); done.rpc.Result.IsError || done.rpc.Result.StructuredContent["output"] != "x" {
		t.Errorf("after the approval: %s, want the output", done.body)
	}
	if twice := s.post(t, "agent", callOf("run", `{"source":"x"}`)); !twice.rpc.Result.IsError {
		t.Errorf("used twice: %s, want another approval", twice.body)
	}
	s.WantRan(t, "run x")
}

// A refused call does not end the connection of the client of the SDK.
func TestClientLives(t *testing.T) {
	s := start(t)
	session := s.connect(t, "narrow")
	for name, want := range map[string]string{"run": "higher privileges", "nothing": "unknown tool"} {
		arguments := map[string]any{"source": "a"}
		if _, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: name, Arguments: arguments}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("CallTool(%s) error = %v, want %q", name, err, want)
		}
	}
	result, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: "read", Arguments: map[string]any{"topic": "a"}})
	if err != nil || result.IsError {
		t.Fatalf("CallTool(read) = %v, %v, want a result", result, err)
	}
	s.WantRan(t, "read a")
}

// A caller sees the tools that it can call, also those for which it lacks a scope that
// it can get. The list is not for caches.
func TestList(t *testing.T) {
	s := start(t)
	for _, test := range [][2]string{{"key", "read"}, {"agent", "read run"}, {"narrow", "read run"}} {
		caller, want := test[0], test[1]
		a := s.post(t, caller, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
		var names []string
		for _, tool := range a.rpc.Result.Tools {
			names = append(names, tool.Name)
			if own := tool.InputSchema.Title == "Reading"; own != (tool.Name == "read") || !own && tool.InputSchema.Properties["source"] == nil {
				t.Errorf("tools/list: %+v, want the schema of the tool, or that of its arguments", tool)
			}
		}
		if got := strings.Join(names, " "); got != want || a.rpc.Result.CacheScope != "private" || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("tools/list of %s = %s, %s, want %s, private", caller, got, a.body, want)
		}
	}
}

// A tool whose facts are unavailable is not left out of the list: the other one is listed
// later.
func TestListDuringOutage(t *testing.T) {
	s := start(t)
	s.outage = true
	for _, want := range []int{503, 200} {
		if a := s.post(t, "agent", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`); a.StatusCode != want {
			t.Errorf("tools/list: %d %s, want %d", a.StatusCode, a.body, want)
		}
	}
}

// A tool sees no credential that it could pass on.
func TestCredentialIsRemoved(t *testing.T) {
	s := start(t)
	s.post(t, "agent", callOf("read", `{"topic":"a"}`))
	if len(s.seen) == 0 {
		t.Fatal("no request reached the server")
	}
	for _, header := range s.seen {
		if header.Get("Authorization") != "" || header.Get("Content-Type") == "" {
			t.Errorf("the tools see %v, want no Authorization", header)
		}
	}
}

const (
	version = "2026-07-28"
	meta    = `{"io.modelcontextprotocol/protocolVersion":"` + version + `","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`
)

// A stream of the protocol of 2026-07-28 ends when the credential expires.
func TestStreamEndsWithCredential(t *testing.T) {
	s := start(t)
	body := `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},"_meta":` + meta + `}}`
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	text := ""
	for lifetime := time.Second; !strings.Contains(text, "acknowledged"); lifetime *= 2 { // the credential can expire before the stream begins
		r := request(ctx, s.URL, lifetime.String()+":agent", body, "Mcp-Protocol-Version", version, "Mcp-Method", "subscriptions/listen")
		start := time.Now()
		response := must(s.Client().Do(r))
		read, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if text = string(read); err != nil || response.StatusCode != 200 {
			t.Fatalf("the stream: %d, %s, %v, want its end with the credential", response.StatusCode, text, err)
		}
		if took := time.Since(start); took < lifetime {
			t.Fatalf("the stream ended after %v, want %v", took, lifetime)
		}
	}
}

// There are no sessions that GET or DELETE could name, and other handlers of the gate
// have its default error body.
func TestOtherRequests(t *testing.T) {
	s := start(t)
	for _, test := range []struct {
		method, path, caller string
		want                 int
		body                 string
	}{
		{http.MethodGet, "/mcp", "agent", 405, "Method Not Allowed"},
		{http.MethodDelete, "/mcp", "agent", 405, "Method Not Allowed"},
		{http.MethodGet, "/mcp", "", 401, `{"error":"missing_credentials"`},
		{http.MethodPost, "/other", "", 401, `{"error":"missing_credentials"`},
	} {
		r := request(t.Context(), s.URL, test.caller, "")
		r.Method, r.URL.Path = test.method, test.path
		response := must(s.Client().Do(r))
		line, _ := bufio.NewReader(response.Body).ReadString('\n')
		_ = response.Body.Close()
		if response.StatusCode != test.want || !strings.HasPrefix(line, test.body) || test.want == 405 && response.Header.Get("Allow") != "POST" {
			t.Errorf("%s %s: %d %s, want %d %s", test.method, test.path, response.StatusCode, line, test.want, test.body)
		}
	}
}

func TestNotifications(t *testing.T) {
	s := start(t)
	if a := s.post(t, "agent", `{"jsonrpc":"2.0","method":"notifications/initialized"}`); a.StatusCode != 202 || a.body != "" {
		t.Errorf("POST of a notification: %d %s, want 202", a.StatusCode, a.body)
	}
}

// The error of a tool is a tool result, and its refusal that of the gate.
func TestErrorsOfTools(t *testing.T) {
	s := start(t)
	s.fail = func(context.Context) error { return errors.New("no such topic") }
	for topic, want := range map[string]string{"a": "no such topic", "NaN": "cannot be encoded"} {
		if a := s.post(t, "agent", callOf("read", `{"topic":"`+topic+`"}`)); a.StatusCode != 200 || !a.rpc.Result.IsError || !strings.Contains(a.body, want) {
			t.Errorf("POST: %d %s, want a tool result with %q", a.StatusCode, a.body, want)
		}
	}
	denied := &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: gatehouse.ReasonPolicyRefused, Params: []gatehouse.Param{{Name: "why", Value: "late"}}}
	s.fail = func(context.Context) error { return denied }
	if a := s.post(t, "agent", callOf("read", `{"topic":"a"}`)); a.StatusCode != 403 || a.rpc.Error.Data["error"] != "access_denied" || a.rpc.Error.Data["why"] != "late" {
		t.Errorf("POST: %d %s, want 403 with the parameter", a.StatusCode, a.body)
	}
	// In a stream that has begun a refusal is a message. What was sent before arrives at once.
	s.progress = true
	wait := make(chan struct{})
	release := sync.OnceFunc(func() { close(wait) })
	defer release()
	s.fail = func(context.Context) error {
		<-wait
		return denied
	}
	response := s.send(t, "agent", callOf("read", `{"topic":"a"}`))
	reader := bufio.NewReader(response.Body)
	for line := ""; !strings.Contains(line, "notifications/progress"); {
		var err error
		if line, err = reader.ReadString('\n'); err != nil {
			t.Fatalf("the stream: %v, want a notification", err)
		}
	}
	release()
	if rest, err := io.ReadAll(reader); err != nil || response.StatusCode != 200 || strings.Count(string(rest), "data:") != 1 || !strings.Contains(string(rest), `"code":-32000,"message":"refused"`) {
		t.Errorf("the stream: %d, %s, %v, want the refusal", response.StatusCode, rest, err)
	}
}

// A call of the protocol of 2026-07-28 ends when the caller hangs up.
func TestCallEndsWithRequest(t *testing.T) {
	s := start(t)
	ctx, hangUp := context.WithCancel(t.Context())
	ended := make(chan struct{})
	s.fail = func(ctx context.Context) error {
		hangUp()
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	}
	r := request(ctx, "", "agent", callOf("read", `{"topic":"a"},"_meta":`+meta), "Mcp-Protocol-Version", version, "Mcp-Method", "tools/call", "Mcp-Name", "read")
	w := httptest.NewRecorder()
	s.Config.Handler.ServeHTTP(w, r)
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Errorf("the call goes on after the caller has hung up: %d %s", w.Code, w.Body)
	}
}

// A subscription may be longer than the write timeout of the server, another call may not.
func TestWriteDeadline(t *testing.T) {
	s := start(t)
	for method, want := range map[string]bool{"subscriptions/listen": true, "tools/list": false} {
		r := request(t.Context(), "", "agent", `{"jsonrpc":"2.0","id":1,"method":"`+method+`"}`)
		if got := agentkit.RemovesWriteDeadline(s.Config.Handler, r); got != want {
			t.Errorf("%s removed the write deadline: %t, want %t", method, got, want)
		}
	}
}
