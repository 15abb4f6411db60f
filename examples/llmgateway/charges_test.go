// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

const (
	chatRoute      = "/v1/chat/completions"
	responsesRoute = "/v1/responses"
	messagesRoute  = "/v1/messages"

	// Calls whose input bound is 0: they hold 400, 400 and 500 tokens, or as many for each
	// choice.
	chatStream     = `{"model":"small-1","messages":[],"stream":true}`
	chatTwo        = `{"model":"small-1","messages":[],"stream":true,"n":2}`
	responseStream = `{"model":"small-1","input":"","stream":true}`
	messageStream  = `{"model":"claude-1","messages":[],"max_tokens":500,"stream":true}`
)

// What a call is charged is what the upstream reports, and without a valid report the
// whole hold.
func TestReports(t *testing.T) {
	t.Parallel()
	p := newProvider(t, nil)
	s := start(t, configure(t, p.URL, object{"budgets": []object{{"per": "tenant", "window": "rolling_24h", "max_tokens": 10_000}}}))
	const (
		chat    = `{"model":"small-1","messages":[]}`
		message = `{"model":"claude-1","messages":[],"max_tokens":500}`
		finish  = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}` + "\n\n"
		whole   = `data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":6,"total_tokens":7}}` + "\n\ndata: [DONE]\n\n"
		begun   = "event: message_start\ndata: " + `{"type":"message_start","message":{"usage":{"input_tokens":3,"cache_read_input_tokens":4,"output_tokens":1}}}` + "\n\n"
		counted = "event: message_delta\ndata: " + `{"type":"message_delta","delta":{},"usage":{"output_tokens":9}}` + "\n\n"
	)
	want := int64(0)
	for _, test := range []struct {
		name, path, body, answer string
		charged                  int64
	}{
		{"total above its parts", chatRoute, chat, `{"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":9}}`, 9},
		{"parts above the total", chatRoute, chat, `{"usage":{"prompt_tokens":4,"completion_tokens":5,"total_tokens":3}}`, 9},
		{"no report", chatRoute, chat, `{}`, 400},
		{"negative", chatRoute, chat, `{"usage":{"prompt_tokens":1,"completion_tokens":-1,"total_tokens":9}}`, 400},
		{"no integer", chatRoute, chat, `{"usage":{"prompt_tokens":1,"completion_tokens":2.5,"total_tokens":9}}`, 400},
		{"above 2^53", chatRoute, chat, `{"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":9007199254740993}}`, 400},
		{"caches", messagesRoute, message, `{"usage":{"input_tokens":1,"cache_read_input_tokens":2,"cache_creation_input_tokens":4,"output_tokens":8}}`, 15},
		{"stream without a report", chatRoute, chatStream, "data: [DONE]\n\n", 400},
		{"report beside the last choice", chatRoute, chatStream, finish, 3},
		{"report beside the first of two choices", chatRoute, chatTwo, finish, 800},
		{"report beside the first of two choices, and at the end", chatRoute, chatTwo, finish + whole, 7},
		{"stream ends before message_stop", messagesRoute, messageStream, begun + counted, 7 + 500},
		{"stream ends with message_stop", messagesRoute, messageStream, begun + counted + "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", 7 + 9},
		{"above the hold, and above the budget", chatRoute, chat, `{"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":20000}}`, 20000},
	} {
		p.answers(func(w http.ResponseWriter, _ *http.Request) {
			if strings.Contains(test.answer, "data: ") {
				w.Header().Set("Content-Type", "text/event-stream")
			}
			_, _ = io.WriteString(w, test.answer)
		})
		if a := s.post("ci", test.path, test.body); a.status != http.StatusOK {
			t.Errorf("%s: %s %s, want 200", test.name, a, a.body)
		}
		if want += test.charged; s.spent("ci", "tenant", "") != strconv.FormatInt(want, 10)+"+0" {
			t.Errorf("%s: spent %s, want %d", test.name, s.spent("ci", "tenant", ""), want)
		}
	}
	if b := s.budgets("ci", "/usage")[0]; b.Spent <= b.Max {
		t.Errorf("GET /usage = %+v, want more than max", b)
	}
}

// open begins a stream and returns when the client has read the text.
func (s *server) open(who, path, body, text string) (disconnect func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	response, err := http.DefaultTransport.RoundTrip(s.request(ctx, who, http.MethodPost, path, body))
	if err != nil {
		s.t.Fatal(err)
	}
	var got strings.Builder
	for piece := make([]byte, 1024); !strings.Contains(got.String(), text); {
		n, err := response.Body.Read(piece)
		if got.Write(piece[:n]); err != nil {
			s.t.Fatalf("stream = %d %s: %v, want %s", response.StatusCode, &got, err, text)
		}
	}
	return func() {
		cancel()
		_ = response.Body.Close()
	}
}

