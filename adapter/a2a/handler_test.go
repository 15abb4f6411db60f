// SPDX-License-Identifier: Apache-2.0

package gatea2a_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/a2aproject/a2a-go/a2a"
	"github.com/a2aproject/a2a-go/a2aclient/agentcard"

	"github.com/gatehouse-go/gatehouse"
	gatea2a "github.com/gatehouse-go/gatehouse/adapter/a2a"
	"github.com/gatehouse-go/gatehouse/adapter/internal/agentkit"
	"github.com/gatehouse-go/gatehouse/agent/tool"
)

func TestMessages(t *testing.T) {
	noPart := message("read", topic("x"))
	noPart.Message.Parts = nil
	twoParts := message("talk", nil)
	twoParts.Message.Parts = slices.Repeat(twoParts.Message.Parts, 2)
	file := message("talk", nil)
	file.Message.Parts = sdk.ContentParts{sdk.FilePart{File: sdk.FileURI{URI: "https://example.com"}}}
	push := message("read", topic("x"))
	push.Config = &sdk.MessageSendConfig{PushConfig: &sdk.PushConfig{URL: "http://127.0.0.1"}}
	foreign := message("read", topic("x"))
	foreign.Message.ReferenceTasks = []sdk.TaskID{"unknown"}
	for _, test := range []struct {
		name, caller string
		send         *sdk.MessageSendParams
		want         error
		text, ran    string
	}{
		{"data", "key", message("read", topic("x")), nil, "", `read {"topic":"x"}`},
		{"text", "alice", message("talk", nil), nil, "", `talk {"text":"hello"}`},
		{"unlisted skill", "alice", message("admin", nil), sdk.ErrUnsupportedOperation, "access_denied", ""},
		{"no skill", "alice", message("", nil), sdk.ErrInvalidParams, "", ""},
		{"no part", "alice", noPart, sdk.ErrInvalidParams, "", ""},
		{"two parts", "alice", twoParts, sdk.ErrInvalidParams, "", ""},
		{"file", "alice", file, sdk.ErrInvalidParams, "", ""},
		{"agent fails", "alice", message("read", topic("fail")), sdk.ErrInternalError, "", `read {"topic":"fail"}`},
		{"no message", "alice", &sdk.MessageSendParams{}, sdk.ErrInvalidParams, "", ""},
		{"other arguments", "alice", message("read", map[string]any{"topic": 1}), sdk.ErrInvalidParams, "invalid_arguments", ""},
		{"weak proof", "key", message("watch", nil), sdk.ErrServerError, "access_denied", ""},
		{"scope missing", "bob", message("run", topic("x")), sdk.ErrServerError, `insufficient_scope: scope "data:read exec:run"`, ""},
		{"facts unavailable", "broken", message("read", topic("x")), sdk.ErrServerError, "temporarily_unavailable", ""},
		{"push", "alice", push, sdk.ErrPushNotificationNotSupported, "", ""},
		{"foreign reference", "alice", foreign, sdk.ErrTaskNotFound, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t)
			_, err := s.client(t, test.caller).SendMessage(s.ctx, test.send)
			if !errors.Is(err, test.want) || err != nil && (!strings.Contains(err.Error(), test.text) || strings.Contains(err.Error(), "registry")) {
				t.Errorf("SendMessage = %v, want %v with %q", err, test.want, test.text)
			}
			if err != nil && strings.Contains(err.Error(), "scope") != (test.name == "scope missing") {
				t.Errorf("SendMessage = %v, want scopes only if they are missing", err)
			}
			if last := s.Last(); test.text != "" && (last.Type != tool.EventCall || last.Decision == gatehouse.Allowed) {
				t.Errorf("the last event is %+v, want the refusal", last)
			}
			s.WantRan(t, slices.DeleteFunc([]string{test.ran}, func(s string) bool { return s == "" })...)
		})
	}
}

