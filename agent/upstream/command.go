// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/flight"
)

const (
	defaultCommandLifetime = 5 * time.Minute
	defaultCommandTimeout  = 10 * time.Second
	// minCommandPause is the shortest time between two runs because of rejected
	// credentials.
	minCommandPause = time.Second
)

// Command configures the source of [NewCommand].
type Command struct {
	// Path is the absolute path of the program. Required.
	Path string
	// Args are the arguments of the program, without its name. Do not put secrets into
	// them: other users of the machine can read them.
	Args []string
	// Env is the environment of the program, each "NAME=value". It does not inherit the
	// environment of this process.
	Env []string
	// Lifetime is the time for which a credential is used before the command runs again.
	// 5 minutes if zero.
	Lifetime time.Duration
	// Timeout bounds each run. 10 s if zero.
	Timeout time.Duration
}

// command is the source of a [Command].
type command struct {
	Command
	flight flight.Group[struct{}, Credential]

	mu      sync.Mutex
	current Credential
	read    time.Time // when current was read, zero for never
	refused bool      // whether the provider rejected current
}

// NewCommand returns a source that runs a command, such as the client of a secret
// manager. The command must write the credential to standard output, at most 4,096 bytes;
// one line break at the end is removed. Standard error is discarded.
//
// The command runs at the first call, when the credential is older than Lifetime, and, at most once
// a second, when the provider has rejected the credential.
func NewCommand(config Command) (Source, error) {
	c := &command{Command: config}
	c.Args, c.Env = slices.Clone(config.Args), slices.Clone(config.Env)
	var errs []error
	if !filepath.IsAbs(config.Path) {
		errs = append(errs, fmt.Errorf("upstream: Command.Path: %q: an absolute path is required", config.Path))
	}
	for _, limit := range []struct {
		field *time.Duration
		name  string
		zero  time.Duration
	}{{&c.Lifetime, "Lifetime", defaultCommandLifetime}, {&c.Timeout, "Timeout", defaultCommandTimeout}} {
		switch {
		case *limit.field < 0:
			errs = append(errs, fmt.Errorf("upstream: Command.%s: %v: must not be negative", limit.name, *limit.field))
		case *limit.field == 0:
			*limit.field = limit.zero
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, nil
}

// Acquire implements [Source].
func (c *command) Acquire(ctx context.Context) (Credential, func(), error) {
	c.mu.Lock()
	current, age := c.current, time.Since(c.read)
	fresh := age < c.Lifetime && (!c.refused || age < minCommandPause)
	c.mu.Unlock()
	if fresh {
		return current, func() {}, nil
	}
	current, err := c.flight.Do(ctx, struct{}{}, c.run)
	return current, func() {}, err
}

// Rejected implements [Source].
func (c *command) Rejected(_ context.Context, rejected Credential) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = c.refused || rejected.Secret.Equal(c.current.Secret)
}

// run runs the command and records its output.
func (c *command) run(ctx context.Context) (Credential, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Path, c.Args...) //nolint:gosec // the path is configured
	cmd.Env = append([]string{}, c.Env...)             // not nil, which would inherit the environment
	// A child process of the command may keep the output open.
	cmd.WaitDelay = time.Second
	output := &bounded{}
	cmd.Stdout = output
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return Credential{}, ctx.Err()
		}
		return Credential{}, fmt.Errorf("upstream: command %s: %w", c.Path, err)
	}
	line := bytes.TrimSuffix(bytes.TrimSuffix(output.text, []byte("\n")), []byte("\r"))
	if len(line) == 0 {
		return Credential{}, fmt.Errorf("upstream: command %s: the output is empty", c.Path)
	}
	current := Credential{ID: "command:" + c.Path, Secret: gatehouse.NewSecret(line)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current, c.read, c.refused = current, time.Now(), false
	return current, nil
}

// bounded is a writer that fails above the limit of a credential and a line break.
type bounded struct{ text []byte }

// Write implements [io.Writer].
func (b *bounded) Write(p []byte) (int, error) {
	if len(b.text)+len(p) > maxSecretBytes+2 {
		return 0, fmt.Errorf("the output has more than %d bytes", maxSecretBytes)
	}
	b.text = append(b.text, p...)
	return len(p), nil
}