// A client that disconnects ends the call of the upstream. It pays for what was reported
// before, or else for the whole hold.
func TestDisconnect(t *testing.T) {
	t.Parallel()
	const report = `"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}`
	for _, test := range []struct {
		name, path, body, event string
		held, charged           string
	}{
		{"no report", chatRoute, chatStream, `{"choices":[{"index":0,"delta":{"content":"x"}}]}`, "0+400", "400+0"},
		{"report of the only choice", chatRoute, chatStream, `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],` + report + `}`, "0+400", "3+0"},
		{"report of one of two choices", chatRoute, chatTwo, `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],` + report + `}`, "0+800", "800+0"},
		{"response completed", responsesRoute, responseStream, `{"type":"response.completed","response":{"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}}`, "", "3+0"},
		{"message begun", messagesRoute, messageStream, `{"type":"message_start","message":{"usage":{"input_tokens":7,"output_tokens":1}}}`, "0+500", "507+0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan struct{})
			p := newProvider(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(w, "data: "+test.event+"\n\n")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
				close(ended)
			})
			s := start(t, configure(t, p.URL, object{"budgets": []object{{"per": "tenant", "window": "rolling_24h", "max_tokens": 100000}}}))
			disconnect := s.open("ci", test.path, test.body, test.event)
			if got := s.spent("ci", "tenant", ""); test.held != "" && got != test.held {
				t.Errorf("during the call: %s, want %s", got, test.held)
			}
			disconnect()
			select {
			case <-ended:
			case <-time.After(deadline): // shorter than the hold; TestDisconnectEndsTheUpstreamCall has the bound
				t.Error("the call of the upstream does not end after the client's disconnect")
			}
			enginetest.Eventually(t, deadline, "the call is charged", func() bool {
				spent := s.spent("ci", "tenant", "")
				return strings.HasSuffix(spent, "+0") && spent != "0+0"
			})
			if got := s.spent("ci", "tenant", ""); got != test.charged {
				t.Errorf("after the call: %s, want %s", got, test.charged)
			}
		})
	}
}

// hanging is an upstream whose streams begin and do not end before the client disconnects.
func hanging(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	send(w, "", object{"choices": []object{{"index": 0, "delta": object{"content": "x"}}}})
	<-r.Context().Done()
}

// The hold of a gateway that was killed is charged in full when its time has ended.
func TestKilledGateway(t *testing.T) {
	t.Parallel()
	p := newProvider(t, hanging)
	config := configure(t, p.URL, object{
		"ledger": object{"driver": "sqlite", "dsn": t.TempDir() + "/gateway.db"}, "hold": "2s",
		"budgets": []object{{"per": "tenant", "window": "rolling_24h", "max_tokens": 100000}},
	})
	app := exec.CommandContext(t.Context(), os.Args[0], "-config", writeConfig(t, config)) //nolint:gosec // this binary
	app.Env = append(os.Environ(), appBinary+"=1")
	killed := &server{t: t, keys: make(map[string]string)}
	app.Stdout, app.Stderr = &killed.stdout, &killed.log
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	enginetest.Eventually(t, deadline, "the app listens", killed.listens)
	disconnect := killed.open("ci", chatRoute, chatStream, "data: ")
	defer disconnect()
	_ = app.Process.Kill()
	_ = app.Wait()

	s := start(t, config)
	enginetest.Eventually(t, deadline, "the hold is charged", func() bool {
		got := s.spent("ci", "tenant", "")
		if got != "0+400" && got != "400+0" {
			t.Fatalf("spent %s, want the whole hold, held or charged", got)
		}
		return got == "400+0"
	})
}

// Retry-After is the time until the window ends; of a rolling window, until enough of it
// has left the last 25 hours.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	p := newProvider(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"usage":{"prompt_tokens":1,"completion_tokens":299,"total_tokens":300}}`)
	})
	for _, test := range []struct {
		window, zone string
		later        time.Duration // after the end of the window in /usage
	}{
		{"day", "Asia/Kolkata", 0},
		{"week", "America/St_Johns", 0},
		{"month", "Europe/Berlin", 0},
		{"rolling_24h", "", 24 * time.Hour},
	} {
		t.Run(test.window, func(t *testing.T) {
			t.Parallel()
			for {
				s := start(t, configure(t, p.URL, object{"budgets": []object{{"per": "tenant", "window": test.window, "zone": test.zone, "max_tokens": 450}}}))
				first := s.chat("ci", "small-1", "")
				b, begun := s.budgets("ci", "/usage")[0], time.Now()
				a := s.chat("ci", "small-1", "")
				if over := time.Now(); s.budgets("ci", "/usage")[0].End.Equal(b.End) {
					seconds, _ := strconv.Atoi(a.header.Get("Retry-After"))
					retry, end := time.Duration(seconds)*time.Second, b.End.Add(test.later)
					if first.status != http.StatusOK || a.String() != "429 budget_exceeded rate_limit_error" || over.Add(retry).Before(end) || begun.Add(retry).After(end.Add(time.Second)) {
						t.Errorf("chat = %s, then %s with Retry-After %v at %v, want the time until %v", first, a, retry, over, end)
					}
					if (seconds > 60) != (a.header.Get("X-Should-Retry") == "false") {
						t.Errorf("Retry-After %d with X-Should-Retry %q", seconds, a.header.Get("X-Should-Retry"))
					}
					return
				}
			}
		})
	}
}

