// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/model"
)

const (
	chatBody       = `{"model":"fast","max_tokens":50,"messages":[{"role":"user","content":"hello"}]}`
	chatStream     = `{"model":"fast","stream":true,"max_tokens":50,"messages":[{"role":"user","content":"hello"}]}`
	responseBody   = `{"model":"fast","max_output_tokens":50,"input":"hello"}`
	responseStream = `{"model":"fast","stream":true,"max_output_tokens":50,"input":"hello"}`
	embeddingBody  = `{"model":"fast","input":"hello"}`
	messageBody    = `{"model":"fast","max_tokens":50,"messages":[{"role":"user","content":"hello"}]}`
	messageStream  = `{"model":"fast","stream":true,"max_tokens":50,"messages":[{"role":"user","content":"hello"}]}`

	chunk     = "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n\n"
	finish    = "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n"
	usageOnly = "data: {\"id\":\"1\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5,\"total_tokens\":12}}\n\n"
	done      = "data: [DONE]\n\n"

	started = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":7,\"cache_read_input_tokens\":3,\"cache_creation_input_tokens\":null,\"output_tokens\":1}}}\n\n"
	ping    = "event: ping\ndata: {\"type\":\"ping\"}\n\n"
	delta   = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":20}}\n\n"
	stopped = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"

	created   = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\n\n"
	completed = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":6,\"output_tokens\":5,\"total_tokens\":11}}}\n\n"
	failed    = "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"usage\":null}}\n\n"
)

