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
				canceled, arrived := make(chan struct{}), make(chan struct{})
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
				}
				response, err := g.send(ctx, test.body)
				if (err != nil) != (len(test.events) == 0) {
					t.Fatalf("error of the request = %v, want one only before the response", err)
				}
				if err == nil {
					defer response.Body.Close()
					for lines := bufio.NewScanner(response.Body); lines.Scan() && lines.Text() != ": last"; {
					}
				}
				cancel()
				<-canceled
				g.settled()
				spent := test.spent
				if spent < 0 {
					spent = holdOf(t, test.shape, test.body, 50)
				}
				expect(t, "after the disconnect", g.ledger, g.line, spent, 0)
			})
		}
	}
}

func response(body io.ReadCloser, contentType string) *http.Response {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {contentType}}, Body: body, ContentLength: 7}
}

// metered returns a metered round tripper with a hold of a minute.
func metered(t *testing.T, base roundTrip, change func(*budget.Call)) (*budget.Ledger, http.RoundTripper) {
	t.Helper()
	l := newLedger(t, budget.Config{Hold: time.Minute})
	return l, newMeter(t, l, model.ChatCompletions, change).Transport(base)
}

// A call without a response costs nothing, not even a request, if it failed, and the whole
// hold if the meter has ended it: then it may have been served.
func TestCallsWithoutResponse(t *testing.T) {
	withoutResponse(t, 0, 0, errDown, func(*http.Request) (*http.Response, error) { return nil, errDown })
	withoutResponse(t, 1, 50*time.Second, budget.ErrStalled, func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	_, transport := metered(t, func(*http.Request) (*http.Response, error) { cancel(); return nil, errDown }, nil)
	if _, err := transport.RoundTrip(chatRequest(t).WithContext(ctx)); err != errDown {
		t.Errorf("RoundTrip error after the client has gone = %v, want that of the transport, %v", err, errDown)
	}
	body := &closing{}
	withoutResponse(t, 1, 0, budget.ErrUnmetered, func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusSwitchingProtocols, Header: http.Header{}, Body: body}, nil
	})
	if !body.closed {
		t.Error("the body of another protocol is open")
	}
}

// A call whose upstream is metered too, and was ended there, may have cost everything.
func TestStalledInnerMeter(t *testing.T) {
	for _, err := range []error{budget.ErrStalled, budget.ErrUnmetered} {
		withoutResponse(t, 1, 0, err, func(*http.Request) (*http.Response, error) { return nil, fmt.Errorf("inner: %w", err) })
	}
}

// withoutResponse checks a call that fails with want, from least to a minute after its
// begin, and is charged its whole hold as often as requests says.
func withoutResponse(t *testing.T, requests int64, least time.Duration, want error, base roundTrip) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		line := keyLine(10)
		line.Unit = budget.Requests
		l, transport := metered(t, base, func(c *budget.Call) { c.Lines = append(c.Lines, line) })
		r, start := chatRequest(t), time.Now()
		_, err := transport.RoundTrip(r)
		if took := time.Since(start); !errors.Is(err, want) || took < least || took >= time.Minute || len(r.Header) > 0 {
			t.Errorf("RoundTrip error = %v after %v, want %v within a minute; header of the request = %v, want none", err, took, want, r.Header)
		}
		expect(t, "after "+want.Error(), l, keyLine(1000), requests*holdOf(t, model.ChatCompletions, chatStream, 50), 0)
		expect(t, "requests after "+want.Error(), l, line, requests, 0)
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
	s := newStore()
	l := newLedger(t, budget.Config{Store: s, Hold: time.Minute})
	transport := newMeter(t, l, model.ChatCompletions, nil).Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		inner = r.Context()
		context.AfterFunc(inner, func() { write.CloseWithError(inner.Err()) })
		return response(read, contentType), nil
	}))
	line, hold := keyLine(1000), holdOf(t, model.ChatCompletions, chatStream, 50)
	resp, err := transport.RoundTrip(chatRequest(t))
	noError(t, err)
	defer resp.Body.Close()
	if limit := resp.Header.Get("RateLimit"); resp.ContentLength != length || !strings.HasSuffix(limit, ";t=86400") {
		t.Errorf("%s: Content-Length = %d, RateLimit = %s, want %d and a day", contentType, resp.ContentLength, limit, length)
	}
	go func() {
		time.Sleep(time.Minute) // the header is progress too
		for range 60 {
			time.Sleep(10 * time.Second)
			_, _ = io.WriteString(write, chunk)
		}
	}()
	buffer := make([]byte, 1<<10)
	for range 60 {
		_, err := resp.Body.Read(buffer)
		noError(t, err)
		expect(t, "during a slow stream", l, line, 0, hold)
	}
	s.mu.Lock()
	extended := len(s.reserved) - 1
	s.mu.Unlock()
	if extended > 11*4 {
		t.Errorf("the hold was extended %d times in 11 min, want at most 4 times a minute", extended)
	}
	stalled := time.Now()
	rest, err := io.ReadAll(resp.Body)
	if took := time.Since(stalled); err == nil || len(rest) > 0 || took > 75*time.Second || !errors.Is(context.Cause(inner), budget.ErrStalled) {
		t.Errorf("Read of a stalled stream = %q, %v, after %v, cause %v", rest, err, took, context.Cause(inner))
	}
	expect(t, "after a stalled stream", l, line, hold, 0)
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
		noError(t, err)
		if status == 200 {
			_, err = resp.Body.Read(make([]byte, 100))
		} else {
			err = resp.Body.Close()
		}
		noError(t, err)
		expect(t, fmt.Sprint("status ", status), l, keyLine(1000), spent, 0)
		resp.Body.Close()
	}
}

