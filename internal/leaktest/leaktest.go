// SPDX-License-Identifier: Apache-2.0

// Package leaktest tells whether the tests of a package have left goroutines of
// this project behind.
package leaktest

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

const patience = 5 * time.Second

// Main runs the tests of a package, and fails them if a goroutine with a frame
// of this project in it is still there a few seconds later:
//
//	func TestMain(m *testing.M) { leaktest.Main(m) }
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if left := Left(patience); len(left) > 0 {
			fmt.Fprintf(os.Stderr, "%d goroutines were left behind:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
			code = 1
		}
	}
	os.Exit(code)
}

// Left returns the stacks of the goroutines of this project, other than the
// caller's, that are still there after at most the given time.
func Left(patience time.Duration) []string {
	deadline := time.Now().Add(patience)
	for {
		left := ours()
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		runtime.Gosched()
	}
}

func ours() []string {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	others := strings.Split(string(stacks), "\n\n")[1:] // the first is the caller's
	return slices.DeleteFunc(others, func(stack string) bool {
		// The main goroutine waits in Main while a test asks.
		return !strings.Contains(stack, "github.com/gatehouse-go/gatehouse") || strings.Contains(stack, "testing.(*M).Run")
	})
}
