// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/authtest"
)

// deadline is for what takes a moment if it works at all.
const deadline = 20 * time.Second

var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "resourceserver")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "resourceserver.exe")
	build := []string{"build", "-o", binary}
	if raceEnabled {
		build = append(build, "-race")
	}
	if out, err := exec.Command("go", append(build, ".")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// object is a JSON object of a configuration.
type object = map[string]any

// configure returns a configuration that is good, but for the given changes: a
// nil value takes a member away.
func configure(issuers []object, changes object) object {
	config := object{"addr": "127.0.0.1:0", "resource": "https://api.example.com", "issuers": issuers}
	for name, value := range changes {
		if config[name] = value; value == nil {
			delete(config, name)
		}
	}
	return config
}

// trust returns the configuration of an issuer, with changes as above.
func trust(i *authtest.Issuer, changes object) object {
	config := object{
		"issuer": i.URL, "audience": i.Audience, "algorithms": i.Algorithms, "jwks_url": i.KeysURL,
	}
	for name, value := range changes {
		if config[name] = value; value == nil {
			delete(config, name)
		}
	}
	return config
}

func writeConfig(t *testing.T, config any) string {
	t.Helper()
	text, ok := config.(string)
	if !ok {
		encoded, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		text = string(encoded)
	}
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// output collects what a process writes, while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed and replaced with every write
}

func newOutput() *output { return &output{more: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// wait returns the lines once they are what is waited for.
func (o *output) wait(t *testing.T, what string, done func(lines []string) bool) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for {
		o.mu.Lock()
		text, more := o.text.String(), o.more
		o.mu.Unlock()
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if strings.HasSuffix(text, "\n") && done(lines) {
			return lines
		}
		select {
		case <-more:
		case <-ctx.Done():
			t.Fatalf("no %s in:\n%s", what, text)
		}
	}
}

// process is a running server.
type process struct {
	t       *testing.T
	URL     string
	stdout  *output
	log     string // the file that standard error goes to, so that what is written is there at once
	command *exec.Cmd
	ended   chan struct{}

	mu   sync.Mutex
	sent []string // credentials
	got  []string // responses
}

// start starts a server that ends with the test, and holds it to what it must
// do whatever the test is about: it writes nothing else to standard output,
// ends with status 0, and nowhere shows a piece of a credential.
func start(t *testing.T, config any, env ...string) *process {
	t.Helper()
	p := &process{t: t, stdout: newOutput(), log: filepath.Join(t.TempDir(), "log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.command = exec.Command(binary, "-config", writeConfig(t, config))
	p.command.Dir = t.TempDir()
	p.command.Env = append(append(os.Environ(), "TZ=Asia/Tokyo"), env...) // answers are in UTC all the same
	p.command.Stdout, p.command.Stderr = p.stdout, log
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.command.Wait(); close(p.ended) }()
	t.Cleanup(p.finish)
	lines := p.stdout.wait(t, "listening line", func(lines []string) bool {
		return slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "listening ") })
	})
	p.URL = strings.TrimPrefix(lines[len(lines)-1], "listening ")
	return p
}

func (p *process) finish() {
	select {
	case <-p.ended:
	default:
		_ = p.command.Process.Signal(syscall.SIGTERM)
	}
	select {
	case <-p.ended:
	case <-time.NewTimer(deadline).C:
		_ = p.command.Process.Kill()
		<-p.ended
		p.t.Error("the server did not end on SIGTERM")
	}
	if code := p.command.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("exit status %d, want 0", code)
	}
	for line := range strings.Lines(p.stdout.String()) {
		if !strings.HasPrefix(line, "listening http://") && !strings.HasPrefix(line, "api-key ") {
			p.t.Errorf("on standard output: %q", line)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	everything := p.stderr() + strings.Join(p.got, "\n")
	const size = 8
	pieces := make(map[string]bool)
	for n := range len(everything) - size + 1 {
		pieces[everything[n:n+size]] = true
	}
	for _, credential := range p.sent {
		for n := range len(credential) - size + 1 {
			if piece := credential[n : n+size]; pieces[piece] {
				p.t.Errorf("a piece of a credential, %q, in a response or in the log:\n%s", piece, everything)
				break
			}
		}
	}
	if p.t.Failed() {
		p.t.Logf("the log:\n%s", p.stderr())
	}
}

func (p *process) stderr() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Error(err)
	}
	return string(text)
}

// secret says that a text must not be seen in a response or in the log.
func (p *process) secret(text string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, text)
	return text
}

// answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   string
}

// code is the error of a refusal.
func (a answer) code() string {
	var body struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal([]byte(a.body), &body)
	return body.Error
}

// String is the status and the error, such as "401 invalid_token".
func (a answer) String() string { return strings.TrimSpace(fmt.Sprintf("%d %s", a.status, a.code())) }

var client = &http.Client{
	Timeout:       30 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// do sends a request with headers, given as names and values in turn.
func (p *process) do(method, path string, header ...string) answer {
	p.t.Helper()
	a, err := p.try(method, path, header...)
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

func (p *process) try(method, path string, header ...string) (answer, error) {
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.URL+path, http.NoBody)
	if err != nil {
		return answer{}, err
	}
	for n := 0; n < len(header); n += 2 {
		r.Header.Add(header[n], header[n+1])
	}
	response, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{response.StatusCode, response.Header, string(body)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, fmt.Sprint(a.header, a.body))
	return a, nil
}

// with sends a request with a Bearer token.
func (p *process) with(token, method, path string) answer {
	p.t.Helper()
	return p.do(method, path, "Authorization", "Bearer "+p.secret(token))
}

// record is a line of the log.
type record struct {
	Level, Msg, Reason, Error, Path, Issuer, Subject, Tenant, Credential, Cause, Problem string
	Status                                                                               int
}

func (p *process) records() []record {
	p.t.Helper()
	var records []record
	lines := bufio.NewScanner(strings.NewReader(p.stderr()))
	for lines.Scan() {
		var r record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			p.t.Fatalf("not a line of the log: %q", lines.Text())
		}
		records = append(records, r)
	}
	return records
}

// lastRefusal is the last decision in the log that was not to allow.
func (p *process) lastRefusal() record {
	p.t.Helper()
	for _, r := range slices.Backward(p.records()) {
		if r.Reason != "" {
			return r
		}
	}
	return record{}
}

// eventually calls condition until it holds.
func eventually(t *testing.T, within time.Duration, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// refuse starts a server whose configuration is bad, and returns what it says.
func refuse(t *testing.T, path string, env ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	command := exec.CommandContext(ctx, binary, "-config", path)
	command.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); !ok || ctx.Err() != nil || command.ProcessState.ExitCode() <= 0 {
		t.Errorf("the server did not refuse to start: %v", err)
	}
	if stdout.Len() > 0 {
		t.Errorf("on standard output: %s", &stdout)
	}
	return stderr.String()
}
