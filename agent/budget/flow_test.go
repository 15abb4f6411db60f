// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/model"
)

// settled waits until nothing is held any more.
func (g *gateway) settled(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for tick := time.NewTicker(2 * time.Millisecond); state(t, g.ledger, g.line)[1] > 0; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the hold was not settled")
		}
	}
}

// A client that disconnects pays for what was reported, or for the whole hold, and the
// upstream call ends.
func TestDisconnect(t *testing.T) {
	for form := range forms {
		for name, test := range map[string]struct {
			shape  model.Shape
			body   string
			events []string
			spent  int64
		}{
			"before the response": {model.ChatCompletions, chatBody, nil, -1},
			"chat":                {model.ChatCompletions, chatStream, []string{chunk, ": last\n\n"}, -1},
			"one of two choices": {model.ChatCompletions, strings.Replace(chatStream, "{", `{"n":2,`, 1), []string{
				strings.Replace(finish, `"usage":null`, `"usage":{"total_tokens":9}`, 1), ": last\n\n",
			}, -1},
			"after the usage": {model.ChatCompletions, chatStream, []string{chunk, usageOnly, ": last\n\n"}, 12},
			"messages":        {model.Messages, messageStream, []string{started, ping, ": last\n\n"}, 60},
		} {
			t.Run(form+"/"+name, func(t *testing.T) {
				t.Parallel()
				canceled := make(chan struct{})
				arrived := make(chan struct{})
				g := newGateway(t, form, test.shape, func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					close(arrived)
					if len(test.events) > 0 {
						streamOf(test.events...)(w, r)
					}
					<-r.Context().Done()
					close(canceled)
				}, nil)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if len(test.events) == 0 {
					go func() { <-arrived; cancel() }()
					if response, err := g.send(ctx, test.body); err == nil {
						t.Errorf("status %d, want no response", response.StatusCode)
					}
				} else {
					response, err := g.send(ctx, test.body)
					if err != nil {
						t.Fatal(err)
					}
					defer response.Body.Close()
					for lines := bufio.NewScanner(response.Body); lines.Scan() && lines.Text() != ": last"; {
					}
				}
				cancel()
				<-canceled
				g.settled(t)
				spent := test.spent
				if spent < 0 {
					spent = holdOf(t, test.shape, test.body, 50)
				}
				if got := state(t, g.ledger, g.line)[0]; got != spent {
					t.Errorf("spent = %d, want %d", got, spent)
				}
			})
		}
	}
}

// A panic of the handler, or of what is around it, settles the hold.
func TestPanicSettles(t *testing.T) {
	for _, test := range []struct {
		name  string
		next  http.HandlerFunc
		spent int64
	}{
		{"before the response", func(http.ResponseWriter, *http.Request) { panic("oops") }, -1},
		{"after the usage", func(w http.ResponseWriter, r *http.Request) {
			answer(200, `{"usage":{"total_tokens":9}}`)(w, r)
			panic("oops")
		}, 9},
		{"no response", func(http.ResponseWriter, *http.Request) {}, -1},
		{"refused", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 404) }, 0},
	} {
		l := newLedger(t, budget.Config{})
		m, err := budget.NewMeter(budget.MeterConfig{Ledger: l, Call: callOf(model.ChatCompletions, keyLine(1000))})
		if err != nil {
			t.Fatal(err)
		}
		var ctx context.Context
		func() {
			defer func() { _ = recover() }()
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(chatBody))
			m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx = r.Context()
				test.next(w, r)
			})).ServeHTTP(httptest.NewRecorder(), r)
		}()
		if ctx.Err() == nil {
			t.Errorf("%s: the context of the request goes on", test.name)
		}
		spent := test.spent
		if spent < 0 {
			spent = holdOf(t, model.ChatCompletions, chatBody, 50)
		}
		if got, want := state(t, l, keyLine(1000)), [2]int64{spent, 0}; got != want {
			t.Errorf("%s: spent, held = %v, want %v", test.name, got, want)
		}
	}
}

// roundTrip is a round tripper of a test.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func response(body io.ReadCloser, contentType string) *http.Response {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {contentType}}, Body: body, ContentLength: 7}
}

