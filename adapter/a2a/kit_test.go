// SPDX-License-Identifier: Apache-2.0

package gatea2a_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/a2aproject/a2a-go/a2a"
	"github.com/a2aproject/a2a-go/a2aclient"
	"github.com/a2aproject/a2a-go/a2asrv"
	"github.com/a2aproject/a2a-go/a2asrv/eventqueue"

	"github.com/gatehouse-go/gatehouse"
	gatea2a "github.com/gatehouse-go/gatehouse/adapter/a2a"
	"github.com/gatehouse-go/gatehouse/adapter/internal/agentkit"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/tool"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

func must[T any](value T, err error) T { return agentkit.Must(value, err) }

func scopes(names ...string) gatehouse.Scopes { return agentkit.Scopes(names...) }

// callers are the callers by their token, with more credentials in the card.
var callers = toy{agentkit.With(agentkit.Callers{
	"alice":  agentkit.Caller("alice", "data:read", "exec:run"),
	"bob":    agentkit.Caller("bob", "data:read"),
	"cousin": {Kind: gatehouse.KindAgent, Subject: "alice", Issuer: "others", Tenant: "acme", Method: "jwt", Scopes: scopes("data:read")},
	"globex": {Kind: gatehouse.KindAgent, Subject: "alice", Issuer: "agents", Tenant: "globex", Method: "jwt", Scopes: scopes("data:read")},
})}

type toy struct{ agentkit.Callers }

func (toy) Reads() gatehouse.Reads {
	return gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "Bearer", Always: true}, {Name: "Basic"}, {Name: "Hidden", Silent: true}}, Headers: []gatehouse.Header{{Name: "X-Api-Key"}}}
}

// ambient reads the connection and a cookie.
type ambient struct{}

func (ambient) Reads() gatehouse.Reads {
	return gatehouse.Reads{Connection: true, Cookies: []string{"sid"}}
}

func (ambient) Authenticate(*http.Request) (gatehouse.Proof, error) {
	return gatehouse.Proof{}, gatehouse.ErrNoCredentials
}

// memory is a store of tasks.
type memory struct {
	mu    sync.Mutex
	tasks map[sdk.TaskID][]byte
	last  *sdk.Task // that Get returned
	fails bool
	err   error // of all calls, if it fails
}

func (m *memory) Save(_ context.Context, task *sdk.Task) error {
	text, err := json.Marshal(task)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails {
		return m.err
	}
	m.tasks[task.ID] = text
	return err
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fails, m.err = true, err
}

func (m *memory) Get(_ context.Context, id sdk.TaskID) (*sdk.Task, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails {
		return nil, m.err
	}
	text, ok := m.tasks[id]
	if !ok {
		return nil, sdk.ErrTaskNotFound
	}
	m.last = new(sdk.Task)
	return m.last, json.Unmarshal(text, m.last)
}

type readArguments struct {
	Topic string `json:"topic"`
}

type textArguments struct {
	Text string `json:"text,omitempty"`
}

// service is an agent behind a gate.
type service struct {
	*httptest.Server
	agentkit.Recorder
	ctx       context.Context // of the calls: what hangs fails after 30 s
	approvals *approval.Approvals
	key       *ecdsa.PrivateKey
	tasks     *memory
	stuck     atomic.Bool // it cannot be canceled
	outage    atomic.Bool // the registry is down for one call
}

// Execute answers with a task: completed, or waiting for input.
func (s *service) Execute(ctx context.Context, request *a2asrv.RequestContext, queue eventqueue.Queue) error {
	call, ok := gatea2a.CallFrom(ctx)
	if !ok {
		return errors.New("no call")
	}
	if c, ok := a2asrv.CallContextFrom(ctx); !ok || !c.User.Authenticated() || c.User.Name() != call.Principal.Key().String() {
		return errors.New("another user")
	}
	s.Ran(call.Tool + " " + call.Canonical)
	if strings.Contains(call.Canonical, "fail") {
		return errors.New("the agent fails")
	}
	state := sdk.TaskStateCompleted
	if call.Tool == "talk" {
		state = sdk.TaskStateInputRequired
	}
	if call.Tool == "watch" {
		if err := queue.Write(ctx, sdk.NewStatusUpdateEvent(request, sdk.TaskStateWorking, nil)); err != nil {
			return err
		}
		<-ctx.Done() // until it is canceled
		return ctx.Err()
	}
	event := sdk.NewStatusUpdateEvent(request, state, nil)
	event.Final = true
	return queue.Write(ctx, event)
}

// Cancel cancels a task.
func (s *service) Cancel(ctx context.Context, request *a2asrv.RequestContext, queue eventqueue.Queue) error {
	if s.stuck.Load() {
		return errors.New("the agent is stuck")
	}
	event := sdk.NewStatusUpdateEvent(request, sdk.TaskStateCanceled, nil)
	event.Final = true
	return queue.Write(ctx, event)
}

