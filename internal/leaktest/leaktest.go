// SPDX-License-Identifier: Apache-2.0

// Package leaktest finds goroutines of this module that outlive the tests.
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

const wait = 5 * time.Second

// Main runs the tests of a package, and fails if a goroutine with a frame of this
// module still runs five seconds later:
//
//	func TestMain(m *testing.M) { leaktest.Main(m) }
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if left := Left(wait); len(left) > 0 {
			fmt.Fprintf(os.Stderr, "%d goroutines outlive the tests:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
			code = 1
		}
	}
	os.Exit(code)
}

// Left waits until no goroutine of this module but that of the caller runs, for at
// most the given time, and returns the stacks of those that still do.
func Left(wait time.Duration) []string {
	deadline := time.Now().Add(wait)
	for {
		left := running()
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		runtime.Gosched()
	}
}

func running() []string {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	others := strings.Split(string(stacks), "\n\n")[1:] // the first is that of the caller
	return slices.DeleteFunc(others, func(stack string) bool {
		// The main goroutine waits in Main while a test calls Left.
		return !strings.Contains(stack, "github.com/gatehouse-go/gatehouse") || strings.Contains(stack, "testing.(*M).Run")
	})
}
