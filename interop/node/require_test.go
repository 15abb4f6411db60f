// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/interop/node"
)

// recorder is a test that notes how it ended.
type recorder struct {
	testing.TB
	end, text string
}

func (r *recorder) Helper() {}

func (r *recorder) Skipf(format string, args ...any) {
	r.end, r.text = "skipped", fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.end, r.text = "failed", fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestRequireWithoutNode(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for required, want := range map[string]string{"": "skipped", "1": "failed"} {
		t.Setenv("GATEHOUSE_REQUIRE_ENGINES", required)
		r := &recorder{end: "passed"}
		done := make(chan struct{})
		go func() {
			defer close(done)
			node.Require(r)
		}()
		<-done
		if r.end != want || !strings.Contains(r.text, "npm ci") || strings.Contains(r.text, "\n") {
			t.Errorf("GATEHOUSE_REQUIRE_ENGINES=%q: the test %s with %q", required, r.end, r.text)
		}
	}
}
