// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-go/gatehouse/interop/josepeer"
	"github.com/gatehouse-go/gatehouse/interop/node"
	"github.com/gatehouse-go/gatehouse/interop/provider"
)

// hostile counts the invalid credentials and requests that were rejected.
var hostile atomic.Int64

func TestMain(m *testing.M) {
	code := m.Run()
	for _, f := range slices.Backward(shared.cleanups) {
		f()
	}
	if shared.failed {
		code = 1
	}
	fmt.Printf("interop: %d hostile requests rejected\n", hostile.Load())
	os.Exit(code)
}

// shared is the testing.TB of the processes that all tests share: to start one takes
// longer than most tests. They end after the last test.
var shared lifetime

type lifetime struct {
	testing.TB
	mu       sync.Mutex
	cleanups []func()
	failed   bool
}

func (*lifetime) Helper() {}

func (l *lifetime) Cleanup(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cleanups = append(l.cleanups, f)
}

func (l *lifetime) TempDir() string {
	dir := must(os.MkdirTemp("", "interop"))
	l.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (l *lifetime) Failed() bool { return l.failed }

func (l *lifetime) Logf(format string, args ...any) { fmt.Printf("interop: "+format+"\n", args...) }

func (l *lifetime) Errorf(format string, args ...any) {
	l.failed = true
	l.Logf(format, args...)
}

func (l *lifetime) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func (l *lifetime) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// sharedProvider returns the provider of all tests that do not change it. It has the
// clients of oauth_test.go.
func sharedProvider(t *testing.T) *provider.Provider {
	t.Helper()
	node.Require(t)
	return providerOnce()
}

var providerOnce = sync.OnceValue(func() *provider.Provider {
	return provider.Start(&shared, withClients(postClient, basicClient, nativeClient, signerClient, signingMachine))
})

// sharedPeer returns the jose of all tests.
func sharedPeer(t *testing.T) *josepeer.Peer {
	t.Helper()
	node.Require(t)
	return peerOnce()
}

var peerOnce = sync.OnceValue(func() *josepeer.Peer { return josepeer.Start(&shared) })

// report adds the count of a test, which must not be zero: otherwise the test has
// tried nothing.
func report(t *testing.T, count *atomic.Int64) {
	t.Helper()
	if count.Load() == 0 {
		t.Error("no hostile request was tried")
	}
	hostile.Add(count.Load())
	t.Logf("%d hostile requests rejected", count.Load())
}
