// SPDX-License-Identifier: Apache-2.0

package mcp_test

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/adapter/internal/agentkit"
	"github.com/gatehouse-go/gatehouse/adapter/mcp"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/tool"
	"github.com/gatehouse-go/gatehouse/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const agentIssuer = "https://agents.example.com"

// callers are the callers by their token.
var callers = agentkit.With(agentkit.Callers{
	"agent":  agentkit.Caller("helper", "data:read", "exec:run"),
	"narrow": agentkit.Caller("narrow", "data:read"),
})

func must[T any](value T, err error) T { return agentkit.Must(value, err) }

func scopes(names ...string) gatehouse.Scopes { return agentkit.Scopes(names...) }

// service is an MCP server behind a gate.
type service struct {
	*httptest.Server
	agentkit.Recorder
	approvals *approval.Approvals

	progress bool                        // the tools send a notification first
	fail     func(context.Context) error // what the tools return
	outage   bool                        // the registry is down for one call

	mu     sync.Mutex
	seen   []http.Header        // the headers that tools see
	listed *sdk.ListToolsResult // what a middleware keeps
}

type (
	readArguments struct {
		Topic string `json:"topic"`
	}
	runArguments struct {
		Source string `json:"source"`
		Count  int    `json:"count,omitempty"`
	}
)

func (s *service) record(ctx context.Context, text string) error {
	s.Ran(text)
	if s.fail != nil {
		return s.fail(ctx)
	}
	return nil
}

var readSchema = json.RawMessage(`{"type":"object","title":"Reading"}`)

// start starts an MCP server with two tools in the table and one that is not in it.
func start(t *testing.T) *service {
	t.Helper()
	s := &service{approvals: agentkit.Approvals("https://tools.example.com/approvals")}
	table := must(tool.New(tool.Config{
		Classes: map[string]tool.Class{
			"read": {Proof: tool.Proof{Kind: tool.APIKey}, Scopes: scopes("data:read")},
			"run":  {Proof: tool.Proof{Kind: tool.OwnToken, Attested: true}, Scopes: scopes("data:read", "exec:run"), Approval: approval.Rule{Roles: agentkit.Roles("admin")}},
		},
		Tools: []tool.Tool{
			{Name: "read", Class: "read", Arguments: tool.Args[readArguments]()},
			{Name: "run", Class: "run", Arguments: tool.Args[runArguments]()},
		},
		Approvals: s.approvals, Observer: s,
		Facts: func(ctx context.Context, p gatehouse.Principal) (tool.Facts, error) {
			if s.outage {
				p.Subject, s.outage = "broken", false
			}
			return agentkit.Facts(ctx, p)
		},
	}))
	server := newServer()
	mcp.AddTool(server, &sdk.Tool{Name: "read", Description: "reads", InputSchema: readSchema}, func(ctx context.Context, _ *tool.Call, in readArguments) (map[string]any, error) {
		if in.Topic == "NaN" {
			return map[string]any{"topic": math.NaN()}, nil
		}
		return map[string]any{"topic": in.Topic}, s.record(ctx, "read "+in.Topic)
	})
	mcp.AddTool(server, &sdk.Tool{Name: "run", Description: "runs"}, func(ctx context.Context, call *tool.Call, in runArguments) (map[string]string, error) {
		if call.Approval.ID == "" {
			t.Error("the tool ran without an approval")
		}
		return map[string]string{"output": in.Source}, s.record(ctx, "run "+in.Source)
	})
	server.AddTool(&sdk.Tool{Name: "forgotten", InputSchema: json.RawMessage(`{"type":"object"}`)}, func(ctx context.Context, _ *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return &sdk.CallToolResult{}, s.record(ctx, "forgotten")
	})
	server.AddReceivingMiddleware(func(next sdk.MethodHandler) sdk.MethodHandler {
		return func(ctx context.Context, method string, r sdk.Request) (sdk.Result, error) {
			if extra := r.GetExtra(); extra != nil {
				s.mu.Lock()
				s.seen = append(s.seen, extra.Header)
				s.mu.Unlock()
			}
			if session, ok := r.GetSession().(*sdk.ServerSession); ok && s.progress && method == "tools/call" {
				if err := session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{ProgressToken: "p", Progress: 1}); err != nil {
					t.Errorf("NotifyProgress() error = %v, want nil", err)
				}
			}
			if method == "tools/list" && s.listed != nil {
				return s.listed, nil
			}
			result, err := next(ctx, method, r)
			s.listed, _ = result.(*sdk.ListToolsResult)
			return result, err
		}
	})
	listener := httptest.NewUnstartedServer(nil)
	origin := "http://" + listener.Listener.Addr().String()
	handler := must(mcp.New(mcp.Config{
		Server: server, Table: table, Origin: origin, MaxBody: 1 << 20, Observer: s,
		Origins: []string{"https://console.example.com", "https://Mixed.Example.com/", "HTTPS://ascii.example.com"},
	}))
	metadata := must(gatehouse.NewMetadata(gatehouse.ProtectedResource{Resource: origin + "/mcp", AuthorizationServers: []string{agentIssuer}}))
	mux := newGate(gatehouse.Config{Metadata: metadata, Observer: s}).Mux()
	mux.Handle("/mcp", handler, gatehouse.Authenticated)
	mux.HandleFunc("/other", func(http.ResponseWriter, *http.Request) {}, gatehouse.Authenticated)
	root := http.NewServeMux()
	root.Handle("/mcp", handler.Front(mux))
	root.Handle("/", mux)
	listener.Config.Handler = root
	listener.Start()
	t.Cleanup(listener.Close)
	s.Server = listener
	return s
}

