// SPDX-License-Identifier: Apache-2.0

package program

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// Build builds the program in a folder, in the workspace, and returns its path. The file
// is in a temporary directory of tb.
func Build(tb testing.TB, dir string) (binary string) {
	tb.Helper()
	binary = filepath.Join(tb.TempDir(), filepath.Base(dir))
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOWORK=")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("go build: %v: %s", err, out)
	}
	return binary
}

// Program is a running program.
type Program struct {
	Process     *os.Process
	Out, Errors enginetest.Log
	Ended       chan struct{} // closed when the program has ended
	Err         error         // of the program, once it has ended
}

// Start starts a program with an environment, nil for that of the test. It is killed at
// the end of the test.
func Start(t *testing.T, binary string, environment []string, args ...string) *Program {
	t.Helper()
	p := &Program{Ended: make(chan struct{})}
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = &p.Out, &p.Errors, environment
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.Process = cmd.Process
	go func() {
		p.Err = cmd.Wait()
		close(p.Ended)
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.Ended
	})
	return p
}

// Prints waits until one of the program's outputs matches a pattern and returns the
// first group.
func (p *Program) Prints(t *testing.T, where *enginetest.Log, pattern string) string {
	t.Helper()
	expression, found := regexp.MustCompile(pattern), ""
	enginetest.Eventually(t, time.Minute, "the program prints "+pattern, func() bool {
		if match := expression.FindStringSubmatch(where.String()); match != nil {
			found = match[1]
			return true
		}
		select {
		case <-p.Ended:
			t.Fatalf("the program ended: %v: %s", p.Err, &p.Errors)
		default:
		}
		return false
	})
	return found
}
