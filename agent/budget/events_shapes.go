// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"bytes"
	"cmp"
	"encoding/json"

	"github.com/gatehouse-go/gatehouse/agent/model"
)

// report stores the newest value of each field.
func (e *events) report(raw json.RawMessage) bool {
	if len(raw) == 0 || string(raw) == "null" {
		return false
	}
	f := parseFields(string(raw))
	e.fresh = true
	if !f.ok {
		e.bad = true
		return false
	}
	e.fields.add(&f)
	return true
}

func (e *events) chat(data []byte) (onlyUsage bool) {
	if string(bytes.TrimSpace(data)) == "[DONE]" {
		e.last, e.final = true, true
		return false
	}
	if indexReport(data) == len(data) {
		return false
	}
	var chunk struct {
		Usage   json.RawMessage `json:"usage"`
		Tier    string          `json:"service_tier"`
		Choices []struct {
			FinishReason *string `json:"finish_reason"`
		} `json:"choices"`
	}
	if json.Unmarshal(data, &chunk) != nil || !e.report(chunk.Usage) {
		return false
	}
	e.fields.tier = cmp.Or(chunk.Tier, e.fields.tier)
	if len(chunk.Choices) == 0 {
		e.final = true
		return true
	}
	for _, choice := range chunk.Choices {
		e.final = e.final || e.single && choice.FinishReason != nil // other choices may continue
	}
	return false
}

var lastResponses = []string{"response.completed", "response.incomplete", "response.failed"}

func (e *events) responses(name, data []byte) {
	if !bytes.Contains(data, []byte(usageMember)) && !bytes.HasPrefix(name, []byte("response.")) && !bytes.Contains(data, []byte(`"response.failed"`)) {
		return
	}
	if bytes.HasSuffix(name, []byte(".delta")) {
		return
	}
	var event struct {
		Type     string `json:"type"`
		Response struct {
			Usage json.RawMessage `json:"usage"`
			Tier  string          `json:"service_tier"`
		} `json:"response"`
	}
	if json.Unmarshal(data, &event) != nil {
		return
	}
	for _, last := range lastResponses {
		if event.Type == last {
			e.last = true
			e.final = e.report(event.Response.Usage)
			e.fields.tier = cmp.Or(event.Response.Tier, e.fields.tier)
		}
	}
}

// anthropic reads an event. It does not parse the first one, message_start, at once: its
// input tokens are not needed before the next report or the end, and the client should not
// wait.
func (e *events) anthropic(name, data []byte) {
	if !bytes.Contains(data, []byte(usageMember)) && string(name) != "message_stop" && !bytes.Contains(data, []byte(`"message_stop"`)) {
		return
	}
	if string(name) == "message_start" && e.started == nil {
		e.started = bytes.Clone(data)
		return
	}
	e.begin()
	e.message(data)
}

// begin parses the message_start.
func (e *events) begin() {
	if e.started != nil {
		data := e.started
		e.started = nil
		e.message(data)
	}
}

func (e *events) message(data []byte) {
	var event struct {
		Type    string          `json:"type"`
		Usage   json.RawMessage `json:"usage"`
		Message struct {
			Usage json.RawMessage `json:"usage"`
		} `json:"message"`
	}
	if json.Unmarshal(data, &event) != nil {
		return
	}
	switch event.Type {
	case "message_start":
		e.report(event.Message.Usage)
	case "message_delta":
		e.final = e.report(event.Usage) || e.final
	case "message_stop":
		e.last = true
	}
}

// usage returns the reported usage, and whether it covers the whole call.
func (e *events) usage() (u Usage, whole bool) {
	e.begin()
	f := &e.fields
	f.ok = !e.bad
	if e.shape == model.Messages {
		u, ok := f.anthropic()
		return u, ok && e.final && e.last
	}
	u, ok := f.openAI(e.shape)
	return u, ok && e.final
}
