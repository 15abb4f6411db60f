// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/model"
)

const (
	streamClients = 8
	streamRun     = 8 // streams of each client in one burst, so that it has as many on each core
	streamEvents  = 256
	streamTokens  = 300 // input and output that the upstream reports
)

// streamAPI is an upstream that streams.
type streamAPI struct {
	name       string
	shape      model.Shape
	body, last string   // of the request; the end of the response
	events     []string // of the response
}

func streamAPIs() []streamAPI {
	chat := streamAPI{name: "OpenAI, chat completions", shape: model.ChatCompletions, last: "data: [DONE]\n\n"}
	chat.body = `{"model":"small-1","stream":true,"max_tokens":1024,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"` + strings.Repeat("Tell me more. ", 20) + `"}]}`
	chunk := `data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1760000000,"model":"small-1","choices":%s,"usage":%s}` + "\n\n"
	for range streamEvents {
		chat.events = append(chat.events, fmt.Sprintf(chunk, `[{"index":0,"delta":{"content":" token"},"finish_reason":null}]`, "null"))
	}
	chat.events = append(chat.events,
		fmt.Sprintf(chunk, `[{"index":0,"delta":{},"finish_reason":"stop"}]`, "null"),
		fmt.Sprintf(chunk, `[]`, `{"prompt_tokens":44,"completion_tokens":256,"total_tokens":300}`), chat.last)

	messages := streamAPI{name: "Anthropic, messages", shape: model.Messages, last: "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"}
	messages.body = strings.Replace(chat.body, `{"role":"system","content":"You are a helpful assistant."},`, "", 1)
	messages.events = append(messages.events, "event: message_start\ndata: "+`{"type":"message_start","message":{"id":"msg_123","type":"message","role":"assistant","content":[],"model":"small-1","stop_reason":null,"usage":{"input_tokens":44,"output_tokens":1}}}`+"\n\n")
	for range streamEvents {
		messages.events = append(messages.events, "event: content_block_delta\ndata: "+`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" token"}}`+"\n\n")
	}
	messages.events = append(messages.events, "event: message_delta\ndata: "+`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":256}}`+"\n\n", messages.last)
	return []streamAPI{chat, messages}
}

// ServeHTTP streams without pauses, which no model does: all that is left is the work of
// the proxies, the server and the client.
func (a streamAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "text/event-stream")
	for _, event := range a.events {
		_, _ = io.WriteString(w, event)
		_ = http.NewResponseController(w).Flush()
	}
}

// streamResult is a metered proxy against the plain one.
type streamResult struct {
	name                  string
	firstByte, throughput result
}