// config returns the configuration of an agent with five skills.
func (s *service) config() gatea2a.Config {
	table := must(tool.New(tool.Config{
		Classes: map[string]tool.Class{
			"read": {Proof: tool.Proof{Kind: tool.APIKey}, Scopes: scopes("data:read")},
			"run":  {Proof: tool.Proof{Kind: tool.OwnToken}, Scopes: scopes("data:read", "exec:run"), Approval: approval.Rule{Roles: agentkit.Roles("admin")}},
			"own":  {Proof: tool.Proof{Kind: tool.OwnToken}, Scopes: scopes("data:read")},
			"root": {Proof: tool.Proof{Kind: tool.OwnToken}, Scopes: scopes("root")},
		},
		Tools: []tool.Tool{
			{Name: "read", Class: "read", Arguments: tool.Args[readArguments]()},
			{Name: "talk", Class: "read", Arguments: tool.Args[textArguments]()},
			{Name: "watch", Class: "own", Arguments: tool.Args[textArguments]()},
			{Name: "run", Class: "run", Arguments: tool.Args[readArguments]()},
			{Name: "root", Class: "root", Arguments: tool.Args[readArguments]()},
		},
		Approvals: s.approvals, Observer: s,
		Facts: func(ctx context.Context, p gatehouse.Principal) (tool.Facts, error) {
			if s.outage.CompareAndSwap(true, false) {
				p.Subject = "broken"
			}
			return agentkit.Facts(ctx, p)
		},
	}))
	return gatea2a.Config{
		Executor: s, Table: table, Tasks: s.tasks,
		Card: sdk.AgentCard{
			Name: "tester", URL: s.URL + "/a2a?a=1&b=<2>", PreferredTransport: sdk.TransportProtocolJSONRPC, Capabilities: sdk.AgentCapabilities{Streaming: true},
			Skills: []sdk.AgentSkill{{ID: "read"}, {ID: "talk"}, {ID: "watch"}},
		},
		Skills: []sdk.AgentSkill{{ID: "run"}, {ID: "root"}}, Authenticators: []gatehouse.Authenticator{callers, ambient{}},
		OAuth: &sdk.OAuth2SecurityScheme{Oauth2MetadataURL: "https://login.example.com/.well-known/oauth-authorization-server"},
		Keys:  must(jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "card", Algorithm: jwtauth.ES256, Private: s.key})),
	}
}

// start starts an agent behind a gate.
func start(t *testing.T) *service {
	t.Helper()
	s := &service{tasks: &memory{tasks: make(map[sdk.TaskID][]byte)}, key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), approvals: agentkit.Approvals("https://agent.example.com/approvals")}
	mux := http.NewServeMux()
	s.Server = httptest.NewServer(mux)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	s.ctx = ctx
	t.Cleanup(func() {
		cancel()
		s.CloseClientConnections() // Close waits for streams
		s.Close()
	})
	agent := must(gatea2a.New(s.config()))
	gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{callers, ambient{}}, Realm: "agent", Observer: s}))
	mux.Handle("/.well-known/agent-card.json", agent.Card())
	mux.Handle("/a2a", gate.Handler(agent))
	mux.Handle("/open", agent)
	return s
}

// client returns the client of the SDK for a caller.
func (s *service) client(t *testing.T, caller string) *a2aclient.Client {
	t.Helper()
	endpoints := []sdk.AgentInterface{{Transport: sdk.TransportProtocolJSONRPC, URL: s.URL + "/a2a"}}
	client := must(a2aclient.NewFromEndpoints(t.Context(), endpoints,
		a2aclient.WithJSONRPCTransport(&http.Client{Transport: agentkit.Bearer{Base: s.Client().Transport, Caller: caller}})))
	t.Cleanup(func() { _ = client.Destroy() })
	return client
}

// watch begins a task that runs until it is canceled.
func (s *service) watch(t *testing.T, client *a2aclient.Client) *sdk.Task {
	t.Helper()
	send := message("watch", nil)
	send.Config = &sdk.MessageSendConfig{Blocking: new(bool)}
	return s.send(t, client, send)
}

// send sends a message to a task. The SDK answers the message before a moment earlier
// than it ends its execution, and until then it answers the next one with an internal
// error.
func (s *service) send(t *testing.T, client *a2aclient.Client, params *sdk.MessageSendParams) *sdk.Task {
	t.Helper()
	for {
		result, err := client.SendMessage(s.ctx, params)
		if task, ok := result.(*sdk.Task); err == nil && ok {
			return task
		}
		if !errors.Is(err, sdk.ErrInternalError) || s.ctx.Err() != nil {
			t.Fatalf("SendMessage = %+v, %v, want a task", result, err)
		}
	}
}

// message returns a message for a skill: with data, or with text.
func message(skill string, content any) *sdk.MessageSendParams {
	var part sdk.Part = sdk.TextPart{Text: "hello"}
	if data, ok := content.(map[string]any); ok {
		part = sdk.DataPart{Data: data}
	}
	m := sdk.NewMessage(sdk.MessageRoleUser, part)
	m.Metadata = map[string]any{"skill": skill}
	return &sdk.MessageSendParams{Message: m}
}

func topic(name string) map[string]any { return map[string]any{"topic": name} }