// TestMeter shows what each kind of response is charged, in both forms. A spent of -1
// is the whole hold.
func TestMeter(t *testing.T) {
	const chat, responses, embeddings, messages = model.ChatCompletions, model.Responses, model.Embeddings, model.Messages
	for name, test := range map[string]struct {
		shape    model.Shape
		body     string
		upstream http.HandlerFunc
		spent    int64
		status   int
		ends     string // with which the body ends
	}{
		"chat":                {chat, chatBody, answer(200, " \t\r\n{ \"x\" :\t\"\\\"usage\\\":\\\\\", \"choices\" : [{\"usage\":1}] , \"usage\" : { \"prompt_tokens\" : 7 , \"completion_tokens\" : 5, \"total_tokens\": 12} }"), 12, 200, "}"},
		"total is larger":     {chat, chatBody, answer(200, `{"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":40}}`), 40, 200, "}"},
		"parts are larger":    {chat, chatBody, answer(200, `{"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":2}}`), 12, 200, "}"},
		"above the hold":      {chat, chatBody, answer(200, `{"usage":{"total_tokens":999}}`), 999, 200, "}"},
		"without usage":       {chat, chatBody, answer(200, `{"choices":[]}`), -1, 200, "}"},
		"no JSON":             {chat, chatBody, answer(200, `hello`), -1, 200, "hello"},
		"negative usage":      {chat, chatBody, answer(200, `{"usage":{"prompt_tokens":-7,"completion_tokens":5,"total_tokens":12}}`), -1, 200, "}"},
		"fraction":            {chat, chatBody, answer(200, `{"usage":{"prompt_tokens":7,"completion_tokens":5.0,"total_tokens":12}}`), -1, 200, "}"},
		"above 2^53":          {chat, chatBody, answer(200, `{"usage":{"total_tokens":9007199254740992}}`), -1, 200, "}"},
		"two usages":          {chat, chatBody, answer(200, `{"usage":{"total_tokens":1},"usage":{"total_tokens":2}}`), -1, 200, "}"},
		"two cached counts":   {chat, chatBody, answer(200, `{"usage":{"total_tokens":12,"prompt_tokens_details":{"cached_tokens":1,"cached_tokens":2}}}`), -1, 200, "}"},
		"two counts":          {chat, chatBody, answer(200, `{"usage":{"total_tokens":1,"total_tokens":2}}`), -1, 200, "}"},
		"cached above 2^53":   {chat, chatBody, answer(200, `{"usage":{"total_tokens":12,"prompt_tokens_details":{"cached_tokens":9007199254740992}}}`), -1, 200, "}"},
		"large record":        {chat, chatBody, answer(200, `{"usage":{"x":"`+strings.Repeat("x", 64<<10)+`","total_tokens":9}}`), -1, 200, "}"},
		"only the output":     {chat, chatBody, answer(200, `{"usage":{"completion_tokens":5}}`), -1, 200, "}"},
		"sum above 2^53":      {chat, chatBody, answer(200, `{"usage":{"prompt_tokens":9007199254740991,"completion_tokens":1}}`), -1, 200, "}"},
		"only the input":      {chat, chatBody, answer(200, `{"usage":{"prompt_tokens":7}}`), -1, 200, "}"},
		"truncated":           {chat, chatBody, answer(200, `{"usage":{"total_tokens":1}`), -1, 200, "}"},
		"refused":             {chat, chatBody, answer(400, `{"error":{}}`), 0, 400, "}"},
		"upstream's error":    {chat, chatBody, answer(500, `{"error":{}}`), 0, 500, "}"},
		"error with usage":    {chat, chatBody, answer(500, `{"error":{},"usage":{"total_tokens":9}}`), 9, 500, "}"},
		"responses":           {responses, responseBody, answer(200, `{"usage":{"input_tokens":6,"output_tokens":5,"total_tokens":11}}`), 11, 200, "}"},
		"embeddings":          {embeddings, embeddingBody, answer(200, `{"data":[],"usage":{"prompt_tokens":2,"total_tokens":2}}`), 2, 200, "}"},
		"embedding's input":   {embeddings, embeddingBody, answer(200, `{"usage":{"prompt_tokens":2}}`), 2, 200, "}"},
		"negative cache":      {messages, messageBody, answer(200, `{"usage":{"input_tokens":7,"cache_read_input_tokens":-3,"output_tokens":5}}`), -1, 200, "}"},
		"messages above 2^53": {messages, messageBody, answer(200, `{"usage":{"input_tokens":9007199254740991,"output_tokens":1}}`), -1, 200, "}"},
		"no output":           {messages, messageBody, answer(200, `{"usage":{"input_tokens":7}}`), -1, 200, "}"},
		"messages":            {messages, messageBody, answer(200, `{"usage":{"input_tokens":7,"cache_read_input_tokens":3,"cache_creation_input_tokens":2,"output_tokens":5}}`), 17, 200, "}"},
		"compressed":          {chat, chatBody, withHeader(200, "Content-Encoding", "gzip", "x"), -1, 502, ""},
		"compressed twice":    {chat, chatBody, withHeader(200, "Content-Encoding", "identity;gzip", "x"), -1, 502, ""},
		"chat stream":         {chat, chatStream, streamOf(chunk, finish, usageOnly, done), 12, 200, finish + done},
		"usage on finish":     {chat, chatStream, streamOf(chunk, strings.Replace(finish, `"usage":null`, `"usage":{"total_tokens":9}`, 1), done), 9, 200, done},
		"CRLF":                {chat, chatStream, streamOf(strings.ReplaceAll(chunk+usageOnly+done, "\n", "\r\n")), 12, 200, "[DONE]\r\n\r\n"},
		"bytes":               {chat, chatStream, streamOf(strings.Split(chunk+finish+usageOnly+done, "")...), 12, 200, finish + done},
		"one piece":           {chat, chatStream, streamOf(chunk + chunk + usageOnly + finish + done), 12, 200, finish + done},
		"usage in two lines":  {chat, chatStream, streamOf(chunk+strings.Replace(usageOnly, `"usage":`, "\"usage\"\ndata: : ", 1), done), 12, 200, "null}\n\n" + done},
		"no usage in chat":    {chat, chatStream, streamOf(chunk, finish, done), -1, 200, done},
		"no end mark":         {chat, chatStream, streamOf(chunk, finish, usageOnly), 12, 200, finish},
		"chat ends early":     {chat, chatStream, streamOf(chunk), -1, 200, "\"param\":null}}\n\n"},
		"usage of no report":  {chat, chatStream, streamOf(`data: {"choices":[],"x":{"usage":1}}` + "\n\n"), -1, 200, "\"param\":null}}\n\n"},
		"running usage":       {chat, chatStream, streamOf(strings.Replace(chunk, `"usage":null`, `"usage":{"total_tokens":9}`, 1)), -1, 200, "\"param\":null}}\n\n"},
		"usage before DONE":   {chat, strings.Replace(chatStream, "{", `{"n":2,`, 1), streamOf(strings.Replace(finish, `"usage":null`, `"usage":{"total_tokens":9}`, 1), done), 9, 200, done},
		"null before usage":   {chat, chatStream, streamOf(chunk, strings.Replace(finish, `"usage":null`, `"x":{"usage" : null},"usage" : {"total_tokens":9}`, 1), done), 9, 200, done},
		"usage before null":   {chat, chatStream, streamOf(chunk, strings.Replace(finish, `"usage":null`, `"usage":{"total_tokens":9},"x":{"usage":null}`, 1), done), 9, 200, done},
		"responses stream":    {responses, responseStream, streamOf(created, completed), 11, 200, completed},
		"failed with usage":   {responses, responseStream, streamOf(created, strings.Replace(failed, "null", `{"total_tokens":9}`, 1)), 9, 200, "9}}}\n\n"},
		"not the last type":   {responses, responseStream, streamOf(strings.NewReplacer("completed", "completed.part", "11", "99").Replace(completed), completed), 11, 200, completed},
		"second choice ends":  {chat, chatStream, streamOf(`data: {"choices":[{"index":0},{"index":0,"finish_reason":"stop"}],"usage":{"total_tokens":9}}` + "\n\n"), 9, 200, "9}}\n\n"},
		"media type's case":   {chat, chatStream, withHeader(200, "Content-Type", "Text/Event-Stream", usageOnly+done), 12, 200, done},
		"empty encoding":      {chat, chatBody, withHeader(200, "Content-Encoding", "", `{"usage":{"total_tokens":9}}`), 9, 200, "}"},
		"failed responses":    {responses, responseStream, streamOf(created, failed), -1, 200, failed},
		"usage elsewhere":     {chat, chatStream, streamOf(strings.Replace(chunk, `"usage":null`, `"x":{"usage":1}`, 1), strings.Replace(chunk, `null`, `null,"x":{"usage":1}`, 1), usageOnly, done), 12, 200, done},
		"malformed usage":     {chat, chatStream, streamOf(strings.Replace(usageOnly, "5", "-5", 1), usageOnly, done), -1, 200, done},
		"malformed chunk":     {chat, chatStream, streamOf(strings.Replace(usageOnly, `"choices"`, `"service_tier":5,"choices"`, 1), done), -1, 200, done},
		"usage after finish":  {chat, chatStream, streamOf(strings.Replace(finish, `null}`, `{"total_tokens":9}}`, 1), strings.Replace(chunk, `null`, `{"total_tokens":9}`, 1)), 9, 200, "}\n\n"},
		"running below":       {chat, chatStream, streamOf(strings.Replace(chunk, `null`, `{"prompt_tokens":20,"completion_tokens":45}`, 1), usageOnly, done), 12, 200, done},
		"stream above":        {chat, chatStream, streamOf(chunk, strings.Replace(usageOnly, `5,"total_tokens":12`, `90`, 1), done), 97, 200, done},
		"usage of client":     {chat, strings.Replace(chatStream, "{", `{"stream_options":{"include_usage":true},`, 1), streamOf(chunk, usageOnly, done), 12, 200, usageOnly + done},
		"refused stream":      {chat, chatStream, withHeader(300, "Content-Type", "text/event-stream", "data: {}\n\n"), 0, 300, "data: {}\n\n"},
		"stream of a length": {chat, chatStream, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(usageOnly+done)))
			withHeader(200, "Content-Type", "text/event-stream", usageOnly+done)(w, r)
		}, 12, 200, done},
		"identity": {chat, chatBody, withHeader(200, "Content-Encoding", "Identity", `{"usage":{"total_tokens":9}}`), 9, 200, "}"},
		"early hints": {chat, chatBody, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			answer(200, `{"usage":{"total_tokens":9}}`)(w, r)
		}, 9, 200, "}"},
		"responses without names": {responses, responseStream, streamOf(strings.TrimPrefix(completed, "event: response.completed\n")), 11, 200, completed[26:]},
		"completed without usage": {responses, responseStream, streamOf("event: response.completed\ndata: {\"type\":\"response.completed\"}\n\n"), -1, 200, "completed\"}\n\n"},
		"failed without a name":   {responses, responseStream, streamOf("data: {\"type\":\"response.failed\"}\n\n"), -1, 200, "failed\"}\n\n"},
		"responses partly":        {responses, responseStream, streamOf(strings.Replace(completed, `,"output_tokens":5,"total_tokens":11`, "", 1)), -1, 200, "}\n\n"},
		"malformed response":      {responses, responseStream, streamOf(strings.Replace(completed, `"usage"`, `"service_tier":5,"usage"`, 1)), -1, 200, "\"param\":null}}\n\n"},
		"messages stream":         {messages, messageStream, streamOf(started, ping, delta, stopped), 30, 200, stopped},
		"messages ends":           {messages, messageStream, streamOf(started, ping), 60, 200, "ended early.\"}}\n\n"},
		"messages no stop":        {messages, messageStream, streamOf(started, delta), 60, 200, "ended early.\"}}\n\n"},
		"messages no delta":       {messages, messageStream, streamOf(started, stopped), 60, 200, stopped},
		"messages two deltas":     {messages, messageStream, streamOf(started, delta, strings.Replace(delta, `{"output_tokens":20}`, "null", 1), stopped), 30, 200, stopped},
		"messages above the hold": {messages, messageStream, streamOf(started, strings.Replace(delta, "20", "90", 1)), 100, 200, "ended early.\"}}\n\n"},
		"messages malformed":      {messages, messageStream, streamOf(started, strings.Replace(delta, "20", "-20", 1), stopped), -1, 200, stopped},
		"messages huge":           {messages, messageStream, streamOf(strings.Replace(started, "7", "9007199254740980", 1), stopped), -1, 200, stopped},
		"malformed delta":         {messages, messageStream, streamOf(started, strings.Replace(delta, `"usage"`, `"message":5,"usage"`, 1), stopped), 60, 200, stopped},
		"messages no start":       {messages, messageStream, streamOf(delta, stopped), -1, 200, stopped},
	} {
		for form := range forms {
			t.Run(name+"/"+form, func(t *testing.T) {
				t.Parallel()
				g := newGateway(t, form, test.shape, test.upstream, nil)
				status, text, header := g.post(test.body)
				if status != test.status || !strings.HasSuffix(text, test.ends) || strings.Contains(text, usageOnly) != strings.HasPrefix(test.ends, usageOnly) {
					t.Errorf("status %d, body %q, want %d and an end of %q", status, text, test.status, test.ends)
				}
				if test.status == 502 && header.Get("Content-Encoding") != "" {
					t.Errorf("header = %v, want none of the upstream", header)
				}
				if test.status == 200 && !strings.HasPrefix(header.Get("RateLimit"), `"key-day@`+here().String()+`";r=`) {
					t.Errorf("RateLimit = %q", header.Get("RateLimit"))
				}
				spent := test.spent
				if spent < 0 {
					limit := int64(50)
					if test.shape == model.Embeddings {
						limit = 0
					}
					spent = holdOf(t, test.shape, test.body, limit)
				}
				if form == "handler" {
					g.settled() // after the response, if the proxy flushes
				}
				expect(t, "after the response", g.ledger, g.line, spent, 0)
			})
		}
	}
}