func TestUnrecordedMessageDoesNotRun(t *testing.T) {
	s := start(t)
	s.Lost = func(event gatehouse.EventType) error {
		if event == tool.EventCall {
			return errors.New("the log is full")
		}
		return nil
	}
	_, err := s.client(t, "alice").SendMessage(s.ctx, message("read", topic("x")))
	if !errors.Is(err, sdk.ErrServerError) || strings.Contains(err.Error(), "full") {
		t.Errorf("SendMessage = %v, want %v without the cause", err, sdk.ErrServerError)
	}
	s.WantRan(t)
}

func TestApproval(t *testing.T) {
	s := start(t)
	client := s.client(t, "alice")
	task := s.send(t, client, message("run", topic("x")))
	if task.Status.State != sdk.TaskStateAuthRequired {
		t.Fatalf("SendMessage = %+v, want state auth-required", task)
	}
	data := task.Status.Message.Parts[0].(sdk.DataPart).Data
	if expires, err := time.Parse(time.RFC3339, data["expires"].(string)); err != nil || !expires.After(time.Now()) {
		t.Errorf("the task says expires %v, want a time to come", data["expires"])
	}
	id, _ := data["approval"].(string)
	if data["error"] != "approval_required" || !strings.HasPrefix(data["url"].(string), "https://agent.example.com/approvals") || id == "" {
		t.Errorf("the task says %v, want approval_required with its URL and ID", data)
	}
	must(s.approvals.Decide(s.ctx, agentkit.Admin(), id, true, ""))
	other := message("run", topic("y")) // not what was approved
	other.Message.TaskID = task.ID
	if task = s.send(t, client, other); task.Status.State != sdk.TaskStateAuthRequired {
		t.Fatalf("SendMessage(other arguments) = %+v, want state auth-required", task)
	}
	s.WantRan(t)
	again := message("run", topic("x"))
	again.Message.TaskID = task.ID
	if task = s.send(t, client, again); task.Status.State != sdk.TaskStateCompleted {
		t.Fatalf("SendMessage(approved) = %+v, want state completed", task)
	}
	s.WantRan(t, `run {"topic":"x"}`)
}

func TestRefusalDoesNotEndTask(t *testing.T) {
	s := start(t)
	client := s.client(t, "alice")
	task := s.send(t, client, message("talk", nil))
	wrong := message("read", map[string]any{"topic": 1})
	wrong.Message.TaskID = task.ID
	if task = s.send(t, client, wrong); task.Status.State != sdk.TaskStateInputRequired {
		t.Errorf("the task is %q after a refused message, want %q", task.Status.State, sdk.TaskStateInputRequired)
	}
	history := len(task.History)
	unlisted := message("admin", nil)
	unlisted.Message.TaskID = task.ID
	if _, err := client.SendMessage(s.ctx, unlisted); !errors.Is(err, sdk.ErrUnsupportedOperation) {
		t.Errorf("SendMessage(unlisted skill, own task) = %v, want %v", err, sdk.ErrUnsupportedOperation)
	}
	if task = must(client.GetTask(s.ctx, &sdk.TaskQueryParams{ID: task.ID})); len(task.History) != history {
		t.Errorf("the task has %d messages after a refused one, want %d", len(task.History), history)
	}
}

