// SPDX-License-Identifier: Apache-2.0

package leaktest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestLeft(t *testing.T) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		<-stop
	}()
	left := leaktest.Left(time.Millisecond)
	if len(left) != 1 || !strings.Contains(left[0], "TestLeft") {
		t.Errorf("Left = %q, want the goroutine of TestLeft", left)
	}
	close(stop)
	<-stopped
	if left := leaktest.Left(time.Second); len(left) != 0 {
		t.Errorf("Left after its end = %q, want none", left)
	}
}