func newServer() *sdk.Server {
	return sdk.NewServer(&sdk.Implementation{Name: "test", Version: "1"}, nil)
}

// newGate returns a gate for callers.
func newGate(c gatehouse.Config) *gatehouse.Gate {
	c.Authenticators, c.Realm, c.ErrorBody = []gatehouse.Authenticator{callers}, "tools", mcp.ErrorBody
	return must(gatehouse.New(c))
}

// answer is the response to a POST.
type answer struct {
	*http.Response
	body string
	rpc  struct {
		ID    json.RawMessage
		Error struct {
			Code    int
			Message string
			Data    map[string]any
		}
		Result struct {
			IsError           bool
			StructuredContent map[string]any
			Tools             []struct {
				Name        string
				InputSchema struct {
					Title      string
					Properties map[string]any
				}
			}
			CacheScope string
		}
	}
}

// request returns a request with a message as a caller, with more headers in pairs.
func request(ctx context.Context, url, caller, body string, headers ...string) *http.Request {
	r := must(http.NewRequestWithContext(ctx, http.MethodPost, url+"/mcp", strings.NewReader(body)))
	r.Host = "tools.example.com" // as of a reverse proxy on this machine
	r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	if caller != "" {
		r.Header.Set("Authorization", "Bearer "+caller)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func (s *service) send(t *testing.T, caller, body string, headers ...string) *http.Response {
	t.Helper()
	response := must(s.Client().Do(request(t.Context(), s.URL, caller, body, headers...)))
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// post returns the response to a message.
func (s *service) post(t *testing.T, caller, body string, headers ...string) *answer {
	t.Helper()
	response := s.send(t, caller, body, headers...)
	a := &answer{Response: response, body: string(must(io.ReadAll(response.Body)))}
	message := a.body
	if _, data, ok := strings.Cut(message, "data: "); ok {
		message, _, _ = strings.Cut(data, "\n")
	}
	if message != "" && json.Unmarshal([]byte(message), &a.rpc) != nil {
		t.Fatalf("POST %s: %s: not a JSON-RPC message", body, a.body)
	}
	return a
}

func callOf(name, arguments string) string {
	return `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"` + name + `","arguments":` + arguments + `}}`
}

// connect connects the client of the SDK.
func (s *service) connect(t *testing.T, caller string) *sdk.ClientSession {
	t.Helper()
	transport := &sdk.StreamableClientTransport{
		Endpoint: s.URL + "/mcp", MaxRetries: -1, HTTPClient: &http.Client{Transport: agentkit.Bearer{Base: s.Client().Transport, Caller: caller}},
	}
	session := must(sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), transport, nil))
	t.Cleanup(func() { _ = session.Close() })
	return session
}
