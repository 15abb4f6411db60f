// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"io"
	"os"
	"testing"
)

// Output calls f, an example that needs an engine, and returns what it prints.
// No other test may print meanwhile.
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
