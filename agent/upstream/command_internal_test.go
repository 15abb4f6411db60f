// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// A credential that the provider rejects makes the command run again, once a second
// at most.
func TestRejectedRunsCommandAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret := gatehouse.NewSecret([]byte("key"))
		c := &command{Command: Command{Path: "/absent/program", Lifetime: time.Hour, Timeout: time.Second}}
		c.current, c.read = Credential{Secret: secret}, time.Now()
		use := func(want bool) {
			t.Helper()
			_, _, err := c.Acquire(t.Context())
			if ran := err != nil; ran != want {
				t.Errorf("Acquire error = %v, want a run: %v", err, want)
			}
		}
		use(false)
		c.Rejected(t.Context(), Credential{Secret: gatehouse.NewSecret([]byte("earlier"))})
		time.Sleep(2 * time.Second)
		use(false)
		c.read = time.Now()
		c.Rejected(t.Context(), c.current)
		c.Rejected(t.Context(), Credential{Secret: gatehouse.NewSecret([]byte("earlier"))})
		use(false)
		time.Sleep(time.Second)
		use(true)
		c.read, c.refused = time.Now().Add(1-time.Hour), false
		use(false)
		time.Sleep(time.Nanosecond)
		use(true)
	})
}

func TestNewCredentialIsNotRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the command is that of another system")
	}
	c := &command{Command: Command{Path: "/bin/echo", Args: []string{"key"}, Timeout: time.Minute}, refused: true}
	if _, err := c.run(t.Context()); err != nil || c.refused {
		t.Errorf("run error = %v, refused = %v, want neither", err, c.refused)
	}
}

func TestBoundedKeepsOrder(t *testing.T) {
	b := &bounded{}
	if n, err := fmt.Fprint(b, "a"); n != 1 || err != nil {
		t.Errorf("Write = %d, %v, want 1", n, err)
	}
	if _, err := fmt.Fprint(b, "b"); string(b.text) != "ab" || err != nil {
		t.Errorf("text = %q, error = %v, want ab", b.text, err)
	}
}
