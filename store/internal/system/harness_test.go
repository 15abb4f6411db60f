// SPDX-License-Identifier: Apache-2.0

package system_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv("GATEHOUSE_TEST_NODE") != "":
		nodeMain()
	case os.Getenv("GATEHOUSE_TEST_CLAIMER") != "":
		claimer(os.Stdin, os.Stdout)
	default:
		os.Exit(m.Run())
	}
}

var (
	allEngines = []string{"sqlite", "postgres", "redis"}
	servers    = []string{"postgres", "redis"}
)

// engine keeps acknowledged changes when it crashes. SQLite is a file and has no
// server.
type engine struct {
	name   string
	store  string // data source name or URL
	server interface {
		Addr() string
		Kill(testing.TB)
		Start(testing.TB)
		Log() string
	}
	dump func() string
}

// eachEngine runs a slow test on the named engines at the same time.
func eachEngine(t *testing.T, names []string, test func(t *testing.T, e *engine)) {
	t.Helper()
	eachEngineWith(t, names, nil, test)
}

// eachEngineWith is eachEngine with settings by the name of the engine.
func eachEngineWith(t *testing.T, names []string, settings map[string][]string, test func(t *testing.T, e *engine)) {
	t.Helper()
	enginetest.Slow(t)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newEngine(t, name, settings[name]...))
		})
	}
}

func newEngine(t *testing.T, name string, settings ...string) *engine {
	t.Helper()
	switch name {
	case "postgres":
		p := enginetest.StartPostgres(t, settings...)
		url := p.Database(t)
		return &engine{name: name, store: url, server: p, dump: func() string { return p.Dump(t, url) }}
	case "redis":
		r := enginetest.StartRedis(t, settings...)
		return &engine{name: name, store: r.URL(), server: r, dump: func() string { return r.Dump(t) }}
	}
	dir := t.TempDir()
	return &engine{name: "sqlite", store: sqlstore.SQLiteDSN(filepath.Join(dir, "gatehouse.db")), dump: func() string {
		var all bytes.Buffer
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("the database has no files: %v", err)
		}
		for _, file := range files {
			all.Write(must(os.ReadFile(file)))
		}
		return all.String()
	}}
}

// crash kills the engine, or the node where the engine is part of it.
func (e *engine) crash(t *testing.T, n *node) {
	t.Helper()
	if e.server != nil {
		e.server.Kill(t)
	} else {
		n.kill()
	}
}

// restart undoes crash and returns the node, which is a new one for SQLite.
func (e *engine) restart(t *testing.T, n *node, config nodeConfig) *node {
	t.Helper()
	if e.server == nil {
		return e.node(t, config)
	}
	e.server.Start(t)
	return n
}

// untilCrash runs workers that change records until a change is not
// acknowledged, and calls crash after the given number of acknowledgements.
func untilCrash(t *testing.T, n *node, workers, acknowledgements int, crash func(), work func(i int, acknowledge func())) {
	t.Helper()
	var (
		all   sync.WaitGroup
		count atomic.Int64
		busy  = make(chan struct{})
		ended = make(chan struct{})
	)
	acknowledge := func() {
		if count.Add(1) == int64(acknowledgements) {
			close(busy)
		}
	}
	for i := range workers {
		all.Go(func() { work(i, acknowledge) })
	}
	go func() {
		all.Wait()
		close(ended)
	}()
	select {
	case <-busy:
	case <-ended:
		t.Fatalf("the workers ended after %d acknowledgements, want %d\n%.4000s", count.Load(), acknowledgements, n.log)
	case <-time.After(2 * time.Minute):
		t.Fatalf("%d acknowledgements in two minutes, want %d", count.Load(), acknowledgements)
	}
	crash()
	<-ended
	t.Logf("%d changes were acknowledged", count.Load())
}

// node is a process that serves nodeHandler. Its methods are safe for concurrent
// use.
type node struct {
	url    string
	client *http.Client
	cmd    *exec.Cmd
	ended  chan struct{}
	log    *enginetest.Log
}

