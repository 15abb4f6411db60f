// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/gatehouse-go/gatehouse"
)

// scene is a number of requests for one thing.
type scene struct {
	title, path string
	steps       []step
}

// step is one request, in words and as it is sent, and the outcome that is
// announced for it.
type step struct {
	words  string
	header []string // names and values in turn
	query  string
	want   outcome
}

// outcome is what comes of a request: the caller sees status and code, the
// operator sees the reason.
type outcome struct {
	status int
	code   gatehouse.Code
	reason gatehouse.Reason
}

func letIn(words string, header []string) step {
	return step{words: words, header: header, want: outcome{status: http.StatusOK}}
}

func refused(words string, header []string, status int, code gatehouse.Code, reason gatehouse.Reason) step {
	return step{words: words, header: header, want: outcome{status, code, reason}}
}

// witness is an observer that remembers the last decision.
type witness struct {
	last atomic.Pointer[gatehouse.Event]
}

func (w *witness) Observe(_ context.Context, e gatehouse.Event) error {
	w.last.Store(&e)
	return nil
}

// walk makes the requests of all scenes, one after the other, and prints what
// comes of them. It returns how many there were, and how many outcomes were
// other than announced.
func walk(ctx context.Context, out io.Writer, api string, seen *witness, scenes []scene) (steps, wrong int, err error) {
	row := func(mark, words string, status any, code, reason string) {
		line := fmt.Sprintf("%1s %-44s  %-6v  %-23s  %s", mark, words, status, code, reason)
		fmt.Fprintln(out, strings.TrimRight(line, " "))
	}
	row("", "", "status", "error", "reason in the log")
	for _, scene := range scenes {
		fmt.Fprintf(out, "\n%s\n", scene.title)
		for _, step := range scene.steps {
			got, err := send(ctx, api+scene.path, seen, step)
			if err != nil {
				return steps, wrong, err
			}
			steps++
			if got == step.want {
				row("✓", step.words, got.status, string(got.code), string(got.reason))
				continue
			}
			wrong++
			row("✗", step.words, got.status, string(got.code), string(got.reason))
			row("", "  and announced was", step.want.status, string(step.want.code), string(step.want.reason))
		}
	}
	return steps, wrong, nil
}

func send(ctx context.Context, url string, seen *witness, s step) (outcome, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+s.query, http.NoBody)
	if err != nil {
		return outcome{}, err
	}
	for n := 0; n < len(s.header); n += 2 {
		request.Header.Add(s.header[n], s.header[n+1])
	}
	seen.last.Store(new(gatehouse.Event))
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return outcome{}, err
	}
	defer response.Body.Close()
	var body struct {
		Error gatehouse.Code `json:"error"`
	}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		return outcome{}, fmt.Errorf("the answer to %q: %w", s.words, err)
	}
	return outcome{response.StatusCode, body.Error, seen.last.Load().Reason}, nil
}