// metered returns a metered round tripper with a hold of a minute.
func metered(t *testing.T, base roundTrip, change func(*budget.Call)) (*budget.Ledger, http.RoundTripper) {
	t.Helper()
	l := newLedger(t, budget.Config{Hold: time.Minute})
	read := callOf(model.ChatCompletions, keyLine(1000))
	m, err := budget.NewMeter(budget.MeterConfig{Ledger: l, Call: func(r *http.Request) (budget.Call, error) {
		call, err := read(r)
		if change != nil {
			change(&call)
		}
		return call, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	return l, m.Transport(base)
}

func chatRequest(t testing.TB) *http.Request {
	return httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://upstream.example/", strings.NewReader(chatStream))
}

// An upstream that stalls is cut before the hold expires.
func TestStalledUpstreamIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, transport := metered(t, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, nil)
		start := time.Now()
		_, err := transport.RoundTrip(chatRequest(t))
		if took := time.Since(start); !errors.Is(err, budget.ErrStalled) || took < 50*time.Second || took >= time.Minute {
			t.Errorf("RoundTrip of a stalled upstream = %v after %v, want ErrStalled shortly before 1m", err, took)
		}
		if got, want := state(t, l, keyLine(1000)), [2]int64{holdOf(t, model.ChatCompletions, chatStream, 50), 0}; got != want {
			t.Errorf("spent, held = %v, want %v", got, want)
		}
	})
}

// A response is extended while it makes progress, and cut when it stalls.
func TestProgressExtendsTheHold(t *testing.T) {
	for contentType, length := range map[string]int64{"text/event-stream": -1, "application/json": 7} {
		synctest.Test(t, func(t *testing.T) { testProgress(t, contentType, length) })
	}
}

func testProgress(t *testing.T, contentType string, length int64) {
	var inner context.Context
	read, write := io.Pipe()
	l, transport := metered(t, func(r *http.Request) (*http.Response, error) {
		inner = r.Context()
		context.AfterFunc(inner, func() { write.CloseWithError(inner.Err()) })
		return response(read, contentType), nil
	}, nil)
	line := keyLine(1000)
	resp, err := transport.RoundTrip(chatRequest(t))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if limit := resp.Header.Get("RateLimit"); resp.ContentLength != length || !strings.HasSuffix(limit, ";t=86400") {
		t.Errorf("%s: Content-Length = %d, RateLimit = %s, want %d and a day", contentType, resp.ContentLength, limit, length)
	}
	hold := holdOf(t, model.ChatCompletions, chatStream, 50)
	go func() {
		time.Sleep(time.Minute) // the header is progress too
		for range 60 {
			time.Sleep(10 * time.Second)
			_, _ = io.WriteString(write, chunk)
		}
	}()
	buffer := make([]byte, 1<<10)
	for range 60 {
		if _, err := resp.Body.Read(buffer); err != nil {
			t.Fatalf("Read of a slow stream: %v", err)
		}
		if got, want := state(t, l, line), [2]int64{0, hold}; got != want {
			t.Fatalf("spent, held = %v, want %v", got, want)
		}
	}
	stalled := time.Now()
	rest, err := io.ReadAll(resp.Body)
	if took := time.Since(stalled); err == nil || len(rest) > 0 || took > 75*time.Second || !errors.Is(context.Cause(inner), budget.ErrStalled) {
		t.Errorf("Read of a stalled stream = %q, %v, after %v, cause %v", rest, err, took, context.Cause(inner))
	}
	if got, want := state(t, l, line), [2]int64{hold, 0}; got != want {
		t.Errorf("spent, held = %v, want %v", got, want)
	}
}

func TestFailedConnectionIsNotCharged(t *testing.T) {
	requests := keyLine(10)
	requests.Unit = budget.Requests
	l, transport := metered(t, func(*http.Request) (*http.Response, error) { return nil, errDown }, func(c *budget.Call) {
		c.Lines = []budget.Line{requests}
	})
	r := chatRequest(t)
	if _, err := transport.RoundTrip(r); !errors.Is(err, errDown) || len(r.Header) > 0 {
		t.Errorf("RoundTrip = %v, want the error of the transport; header of the request = %v, want none", err, r.Header)
	}
	if got := state(t, l, requests); got != [2]int64{} {
		t.Errorf("spent, held = %v, want 0, 0", got)
	}
}