// process starts this program with a variable of the environment, and writes the
// configuration to its standard input.
func process(t *testing.T, variable string, config any, log io.Writer) (cmd *exec.Cmd, stdin io.Writer, stdout *bufio.Reader) {
	t.Helper()
	cmd = exec.Command(must(os.Executable()))
	cmd.Env, cmd.Stderr = append(os.Environ(), variable+"=1"), log
	in, out := must(cmd.StdinPipe()), must(cmd.StdoutPipe())
	if err := errors.Join(cmd.Start(), json.NewEncoder(in).Encode(config)); err != nil {
		t.Fatal(err)
	}
	return cmd, in, bufio.NewReader(out)
}

// node starts a process on the engine, which ends with the test.
func (e *engine) node(t *testing.T, config nodeConfig) *node {
	t.Helper()
	config.Engine = e.name
	if config.Store == "" {
		config.Store = e.store
	}
	n := &node{ended: make(chan struct{}), log: new(enginetest.Log), client: &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{MaxIdleConnsPerHost: 100},
	}}
	cmd, _, stdout := process(t, "GATEHOUSE_TEST_NODE", config, n.log)
	n.cmd = cmd
	t.Cleanup(n.kill)
	line, err := stdout.ReadString('\n')
	go func() {
		_ = n.cmd.Wait()
		close(n.ended)
	}()
	if err != nil {
		<-n.ended
		t.Fatalf("the node does not start: %v\n%s", err, n.log)
	}
	n.url = strings.TrimSpace(line)
	return n
}

// kill sends SIGKILL to the process and waits until it has ended.
func (n *node) kill() {
	_ = n.cmd.Process.Kill()
	<-n.ended
	n.client.CloseIdleConnections()
}

// response is that of a node. The status is 0 if none came or if it was cut off.
type response struct {
	view
	status int
	header http.Header
	body   string
}

func (n *node) do(method, path string, header http.Header, body string) response {
	request, err := http.NewRequestWithContext(context.Background(), method, n.url+path, strings.NewReader(body))
	if err != nil {
		return response{}
	}
	request.Header = header
	got, err := n.client.Do(request)
	if err != nil {
		return response{}
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		return response{}
	}
	r := response{status: got.StatusCode, header: got.Header, body: string(text)}
	if r.status == http.StatusOK && json.Unmarshal(text, &r.view) != nil {
		return response{}
	}
	return r
}

// post requests a change. The values are names and values in turn.
func (n *node) post(path string, values ...string) response {
	form := url.Values{}
	for i := 0; i < len(values); i += 2 {
		form.Set(values[i], values[i+1])
	}
	return n.do(http.MethodPost, path, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, form.Encode())
}

func (n *node) create() response          { return n.post("/key/create", "tenant", "tenant") }
func (n *node) revoke(id string) response { return n.post("/key/revoke", "id", id) }
func (n *node) rotate(id, grace string, generation int64) response {
	return n.post("/key/rotate", "id", id, "grace", grace, "generation", strconv.FormatInt(generation, 10))
}

// use presents an API key.
func (n *node) use(text string) response {
	return n.do(http.MethodGet, "/use/", http.Header{"X-Api-Key": {text}}, "")
}

func (n *node) login() response { return n.post("/refresh/login") }
func (n *node) refresh(token string) response {
	return n.post("/refresh/token", "refresh_token", token)
}

// ok fails the test if a change was not acknowledged.
func (n *node) ok(t *testing.T, what string, r response) response {
	t.Helper()
	if r.status != http.StatusOK {
		t.Fatalf("%s: status %d, want 200\n%.4000s", what, r.status, n.log)
	}
	return r
}

// recovers waits until the node answers requests with the key by the status.
func (n *node) recovers(t *testing.T, key string, statuses ...int) {
	t.Helper()
	enginetest.Eventually(t, time.Minute, "the node recovers", func() bool {
		got := n.use(key).status
		return slices.Contains(statuses, got)
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
