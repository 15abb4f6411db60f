// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// row is a line of the table: mark, words, status, error and reason.
var row = regexp.MustCompile(`^(✓|✗) (\S.*\S) {2,}(\d{3})(?: {2,}([a-z_]+) {2,}([a-z_]+))?$`)

func TestOncePrintsExpectedOutcomes(t *testing.T) {
	var out, log bytes.Buffer
	if err := run(t.Context(), "127.0.0.1:0", true, &out, &log); err != nil || log.Len() > 0 {
		t.Fatalf("run(once) = %v, log %q\n%s", err, &log, &out)
	}
	statuses := make(map[string]int)
	total, column := 0, 0
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSuffix(line, "\n")
		if line != strings.TrimRight(line, " ") || utf8.RuneCountInString(line) > 110 || strings.ContainsRune(line, '\x1b') {
			t.Errorf("line %q, want at most 110 characters, no trailing spaces, no escape codes", line)
		}
		if before, _, ok := strings.Cut(line, "status"); ok && column == 0 {
			column = utf8.RuneCountInString(before)
		}
		if !strings.HasPrefix(line, "✓") && !strings.HasPrefix(line, "✗") {
			continue
		}
		at := row.FindStringSubmatchIndex(line)
		if at == nil || !strings.HasPrefix(line, "✓") || utf8.RuneCountInString(line[:at[6]]) != column {
			t.Errorf("line %q, want an expected outcome with the status in column %d", line, column)
			continue
		}
		status := line[at[6]:at[7]]
		if rejected := status != "200"; rejected != (at[8] >= 0) {
			t.Errorf("line %q, want an error and a reason exactly for rejected requests", line)
		}
		statuses[status]++
		total++
	}
	for _, status := range []string{"200", "400", "401", "403", "503"} {
		if statuses[status] == 0 {
			t.Errorf("no request with status %s", status)
		}
	}
	if want := strconv.Itoa(total) + " requests, " + strconv.Itoa(total) + " with"; total < 25 || !strings.Contains(out.String(), want) {
		t.Errorf("output = %s, want at least 25 requests and %q", &out, want)
	}
}

var (
	variable = regexp.MustCompile(`^([A-Z]+)='([^']+)'$`)
	heading  = regexp.MustCompile(`^(\d{3}), .*:$`)
	curl     = regexp.MustCompile(`^curl -i (http://\S+)(?: -H "([^:]+): ([^"]*)")?$`)
)

// TestCurlLines sends the requests of the curl lines, and checks their statuses and
// that each is in the log.
func TestCurlLines(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, stdout := io.Pipe()
	logged, stderr := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, "127.0.0.1:0", false, stdout, stderr) }()

	const lines = 7
	values := make(map[string]string)
	tried, want := 0, ""
	log := bufio.NewScanner(logged)
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
				t.Errorf("line %q, want a command to paste", scanner.Text())
			}
			continue
		}
		tried++
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, match[1], http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if match[2] != "" {
			value := match[3]
			for name, v := range values {
				value = strings.ReplaceAll(strings.ReplaceAll(value, "${"+name+"}", v), "$"+name, v)
			}
			if strings.Contains(value, "$") {
				t.Errorf("line %q, want only variables that were printed", scanner.Text())
			}
			r.Header.Set(match[2], value)
		}
		status := make(chan int, 1)
		go func() { // the log is a pipe, so the response waits for its reader
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				status <- 0
				return
			}
			response.Body.Close()
			status <- response.StatusCode
		}()
		for found := false; !found; found = want == "200" || strings.Contains(log.Text(), "reason=") {
			if !log.Scan() {
				t.Fatalf("%s: no line in the log", scanner.Text())
			}
		}
		if got := strconv.Itoa(<-status); got != want {
			t.Errorf("%s = %s, want %s", scanner.Text(), got, want)
		}
	}
	if tried != lines {
		t.Errorf("curl lines = %d, want %d", tried, lines)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("run after cancel = %v", err)
	}
}

func TestWalkMarksUnexpectedOutcomes(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"error":"invalid_token"}`))
	}))
	defer server.Close()
	scenes := []scene{{"a scene", "/", []step{
		{words: "expected", want: outcome{200, "invalid_token", ""}},
		{words: "another status", want: outcome{401, "invalid_token", ""}},
		{words: "another error", want: outcome{200, "invalid_request", ""}},
		{words: "another reason", want: outcome{200, "invalid_token", jwtauth.ReasonExpired}},
	}}}
	var out strings.Builder
	steps, wrong, err := walk(t.Context(), &out, server.URL, new(recorder), scenes)
	if err != nil || steps != 4 || wrong != 3 {
		t.Errorf("walk = %d steps, %d wrong, %v, want 4, 3", steps, wrong, err)
	}
	for line := range strings.Lines(out.String()) {
		if mark, expected := strings.HasPrefix(line, "✓"), strings.Contains(line, "expected") && !strings.HasPrefix(line, " "); mark != expected {
			t.Errorf("line %q has the wrong mark", line)
		}
	}
}

func TestRecorderKeepsDecisions(t *testing.T) {
	r := new(recorder)
	for _, e := range []gatehouse.Event{{Type: gatehouse.EventDecision, Reason: "a"}, {Type: "other", Reason: "b"}} {
		if err := r.Observe(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.last.Load().Reason; got != "a" {
		t.Errorf("last reason = %q, want that of the decision", got)
	}
}
