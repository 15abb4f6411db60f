// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/model"
)

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

// callOf reads the body of a request as one of shape.
func callOf(shape model.Shape, lines ...budget.Line) func(r *http.Request) (budget.Call, error) {
	return func(r *http.Request) (budget.Call, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return budget.Call{}, err
		}
		c, err := model.Parse(shape, body)
		if err != nil {
			return budget.Call{}, err
		}
		return budget.ForModel(c, model.Model{Name: "small-1", MaxOutput: 100}, lines, nil), nil
	}
}

// newGateway starts a metered proxy, in one of the forms, with one budget of 1,000
// tokens. change may change the call.
func newGateway(t testing.TB, form string, shape model.Shape, upstream http.HandlerFunc, change func(*budget.Call)) *gateway {
	t.Helper()
	up := httptest.NewServer(upstream)
	t.Cleanup(up.Close)
	target, err := url.Parse(up.URL)
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, ledger: newLedger(t, budget.Config{}), line: keyLine(1000)}
	read := callOf(shape, g.line)
	m, err := budget.NewMeter(budget.MeterConfig{Ledger: g.ledger, Call: func(r *http.Request) (budget.Call, error) {
		call, err := read(r)
		if change != nil {
			change(&call)
		}
		return call, err
	}})
	if err != nil {
		t.Fatal(err)
	}
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
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	return g.client.Do(request)
}

// post sends a request and returns the status and the body of the response.
func (g *gateway) post(body string) (status int, text string, header http.Header) {
	g.t.Helper()
	response, err := g.send(g.t.Context(), body)
	if err != nil {
		g.t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return response.StatusCode, string(content), response.Header
}

// check checks the state of the budget.
func (g *gateway) check(what string, spent, held int64) {
	g.t.Helper()
	if got, want := state(g.t, g.ledger, g.line), [2]int64{spent, held}; got != want {
		g.t.Errorf("%s: spent, held = %v, want %v", what, got, want)
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
		w.Header().Set(name, value)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}