// A refusal of the upstream that is not read costs nothing, and a plain response is
// charged before its end is read.
func TestPlainResponseIsCharged(t *testing.T) {
	for status, spent := range map[int]int64{500: 0, 200: 9} {
		l, transport := metered(t, func(*http.Request) (*http.Response, error) {
			r := response(io.NopCloser(strings.NewReader(`{"usage":{"total_tokens":9}}`)), "application/json")
			r.StatusCode = status
			return r, nil
		}, nil)
		resp, err := transport.RoundTrip(chatRequest(t))
		if err != nil {
			t.Fatal(err)
		}
		if status == 200 {
			_, err = resp.Body.Read(make([]byte, 100))
		} else {
			err = resp.Body.Close()
		}
		if got, want := state(t, l, keyLine(1000)), [2]int64{spent, 0}; got != want || err != nil {
			t.Errorf("status %d: spent, held = %v, error %v, want %v", status, got, err, want)
		}
		resp.Body.Close()
	}
}

// A connection with another protocol cannot be metered.
func TestSwitchingProtocolsIsRefused(t *testing.T) {
	body, other := io.Pipe()
	l, transport := metered(t, func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusSwitchingProtocols, Header: http.Header{}, Body: body}, nil
	}, nil)
	if _, err := transport.RoundTrip(chatRequest(t)); !errors.Is(err, budget.ErrUnmetered) {
		t.Errorf("RoundTrip = %v, want %v", err, budget.ErrUnmetered)
	}
	if _, err := other.Write([]byte("x")); err == nil {
		t.Error("the body of the upstream is open")
	}
	if got, want := state(t, l, keyLine(1000)), [2]int64{holdOf(t, model.ChatCompletions, chatStream, 50), 0}; got != want {
		t.Errorf("spent, held = %v, want %v", got, want)
	}
	m, err := budget.NewMeter(budget.MeterConfig{Ledger: l, Call: callOf(model.ChatCompletions, keyLine(1000))})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	m.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusSwitchingProtocols) })).ServeHTTP(w, chatRequest(t))
	if w.Code != http.StatusBadGateway {
		t.Errorf("status = %d, want %d", w.Code, http.StatusBadGateway)
	}
}

