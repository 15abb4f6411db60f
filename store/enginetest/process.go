// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// timeout bounds how long a server may take to start or to end. It is long
// because the machine may be loaded.
const timeout = 2 * time.Minute

// process is a server that can be started, killed and started again.
type process struct {
	path  string
	args  []string
	stdin string
	dir   string
	user  account
	ready string // the server logs it when it accepts connections
	log   logBuffer

	cmd  *exec.Cmd
	done chan struct{}
}

// start runs the server and waits until it accepts connections. It reports
// false if the server ends before or does not within the timeout; the log says
// why.
func (p *process) start() (bool, error) {
	if p.running() {
		return false, fmt.Errorf("%s is already running", p.path)
	}
	cmd := exec.Command(p.path, p.args...)
	cmd.Dir = p.dir
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = p.user.attributes()
	if p.stdin != "" {
		cmd.Stdin = strings.NewReader(p.stdin)
	}
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	ready := p.log.expect(p.ready)
	if err := cmd.Start(); err != nil {
		return false, err
	}
	p.cmd, p.done = cmd, make(chan struct{})
	go func() {
		// Wait also waits until the pipe of the log is closed, which the last of
		// the server's child processes does.
		_ = cmd.Wait()
		close(p.done)
	}()
	select {
	case <-ready:
		return true, nil
	case <-p.done:
		return false, nil
	case <-time.After(timeout):
		return false, p.kill()
	}
}

// restart starts a killed server.
func (p *process) restart(tb testing.TB) {
	tb.Helper()
	if started, err := p.start(); err != nil || !started {
		tb.Fatalf("%s does not start again: %v\n%s", p.path, err, &p.log)
	}
}

func (p *process) running() bool {
	if p.done == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// kill ends every process of the server at once and waits until they have
// ended.
func (p *process) kill() error {
	if !p.running() {
		return nil
	}
	if err := killTree(p.cmd.Process.Pid); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(timeout):
		return fmt.Errorf("%s survives SIGKILL", p.path)
	}
}

// remove kills the server and removes its data.
func (p *process) remove() error { return errors.Join(p.kill(), os.RemoveAll(p.dir)) }

// run runs a program to its end and returns its standard output.
func run(ctx context.Context, user account, env []string, path string, args ...string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = os.TempDir()
	cmd.Env = append([]string{"LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH")}, env...)
	cmd.SysProcAttr = user.attributes()
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", path, err, stderr.String())
	}
	return string(out), nil
}

// dataDir makes a directory that the server's account owns. It is not in the
// temporary directory of the test, which another account cannot read.
func dataDir(user account) (string, error) {
	dir, err := os.MkdirTemp("", "gatehouse-engine-")
	if err != nil {
		return "", err
	}
	return dir, user.own(dir)
}

// freePort returns a port of the loopback interface that was free a moment ago.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

func newPassword() string { return rand.Text() }

// logBuffer keeps what a server logs and signals when it logs a given text.
type logBuffer struct {
	mu     sync.Mutex
	text   bytes.Buffer
	from   int
	marker string
	seen   chan struct{}
}

var _ io.Writer = (*logBuffer)(nil)

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	if l.seen != nil && bytes.Contains(l.text.Bytes()[l.from:], []byte(l.marker)) {
		close(l.seen)
		l.seen = nil
	}
	return len(b), nil
}

// expect returns a channel that is closed once marker is written after the call.
func (l *logBuffer) expect(marker string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.from, l.marker, l.seen = l.text.Len(), marker, make(chan struct{})
	return l.seen
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
