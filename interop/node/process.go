// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// callTimeout bounds one call. The slowest one starts Chromium on a loaded machine.
const callTimeout = 5 * time.Minute

// Process is a running script. It is safe for concurrent use; calls run one after
// the other.
type Process struct {
	mu      sync.Mutex
	stdin   io.WriteCloser
	answers chan []byte // closed when the script ends
	stderr  *buffer
}

// Start runs the script, whose path is relative to the module, and ends it with
// the test.
func Start(t testing.TB, script string) *Process {
	t.Helper()
	Require(t)
	p := &Process{answers: make(chan []byte), stderr: new(buffer)}
	cmd := exec.Command("node", filepath.Join(Dir(), script))
	cmd.Dir = Dir()
	cmd.Stderr = p.stderr
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(p.answers)
		lines := bufio.NewReader(stdout)
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return
			}
			select {
			case p.answers <- line:
			case <-done:
				return
			}
		}
	}()
	t.Cleanup(func() {
		// The script ends with its standard input, or is killed.
		_ = p.stdin.Close()
		kill := time.AfterFunc(time.Minute, func() {
			t.Errorf("node: %s did not end with its input", script)
			_ = cmd.Process.Kill()
		})
		close(done)
		for range p.answers { // Wait may only be called after all reads
		}
		err := cmd.Wait()
		kill.Stop()
		if err != nil {
			t.Errorf("node: %s: %v", script, err)
		}
		if t.Failed() {
			t.Logf("standard error of %s:\n%s", script, p.stderr)
		}
	})
	return p
}

// Call sends a request to the script and decodes its answer into response. An
// answer with a member "error" is an error.
func (p *Process) Call(request, response any) error {
	line, err := json.Marshal(request)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.stdin.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("node: %w\n%s", err, p.stderr)
	}
	timeout := time.NewTimer(callTimeout)
	defer timeout.Stop()
	select {
	case line, ok := <-p.answers:
		if !ok {
			return fmt.Errorf("node: the script has ended\n%s", p.stderr)
		}
		var failure struct{ Error string }
		if err := json.Unmarshal(line, &failure); err != nil {
			return fmt.Errorf("node: answer %q: %w", line, err)
		}
		if failure.Error != "" {
			return fmt.Errorf("node: %s", failure.Error)
		}
		return json.Unmarshal(line, response)
	case <-timeout.C:
		return fmt.Errorf("node: no answer within %v\n%s", callTimeout, p.stderr)
	}
}

// buffer keeps the last 32 to 64 KB that are written to it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	const limit = 64 << 10
	if b.b.Len() > limit {
		b.b.Next(b.b.Len() - limit/2)
	}
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
