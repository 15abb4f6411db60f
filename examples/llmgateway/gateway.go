// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/model"
	"github.com/gatehouse-go/gatehouse/agent/prompt"
)

// gateway sends the calls to the upstreams: each attempt has its own model, output limit
// and hold.
type gateway struct {
	app         *app
	connections map[string]*connection // by model
	filter      *prompt.Filter         // nil if prompts are not configured
	metered     http.RoundTripper
	proxy       *httputil.ReverseProxy
}

func newGateway(a *app, connections map[string]*connection, filter *prompt.Filter, _ gatehouse.Observer) (*gateway, error) {
	g := &gateway{app: a, connections: connections, filter: filter}
	meter, err := budget.NewMeter(budget.MeterConfig{Ledger: a.ledger, Call: g.call})
	if err != nil {
		return nil, err
	}
	g.metered = meter.Transport(roundTripper(g.send))
	g.proxy = &httputil.ReverseProxy{
		Rewrite:       rewrite,
		Transport:     roundTripper(g.attempts),
		FlushInterval: -1, // each event of a stream at once
		ErrorHandler:  g.fail,
		ErrorLog:      slog.NewLogLogger(a.logger.Handler(), slog.LevelWarn), // the errors have no address
	}
	return g, nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// handler serves a route of an API, behind the middleware of the models.
func (g *gateway) handler(shape model.Shape) http.Handler {
	var forward http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The body has been read. A deadline would end the stream.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		w.Header().Del("Cache-Control") // the response has its own: see send
		g.proxy.ServeHTTP(slow{w}, r)
	})
	if g.filter != nil {
		forward = gatehouse.Require(g.filter)(forward)
	}
	api := openAI
	if shape == model.Messages {
		api = anthropic
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call, _ := model.FromContext(r.Context())
		if g.connections[call.Model.Name].api != api {
			gatehouse.Refuse(w, r, &gatehouse.Error{
				Code: model.CodeInvalidRequest, Reason: model.ReasonUnknown, Cause: errors.New("llmgateway: the upstream of the model has the other API"),
			})
			return
		}
		forward.ServeHTTP(w, r)
	})
}

// passed are the request headers that reach the upstream.
var passed = []string{"Accept", "Content-Type", "User-Agent", "Anthropic-Version", "Anthropic-Beta", "Openai-Beta"}

// rewrite sets the request of the proxy: without the query, and with few headers.
func rewrite(r *httputil.ProxyRequest) {
	header := make(http.Header)
	for _, name := range passed {
		if values := r.In.Header[name]; len(values) > 0 {
			header[name] = values
		}
	}
	if len(header["Content-Type"]) == 0 {
		header.Set("Content-Type", "application/json")
	}
	r.Out.Header = header
	r.Out.URL.RawQuery = ""
}

// attempt is the model of one attempt.
type attempt struct{}

// attempts calls the upstream of the model and, while upstreams fail, those of its
// fallbacks.
func (g *gateway) attempts(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	caller, _ := gatehouse.FromContext(ctx)
	call, _ := model.FromContext(ctx)
	var failed error
	for _, m := range append([]model.Model{call.Model}, g.app.models.Fallbacks(caller, call.Model)...) {
		response, err := g.metered.RoundTrip(r.Clone(context.WithValue(ctx, attempt{}, m)))
		if refusal, ok := errors.AsType[*gatehouse.Error](err); ok {
			if failed == nil {
				return nil, refusal
			}
			continue // there is no budget for this fallback
		}
		if err == nil && response.StatusCode < http.StatusInternalServerError {
			return accept(response)
		}
		problem := &failure{status: http.StatusBadGateway, code: "upstream_unavailable", message: "The upstream of the model is unavailable."}
		if err == nil {
			problem.final = isReported(response)
		}
		if failed = problem; ctx.Err() != nil || problem.final {
			break
		}
		if errors.Is(err, budget.ErrStalled) {
			problem.status = http.StatusGatewayTimeout
			break
		}
		if errors.Is(err, budget.ErrUnmetered) {
			break // the upstream has answered
		}
	}
	return nil, failed
}

// maxErrorBody limits how much of an error of an upstream is read.
const maxErrorBody = 1 << 20

// isReported reads an error of the upstream, so that the meter reads its usage. It
// reports whether the error may have a usage record: then a retry by the client costs
// again.
func isReported(response *http.Response) bool {
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorBody))
	_ = response.Body.Close()
	return bytes.Contains(text, []byte(`"usage"`))
}

// accept returns the response of an available upstream. It hides responses that refuse
// the credential of the gateway.
func accept(response *http.Response) (*http.Response, error) {
	switch status := response.StatusCode; {
	case status < http.StatusMultipleChoices:
		return response, nil
	case status < http.StatusBadRequest, status == http.StatusUnauthorized, status == http.StatusForbidden:
		_ = response.Body.Close()
		return nil, &failure{status: http.StatusBadGateway, code: "upstream_refused", message: "The upstream of the model refuses the gateway.", final: true}
	}
	return nil, upstreamError(response)
}

// call returns the maximum cost of an attempt and the budgets that pay for it.
func (g *gateway) call(r *http.Request) (budget.Call, error) {
	ctx := r.Context()
	caller, _ := gatehouse.FromContext(ctx)
	call, _ := model.FromContext(ctx)
	m, _ := ctx.Value(attempt{}).(model.Model)
	lines, limit, err := g.app.lines(caller, m.Tier)
	if err != nil {
		return budget.Call{}, err
	}
	return budget.ForModel(call, m, append(lines, spentOn(caller, m)), limit), nil
}

// send sends an attempt to its upstream.
func (g *gateway) send(r *http.Request) (*http.Response, error) {
	m, _ := r.Context().Value(attempt{}).(model.Model)
	return g.connections[m.Name].send(r)
}

// fail writes the error for a call without a response of an upstream.
func (g *gateway) fail(w http.ResponseWriter, r *http.Request, err error) {
	if refusal, ok := errors.AsType[*gatehouse.Error](err); ok {
		gatehouse.Refuse(w, r, refusal)
		return
	}
	problem, ok := errors.AsType[*failure](err)
	if !ok { // the client has disconnected
		problem = &failure{status: http.StatusBadGateway, code: "upstream_unavailable", message: "The upstream of the model is unavailable."}
	}
	problem.write(w, r)
}

// writeTimeout limits the time for writing one piece of a response to a client.
const writeTimeout = 30 * time.Second

// slow is the writer of a stream: each write has its own deadline.
type slow struct{ http.ResponseWriter }

// Write implements [io.Writer].
func (s slow) Write(p []byte) (int, error) {
	_ = http.NewResponseController(s.ResponseWriter).SetWriteDeadline(time.Now().Add(writeTimeout))
	return s.ResponseWriter.Write(p)
}

// WriteHeader drops informational responses of the upstream, because their headers are
// not checked.
func (s slow) WriteHeader(status int) {
	if status >= http.StatusOK {
		s.ResponseWriter.WriteHeader(status)
	}
}

// Unwrap lets [http.ResponseController] flush.
func (s slow) Unwrap() http.ResponseWriter { return s.ResponseWriter }
