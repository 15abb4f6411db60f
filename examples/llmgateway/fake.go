// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// fake is an upstream for tests and for trying the gateway: it speaks both APIs, streams
// and counts. A token of the input is a word, and so is one of the output.
type fake struct {
	words int           // of an answer, if the limit allows
	pause time.Duration // between the words of a stream

	mu    sync.Mutex
	spent map[string]int // tokens by model
}

// serveFake serves a fake upstream until ctx ends.
func serveFake(ctx context.Context, addr string, stdout io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	server := newServer(&fake{words: 24, pause: 30 * time.Millisecond})
	fmt.Fprintf(stdout, "listening http://%s\n", listener.Addr())
	context.AfterFunc(ctx, func() { _ = server.Close() })
	return server.Serve(listener)
}

// fakeCall are the members of a request that the fake reads.
type fakeCall struct {
	Model         string          `json:"model"`
	Messages      json.RawMessage `json:"messages"`
	Input         json.RawMessage `json:"input"`
	Stream        bool            `json:"stream"`
	N             int             `json:"n"`
	MaxTokens     int             `json:"max_tokens"`
	MaxCompletion int             `json:"max_completion_tokens"`
	MaxOutput     int             `json:"max_output_tokens"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

type object = map[string]any

// ServeHTTP implements http.Handler. GET /spent returns the tokens of each model.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/spent" {
		f.mu.Lock()
		defer f.mu.Unlock()
		writeJSON(w, http.StatusOK, f.spent)
		return
	}
	var call fakeCall
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		writeJSON(w, http.StatusBadRequest, object{"error": object{"message": "Malformed JSON.", "type": "invalid_request_error"}})
		return
	}
	input := 1 + len(strings.Fields(string(call.Messages)+" "+string(call.Input)))
	limit := cmp.Or(call.MaxCompletion, call.MaxTokens, call.MaxOutput, f.words)
	output := min(f.words, limit) * max(call.N, 1)
	if strings.HasSuffix(r.URL.Path, "/v1/embeddings") {
		output = 0
	}
	f.mu.Lock()
	if f.spent == nil {
		f.spent = make(map[string]int)
	}
	f.spent[call.Model] += input + output
	f.mu.Unlock()
	words := make([]string, min(f.words, limit))
	for n := range words {
		words[n] = fmt.Sprintf("word%d ", n+1)
	}
	switch _, route, _ := strings.Cut(r.URL.Path, "/v1/"); {
	case route == "chat/completions" && call.Stream:
		f.streamChat(w, r, &call, words, input, output)
	case route == "chat/completions":
		choices := make([]object, max(call.N, 1))
		for n := range choices {
			choices[n] = object{"index": n, "finish_reason": "stop", "message": object{"role": "assistant", "content": strings.Join(words, "")}}
		}
		writeJSON(w, http.StatusOK, object{"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": call.Model, "choices": choices, "usage": chatUsage(input, output)})
	case route == "responses" && call.Stream:
		f.streamResponse(w, r, &call, words, input, output)
	case route == "responses":
		writeJSON(w, http.StatusOK, response(&call, strings.Join(words, ""), responseUsage(input, output)))
	case route == "embeddings":
		writeJSON(w, http.StatusOK, object{
			"object": "list", "model": call.Model, "data": []object{{"object": "embedding", "index": 0, "embedding": []float64{0.25, 0.5}}},
			"usage": object{"prompt_tokens": input, "total_tokens": input},
		})
	case route == "messages" && call.Stream:
		f.streamMessage(w, r, &call, words, input, output)
	case route == "messages":
		writeJSON(w, http.StatusOK, message(&call, []object{{"type": "text", "text": strings.Join(words, "")}}, input, output))
	default:
		writeJSON(w, http.StatusNotFound, object{"error": object{"message": "No such route.", "type": "invalid_request_error"}})
	}
}

func chatUsage(input, output int) object {
	return object{"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output}
}

func responseUsage(input, output int) object {
	return object{"input_tokens": input, "output_tokens": output, "total_tokens": input + output}
}

func response(call *fakeCall, text string, usage object) object {
	return object{
		"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": call.Model, "usage": usage,
		"output": []object{{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": []object{{"type": "output_text", "text": text, "annotations": []string{}}}}},
	}
}

func message(call *fakeCall, content []object, input, output int) object {
	return object{
		"id": "msg_1", "type": "message", "role": "assistant", "model": call.Model, "content": content, "stop_reason": "end_turn",
		"usage": object{"input_tokens": input, "output_tokens": output},
	}
}

// events paces a stream. each is called for each word; it returns false when the client
// has disconnected.
func (f *fake) events(r *http.Request, words []string, each func(word string)) bool {
	pause := time.NewTicker(max(f.pause, time.Microsecond))
	defer pause.Stop()
	for _, word := range words {
		each(word)
		select {
		case <-pause.C:
		case <-r.Context().Done():
			return false
		}
	}
	return true
}

// send writes one event. A name is for the APIs whose events have one.
func send(w http.ResponseWriter, name string, data any) {
	if name != "" {
		fmt.Fprintf(w, "event: %s\n", name)
	}
	text, _ := json.Marshal(data) // cannot fail
	fmt.Fprintf(w, "data: %s\n\n", text)
	_ = http.NewResponseController(w).Flush()
}

func (f *fake) streamChat(w http.ResponseWriter, r *http.Request, call *fakeCall, words []string, input, output int) {
	w.Header().Set("Content-Type", "text/event-stream")
	chunk := func(choices []object, usage any) object {
		return object{"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": call.Model, "choices": choices, "usage": usage}
	}
	if !f.events(r, words, func(word string) {
		for n := range max(call.N, 1) {
			send(w, "", chunk([]object{{"index": n, "delta": object{"role": "assistant", "content": word}}}, nil))
		}
	}) {
		return
	}
	send(w, "", chunk([]object{{"index": 0, "delta": object{}, "finish_reason": "stop"}}, nil))
	if call.StreamOptions.IncludeUsage {
		send(w, "", chunk([]object{}, chatUsage(input, output)))
	}
	fmt.Fprint(w, "data: [DONE]\n\n")
}

func (f *fake) streamResponse(w http.ResponseWriter, r *http.Request, call *fakeCall, words []string, input, output int) {
	w.Header().Set("Content-Type", "text/event-stream")
	send(w, "response.created", object{"type": "response.created", "sequence_number": 0, "response": response(call, "", nil)})
	if !f.events(r, words, func(word string) {
		send(w, "response.output_text.delta", object{"type": "response.output_text.delta", "item_id": "msg_1", "delta": word})
	}) {
		return
	}
	send(w, "response.completed", object{"type": "response.completed", "response": response(call, strings.Join(words, ""), responseUsage(input, output))})
}

func (f *fake) streamMessage(w http.ResponseWriter, r *http.Request, call *fakeCall, words []string, input, output int) {
	w.Header().Set("Content-Type", "text/event-stream")
	send(w, "message_start", object{"type": "message_start", "message": message(call, []object{}, input, 1)})
	send(w, "content_block_start", object{"type": "content_block_start", "index": 0, "content_block": object{"type": "text", "text": ""}})
	if !f.events(r, words, func(word string) {
		send(w, "content_block_delta", object{"type": "content_block_delta", "index": 0, "delta": object{"type": "text_delta", "text": word}})
	}) {
		return
	}
	send(w, "content_block_stop", object{"type": "content_block_stop", "index": 0})
	send(w, "message_delta", object{"type": "message_delta", "delta": object{"stop_reason": "end_turn"}, "usage": object{"output_tokens": output}})
	send(w, "message_stop", object{"type": "message_stop"})
}
