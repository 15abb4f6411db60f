// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/model"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newLedger(t testing.TB, config budget.Config) *budget.Ledger {
	t.Helper()
	if config.Store == nil {
		config.Store = budget.NewMemory(0)
	}
	return must(budget.New(config))
}

// noon is a zone in which it is noon when the tests begin: no day ends during them.
var noon = must(time.LoadLocation(fmt.Sprintf("Etc/GMT%+d", time.Now().UTC().Hour()-12))) // west of Greenwich is positive

// here returns noon, or UTC in a bubble of package synctest, whose clock begins at midnight.
func here() *time.Location {
	if time.Now().Year() == 2000 {
		return time.UTC
	}
	return noon
}

func keyLine(limit int64) budget.Line {
	return budget.Line{Account: budget.Account{Tenant: "acme", Per: "key", Name: "k1"}, Window: budget.Day(here()), Max: limit}
}

func tenantLine(limit int64) budget.Line {
	return budget.Line{Account: budget.Account{Tenant: "acme", Per: "tenant", Name: "acme"}, Window: budget.Month(here()), Max: limit}
}

func chunkedLine(limit, chunk int64) budget.Line {
	line := tenantLine(limit)
	line.Chunk = chunk
	return line
}

func charge(line budget.Line, amount int64) budget.Charge {
	return budget.Charge{Line: line, Amount: amount}
}

// reserve returns the hold of a call that must fit.
func reserve(t testing.TB, l *budget.Ledger, id string, charges ...budget.Charge) *budget.Hold {
	t.Helper()
	h, err := l.Reserve(t.Context(), id, charges...)
	noError(t, err)
	return h
}

// refused checks the status and the reason of a refusal, and returns it and its cause, which
// is empty if it is not about a budget.
func refused(t testing.TB, what string, err error, status int, reason gatehouse.Reason) (gatehouse.Error, budget.ExceededError) {
	t.Helper()
	e, ok := errors.AsType[*gatehouse.Error](err)
	if !ok || e.Code.Status() != status || e.Reason != reason {
		t.Fatalf("%s: error = %v, want %d %s", what, err, status, reason)
	}
	if cause, ok := errors.AsType[*budget.ExceededError](err); ok {
		return *e, *cause
	}
	return *e, budget.ExceededError{}
}

func state(t testing.TB, l *budget.Ledger, line budget.Line) (spent, held int64) {
	t.Helper()
	b, err := l.Usage(t.Context(), line)
	noError(t, err)
	return b[0].Spent, b[0].Held
}

// expect checks what a budget has spent and holds.
func expect(t testing.TB, what string, l *budget.Ledger, line budget.Line, spent, held int64) {
	t.Helper()
	if s, h := state(t, l, line); s != spent || h != held {
		t.Errorf("%s: spent, held = %d, %d, want %d, %d", what, s, h, spent, held)
	}
}

// callOf reads the body of a request as one of shape. change may change the call.
func callOf(shape model.Shape, change func(*budget.Call), lines ...budget.Line) func(r *http.Request) (budget.Call, error) {
	return func(r *http.Request) (budget.Call, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return budget.Call{}, err
		}
		c, err := model.Parse(shape, body)
		if err != nil {
			return budget.Call{}, err
		}
		call := budget.ForModel(c, model.Model{Name: "small-1", MaxOutput: 100}, lines, nil)
		if change != nil {
			change(&call)
		}
		return call, nil
	}
}

// newMeter returns a meter with one budget of 1,000 tokens. change may change the calls.
func newMeter(t testing.TB, l *budget.Ledger, shape model.Shape, change func(*budget.Call)) *budget.Meter {
	t.Helper()
	return must(budget.NewMeter(budget.MeterConfig{Ledger: l, Call: callOf(shape, change, keyLine(1000))}))
}

// roundTrip is a round tripper of a test.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func chatRequest(t testing.TB) *http.Request {
	return httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://upstream.example/", strings.NewReader(chatStream))
}

// holdOf returns the hold of a body of one message "hello": its input bound and limit output tokens.
func holdOf(t testing.TB, shape model.Shape, body string, limit int64) int64 {
	t.Helper()
	return must(model.Parse(shape, []byte(body))).Worst(model.Model{}, limit)
}

// gateway is a metered reverse proxy in front of an upstream.
type gateway struct {
	t      testing.TB
	ledger *budget.Ledger
	line   budget.Line
	url    string
	client *http.Client
}

// forms are the two ways to meter a proxy.
var forms = map[string]func(m *budget.Meter, proxy *httputil.ReverseProxy) http.Handler{
	"handler": func(m *budget.Meter, proxy *httputil.ReverseProxy) http.Handler { return m.Handler(proxy) },
	"transport": func(m *budget.Meter, proxy *httputil.ReverseProxy) http.Handler {
		proxy.Transport = m.Transport(http.DefaultTransport)
		return proxy
	},
}

// newGateway starts a metered proxy, in one of the forms, with one budget of 1,000
// tokens. change may change the call.
func newGateway(t testing.TB, form string, shape model.Shape, upstream http.HandlerFunc, change func(*budget.Call)) *gateway {
	t.Helper()
	up := httptest.NewServer(upstream)
	t.Cleanup(up.Close)
	target := must(url.Parse(up.URL))
	g := &gateway{t: t, ledger: newLedger(t, budget.Config{}), line: keyLine(1000)}
	m := newMeter(t, g.ledger, shape, change)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) { pr.SetURL(target) },
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if _, ok := err.(*gatehouse.Error); ok {
				gatehouse.Refuse(w, r, err)
				return
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	front := httptest.NewServer(forms[form](m, proxy))
	t.Cleanup(front.Close)
	g.url, g.client = front.URL, front.Client()
	return g
}

func (g *gateway) send(ctx context.Context, body string) (*http.Response, error) {
	request := must(http.NewRequestWithContext(ctx, http.MethodPost, g.url, strings.NewReader(body)))
	request.Header.Set("Content-Type", "application/json")
	return g.client.Do(request)
}

// post sends a request and returns the status and the body of the response.
func (g *gateway) post(body string) (status int, text string, header http.Header) {
	g.t.Helper()
	response, err := g.send(g.t.Context(), body)
	noError(g.t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	noError(g.t, err)
	return response.StatusCode, string(content), response.Header
}

// settled waits until nothing is held any more.
func (g *gateway) settled() {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), 10*time.Second)
	defer cancel()
	for tick := time.NewTicker(2 * time.Millisecond); ; {
		if _, held := state(g.t, g.ledger, g.line); held == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			g.t.Fatal("the hold was not settled")
		}
	}
}

// streamOf writes events, each flushed by itself.
func streamOf(events ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		for _, event := range events {
			fmt.Fprint(w, event)
			w.(http.Flusher).Flush()
		}
	}
}

func answer(status int, body string) http.HandlerFunc {
	return withHeader(status, "Content-Type", "application/json", body)
}

func withHeader(status int, name, value, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header()[name] = strings.Split(value, ";")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}
