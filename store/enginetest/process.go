// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a server may take to come up or to go down. It is long
// because a loaded machine is slow, and a test that gives up early is a lie.
const patience = 2 * time.Minute

// process is a server that can be started, killed and started again.
type process struct {
	path  string
	args  []string
	stdin string
	dir   string
	user  account
	ready string // what it writes when it takes connections
	log   logBuffer

	cmd  *exec.Cmd
	done chan struct{}
}

// start runs the server and waits until it takes connections. It reports
// whether it does; where it does not, the log says why.
func (p *process) start(tb testing.TB) bool {
	tb.Helper()
	if p.running() {
		tb.Fatalf("%s is running", p.path)
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
		tb.Fatal(err)
	}
	p.cmd, p.done = cmd, make(chan struct{})
	go func() {
		// Wait also waits for the pipe of the log to close, which the last of
		// the server's children does.
		_ = cmd.Wait()
		close(p.done)
	}()
	select {
	case <-ready:
		return true
	case <-p.done:
		return false
	case <-time.After(patience):
		p.kill(tb)
		return false
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

// kill ends every process of the server at once and waits until they are gone.
func (p *process) kill(tb testing.TB) {
	tb.Helper()
	if !p.running() {
		return
	}
	killFamily(p.cmd.Process.Pid)
	select {
	case <-p.done:
	case <-time.After(patience):
		tb.Errorf("%s survives SIGKILL", p.path)
	}
}

// run calls a program to its end and returns what it writes to standard output.
func run(tb testing.TB, user account, env []string, path string, args ...string) string {
	tb.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(tb.Context(), path, args...)
	cmd.Dir = os.TempDir()
	cmd.Env = append([]string{"LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH")}, env...)
	cmd.SysProcAttr = user.attributes()
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("%s: %v\n%s", path, err, stderr.String())
	}
	return string(out)
}

// dataDir makes a directory that the server's account owns. It is not that of
// the test, into which another account may not look.
func dataDir(tb testing.TB, user account) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "gatehouse-engine-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	if err := user.own(dir); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// freePort returns a port of the loopback interface that was free a moment ago.
func freePort(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	return port
}

func newPassword() string { return rand.Text() }

// logBuffer keeps what a server writes and tells when it writes a given text.
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

// expect returns a channel that is closed once marker is written from now on.
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