func TestTasksBelongToCaller(t *testing.T) {
	s := start(t)
	alice := s.client(t, "alice")
	task := s.watch(t, alice)
	for _, name := range []string{"bob", "globex", "cousin"} {
		other := s.client(t, name)
		_, get := other.GetTask(s.ctx, &sdk.TaskQueryParams{ID: task.ID})
		_, cancel := other.CancelTask(s.ctx, &sdk.TaskIDParams{ID: task.ID})
		join := message("read", topic("x"))
		join.Message.TaskID = task.ID
		_, sent := other.SendMessage(s.ctx, join)
		var stream error
		for _, err := range other.ResubscribeToTask(s.ctx, &sdk.TaskIDParams{ID: task.ID}) {
			stream = err
			break
		}
		for call, err := range map[string]error{"GetTask": get, "CancelTask": cancel, "SendMessage": sent, "ResubscribeToTask": stream} {
			if !errors.Is(err, sdk.ErrTaskNotFound) {
				t.Errorf("%s(task of alice) by %s = %v, want %v", call, name, err, sdk.ErrTaskNotFound)
			}
		}
	}
	if got, err := alice.GetTask(s.ctx, &sdk.TaskQueryParams{ID: task.ID}); err != nil || got.ID != task.ID {
		t.Errorf("GetTask by the owner = %+v, %v, want the task", got, err)
	}
	s.tasks.mu.Lock()
	if s.tasks.last.ID == task.ID {
		t.Error("GetTask changes the ID of the task that the store may keep")
	}
	s.tasks.mu.Unlock()
	refer := message("read", topic("x"))
	for _, unknown := range [][]sdk.TaskID{{"unknown"}, nil} {
		refer.Message.ReferenceTasks = append([]sdk.TaskID{task.ID}, unknown...)
		if _, err := alice.SendMessage(s.ctx, refer); (unknown != nil) != errors.Is(err, sdk.ErrTaskNotFound) {
			t.Errorf("SendMessage(references %v) = %v, want %v only for an unknown task", refer.Message.ReferenceTasks, err, sdk.ErrTaskNotFound)
		}
	}
	if got, err := alice.CancelTask(s.ctx, &sdk.TaskIDParams{ID: task.ID}); err != nil || got.Status.State != sdk.TaskStateCanceled {
		t.Errorf("CancelTask by the owner = %+v, %v, want a canceled task", got, err)
	}
}

// An error of the store is not an unknown task, and a task that is not stored no answer.
func TestTasksUnavailable(t *testing.T) {
	s := start(t)
	client := s.client(t, "alice")
	task := s.watch(t, client)
	s.stuck.Store(true)
	if got, err := client.CancelTask(s.ctx, &sdk.TaskIDParams{ID: task.ID}); err == nil {
		t.Errorf("CancelTask(stuck) = %+v, nil, want an error", got)
	}
	for _, fault := range []error{nil, errors.New("the database is down")} {
		s.tasks.fail(fault)
		if _, err := client.GetTask(s.ctx, &sdk.TaskQueryParams{ID: task.ID}); err == nil || errors.Is(err, sdk.ErrTaskNotFound) != (fault == nil) {
			t.Errorf("GetTask(store answers nil, %v) error = %v, want %v only without an error", fault, err, sdk.ErrTaskNotFound)
		}
	}
	if got, err := client.SendMessage(s.ctx, message("talk", nil)); err == nil {
		t.Errorf("SendMessage(store fails) = %+v, nil, want an error", got)
	}
}

func TestStreamEndsWithCredential(t *testing.T) {
	s := start(t)
	var task sdk.TaskID
	for lifetime := time.Second; task == "" && s.ctx.Err() == nil; lifetime *= 2 { // the credential can expire before the first event
		for event, err := range s.client(t, lifetime.String()+":alice").SendStreamingMessage(s.ctx, message("watch", nil)) {
			if err != nil {
				break
			}
			if task != "" {
				t.Errorf("the stream has the event %+v after the first", event)
			}
			task = event.TaskInfo().TaskID
		}
	}
	if s.ctx.Err() != nil {
		t.Fatal("the stream does not end with the credential")
	}
	if _, err := s.client(t, "alice").CancelTask(s.ctx, &sdk.TaskIDParams{ID: task}); err != nil {
		t.Errorf("CancelTask = %v, want nil: the task goes on", err)
	}
}

