// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// shared calls test with the settings of a store that two nodes share.
func shared(t *testing.T, test func(t *testing.T, w *world, store object, engine outage)) {
	for _, driver := range []string{"sqlite", "postgres", "redis"} {
		t.Run(driver, func(t *testing.T) {
			store := object{"driver": driver}
			var engine outage
			if driver != "sqlite" {
				enginetest.Slow(t)
			}
			switch driver {
			case "sqlite":
				store["dsn"] = filepath.Join(t.TempDir(), "agents.db")
			case "postgres":
				e := enginetest.StartPostgres(t)
				store["dsn"], engine = e.Database(t), e
			case "redis":
				e := enginetest.StartRedis(t)
				store["dsn"], engine = e.URL(), e
			}
			test(t, newWorld(t), store, engine)
		})
	}
}

// outage is an engine that can be stopped, nil for SQLite.
type outage interface {
	Kill(testing.TB)
	Start(testing.TB)
}

// node starts the n-th node of a store: it has an audit log of its own.
func (w *world) node(t *testing.T, store object, n int) *node {
	t.Helper()
	for range 10 {
		node := w.start(t, object{"store": store, "audit": object{
			"path": filepath.Join(w.dir, "audit-"+strconv.Itoa(n)+".jsonl"), "signing_key": w.settings()["audit"].(object)["signing_key"],
		}})
		// A server whose store did not answer in time at its start has printed no API
		// keys, and answers 503 until the store does.
		if node.mint(t, node.client, "helper-1").status != http.StatusServiceUnavailable {
			return node
		}
		_ = node.end(syscall.SIGTERM)
	}
	t.Fatal("no server with a ready store in 10 attempts")
	return nil
}

// Two nodes with one store are one server: a decommission on one ends tokens,
// assertions, keys and streams of the agent on the other within a second.
func TestDecommissionOnAnotherNode(t *testing.T) {
	shared(t, func(t *testing.T, w *world, store object, _ outage) {
		a, b := w.node(t, store, 1), w.node(t, store, 2)
		own := a.own(t, a.client, "helper-1")
		delegated := a.delegated(t, a.client, "helper-1", w.person("alice", "acme"))
		nested := a.delegated(t, a.client, "helper-2", bare(delegated))
		bystander := b.own(t, b.client, "helper-2")
		credentials := map[string]string{"own": own, "delegated": delegated, "nested": nested, "key": "X-API-Key: " + b.keys["tied"]}
		for name, credential := range credentials {
			b.want(t, name+" on the other node before", credential, "read_public", reading, "done")
		}
		stream := b.listen(t, own)
		if r := a.decommission(t, w.person("eve", "globex", "admin")); r.status == 204 {
			t.Error("decommission by an admin of another tenant: 204, want a refusal")
		}
		if r := a.decommission(t, w.person("carol", "acme", "admin")); r.status != 204 {
			t.Fatalf("decommission: %d %s, want 204", r.status, r.text)
		}
		for _, n := range []*node{a, b} {
			for name, credential := range credentials {
				if name == "key" {
					credential = "X-API-Key: " + n.keys["tied"]
				}
				enginetest.Eventually(t, time.Minute, name+" is rejected", func() bool {
					r := n.callTool(t, n.client, credential, "read_public", reading)
					return r.status == 401 || name == "key" && r.status == 403
				})
			}
			if r := n.mint(t, n.client, "helper-1"); r.body["error"] != "invalid_client" {
				t.Errorf("an assertion of the agent: %d %s, want invalid_client", r.status, r.text)
			}
		}
		<-stream // TestEndWithAgent of package agent shows when
		b.want(t, "another agent", bystander, "read_public", reading, "done")
		// The registration at the next start does not bring it back.
		_ = b.end(syscall.SIGTERM)
		if r := w.node(t, store, 2).mint(t, w.client, "helper-1"); r.body["error"] != "invalid_client" {
			t.Errorf("after the next start: %d %s, want invalid_client", r.status, r.text)
		}
	})
}

// An agent that was removed from the configuration is unknown after the next start, and
// works again when it is configured again.
func TestRemovedAgent(t *testing.T) {
	w := newWorld(t)
	store := object{"driver": "sqlite", "dsn": filepath.Join(t.TempDir(), "agents.db")}
	keys := object{"driver": "memory", "mint": []object{}}
	all := w.settings()["agents"].([]object)
	n := w.start(t, object{"store": store, "api_keys": keys})
	own := n.own(t, w.client, "helper-1")
	nested := n.delegated(t, w.client, "helper-2", bare(n.delegated(t, w.client, "helper-1", w.person("alice", "acme"))))
	bystander := n.own(t, w.client, "helper-2")
	for _, test := range []struct {
		name   string
		agents []object
		status int
		mint   any // error
	}{
		{"removed", all[1:], 401, "invalid_client"},
		{"configured again", all, 200, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			must(t, n.end(syscall.SIGTERM))
			n = w.start(t, object{"store": store, "api_keys": keys, "agents": test.agents})
			for kind, credential := range map[string]string{"own": own, "nested": nested} {
				if r := n.callTool(t, w.client, credential, "read_public", reading); r.status != test.status {
					t.Errorf("%s token: %d %s, want %d", kind, r.status, r.text, test.status)
				}
			}
			if r := n.mint(t, w.client, "helper-1"); r.body["error"] != test.mint {
				t.Errorf("POST /token: %d %s, want %v", r.status, r.text, test.mint)
			}
			n.want(t, "another agent", bystander, "read_public", reading, "done")
		})
	}
}