// A usage whose price is not an amount is charged as the whole hold.
func TestPriceThatIsNoAmount(t *testing.T) {
	l := newLedger(t, budget.Config{})
	line := keyLine(1000)
	line.Unit = "micro_usd"
	m, err := budget.NewMeter(budget.MeterConfig{
		Ledger: l, Call: callOf(model.ChatCompletions, line),
		Price: func(_ string, _ budget.Unit, u budget.Usage) (int64, error) {
			if u.Worst {
				return 10, nil
			}
			return budget.MaxAmount + 1, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Handler(answer(200, `{"usage":{"total_tokens":9}}`)).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader(chatBody)))
	if got, want := state(t, l, line), [2]int64{10, 0}; got != want {
		t.Errorf("spent, held = %v, want %v", got, want)
	}
}

// A stream that holds its output in steps grows up to its limit while the budget has
// capacity, and is cut where it has none.
func TestStreamGrowsOrIsCut(t *testing.T) {
	line := keyLine(1000)
	for _, test := range []struct {
		name     string
		capacity int64 // beside the first hold
		chunks   int
		cut      bool
	}{
		{"short", 0, 5, false},
		{"uses its hold", 0, 10, false},
		{"grows", 40, 45, false},
		{"no capacity", 10, 45, true},
		{"ignores its limit", 500, 60, true},
	} {
		sent := finish + strings.Repeat(chunk, test.chunks) + usageOnly + done
		l, transport := metered(t, func(*http.Request) (*http.Response, error) {
			return response(io.NopCloser(&slow{[]byte(sent)}), "text/event-stream"), nil
		}, func(c *budget.Call) {
			c.Step, c.Count = 10, func(data []byte) int64 {
				if bytes.Contains(data, []byte("finish_reason")) {
					return -100 // which is no bound
				}
				return int64(bytes.Count(data, []byte(`"content"`)))
			}
		})
		first := holdOf(t, model.ChatCompletions, chatStream, 0) + 10
		if _, err := l.Reserve(t.Context(), "other", budget.Charge{Line: line, Amount: 1000 - first - test.capacity}); err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(chatRequest(t))
		if err != nil {
			t.Fatal(err)
		}
		next := func(size int) {
			t.Helper()
			if _, err := io.CopyN(io.Discard, resp.Body, int64(size)); err != nil {
				t.Fatal(err)
			}
		}
		next(len(finish))
		for n := range int64(5) { // of which the last one comes near
			next(len(chunk))
			if held, want := state(t, l, line)[1], 1000-test.capacity+n/4*min(test.capacity, 10); held != want {
				t.Errorf("%s: held after %d events = %d, want %d", test.name, n+1, held, want)
			}
		}
		if !test.cut {
			next((test.chunks-5)*len(chunk) + len(done))
		}
		spent := state(t, l, line) // before the end is read
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if cut := strings.HasSuffix(string(got), "\"param\":null}}\n\n"); cut != test.cut || !cut && len(got) > 0 {
			t.Errorf("%s: the body ends with %q", test.name, got[max(len(got)-60, 0):])
		}
		if !test.cut && spent != [2]int64{12, 1000 - first - test.capacity} {
			t.Errorf("%s: spent, held = %v", test.name, spent)
		}
		if spent, want := state(t, l, line)[0], first+min(test.capacity, 40); test.cut && spent != want {
			t.Errorf("%s: spent = %d, want the hold of the cut stream, %d", test.name, spent, want)
		}
	}
}

// If a stream ends in the middle of an event, the client gets an error event instead of the
// beginning of that event, which would make the error unreadable.
func TestUnfinishedEventIsNotForwarded(t *testing.T) {
	const unfinished = `data: {"choices":[{"delta":{"content":"`
	for name, text := range map[string]string{"short": unfinished, "longer than an event may be": unfinished + strings.Repeat("a", 2<<20)} {
		m, err := budget.NewMeter(budget.MeterConfig{Ledger: newLedger(t, budget.Config{}), Call: callOf(model.ChatCompletions, keyLine(1000))})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, text)
		})).ServeHTTP(w, chatRequest(t))
		before, after, ok := strings.Cut(w.Body.String(), "event: error\n")
		if !ok || before != "" && !strings.HasSuffix(before, "\n\n") || !strings.Contains(after, "ended early") {
			t.Errorf("%s: body ends with %q, want an error event of its own", name, before[max(0, len(before)-20):]+after)
		}
	}
}

// A call whose upstream is metered too, and has stalled there, may have cost everything.
func TestStalledInnerMeter(t *testing.T) {
	l, transport := metered(t, func(*http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("inner: %w", budget.ErrStalled)
	}, nil)
	if _, err := transport.RoundTrip(chatRequest(t)); !errors.Is(err, budget.ErrStalled) {
		t.Errorf("RoundTrip() error = %v, want %v", err, budget.ErrStalled)
	}
	if got, want := state(t, l, keyLine(1000)), [2]int64{holdOf(t, model.ChatCompletions, chatStream, 50), 0}; got != want {
		t.Errorf("spent, held = %v, want %v", got, want)
	}
}