// A stream may be longer than the write timeout of the server, another call may not.
func TestWriteDeadline(t *testing.T) {
	s := start(t)
	for method, want := range map[string]bool{"message/stream": true, "tasks/resubscribe": true, "message/send": false} {
		r := httptest.NewRequestWithContext(s.ctx, http.MethodPost, "/a2a", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"`+method+`"}`))
		r.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer alice"}}
		if got := agentkit.RemovesWriteDeadline(s.Config.Handler, r); got != want {
			t.Errorf("%s removed the write deadline: %t, want %t", method, got, want)
		}
	}
}

func TestStreamedRefusal(t *testing.T) {
	s := start(t)
	for _, err := range s.client(t, "bob").SendStreamingMessage(s.ctx, message("run", topic("x"))) {
		if !errors.Is(err, sdk.ErrServerError) || !strings.Contains(err.Error(), "insufficient_scope") {
			t.Errorf("SendStreamingMessage = %v, want insufficient_scope", err)
		}
	}
	s.WantRan(t)
}

// post sends a body as alice.
func post(t *testing.T, s *service, method, path, contentType, body string) (*http.Response, string) {
	t.Helper()
	r := must(http.NewRequestWithContext(s.ctx, method, s.URL+path, strings.NewReader(body)))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "Bearer alice")
	response := must(s.Client().Do(r))
	defer func() { _ = response.Body.Close() }()
	return response, string(must(io.ReadAll(response.Body)))
}

// A message that was refused during an outage is refused although the outage has ended
// when the refusal is recorded.
func TestOutageEnds(t *testing.T) {
	s := start(t)
	s.outage.Store(true)
	for _, want := range []error{sdk.ErrServerError, nil} {
		if _, err := s.client(t, "alice").SendMessage(s.ctx, message("talk", map[string]any{})); !errors.Is(err, want) {
			t.Errorf("SendMessage() error = %v, want %v", err, want)
		}
	}
}

func TestMalformedRequests(t *testing.T) {
	s := start(t)
	call := `{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"id":"x"}}`
	for _, test := range []struct {
		name, method, path, contentType, body string
		want                                  int
		allow                                 string
	}{
		{"valid", "POST", "/a2a", "application/json; charset=utf-8", call, 200, ""},
		{"form", "POST", "/a2a", "text/plain", call, 400, ""},
		{"malformed type", "POST", "/a2a", "application/json; charset", call, 400, ""},
		{"batch", "POST", "/a2a", "application/json", "[" + call + "]", 400, ""},
		{"name twice", "POST", "/a2a", "application/json", `{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"id":"x","ID":"y"}}`, 400, ""},
		{"largest", "POST", "/a2a", "application/json", call + strings.Repeat(" ", 4<<20-len(call)), 200, ""},
		{"large", "POST", "/a2a", "application/json", call + strings.Repeat(" ", 4<<20+1-len(call)), 413, ""},
		{"GET", "GET", "/a2a", "", "", 405, "POST"},
		{"no gate", "POST", "/open", "application/json", call, 401, ""},
		{"POST of the card", "POST", "/.well-known/agent-card.json", "", "", 405, "GET, HEAD"},
	} {
		got, body := post(t, s, test.method, test.path, test.contentType, test.body)
		if got.StatusCode != test.want {
			t.Errorf("%s: status %d %s, want %d", test.name, got.StatusCode, body, test.want)
		}
		if want := test.allow; got.Header.Get("Allow") != want {
			t.Errorf("%s: Allow = %q, want %q", test.name, got.Header.Get("Allow"), want)
		}
		if test.want == 200 && (got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Content-Type") != "application/json") {
			t.Errorf("%s: headers %v, want those of JSON that is not for caches", test.name, got.Header)
		}
	}
}

// verify checks the signature of a card in its text.
func verify(t *testing.T, s *service, text string) {
	t.Helper()
	if _, err := gatea2a.VerifyCard([]byte(text), []byte(keySet(s.key, nil))); err != nil {
		t.Errorf("VerifyCard(%s) error = %v, want nil", text, err)
	}
	const header = `{"alg":"ES256","kid":"card","typ":"JOSE"}`
	if !strings.Contains(text, `"protected":"`+base64.RawURLEncoding.EncodeToString([]byte(header))+`"`) {
		t.Errorf("the header of the signature of %s is not %s", text, header)
	}
}

func TestPublicCard(t *testing.T) {
	s := start(t)
	get, text := post(t, s, "GET", "/.well-known/agent-card.json", "", "")
	if get.StatusCode != 200 {
		t.Fatalf("GET card = %d %s, want 200", get.StatusCode, text)
	}
	verify(t, s, text)
	head, _ := post(t, s, "HEAD", "/.well-known/agent-card.json", "", "")
	for name, want := range map[string]string{"Content-Type": "application/json", "Cache-Control": "max-age=60", "X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": "*"} {
		if got := head.Header.Get(name); got != want {
			t.Errorf("%s of the card = %q, want %q", name, got, want)
		}
	}
	card := must(agentcard.NewResolver(s.Client()).Resolve(s.ctx, s.URL))
	encoded := string(must(json.Marshal(card.SecuritySchemes)))
	want := `{"basic":{"type":"http","scheme":"Basic"},"cookie-sid":{"type":"apiKey","in":"cookie","name":"sid"},"header-x-api-key":{"type":"apiKey","in":"header","name":"X-Api-Key"},"mtls":{"type":"mutualTLS"},` +
		`"oauth2":{"type":"oauth2","flows":{},"oauth2MetadataUrl":"https://login.example.com/.well-known/oauth-authorization-server"}}`
	if encoded != want {
		t.Errorf("the schemes are %s, want %s", encoded, want)
	}
	const other = `[{"basic":[]},{"cookie-sid":[]},{"header-x-api-key":[]},{"mtls":[]},`
	for want, security := range map[string][]sdk.SecurityRequirements{`{"oauth2":["data:read"]}]`: card.Skills[0].Security, `{"oauth2":[]}]`: card.Security} {
		if got := string(must(json.Marshal(security))); got != other+want {
			t.Errorf("the security is %s, want %s", got, other+want)
		}
	}
	if len(card.Skills) != 3 || !card.SupportsAuthenticatedExtendedCard {
		t.Errorf("the card is %+v, want the three public skills and an extended card", card)
	}
}

func TestExtendedCard(t *testing.T) {
	s := start(t)
	request := `{"jsonrpc":"2.0","id":1,"method":"agent/getAuthenticatedExtendedCard"}`
	_, text := post(t, s, "POST", "/a2a", "application/json", request)
	var response struct{ Result json.RawMessage }
	if err := json.Unmarshal([]byte(text), &response); err != nil {
		t.Fatal(err)
	}
	verify(t, s, string(response.Result))
	for caller, want := range map[string]string{"alice": "read talk watch run", "bob": "read talk watch run", "key": "read talk"} {
		card, err := s.client(t, caller).GetAgentCard(s.ctx)
		var ids []string
		if card != nil {
			for _, skill := range card.Skills {
				ids = append(ids, skill.ID)
			}
		}
		if got := strings.Join(ids, " "); err != nil || got != want {
			t.Errorf("the card of %s has the skills %s (%v), want %s", caller, got, err, want)
		}
		if run := card.Skills[len(card.Skills)-1]; run.ID == "run" && !strings.HasSuffix(string(must(json.Marshal(run.Security))), `{"oauth2":["data:read","exec:run"]}]`) {
			t.Errorf("the security of run is %v, want the scopes of the tool", run.Security)
		}
	}
	if _, err := s.client(t, "broken").GetAgentCard(s.ctx); !errors.Is(err, sdk.ErrServerError) {
		t.Errorf("GetAgentCard(facts unavailable) = %v, want %v", err, sdk.ErrServerError)
	}
}

func TestConfig(t *testing.T) {
	s := start(t)
	config := s.config()
	for range 2 { // New leaves it as it is
		if _, err := gatea2a.New(config); err != nil {
			t.Errorf("New = %v, want nil", err)
		}
	}
	for name, change := range map[string]func(*gatea2a.Config){
		"Executor: required":                func(c *gatea2a.Config) { c.Executor = (*service)(nil) },
		"Tasks: required":                   func(c *gatea2a.Config) { c.Tasks = (*memory)(nil) },
		"Keys: required":                    func(c *gatea2a.Config) { c.Keys = nil },
		"Table: required":                   func(c *gatea2a.Config) { c.Table = nil },
		"Authenticators: required":          func(c *gatea2a.Config) { c.Authenticators = nil },
		"Authenticators[0]: required":       func(c *gatea2a.Config) { c.Authenticators[0] = (*toy)(nil) },
		"Card.URL: required":                func(c *gatea2a.Config) { c.Card.URL = "" },
		"Card: Security":                    func(c *gatea2a.Config) { c.Card.Security = []sdk.SecurityRequirements{} },
		"Card: Security, SecuritySchemes":   func(c *gatea2a.Config) { c.Card.SecuritySchemes = sdk.NamedSecuritySchemes{} },
		"Card: Security, SecuritySchemes, ": func(c *gatea2a.Config) { c.Card.Signatures = []sdk.AgentCardSignature{} },
		"SupportsAuthenticatedExtendedCard": func(c *gatea2a.Config) { c.Card.SupportsAuthenticatedExtendedCard = true },
		"Config.Card: json": func(c *gatea2a.Config) {
			c.Card.Capabilities.Extensions = []sdk.AgentExtension{{Params: map[string]any{"f": func() {}}}}
		},
		"PushNotifications":           func(c *gatea2a.Config) { c.Card.Capabilities.PushNotifications = true },
		`Skills: "else": not in the`:  func(c *gatea2a.Config) { c.Skills[0].ID = "else" },
		`Skills: "read": not in the`:  func(c *gatea2a.Config) { c.Skills[0].ID = "read" },
		`Skills: "run": Security`:     func(c *gatea2a.Config) { c.Skills[0].Security = []sdk.SecurityRequirements{} },
		`Table: tool "root" is not a`: func(c *gatea2a.Config) { c.Skills = c.Skills[:1] },
		"Config.Card: approval: number": func(c *gatea2a.Config) {
			c.Card.Capabilities.Extensions = []sdk.AgentExtension{{Params: map[string]any{"n": 1e300}}}
		},
	} {
		config := s.config()
		change(&config)
		if _, err := gatea2a.New(config); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("New = %v, want %s", err, name)
		}
	}
}

// The application may name the skill, and may fail to.
func TestSkill(t *testing.T) {
	s := start(t)
	config, calls := s.config(), 0
	config.Skill = func(*sdk.Message) (string, []byte, error) {
		if calls++; calls == 4 { // of the second message, when the agent would run
			return "read", []byte(`{"topic":"own"}`), errors.New("no such skill")
		}
		return "read", []byte(`{"topic":"own"}`), nil
	}
	gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{callers}, Realm: "agent"}))
	s.Config.Handler = gate.Handler(must(gatea2a.New(config)))
	client := s.client(t, "alice")
	s.send(t, client, message("", nil))
	if _, err := client.SendMessage(s.ctx, message("", nil)); !errors.Is(err, sdk.ErrInvalidParams) {
		t.Errorf("SendMessage = %v, want %v", err, sdk.ErrInvalidParams)
	}
	s.WantRan(t, `read {"topic":"own"}`)
}

func TestCallFromWithoutCall(t *testing.T) {
	if _, ok := gatea2a.CallFrom(context.Background()); ok {
		t.Error("CallFrom(no call) = true, want false")
	}
}
