// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The outcomes of a mutant.
const (
	killed       = "killed"
	timedOut     = "timed out"
	notCompiling = "not compiling"
	survived     = "survived"
)

type result struct {
	mutant
	Package string // its directory below the root, with slashes
	Outcome string
	Reason  string // why it is equivalent, "" if it is not listed
}

// test runs the tests once as they are and once for each mutant.
func (t *target) test(ctx context.Context, o options, temp string, stdout io.Writer) error {
	start := time.Now()
	outcome, output, err := runTests(ctx, o, t.path, "", cmp.Or(o.timeout, 10*time.Minute))
	if err != nil {
		return err
	}
	if outcome != survived {
		return fmt.Errorf("%s: the tests of the unchanged package do not pass:\n%s", t.path, output)
	}
	timeout := o.timeout
	if timeout == 0 {
		timeout = 20*time.Second + 5*time.Since(start)
	}

	mutants := slices.DeleteFunc(t.mutants, func(m mutant) bool { return !slices.Contains(o.kinds, m.kind) })
	fmt.Fprintf(stdout, "%s: %d mutants, at most %s each\n", t.path, len(mutants), timeout.Round(time.Second))

	t.results = make([]result, len(mutants))
	errs := make([]error, len(mutants))
	slots := make(chan struct{}, max(1, o.parallel))
	var wg sync.WaitGroup
	var print sync.Mutex
	for i, m := range mutants {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			r := result{mutant: m, Package: t.dir, Reason: t.reasons[m.ID()]}
			r.Outcome, errs[i] = t.testMutant(ctx, o, temp, i, m, t.sources[m.File], timeout)
			t.results[i] = r
			print.Lock()
			defer print.Unlock()
			fmt.Fprintf(stdout, "%-13s %s:%d %s: %s => %s\n", r.Outcome, m.File, m.Line, m.Func, m.Source, m.Change)
		})
		if ctx.Err() != nil {
			break
		}
	}
	wg.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

func (t *target) testMutant(ctx context.Context, o options, temp string, i int, m mutant, source []byte, timeout time.Duration) (string, error) {
	original := filepath.Join(t.root, filepath.FromSlash(m.File))
	changed := filepath.Join(temp, strconv.Itoa(i)+".go")
	if err := os.WriteFile(changed, m.apply(source), 0o600); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return "", err
	}
	list := filepath.Join(temp, strconv.Itoa(i)+".json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return "", err
	}
	outcome, _, err := runTests(ctx, o, t.path, list, timeout)
	return outcome, err
}

// runTests runs the tests of one package and says how a mutant would fare.
func runTests(ctx context.Context, o options, path, overlay string, timeout time.Duration) (outcome, output string, err error) {
	args := []string{"test", "-count=1", "-failfast", "-vet=off", "-timeout=" + timeout.String()}
	if overlay != "" {
		args = append(args, "-overlay="+overlay)
	}
	if o.short {
		args = append(args, "-short")
	}
	if o.tests != "" {
		args = append(args, "-run="+o.tests)
	}
	args = append(args, path)
	if o.with != "" {
		args = append(args, o.with)
	}
	// The tests end themselves at their timeout; the minute beside it is for
	// the compiler.
	ctx, cancel := context.WithTimeout(ctx, timeout+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = o.root
	// A group of its own, so that what the tests have started ends with them.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	output = out.String()
	switch _, failed := errors.AsType[*exec.ExitError](err); {
	case err == nil && strings.Contains(output, "[no test files]") && o.with == "":
		return "", output, fmt.Errorf("%s: has no tests", path)
	case err == nil:
		return survived, output, nil
	case strings.Contains(output, "panic: test timed out"), errors.Is(ctx.Err(), context.DeadlineExceeded):
		return timedOut, output, nil
	case strings.Contains(output, "[build failed]"), strings.Contains(output, "[setup failed]"):
		return notCompiling, output, nil
	case failed && strings.Contains(output, "FAIL"):
		return killed, output, nil
	}
	return "", output, fmt.Errorf("go test %s: %w\n%s", path, err, output)
}

// problems says what needs a person: survivors, and lines of the list that do
// not hold.
func (t *target) problems() []error {
	var errs []error
	seen := make(map[string]bool)
	for _, r := range t.results {
		seen[r.ID()] = true
		switch {
		case r.Outcome == survived && r.Reason == "":
			errs = append(errs, fmt.Errorf("survived: %s:%d: %s", r.File, r.Line, r.ID()))
		case r.Outcome != survived && r.Reason != "":
			errs = append(errs, fmt.Errorf("listed as equivalent but %s: %s", r.Outcome, r.ID()))
		}
	}
	for id := range t.reasons {
		file, _, _ := strings.Cut(id, " ")
		if path := filepath.ToSlash(filepath.Dir(filepath.FromSlash(file))); path == t.dir && !seen[id] {
			errs = append(errs, fmt.Errorf("listed as equivalent but there is no such mutant: %s", id))
		}
	}
	return errs
}