func streamRaces(passes int, burst time.Duration) ([]streamResult, error) {
	var all []streamResult
	for _, api := range streamAPIs() {
		r, err := streamRace(api, passes, burst)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", api.name, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// streamRace is a [httputil.ReverseProxy] with [budget.Meter.Transport] against one
// without, with the same client and upstream.
func streamRace(api streamAPI, passes int, burst time.Duration) (streamResult, error) {
	ledger, err := budget.New(budget.Config{Store: budget.NewMemory(10_000_000)})
	if err != nil {
		return streamResult{}, err
	}
	line := budget.Line{Account: budget.Account{Tenant: "acme", Per: "key", Name: "ci"}, Window: budget.Month(nil), Max: 1 << 50}
	meter, err := budget.NewMeter(budget.MeterConfig{Ledger: ledger, Call: func(r *http.Request) (budget.Call, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return budget.Call{}, err
		}
		c, err := model.Parse(api.shape, body)
		if err != nil {
			return budget.Call{}, err
		}
		return budget.ForModel(c, model.Model{Name: "small-1", MaxOutput: 4096}, []budget.Line{line}, nil), nil
	}})
	if err != nil {
		return streamResult{}, err
	}

	upstream := httptest.NewServer(api)
	defer upstream.Close()
	target, err := url.Parse(upstream.URL)
	if err != nil {
		return streamResult{}, err
	}
	proxy := func(wrap func(http.RoundTripper) http.RoundTripper) *httptest.Server {
		transport := &http.Transport{MaxIdleConnsPerHost: streamClients, DisableCompression: true}
		reverse := &httputil.ReverseProxy{
			Rewrite:      func(pr *httputil.ProxyRequest) { pr.SetURL(target) },
			Transport:    wrap(transport),
			ErrorHandler: gatehouse.Refuse,
		}
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// Otherwise the server closes the body of the request as the response begins,
			// and the plain proxy fails if its transport has not read the end of it yet.
			_ = http.NewResponseController(w).EnableFullDuplex()
			reverse.ServeHTTP(w, r)
		}))
	}
	plain := proxy(func(base http.RoundTripper) http.RoundTripper { return base })
	defer plain.Close()
	metered := proxy(meter.Transport)
	defer metered.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: streamClients, DisableCompression: true}}
	defer client.CloseIdleConnections()

	var calls atomic.Int64 // of the metered proxy
	stream := func(server *httptest.Server) (firstByte time.Duration, err error) {
		if server == metered {
			calls.Add(1)
		}
		return api.read(client, server.URL)
	}
	whole := func(server *httptest.Server) func(int) error {
		return concurrently(streamClients, func() error {
			for range streamRun {
				if _, err := stream(server); err != nil {
					return err
				}
			}
			return nil
		})
	}
	results, err := race([]contestant{
		{name: "floor", warm: 1, work: whole(plain)},
		{name: api.name, warm: 1, work: whole(metered)},
	}, passes, burst)
	if err != nil {
		return streamResult{}, err
	}
	first, err := firstBytes(passes, burst, func() (time.Duration, error) { return stream(plain) }, func() (time.Duration, error) { return stream(metered) })
	if err != nil {
		return streamResult{}, err
	}
	balances, err := ledger.Usage(context.Background(), line)
	if err != nil {
		return streamResult{}, err
	}
	if spent := calls.Load() * streamTokens; balances[0].Spent != spent || balances[0].Held != 0 {
		return streamResult{}, fmt.Errorf("the ledger has %+v, want %d spent", balances[0], spent)
	}
	return streamResult{api.name, first, results[1].perSecond()}, nil
}

// read reads a response and returns the time to its first byte.
func (a streamAPI) read(client *http.Client, address string) (firstByte time.Duration, err error) {
	start := time.Now()
	response, err := client.Post(address, "application/json", strings.NewReader(a.body))
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	var all bytes.Buffer
	if _, err = io.CopyN(&all, response.Body, 1); err != nil {
		return 0, err
	}
	firstByte = time.Since(start)
	if _, err = all.ReadFrom(response.Body); err != nil {
		return 0, err
	}
	if !bytes.HasSuffix(all.Bytes(), []byte(a.last)) {
		return 0, errors.New("the stream has no end")
	}
	return firstByte, nil
}

// firstBytes has two proxies take turns, one stream at a time. A pass gives the ratio of
// the medians.
func firstBytes(passes int, burst time.Duration, plain, metered func() (time.Duration, error)) (r result, err error) {
	var ratios []float64
	for range passes {
		var times [2][]time.Duration
		for start := time.Now(); len(times[0]) == 0 || time.Since(start) < 2*burst; {
			for i, stream := range []func() (time.Duration, error){plain, metered} {
				took, err := stream()
				if err != nil {
					return r, err
				}
				times[i] = append(times[i], took)
			}
		}
		var medians [2]float64
		for i := range times {
			slices.Sort(times[i])
			medians[i] = float64(times[i][len(times[i])/2])
		}
		ratios = append(ratios, medians[1]/medians[0])
	}
	return r.spread(ratios), nil
}

// streamTable has a row for each API.
func streamTable(results []streamResult) string {
	var b strings.Builder
	b.WriteString("| metered stream | time to the first byte, over that of the plain proxy (target 1.1) | streams per second, over those of the plain proxy (target 0.91) |\n|---|---|---|\n")
	for _, r := range results {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.name, r.firstByte.ratio(), r.throughput.ratio())
	}
	return b.String()
}
