// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
)

// hostile counts the invalid credentials and requests that were rejected.
var hostile atomic.Int64

func TestMain(m *testing.M) {
	code := m.Run()
	fmt.Printf("interop: %d hostile requests rejected\n", hostile.Load())
	os.Exit(code)
}

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
