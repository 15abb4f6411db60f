// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
)

// hostile counts the tokens that were presented and refused, each of which
// somebody with bad intentions, or a broken issuer, could present.
var hostile atomic.Int64

func TestMain(m *testing.M) {
	code := m.Run()
	fmt.Printf("interop: %d hostile tokens refused\n", hostile.Load())
	os.Exit(code)
}

// report tells how many hostile tokens a test has seen refused, which must be
// some: a loop over nothing proves nothing.
func report(t *testing.T, count *atomic.Int64) {
	t.Helper()
	if count.Load() == 0 {
		t.Error("not one hostile token was tried")
	}
	hostile.Add(count.Load())
	t.Logf("%d hostile tokens refused", count.Load())
}
