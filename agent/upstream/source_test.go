// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/upstream"
)

func TestSecretSource(t *testing.T) {
	t.Setenv("UPSTREAM_TEST_KEY", "one")
	source := secretSource(t, "env:UPSTREAM_TEST_KEY")
	for _, want := range []string{"one", "two"} {
		t.Setenv("UPSTREAM_TEST_KEY", want)
		c, release := acquire(t, source)
		release()
		if string(c.Secret.Reveal()) != want || c.ID != "env:UPSTREAM_TEST_KEY" {
			t.Errorf("Acquire = %s %q, want %q", c.ID, c.Secret.Reveal(), want)
		}
		source.Rejected(t.Context(), c)
	}
	for _, ref := range []string{"", "literal", "env:", "env:UPSTREAM_TEST_ABSENT", "file:", "file:/absent", "file:" + file(t, "", "")} {
		if _, err := upstream.NewSecretSource(ref); err == nil {
			t.Errorf("NewSecretSource(%q): no error", ref)
		}
	}
	noError(t, os.Unsetenv("UPSTREAM_TEST_KEY"))
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if _, _, err := source.Acquire(t.Context()); err == nil || time.Since(start) != 10*time.Millisecond {
			t.Errorf("Acquire without the variable: error = %v after %v, want one after three attempts", err, time.Since(start))
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := source.Acquire(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Acquire with a canceled context: error = %v", err)
	}
}

func TestNewCommandReportsAllErrors(t *testing.T) {
	_, err := upstream.NewCommand(upstream.Command{Path: "sh", Lifetime: -1, Timeout: -1})
	for _, field := range []string{"Path", "Lifetime", "Timeout"} {
		if want := "upstream: Command." + field + ": "; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewCommand error = %v, want %s", err, want)
		}
	}
}

func TestCommand(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the commands are those of a shell")
	}
	t.Setenv("UPSTREAM_TEST_KEY", "inherited")
	shell := func(script string, change func(*upstream.Command)) upstream.Source {
		config := upstream.Command{Path: "/bin/sh", Args: []string{"-c", script}}
		if change != nil {
			change(&config)
		}
		source, err := upstream.NewCommand(config)
		noError(t, err)
		return source
	}
	runs := filepath.Join(t.TempDir(), "runs")
	counting := "echo >>" + runs + "; printf 'key-%s\\n' $(($(wc -l <" + runs + ")))"
	source := shell(counting, nil)
	for range 3 {
		c, release := acquire(t, source)
		release()
		if string(c.Secret.Reveal()) != "key-1" || c.ID != "command:/bin/sh" {
			t.Errorf("Acquire = %s %q, want key-1", c.ID, c.Secret.Reveal())
		}
	}
	short := shell(counting, func(c *upstream.Command) { c.Lifetime = time.Nanosecond })
	for _, want := range []string{"key-2", "key-3"} {
		if c, _ := acquire(t, short); string(c.Secret.Reveal()) != want {
			t.Errorf("Acquire after Lifetime = %q, want %q", c.Secret.Reveal(), want)
		}
	}
	env := []string{"OWN=own"}
	source = shell("echo $UPSTREAM_TEST_KEY$OWN", func(c *upstream.Command) { c.Env = env })
	env[0] = "OWN=other" // has no effect any more
	if c, _ := acquire(t, source); string(c.Secret.Reveal()) != "own" {
		t.Errorf("a command with Env wrote %q, want own", c.Secret.Reveal())
	}
	longest := strings.Repeat("x", 4096)
	for script, want := range map[string]string{"echo own$UPSTREAM_TEST_KEY": "own", "printf '" + longest + "\r\n'": longest} {
		args := []string{"-c", script}
		source := shell("", func(c *upstream.Command) { c.Args = args })
		args[1] = "exit 1" // has no effect any more
		if c, _ := acquire(t, source); string(c.Secret.Reveal()) != want {
			t.Errorf("%.30s wrote %.30q, want %.30q", script, c.Secret.Reveal(), want)
		}
	}
	start := time.Now()
	for name, test := range map[string]struct {
		script  string
		timeout time.Duration
	}{
		"fails": {"echo key; exit 3", 0}, "empty": {"true", 0}, "line": {"echo", 0}, "much": {"head -c 100000 /dev/zero", 0},
		"hangs": {"sleep 100 & wait", 50 * time.Millisecond},
	} {
		source := shell(test.script, func(c *upstream.Command) { c.Timeout = test.timeout })
		if _, _, err := source.Acquire(t.Context()); err == nil || strings.Contains(err.Error(), "key") {
			t.Errorf("Acquire of a command that %s: error = %v", name, err)
		} else if errors.Is(err, context.DeadlineExceeded) != (name == "hangs") {
			t.Errorf("Acquire of a command that %s: error = %v, want that of the context only if it hangs", name, err)
		}
	}
	if took := time.Since(start); took > 90*time.Second {
		t.Errorf("a child of a command that was stopped was waited for, for %v", took)
	}
}