// A usage whose price is not an amount is charged as the whole hold.
func TestPriceThatIsNoAmount(t *testing.T) {
	l, line := newLedger(t, budget.Config{}), keyLine(1000)
	line.Unit = "micro_usd"
	m := must(budget.NewMeter(budget.MeterConfig{
		Ledger: l, Call: callOf(model.ChatCompletions, nil, line),
		Price: func(_ string, _ budget.Unit, u budget.Usage) (int64, error) {
			if u.Worst {
				return 10, nil
			}
			return budget.MaxAmount + 1, nil
		},
	}))
	m.Handler(answer(200, `{"usage":{"total_tokens":9}}`)).ServeHTTP(httptest.NewRecorder(), chatRequest(t))
	expect(t, "after the response", l, line, 10, 0)
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
		{"short", 0, 6, false},
		{"uses its hold", 0, 10, false},
		{"grows", 40, 45, false},
		{"no capacity", 10, 45, true},
		{"ignores its limit", 500, 60, true},
	} {
		sent := finish + strings.Repeat(chunk, test.chunks) + usageOnly + done
		var inner context.Context
		l, transport := metered(t, func(r *http.Request) (*http.Response, error) {
			inner = r.Context()
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
		reserve(t, l, "other", charge(line, 1000-first-test.capacity))
		resp, err := transport.RoundTrip(chatRequest(t))
		noError(t, err)
		next := func(size int) {
			t.Helper()
			_, err := io.CopyN(io.Discard, resp.Body, int64(size))
			noError(t, err)
		}
		next(len(finish))
		for n := range int64(6) { // of which the last two come near
			next(len(chunk))
			expect(t, test.name+fmt.Sprint(" after ", n+1), l, line, 0, 1000-test.capacity+n/4*min(test.capacity, 10))
		}
		if !test.cut {
			next((test.chunks-6)*len(chunk) + len(done))
			expect(t, test.name+" before the end is read", l, line, 12, 1000-first-test.capacity)
		}
		got, err := io.ReadAll(resp.Body)
		noError(t, err)
		if cut := strings.HasSuffix(string(got), "\"param\":null}}\n\n"); cut != test.cut || !cut && len(got) > 0 {
			t.Errorf("%s: the body ends with %q", test.name, got[max(len(got)-60, 0):])
		}
		if test.cut { // and is charged its hold
			expect(t, test.name, l, line, first+min(test.capacity, 40), 1000-first-test.capacity)
		}
		if cause := context.Cause(inner); (cause == budget.ErrCut) != test.cut {
			t.Errorf("%s: cause of the context of the upstream = %v, want %v: %v", test.name, cause, budget.ErrCut, test.cut)
		}
		resp.Body.Close()
		if inner.Err() == nil {
			t.Errorf("%s: the context of the upstream goes on", test.name)
		}
	}
}

// If a stream ends in the middle of an event, the client gets an error event instead of the
// beginning of that event, which would make the error unreadable.
func TestUnfinishedEventIsNotForwarded(t *testing.T) {
	const unfinished = `data: {"choices":[{"delta":{"content":"`
	for name, text := range map[string]string{"short": unfinished, "longer than an event may be": unfinished + strings.Repeat("a", 2<<20)} {
		w := httptest.NewRecorder()
		newMeter(t, newLedger(t, budget.Config{}), model.ChatCompletions, nil).Handler(streamOf(text)).ServeHTTP(w, chatRequest(t))
		before, after, ok := strings.Cut(w.Body.String(), "event: error\n")
		if !ok || before != "" && !strings.HasSuffix(before, "\n\n") || !strings.Contains(after, "ended early") {
			t.Errorf("%s: body ends with %q, want an error event of its own", name, before[max(0, len(before)-20):]+after)
		}
	}
}

// A handler whose stream is cut, by what Count says or the upstream reports, gets an
// error, and its context says why.
func TestHandlerIsCut(t *testing.T) {
	running := func(output string) string {
		return strings.Replace(chunk, "null", `{"prompt_tokens":7,"completion_tokens":`+output+`}`, 1)
	}
	small, six := holdOf(t, model.ChatCompletions, chatStream, 10), func([]byte) int64 { return 6 }
	for _, test := range []struct {
		unit      budget.Unit
		max, hold int64
		count     func([]byte) int64
		events    [3]string
	}{
		{budget.Tokens, small, small, six, [3]string{chunk, chunk, chunk}},
		{"micro_usd", 1000, small, six, [3]string{chunk, chunk, chunk}},
		{budget.Tokens, small, small, six, [3]string{chunk + chunk[:20], chunk[20:], chunk}},
		{budget.Tokens, 1000, holdOf(t, model.ChatCompletions, chatStream, 50), nil, [3]string{running("50"), running("51"), chunk}},
	} {
		l, line := newLedger(t, budget.Config{}), keyLine(test.max)
		line.Unit = test.unit
		m := must(budget.NewMeter(budget.MeterConfig{
			Ledger: l, Call: callOf(model.ChatCompletions, func(c *budget.Call) { c.Step, c.Count = 10, test.count }, line),
			Price: func(_ string, _ budget.Unit, u budget.Usage) (int64, error) {
				if u.Input != small-10 {
					t.Errorf("Price has the input %d, want %d", u.Input, small-10)
				}
				if u.Output > 10 {
					return 0, budget.ErrUnbounded // so that the hold cannot grow
				}
				return u.Total, nil
			},
		}))
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
		expect(t, "after the cut", l, line, test.hold, 0)
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

// The writer of a handler passes on what it gets and returns, and the hold is settled and
// the context of the request canceled even after a panic.
func TestHandlerPassesOn(t *testing.T) {
	whole := holdOf(t, model.ChatCompletions, chatStream, 50)
	l := newLedger(t, budget.Config{})
	for name, test := range map[string]struct {
		act      http.HandlerFunc
		statuses []int
		body     string
		spent    int64
		lost     error
	}{
		"statuses": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			w.WriteHeader(404)
			w.WriteHeader(500)
		}, []int{103, 404}, "", 0, nil},
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
		}, []int{200}, "", whole, nil},
		"no response":               {func(http.ResponseWriter, *http.Request) {}, nil, "", whole, nil},
		"panic before the response": {func(http.ResponseWriter, *http.Request) { panic("oops") }, nil, "", whole, nil},
		"panic in a stream":         {func(w http.ResponseWriter, r *http.Request) { streamOf(chunk)(w, r); panic("oops") }, []int{200}, chunk, whole, nil},
		"panic after the usage": {func(w http.ResponseWriter, r *http.Request) {
			answer(200, `{"usage":{"total_tokens":9}}`)(w, r)
			panic("oops")
		}, []int{200}, `{"usage":{"total_tokens":9}}`, 9, nil},
		"another protocol": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusSwitchingProtocols) }, []int{502}, "", whole, nil},
		"unmetered": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(200)
			if _, held := state(t, l, keyLine(1000)); held != 0 {
				t.Errorf("held when the client has the answer = %d, want 0", held)
			}
		}, []int{502}, "", whole, nil},
		"client lost": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			if _, err := io.WriteString(w, chunk); !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("Write error without the client = %v, want %v", err, io.ErrClosedPipe)
			}
			panic(http.ErrAbortHandler)
		}, []int{200}, chunk, whole, io.ErrClosedPipe},
	} {
		l = newLedger(t, budget.Config{})
		w := &statuses{ResponseRecorder: httptest.NewRecorder(), lost: test.lost}
		var ctx context.Context
		func() {
			defer func() { _ = recover() }()
			newMeter(t, l, model.ChatCompletions, nil).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx = r.Context()
				test.act(w, r)
			})).ServeHTTP(w, chatRequest(t))
		}()
		if !slices.Equal(w.all, test.statuses) || w.Body.String() != test.body || name == "flush" && !w.Flushed {
			t.Errorf("%s: statuses %v, flushed %v, body %q, want %v and %q", name, w.all, w.Flushed, w.Body, test.statuses, test.body)
		}
		if ctx.Err() == nil {
			t.Errorf("%s: the context of the request goes on", name)
		}
		expect(t, name, l, keyLine(1000), test.spent, 0)
	}
	newMeter(t, newLedger(t, budget.Config{}), model.ChatCompletions, nil).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Flush of a writer that cannot flush = %v, want %v", err, http.ErrNotSupported)
		}
	})).ServeHTTP(struct{ http.ResponseWriter }{httptest.NewRecorder()}, chatRequest(t))
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