func TestMeterRewritesTheRequest(t *testing.T) {
	for form := range forms {
		t.Run(form, func(t *testing.T) {
			var got, encoding string
			limit := int64(100)
			g := newGateway(t, form, model.ChatCompletions, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got, encoding = string(body), r.Header.Get("Accept-Encoding")
				streamOf(usageOnly, done)(w, r)
			}, func(c *budget.Call) { c.Cap = &limit })
			g.post(strings.Replace(chatStream, "50", "5000000", 1))
			input := holdOf(t, model.ChatCompletions, chatStream, 0)
			if !strings.Contains(got, `"model":"small-1"`) || !strings.Contains(got, `"include_usage":true`) || encoding != "identity" {
				t.Errorf("body %s, Accept-Encoding %s", got, encoding)
			}
			if c, err := model.Parse(model.ChatCompletions, []byte(got)); err != nil || c.Limit != limit-input {
				t.Errorf("limit of the body = %d, %v, want %d", c.Limit, err, limit-input)
			}
		})
	}
}

func TestMeterRefuses(t *testing.T) {
	for form := range forms {
		for name, test := range map[string]struct {
			change func(*budget.Call)
			status int
			body   string
		}{
			"above the cap":          {func(c *budget.Call) { c.Cap = new(int64) }, 403, "budget_exceeded"},
			"above the whole budget": {func(c *budget.Call) { c.Input = 990 }, 403, "budget_exceeded"},
			"without an end":         {func(c *budget.Call) { c.Input = budget.MaxAmount }, 403, "budget_exceeded"},
			"replayed":               {func(c *budget.Call) { c.ID = "used" }, 409, "request_replayed"},
			"in progress":            {func(c *budget.Call) { c.ID, c.Input, c.Output = "used", 800, 100 }, 409, "request_replayed"},
			"unpriced":               {func(c *budget.Call) { c.Lines[0].Unit = "micro_usd" }, 403, "access_denied"},
			"busy":                   {func(c *budget.Call) { c.Input = 200; c.ID = "" }, 429, "budget_exceeded"},
		} {
			t.Run(form+"/"+name, func(t *testing.T) {
				g := newGateway(t, form, model.ChatCompletions, func(http.ResponseWriter, *http.Request) {
					t.Error("the request reached the upstream")
				}, test.change)
				reserve(t, g.ledger, "used", charge(g.line, 900))
				status, text, header := g.post(chatBody)
				if status != test.status || !strings.Contains(text, test.body) {
					t.Errorf("status %d, body %s, want %d, %s", status, text, test.status, test.body)
				}
				if limit := header.Get("RateLimit"); status == 429 && (!strings.HasPrefix(limit, `"key-day@`+here().String()+`";r=100;t=`) || header.Get("Retry-After") != "2") {
					t.Errorf("RateLimit = %q, Retry-After = %q", limit, header.Get("Retry-After"))
				}
				expect(t, "after the refusal", g.ledger, g.line, 0, 900)
			})
		}
	}
}

