// SPDX-License-Identifier: Apache-2.0

package mcp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/adapter/internal/agentkit"
	"github.com/gatehouse-go/gatehouse/adapter/mcp"
	"github.com/gatehouse-go/gatehouse/agent/tool"
)

func table() *tool.Table {
	return must(tool.New(tool.Config{
		Classes: map[string]tool.Class{"read": {Proof: tool.Proof{Kind: tool.APIKey}, Scopes: scopes("data:read"), AllowUnrecorded: true}},
		Tools:   []tool.Tool{{Name: "read", Class: "read", Arguments: tool.Args[readArguments]()}},
		Facts:   agentkit.Facts,
	}))
}

func TestNewRefuses(t *testing.T) {
	valid := func() mcp.Config {
		return mcp.Config{Server: newServer(), Table: table(), Origin: "https://tools.example.com"}
	}
	if _, err := mcp.New(valid()); err != nil {
		t.Fatalf("New(valid) error = %v, want nil", err)
	}
	for name, change := range map[string]func(*mcp.Config){
		"Server: required":         func(c *mcp.Config) { c.Server = nil },
		"Table: required":          func(c *mcp.Config) { c.Table = nil },
		"Origin: required":         func(c *mcp.Config) { c.Origin = "" },
		`"tools.example.com"`:      func(c *mcp.Config) { c.Origin = "tools.example.com" },
		`"https://a.example/path"`: func(c *mcp.Config) { c.Origin = "https://a.example/path" },
		`"http://a.example"`:       func(c *mcp.Config) { c.Origins = []string{"http://a.example"} },
		`"https://bücher.example"`: func(c *mcp.Config) { c.Origins = []string{"https://bücher.example"} },
		`Origins: ""`:              func(c *mcp.Config) { c.Origins = []string{""} },
		"MaxBody: got -1":          func(c *mcp.Config) { c.MaxBody = -1 },
		"Observer: is a nil":       func(c *mcp.Config) { c.Observer = gatehouse.ObserverFunc(nil) },
	} {
		c := valid()
		change(&c)
		if _, err := mcp.New(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("New() error = %v, want %q", err, name)
		}
	}
}

// A handler that is wired wrongly runs no tool.
func TestMiswired(t *testing.T) {
	server := newServer()
	ran := false
	run := func(context.Context, *tool.Call, readArguments) (string, error) {
		ran = true
		return "", nil
	}
	mcp.AddTool(server, &sdk.Tool{Name: "read"}, run)
	handler := must(mcp.New(mcp.Config{Server: server, Table: table(), Origin: "https://tools.example.com"}))
	post := func(h http.Handler) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request(t.Context(), "", "agent", callOf("read", `{"topic":"a"}`)))
		return w.Code
	}
	gate := newGate(gatehouse.Config{})
	for name, h := range map[string]http.Handler{
		"no gate": handler, "no gate behind Front": handler.Front(handler), "no Front": gate.Handler(handler),
		"optional": handler.Front(gate.Optional(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handler.ServeHTTP(w, r.WithContext(context.WithoutCancel(r.Context())))
		}))),
	} {
		want := http.StatusUnauthorized
		if name == "optional" { // the caller is known
			want = http.StatusOK
		}
		if got := post(h); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
		if ran && name != "optional" {
			t.Errorf("%s: the tool ran", name)
		}
		ran = false
	}
	// The server behind Front, but not behind the handler.
	w := httptest.NewRecorder()
	r := request(t.Context(), "", "", `{"jsonrpc":"2.0","id":7,"method":"prompts/list"}`)
	options := &sdk.StreamableHTTPOptions{Stateless: true, DisableLocalhostProtection: true}
	handler.Front(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server }, options)).ServeHTTP(w, r)
	if !strings.Contains(w.Body.String(), "not behind a gate") {
		t.Errorf("prompts/list of another handler: %d %s, want a refusal", w.Code, w.Body)
	}
	// The server on another transport, and a server without a handler.
	free := newServer()
	mcp.AddTool(free, &sdk.Tool{Name: "read"}, run)
	for want, server := range map[string]*sdk.Server{"not behind a gate": server, "not authorized": free} {
		client, transport := sdk.NewInMemoryTransports()
		must(server.Connect(t.Context(), transport, nil))
		session, err := sdk.NewClient(&sdk.Implementation{Name: "t", Version: "1"}, nil).Connect(t.Context(), client, nil)
		if err == nil {
			_, err = session.CallTool(t.Context(), &sdk.CallToolParams{Name: "read", Arguments: map[string]any{"topic": "a"}})
			_ = session.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || ran {
			t.Errorf("CallTool() over another transport error = %v, ran = %t, want %q", err, ran, want)
		}
	}
}

// A tool whose arguments differ from those in the table does not run, nor does one that
// a middleware calls in place of the authorized one.
func TestOtherArguments(t *testing.T) {
	server := newServer()
	mcp.AddTool(server, &sdk.Tool{Name: "read"}, func(context.Context, *tool.Call, runArguments) (string, error) {
		t.Error("the tool ran")
		return "", nil
	})
	mcp.AddTool(server, &sdk.Tool{Name: "admin"}, func(context.Context, *tool.Call, readArguments) (string, error) {
		t.Error("the tool ran")
		return "", nil
	})
	renames := false
	server.AddReceivingMiddleware(func(next sdk.MethodHandler) sdk.MethodHandler {
		return func(ctx context.Context, method string, r sdk.Request) (sdk.Result, error) {
			if params, ok := r.GetParams().(*sdk.CallToolParamsRaw); ok && renames {
				params.Name = "admin"
			}
			return next(ctx, method, r)
		}
	})
	handler := must(mcp.New(mcp.Config{Server: server, Table: table(), Origin: "https://tools.example.com"}))
	s := &service{Server: httptest.NewServer(handler.Front(newGate(gatehouse.Config{}).Handler(handler)))}
	defer s.Close()
	for _, renames = range []bool{false, true} {
		if a := s.post(t, "agent", callOf("read", `{"topic":"a"}`)); !strings.Contains(a.rpc.Error.Message, "other arguments") {
			t.Errorf("POST: %s, want an error", a.body)
		}
	}
	if a := s.post(t, "agent", callOf("read", `{"topic":"`+strings.Repeat("a", 4<<20)+`"}`)); a.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("POST of more than the default of MaxBody: %d %s, want 413", a.StatusCode, a.body)
	}
	if _, ok := mcp.CallFrom(t.Context()); ok {
		t.Error("CallFrom(no call) = true, want false")
	}
	for want, f := range map[string]func(){
		"mcp: Handler.Front: nil handler": func() { handler.Front(nil) },
		"mcp: AddTool: f: ": func() {
			mcp.AddTool(server, &sdk.Tool{Name: "f"}, func(context.Context, *tool.Call, func()) (string, error) { return "", nil })
		},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, want) {
					t.Errorf("panic: %s, want %s", got, want)
				}
			}()
			f()
		}()
	}
}
