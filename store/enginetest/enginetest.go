// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// Missing skips the test because a program that it needs is not installed. With
// GATEHOUSE_REQUIRE_ENGINES=1 it fails the test instead.
func Missing(tb testing.TB, what, install string) {
	tb.Helper()
	if os.Getenv("GATEHOUSE_REQUIRE_ENGINES") == "1" {
		tb.Fatalf("GATEHOUSE_REQUIRE_ENGINES=1 and %s is missing: %s", what, install)
	}
	tb.Skipf("SKIPPED, NOT TESTED: %s is missing: %s", what, install)
}

// Slow skips the test unless GATEHOUSE_SLOW=1. Tests that take more than a few
// seconds call it first: concurrency storms, crash tests and browser suites.
func Slow(tb testing.TB) {
	tb.Helper()
	if os.Getenv("GATEHOUSE_SLOW") != "1" {
		tb.Skip("SKIPPED, NOT TESTED: slow test, set GATEHOUSE_SLOW=1 to run it")
	}
}

// Main runs the tests of a package, stops the shared servers and exits. A
// package that calls [SharedPostgres] needs it as its TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if err := stopShared(); err != nil {
		_, _ = io.WriteString(os.Stderr, "enginetest: stop the shared server: "+err.Error()+"\n")
		code = 1
	}
	os.Exit(code)
}

// Eventually calls condition every 5 ms until it returns true, and fails the
// test if it does not within the limit.
func Eventually(tb testing.TB, limit time.Duration, what string, condition func() bool) {
	tb.Helper()
	start := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Since(start) > limit {
			tb.Fatalf("not within %v: %s", limit, what)
		}
		<-tick.C
	}
}

// Receive reads from the channel until it yields want, ignoring other values,
// and fails the test if it does not within a minute.
func Receive(tb testing.TB, from <-chan string, want, why string) {
	tb.Helper()
	timeout := time.NewTimer(time.Minute)
	defer timeout.Stop()
	for {
		select {
		case got := <-from:
			if got == want {
				return
			}
		case <-timeout.C:
			tb.Fatalf("%q not received within a minute: %s", want, why)
		}
	}
}

// Output returns what f, an example that needs an engine, prints. It replaces
// os.Stdout, so no other test may print at the same time.
func Output(tb testing.TB, f func()) string {
	tb.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	text := make(chan string, 1)
	go func() {
		all, err := io.ReadAll(r)
		if err != nil {
			tb.Error(err)
		}
		text <- string(all)
	}()
	stdout := os.Stdout
	os.Stdout = w
	defer func() { os.Stdout = stdout }()
	f()
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return <-text
}

// Log keeps what a program writes. A test can read it at the same time. The zero value is
// empty.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements [io.Writer].
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String returns all that was written.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// find returns the path of a program: the first on PATH, or else the last in
// alphabetical order, which is the newest version, in one of the directories.
func find(program string, directories ...string) (string, bool) {
	if path, err := exec.LookPath(program); err == nil {
		return path, true
	}
	for _, directory := range directories {
		paths, err := filepath.Glob(filepath.Join(directory, program))
		if err == nil && len(paths) > 0 {
			return slices.Max(paths), true
		}
	}
	return "", false
}
