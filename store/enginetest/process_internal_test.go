// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"os/exec"
	"testing"
)

// TestKillEndsDescendants kills a process that forks without a pause: a child that it
// has forked during Kill would hold the pipe of the log open.
func TestKillEndsDescendants(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil || !supported {
		Missing(t, "sh", "install a POSIX shell")
	}
	const forks = `echo ready; i=0; while [ $i -lt 1000 ]; do sleep 300 & i=$((i+1)); done; wait`
	p := &process{path: shell, args: []string{"-c", forks}, ready: "ready"}
	if started, err := p.start(); err != nil || !started {
		t.Fatalf("start() = %v, %v", started, err)
	}
	if err := p.kill(); err != nil {
		t.Errorf("kill() error = %v", err)
	}
}