// listen opens a stream and returns a channel that is closed when the server ends it.
func (n *node) listen(t *testing.T, credential string) <-chan struct{} {
	t.Helper()
	const version = "2026-07-28"
	r := n.message(credential, "subscriptions/listen", `{"notifications":{"toolsListChanged":true},"_meta":{"io.modelcontextprotocol/protocolVersion":"`+version+`",`+
		`"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}`,
		"Mcp-Protocol-Version", version, "Mcp-Method", "subscriptions/listen")
	response, err := n.through(n.client).Do(r)
	must(t, err)
	lines := bufio.NewReader(response.Body)
	first, err := lines.ReadString('}')
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("subscriptions/listen: %d %s, %v, want a stream", response.StatusCode, first, err)
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		_ = response.Body.Close()
		close(ended)
	}()
	return ended
}

// An approval is claimed once, however many calls arrive at two nodes at the same
// instant.
func TestClaimsAtOnce(t *testing.T) {
	shared(t, func(t *testing.T, w *world, store object, _ outage) {
		nodes := []*node{w.node(t, store, 1), w.node(t, store, 2)}
		own := nodes[0].own(t, w.client, "helper-1")
		for round := range 3 {
			source := object{"language": "echo", "source": strconv.Itoa(round)}
			id := nodes[0].callTool(t, w.client, own, "run_code", source).approval()
			nodes[1].decides(t, "an admin on the other node", w.person("carol", "acme", "admin"), id, "approve", "approved")
			var done atomic.Int32
			var calls sync.WaitGroup
			for i := range 16 {
				calls.Go(func() {
					switch r := nodes[i%2].callTool(t, w.client, own, "run_code", source); r.outcome() {
					case "done":
						done.Add(1)
					case "approval_required":
					default:
						t.Errorf("run_code: %d %s, want done or approval_required", r.status, r.text)
					}
				})
			}
			if calls.Wait(); done.Load() != 1 {
				t.Errorf("round %d: %d calls ran, want 1", round, done.Load())
			}
		}
	})
}

// A process that is killed between the claim and the call never makes the call twice.
func TestKillBetweenClaimAndCall(t *testing.T) {
	enginetest.Slow(t)
	shared(t, func(t *testing.T, w *world, store object, _ outage) {
		var mu sync.Mutex
		posts := make(map[string]int)
		partner := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			defer mu.Unlock()
			posts[string(body)]++
		}))
		defer partner.Close()
		for round := range 5 {
			n := w.node(t, store, 1)
			own := n.own(t, w.client, "helper-1")
			payment := object{"url": partner.URL, "amount": round}
			id := n.callTool(t, w.client, own, "call_partner", payment).approval()
			n.decide(t, w.person("bob", "acme", "operator"), id, "approve")
			r := n.toolCall(own, "call_partner", payment)
			answered := make(chan struct{})
			client := n.through(w.client)
			go func() {
				defer close(answered)
				if response, err := client.Do(r); err == nil {
					_ = response.Body.Close()
				}
			}()
			select { // any point of the call
			case <-answered:
			case <-time.After(time.Duration(rand.IntN(15)) * time.Millisecond):
			}
			_ = n.end(syscall.SIGKILL)
			<-answered
			n = w.node(t, store, 1)
			for range 3 {
				n.callTool(t, w.client, own, "call_partner", payment)
			}
			_ = n.end(syscall.SIGTERM)
			mu.Lock()
			if got := posts[`{"amount":`+strconv.Itoa(round)+`}`]; got > 1 {
				t.Errorf("round %d: the partner was called %d times, want at most once", round, got)
			}
			mu.Unlock()
		}
	})
}

// While the store is down, nothing runs and the answer is 503.
func TestStoreDown(t *testing.T) {
	enginetest.Slow(t)
	shared(t, func(t *testing.T, w *world, store object, engine outage) {
		if engine == nil {
			t.Skip("SQLite has no server")
		}
		n := w.node(t, store, 1)
		own := n.own(t, w.client, "helper-1")
		id := n.callTool(t, w.client, own, "run_code", code).approval()
		n.decide(t, w.person("carol", "acme", "admin"), id, "approve")
		engine.Kill(t)
		for name, r := range map[string]reply{
			"run_code": n.callTool(t, w.client, own, "run_code", code), "read_public": n.callTool(t, w.client, own, "read_public", reading),
			"read_public with a key": n.callTool(t, w.client, "X-API-Key: "+n.keys["reader"], "read_public", reading), "POST /token": n.mint(t, w.client, "helper-1"),
		} {
			if r.status != 503 {
				t.Errorf("%s while the store is down: %d %s, want 503", name, r.status, r.text)
			}
		}
		engine.Start(t)
		enginetest.Eventually(t, time.Minute, "run_code after the outage", func() bool {
			return n.callTool(t, w.client, own, "run_code", code).outcome() == "done"
		})
	})
}

// No tool runs from the moment at which the store is down, although the registry has
// just read the agent.
func TestClosedStore(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewUnstartedServer(nil)
	w.origin = "http://" + server.Listener.Addr().String()
	config := value(readConfig(w.write(t, object{"tls": nil, "store": object{"driver": "sqlite", "dsn": filepath.Join(t.TempDir(), "agents.db")}})))
	a := value(newApp(config, slog.New(slog.DiscardHandler)))
	defer func() { _ = a.close() }()
	value(a.start(t.Context()))
	server.Config.Handler = a.handler
	server.Start()
	defer server.Close()
	n := &node{world: w}
	own := n.own(t, w.browser, "helper-1")
	n.want(t, "before", own, "read_public", reading, "done")
	must(t, a.store.Close())
	if r := n.callTool(t, w.browser, own, "read_public", reading); r.status != 503 {
		t.Errorf("read_public without the store: %d %s, want 503", r.status, r.text)
	}
}
