// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"bufio"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

// deadline is for what takes a moment if it works at all.
const deadline = 30 * time.Second

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "quickstart.exe")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// row is a line of the table: mark, words, status, error and reason.
var row = regexp.MustCompile(`^(✓|✗) (\S.*\S) {2,}(\d{3})(?: {2,}([a-z_]+) {2,}([a-z_]+))?$`)

func TestOnce(t *testing.T) {
	command := exec.CommandContext(t.Context(), build(t), "-once")
	var log strings.Builder
	command.Stderr = &log
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, &log)
	}
	if log.Len() > 0 {
		t.Errorf("on standard error:\n%s", &log)
	}
	text := string(out)
	if strings.ContainsRune(text, '\x1b') {
		t.Error("color codes, and no terminal to show them")
	}
	statuses := make(map[string]int)
	var column int
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if line != strings.TrimRight(line, " ") {
			t.Errorf("spaces at the end of %q", line)
		}
		if utf8.RuneCountInString(line) > 110 {
			t.Errorf("too long for a window: %q", line)
		}
		if before, _, ok := strings.Cut(line, "status"); ok && column == 0 {
			column = utf8.RuneCountInString(before)
		}
		if !strings.HasPrefix(line, "✓") && !strings.HasPrefix(line, "✗") {
			continue
		}
		fields := row.FindStringSubmatchIndex(line)
		if fields == nil {
			t.Errorf("not a row of the table: %q", line)
			continue
		}
		if got := utf8.RuneCountInString(line[:fields[6]]); got != column {
			t.Errorf("the status is in column %d, not %d: %q", got, column, line)
		}
		status := line[fields[6]:fields[7]]
		statuses[status]++
		if refused := status != "200"; refused != (fields[8] >= 0) {
			t.Errorf("a refusal says why, and nothing else does: %q", line)
		}
		if strings.HasPrefix(line, "✗") {
			t.Errorf("not as announced: %q", line)
		}
	}
	for _, status := range []string{"200", "400", "401", "403", "503"} {
		if statuses[status] == 0 {
			t.Errorf("nobody is answered with %s", status)
		}
	}
	total := 0
	for _, n := range statuses {
		total += n
	}
	if want := strconv.Itoa(total) + " requests, " + strconv.Itoa(total) + " with the outcome"; total < 25 || !strings.Contains(text, want) {
		t.Errorf("want %q at the end of:\n%s", want, text)
	}
}

var (
	variable = regexp.MustCompile(`^([A-Z]+)='([^']+)'$`)
	heading  = regexp.MustCompile(`^(\d{3}), .*:$`)
	curl     = regexp.MustCompile(`^curl -i (http://\S+)(?: -H "([^:]+): ([^"]*)")?$`)
)

// TestServe reads what is there to paste, and does what it says.
func TestServe(t *testing.T) {
	command := exec.CommandContext(t.Context(), build(t))
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(deadline, func() { _ = command.Process.Kill() })
	defer timer.Stop()

	const lines = 7
	values := make(map[string]string)
	tried, want := 0, ""
	log := bufio.NewScanner(stderr)
	for scanner := bufio.NewScanner(out); tried < lines && scanner.Scan(); {
		if match := variable.FindStringSubmatch(scanner.Text()); match != nil {
			values[match[1]] = match[2]
		}
		if match := heading.FindStringSubmatch(scanner.Text()); match != nil {
			want = match[1]
		}
		match := curl.FindStringSubmatch(scanner.Text())
		if match == nil {
			if strings.HasPrefix(scanner.Text(), "curl") {
				t.Errorf("not to be pasted: %q", scanner.Text())
			}
			continue
		}
		tried++
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, match[1], http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if match[2] != "" {
			value := match[3]
			for name, v := range values {
				value = strings.ReplaceAll(strings.ReplaceAll(value, "${"+name+"}", v), "$"+name, v)
			}
			if strings.Contains(value, "$") {
				t.Errorf("a variable that is not set: %s", value)
			}
			r.Header.Set(match[2], value)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := strconv.Itoa(response.StatusCode); got != want {
			t.Errorf("%s: got %s, want %s", scanner.Text(), got, want)
		}
		// Every request is in the log, and every refusal with its reason.
		for said := false; !said; said = want == "200" || strings.Contains(log.Text(), "reason=") {
			if !log.Scan() {
				t.Fatalf("%s: not in the log", scanner.Text())
			}
		}
	}
	if tried != lines {
		t.Errorf("%d lines to paste, want %d", tried, lines)
	}
	if err := command.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, stderr)
	if err := command.Wait(); err != nil {
		t.Errorf("on Ctrl-C: %v", err)
	}
}