func TestNewMeterReportsAllErrors(t *testing.T) {
	_, err := budget.NewMeter(budget.MeterConfig{})
	for _, field := range []string{"Ledger", "Call"} {
		if err == nil || !strings.Contains(err.Error(), "budget: MeterConfig."+field+": required") {
			t.Errorf("NewMeter error = %v, want one for %s", err, field)
		}
	}
	m := newMeter(t, newLedger(t, budget.Config{}), model.ChatCompletions, nil)
	for name, wrap := range map[string]func(){"Handler": func() { m.Handler(nil) }, "Transport": func() { m.Transport((*http.Transport)(nil)) }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s(nil) did not panic", name)
				}
			}()
			wrap()
		}()
	}
}

// An error of the application refuses the request as it says.
func TestMeterRefusesErrors(t *testing.T) {
	own := &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: "own", Cause: budget.ErrUnbounded}
	for _, test := range []struct {
		err    error
		status int
		reason gatehouse.Reason
	}{
		{fmt.Errorf("call: %w", own), 403, "own"}, {fmt.Errorf("call: %w", budget.ErrUnbounded), 403, budget.ReasonUnbounded}, {io.ErrUnexpectedEOF, 503, budget.ReasonInvalid},
	} {
		for _, rewrite := range []bool{false, true} {
			m := must(budget.NewMeter(budget.MeterConfig{Ledger: newLedger(t, budget.Config{}), Call: func(*http.Request) (budget.Call, error) {
				if !rewrite {
					return budget.Call{}, test.err
				}
				return budget.Call{
					Shape: model.ChatCompletions, Output: 9, Step: 5, Count: func([]byte) int64 { return 0 }, Lines: []budget.Line{keyLine(100)},
					Rewrite: func(_ *http.Request, limit int64) error {
						if limit != 9 {
							t.Errorf("Rewrite has the limit %d, want 9", limit)
						}
						return test.err
					},
				}, nil
			}}))
			r, body := chatRequest(t), &closing{}
			r.Body = body
			_, err := m.Transport(roundTrip(func(*http.Request) (*http.Response, error) { panic("sent") })).RoundTrip(r)
			if refused(t, "RoundTrip after "+test.err.Error(), err, test.status, test.reason); !body.closed {
				t.Errorf("RoundTrip after %v: the body of the request is open", test.err)
			}
		}
	}
}

// closing is an empty body that knows whether it was closed.
type closing struct{ closed bool }

func (*closing) Read([]byte) (int, error) { return 0, io.EOF }
func (c *closing) Close() error           { c.closed = true; return nil }
