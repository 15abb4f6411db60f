// SPDX-License-Identifier: Apache-2.0

package system_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

func TestMain(m *testing.M) {
	if os.Getenv("GATEHOUSE_TEST_NODE") != "" {
		nodeMain()
		return
	}
	if dsn := os.Getenv("GATEHOUSE_TEST_SWAP"); dsn != "" {
		swapMain(dsn)
		return
	}
	os.Exit(m.Run())
}

// engine is one on which a test runs. SQLite is a file and has no server.
type engine struct {
	name   string
	store  string // DSN or URL
	server interface {
		Addr() string
		Kill(testing.TB)
		Start(testing.TB)
		Log() string
	}
	dump func() string
}

// newEngine starts an engine whose acknowledged changes survive a crash.
func newEngine(t *testing.T, name string, settings ...string) *engine {
	t.Helper()
	switch name {
	case "sqlite":
		dir := t.TempDir()
		return &engine{name: name, store: sqlstore.SQLiteDSN(filepath.Join(dir, "keys.db")), dump: func() string {
			var all bytes.Buffer
			files, err := filepath.Glob(filepath.Join(dir, "*"))
			if err != nil || len(files) == 0 {
				t.Fatalf("no files of the database: %v", err)
			}
			for _, file := range files {
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				all.Write(data)
			}
			return all.String()
		}}
	case "postgres":
		p := enginetest.StartPostgres(t, settings...)
		url := p.Database(t)
		return &engine{name: name, store: url, server: p, dump: func() string { return p.Dump(t, url) }}
	case "redis":
		r := enginetest.StartRedis(t, settings...)
		return &engine{name: name, store: r.URL(), server: r, dump: func() string { return r.Dump(t) }}
	}
	t.Fatalf("no engine %s", name)
	return nil
}

// node is another process. Its methods are safe for concurrent use.
type node struct {
	url    string
	client *http.Client
	cmd    *exec.Cmd
	ended  chan struct{}
	log    *logBuffer
}

type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// startNode starts a process. It ends with the test.
func startNode(t *testing.T, config nodeConfig) *node {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n := &node{cmd: exec.Command(self), ended: make(chan struct{}), log: &logBuffer{}}
	n.client = &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{MaxIdleConnsPerHost: 100},
	}
	n.cmd.Env = append(os.Environ(), "GATEHOUSE_TEST_NODE=1")
	n.cmd.Stderr = n.log
	stdin, err := n.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := n.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.kill() })
	if err := json.NewEncoder(stdin).Encode(config); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
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

// kill ends the process with SIGKILL.
func (n *node) kill() {
	_ = n.cmd.Process.Kill()
	<-n.ended
	n.client.CloseIdleConnections()
}

// post asks the node for a change. The status is 0 if there was no answer.
func (n *node) post(path string, values url.Values) (keyView, int) {
	response, err := n.client.PostForm(n.url+path, values)
	if err != nil {
		return keyView{}, 0
	}
	defer response.Body.Close()
	var key keyView
	if response.StatusCode == http.StatusOK {
		if err := json.NewDecoder(response.Body).Decode(&key); err != nil {
			return keyView{}, 0 // an answer that was cut is none
		}
	}
	return key, response.StatusCode
}

func (n *node) create() (keyView, int) { return n.post("/create", url.Values{"tenant": {"tenant"}}) }

func (n *node) rotate(id, grace string, generation int64) (keyView, int) {
	return n.post("/rotate/"+id, url.Values{"grace": {grace}, "generation": {strconv.FormatInt(generation, 10)}})
}

func (n *node) revoke(id string) int {
	_, status := n.post("/revoke/"+id, nil)
	return status
}

// answer is what a node says to a request with a key. Status is 0 if there was
// none.
type answer struct {
	status int
	header http.Header
	body   string
}

// use presents a key.
func (n *node) use(text string) answer {
	return n.request("/use/", http.Header{"X-Api-Key": {text}})
}

func (n *node) request(path string, header http.Header) answer {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, n.url+path, nil)
	if err != nil {
		return answer{}
	}
	r.Header = header
	response, err := n.client.Do(r)
	if err != nil {
		return answer{}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

// soak is for how long a test that looks for races goes on.
func soak(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("GATEHOUSE_SOAK")
	if text == "" {
		return 2 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("GATEHOUSE_SOAK: %v", err)
	}
	return d
}
