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
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
)

// scene is a group of requests to one path.
type scene struct {
	title, path string
	steps       []step
}

// step is a request with its description and its expected outcome.
type step struct {
	words  string
	header []string // names and values in turn
	query  string
	want   outcome
}

// outcome is the result of a request. The caller sees the status and the error
// code, the operator also the reason.
type outcome struct {
	status int
	code   string
	reason gatehouse.Reason
}

func outcomeOf(code gatehouse.Code, reason gatehouse.Reason) outcome {
	return outcome{code.Status(), code.String(), reason}
}

func accepted(words string, header []string) step {
	return step{words: words, header: header, want: outcome{status: http.StatusOK}}
}

func rejected(words string, header []string, code gatehouse.Code, reason gatehouse.Reason) step {
	return step{words: words, header: header, want: outcomeOf(code, reason)}
}

// recorder is an observer that keeps the last decision.
type recorder struct {
	last atomic.Pointer[gatehouse.Event]
}

func (r *recorder) Observe(_ context.Context, e gatehouse.Event) error {
	if e.Type == gatehouse.EventDecision {
		r.last.Store(&e)
	}
	return nil
}

// walk sends the requests of all scenes one after the other and prints their
// outcomes. It returns the number of requests, and of unexpected outcomes.
func walk(ctx context.Context, out io.Writer, api string, seen *recorder, scenes []scene) (steps, wrong int, err error) {
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
				row("✓", step.words, got.status, got.code, string(got.reason))
				continue
			}
			wrong++
			row("✗", step.words, got.status, got.code, string(got.reason))
			row("", "  expected", step.want.status, step.want.code, string(step.want.reason))
		}
	}
	return steps, wrong, nil
}

func send(ctx context.Context, url string, seen *recorder, s step) (outcome, error) {
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
		Error string `json:"error"`
	}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		return outcome{}, fmt.Errorf("response to %q: %w", s.words, err)
	}
	return outcome{response.StatusCode, body.Error, seen.last.Load().Reason}, nil
}

const instructions = `
The API runs until you press Ctrl-C, and logs here. Paste these into another
shell (they are valid for an hour),

TOKEN='%s'
KEY='%s'

and then any of these commands.
`

// printCurl prints a token, a key and curl commands that use them. The commands
// have no comments, which some shells reject.
func (p *peers) printCurl(ctx context.Context, out io.Writer, url string) error {
	key, err := p.makeKey(ctx, "you")
	if err != nil {
		return err
	}
	token := p.issuer.Token(authtest.Claims{
		"sub": "you", "tenant": "acme", "scope": "reports:read", "exp": in(time.Hour),
	})
	fmt.Fprintf(out, instructions, token, key.Secret.Reveal())
	for _, group := range []struct {
		answer string
		tries  [][]string // path and header
	}{
		{"200, accepted", [][]string{
			{"/whoami", "Authorization: Bearer $TOKEN"},
			{"/whoami", "X-API-Key: $KEY"},
			{"/tenants/acme/reports", "Authorization: Bearer $TOKEN"},
		}},
		{"401, not authenticated", [][]string{
			{"/whoami"},
			{"/whoami", "Authorization: Bearer ${TOKEN}A"},
		}},
		{"403, denied", [][]string{
			{"/tenants/globex/reports", "Authorization: Bearer $TOKEN"},
			{"/reports", "X-API-Key: ${KEY}A"},
		}},
	} {
		fmt.Fprintf(out, "\n%s:\n\n", group.answer)
		for _, try := range group.tries {
			fmt.Fprintf(out, "curl -i %s%s", url, try[0])
			if len(try) > 1 {
				fmt.Fprintf(out, " -H %q", try[1])
			}
			fmt.Fprintln(out)
		}
	}
	return nil
}