// A handler whose stream is cut, by what Count says or the upstream reports, gets an
// error, and its context says why.
func TestHandlerIsCut(t *testing.T) {
	running := func(output string) string {
		return strings.Replace(chunk, "null", `{"prompt_tokens":7,"completion_tokens":`+output+`}`, 1)
	}
	for _, test := range []struct {
		hold   int64
		count  func([]byte) int64
		events [3]string
	}{
		{holdOf(t, model.ChatCompletions, chatStream, 10), func([]byte) int64 { return 6 }, [3]string{chunk, chunk, chunk}},
		{holdOf(t, model.ChatCompletions, chatStream, 50), nil, [3]string{running("50"), running("51"), chunk}},
	} {
		l, read := newLedger(t, budget.Config{}), callOf(model.ChatCompletions, keyLine(test.hold))
		m, err := budget.NewMeter(budget.MeterConfig{Ledger: l, Call: func(r *http.Request) (budget.Call, error) {
			call, err := read(r)
			call.Step, call.Count = 10, test.count
			return call, err
		}})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			var errs [3]error
			for n, event := range test.events {
				_, errs[n] = io.WriteString(w, event)
			}
			if cause := context.Cause(r.Context()); errs != [3]error{nil, budget.ErrCut, budget.ErrCut} || cause != budget.ErrCut {
				t.Errorf("Write errors = %v, cause %v, want %v from the second one on", errs, cause, budget.ErrCut)
			}
		})).ServeHTTP(w, chatRequest(t))
		if got := w.Body.String(); !strings.HasPrefix(got, test.events[0]) || strings.Count(got, "ended early") != 1 {
			t.Errorf("body = %q, want one event that it ended early", got)
		}
		if got, want := state(t, l, keyLine(test.hold)), [2]int64{test.hold, 0}; got != want {
			t.Errorf("spent, held = %v, want %v", got, want)
		}
	}
}

// statuses is a response writer that keeps all statuses, and may have lost its client.
type statuses struct {
	*httptest.ResponseRecorder
	all  []int
	lost error
}

func (s *statuses) WriteHeader(status int) {
	s.all = append(s.all, status)
	if status >= 200 {
		s.ResponseRecorder.WriteHeader(status)
	}
}

func (s *statuses) Write(p []byte) (int, error) {
	n, _ := s.ResponseRecorder.Write(p)
	return n, s.lost
}

// The writer of a handler passes on what it gets and returns.
func TestWriterPassesOn(t *testing.T) {
	l := newLedger(t, budget.Config{})
	m, err := budget.NewMeter(budget.MeterConfig{Ledger: l, Call: callOf(model.ChatCompletions, keyLine(1000))})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		act      http.HandlerFunc
		statuses []int
		body     string
	}{
		"statuses": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			w.WriteHeader(404)
			w.WriteHeader(500)
		}, []int{103, 404}, ""},
		"flush": {func(w http.ResponseWriter, _ *http.Request) {
			c := http.NewResponseController(w)
			if err := c.Flush(); err != nil || w.Header().Get("RateLimit") == "" {
				t.Errorf("Flush error = %v, header %v, want that of the budget", err, w.Header())
			}
			for _, err := range []error{c.SetReadDeadline(time.Now()), c.SetWriteDeadline(time.Now()), c.EnableFullDuplex()} {
				if !errors.Is(err, http.ErrNotSupported) {
					t.Errorf("error of the controller = %v, want %v", err, http.ErrNotSupported)
				}
			}
		}, []int{200}, ""},
		"panic": {func(w http.ResponseWriter, r *http.Request) { streamOf(chunk)(w, r); panic("oops") }, []int{200}, chunk},
		"unmetered": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(200)
			if got := state(t, l, keyLine(1000)); got[1] != 0 {
				t.Errorf("held when the client has the answer = %d, want 0", got[1])
			}
		}, []int{502}, ""},
	} {
		w := &statuses{ResponseRecorder: httptest.NewRecorder()}
		func() {
			defer func() { _ = recover() }()
			m.Handler(test.act).ServeHTTP(w, chatRequest(t))
		}()
		if !slices.Equal(w.all, test.statuses) || w.Body.String() != test.body || name == "flush" && !w.Flushed {
			t.Errorf("%s: statuses %v, flushed %v, body %q, want %v and %q", name, w.all, w.Flushed, w.Body, test.statuses, test.body)
		}
	}
	lost := &statuses{ResponseRecorder: httptest.NewRecorder(), lost: io.ErrClosedPipe}
	m.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		if _, err := io.WriteString(w, chunk); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("Write error without the client = %v, want %v", err, io.ErrClosedPipe)
		}
	})).ServeHTTP(lost, chatRequest(t))
}

// slow is a reader of one event at a time.
type slow struct{ rest []byte }

func (s *slow) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.rest[:bytes.Index(s.rest, []byte("\n\n"))+2])
	s.rest = s.rest[n:]
	return n, nil
}