// A token's budget that another call holds is busy: the caller may try again. One that is
// spent stays so.
func TestTokenBudget(t *testing.T) {
	t.Parallel()
	issuer := authtest.NewIssuer(t)
	p := newProvider(t, hanging)
	s := start(t, configure(t, p.URL, object{"issuers": []object{trust(issuer)}}))
	bearer := issuer.Token(authtest.Claims{"scope": "model:standard", "tenant": "acme", "token_budget": 600})
	disconnect := s.open(bearer, chatRoute, chatStream, "data: ")
	a := s.chat(bearer, "small-1", "")
	if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); a.String() != "429 budget_exceeded rate_limit_error" || err != nil || seconds < 1 || seconds > 60 {
		t.Errorf("chat during a call = %s, Retry-After %q, want 429 and some seconds", a, a.header.Get("Retry-After"))
	}
	if got := s.spent(bearer, "token", ""); got != "0+400" {
		t.Errorf("during the call: %s, want the hold of one call", got)
	}
	disconnect()
	enginetest.Eventually(t, deadline, "the call is charged", func() bool { return s.spent(bearer, "token", "") == "400+0" })
	if a := s.chat(bearer, "small-1", ""); a.String() != "403 budget_exceeded permission_error" {
		t.Errorf("chat after the call = %s, want 403", a)
	}
	if a := s.chat(issuer.Token(authtest.Claims{"scope": "model:standard", "tenant": "acme", "token_budget": 600, "jti": nil}), "small-1", ""); a.status/100 != 4 {
		t.Errorf("chat with a budget of a token without jti = %s, want 4xx", a)
	}
}

// Copies of a token share the day of its subject, each with its own maximum.
func TestCopiesOfATokenShareTheirDay(t *testing.T) {
	t.Parallel()
	issuer := authtest.NewIssuer(t)
	p := newProvider(t, nil)
	s := start(t, configure(t, p.URL, object{"issuers": []object{trust(issuer)}}))
	for subject := "alice"; ; subject += " again" {
		copyOf := func(limit int) string {
			return issuer.Token(authtest.Claims{"scope": "model:standard", "tenant": "acme", "sub": subject, "max_tokens_per_day": limit})
		}
		if failures, sameDay := shareDay(s, copyOf(450), copyOf(1000)); sameDay {
			for _, failure := range failures {
				t.Error(failure)
			}
			break
		}
	}
	another := issuer.Token(authtest.Claims{"scope": "model:standard", "tenant": "acme", "sub": "another", "max_tokens_per_day": 450})
	if got := s.budgets(another, "/usage"); got[0].Spent != 0 {
		t.Errorf("another subject has spent %d, want nothing", got[0].Spent)
	}
}

// shareDay makes calls with two tokens of a subject, and reports whether the day has not
// ended meanwhile.
func shareDay(s *server, small, large string) (failures []string, sameDay bool) {
	s.t.Helper()
	fail := func(format string, args ...any) { failures = append(failures, fmt.Sprintf(format, args...)) }
	end := s.budgets(small, "/usage")[0].End
	for _, test := range []struct {
		bearer, more, want string
		spent              int64 // afterwards, in the line of either token
	}{
		{large, "", "200", 5},  // 421 held, 5 used
		{small, "", "200", 10}, // 10 + 421 <= 450 before
		{small, `,"max_tokens":400,"n":2`, "403 budget_exceeded permission_error", 10}, // above the whole of 450
		{large, `,"max_tokens":400,"n":2`, "200", 18},                                  // 3 words for each choice
		{large, `,"max_tokens":20`, "200", 23},
		{large, `,"max_tokens":20`, "200", 28},
		{small, `,"max_tokens":400`, "200", 33}, // 28 + 421 <= 450
		{small, `,"max_tokens":400`, "429 budget_exceeded rate_limit_error", 33},
		{large, `,"max_tokens":400`, "200", 38},
	} {
		if a := s.chat(test.bearer, "small-1", test.more); a.String() != test.want {
			fail("chat %s = %s %s, want %s", test.more, a, a.body, test.want)
		}
		for bearer, limit := range map[string]int64{small: 450, large: 1000} {
			lines := s.budgets(bearer, "/usage")
			if len(lines) != 1 || lines[0].Per != "subject" || lines[0].Window != "day" || lines[0].Spent != test.spent || lines[0].Max != limit {
				fail("GET /usage = %+v, want one line of the subject's day with %d of %d", lines, test.spent, limit)
			}
		}
	}
	return failures, s.budgets(small, "/usage")[0].End.Equal(end)
}
