// SPDX-License-Identifier: Apache-2.0

package model

import (
	"strings"

	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// perMessage is the number of tokens around the text of a message: its role and the
// separators.
const perMessage = 16

// prompt reads the members that contain the prompt.
func (p *parser) prompt(name, value string) error {
	p.content = p.content || name == contents[p.Shape]
	switch {
	case value == "null" && name != contents[p.Shape]:
		return nil
	case name == "messages":
		return p.array(name, value, p.message)
	case name != "input":
		return p.one(func(b *[]string) error { return p.parts(value, b) })
	case p.Shape == Embeddings:
		return p.entry(value, 2)
	case strings.HasPrefix(value, "["):
		return p.array(name, value, p.item)
	}
	p.Input += perMessage
	return p.one(func(b *[]string) error {
		if !p.string(value, b) {
			return malformed("input: neither a string nor an array")
		}
		return nil
	})
}

// one adds one text to Texts: the strings that read finds.
func (p *parser) one(read func(*[]string) error) error {
	p.pieces = p.pieces[:0]
	err := read(&p.pieces)
	p.Texts = append(p.Texts, strings.Join(p.pieces, ""))
	return err
}

func (p *parser) array(name, value string, element func(string) error) error {
	err := strictjson.Array(value, nested(value), element)
	if err != nil && !strings.HasPrefix(value, "[") {
		return malformed("%s: not an array", name)
	}
	return err
}

// string adds a string. It returns false if value is not a string.
func (p *parser) string(value string, b *[]string) bool {
	s, ok := strictjson.String(value)
	if ok {
		p.count(s, b)
	}
	return ok
}

func (p *parser) count(s string, b *[]string) {
	p.Input += int64(len(s))
	if b != nil {
		*b = append(*b, s)
	}
}

// add adds a value of any kind: a string as text, and an array or an object as JSON,
// because the model reads its brackets and names too. b gets all strings in it; it is
// nil for text that is not a part of the prompt.
func (p *parser) add(value string, b *[]string) error {
	if value == "null" || p.string(value, b) {
		return nil
	}
	p.count(value, nil)
	return texts(value, b)
}

// texts adds all strings of a value to b.
func texts(value string, b *[]string) error {
	switch {
	case b == nil:
	case value[0] == '[':
		return strictjson.Array(value, nested(value), func(value string) error { return texts(value, b) })
	case value[0] == '{':
		return strictjson.Object(value, nested(value), func(_, value string) error { return texts(value, b) })
	default:
		s, _ := strictjson.String(value)
		*b = append(*b, s)
	}
	return nil
}

// external are the members of messages and parts that refer to other content than
// text.
var external = set("image_url", "image", "video_url", "video", "audio_url", "audio", "input_audio", "file", "file_id", "file_url", "file_data",
	"images", "videos", "files", "attachments", "document_url")

// structure are the members of messages, items and parts that the upstream does not
// turn into text.
var structure = set("type", "role", "cache_control", "status", "phase")

// nesting are the members that contain text or parts.
var nesting = set("content", "summary", "output")

// object reads a message, an item or a part. kind is the value of its type, "" if it
// has none.
func (p *parser) object(what, value string, b *[]string, kinds map[string]string) (err error) {
	kind := ""
	members := make([]struct{ name, value string }, 0, 4)
	err = strictjson.Object(value, nested(value), func(name, value string) error {
		folded := strictjson.Fold(name)
		switch {
		case value == "null":
		case external[folded]:
			return unbounded("%s.%s: only text can be bounded", what, folded)
		case (structure[folded] || nesting[folded]) && folded != name: // an upstream may ignore case
			return malformed("%s.%s: in another case", what, folded)
		case name == "type":
			var ok bool
			if kind, ok = strictjson.String(value); !ok {
				return malformed("%s.type: not a string", what)
			}
		case name == "role":
			p.Input += max(int64(len(value))-perMessage, 0) // some upstreams pass any role to the model
		case structure[name]:
		default:
			members = append(members, struct{ name, value string }{name, value})
		}
		return nil
	})
	if err != nil {
		if !strings.HasPrefix(value, "{") {
			return malformed("%s: not an object", what)
		}
		return err
	}
	required, ok := kinds[kind]
	if !ok {
		return unbounded("%s.type: not a kind of text", what)
	}
	for _, m := range members {
		if m.name == required {
			required = ""
		}
		if nesting[m.name] {
			err = p.parts(m.value, b)
		} else {
			err = p.add(m.value, b)
		}
		if err != nil {
			return err
		}
	}
	if required != "" {
		return unbounded("%s: without %s it refers to stored content", what, required)
	}
	return nil
}

// The kinds of objects by their type, each with the member that contains its text. In
// the input of the Responses API, an object without that member is a reference.
var (
	messages = map[string]string{"": "", "message": ""}
	items    = map[string]string{
		"": "content", "message": "content", "reasoning": "encrypted_content",
		"function_call": "arguments", "function_call_output": "output", "custom_tool_call": "input", "custom_tool_call_output": "output",
	}
	parts = map[string]string{
		"text": "", "input_text": "", "output_text": "", "refusal": "", "summary_text": "", "reasoning_text": "",
		"thinking": "", "redacted_thinking": "", "tool_use": "", "tool_result": "", "search_result": "",
	}
)

// message reads a message of chat completions or of the Anthropic API.
func (p *parser) message(value string) error {
	p.Input += perMessage
	return p.one(func(b *[]string) error { return p.object("messages[]", value, b, messages) })
}

// item reads an item of the input of the Responses API.
func (p *parser) item(value string) error {
	p.Input += perMessage
	return p.one(func(b *[]string) error { return p.object("input[]", value, b, items) })
}

// parts reads the content of a message: a string, or an array of parts. The parts of a
// tool result and of a search result are nested.
func (p *parser) parts(value string, b *[]string) error {
	if value == "null" || p.string(value, b) {
		return nil
	}
	return p.array("content", value, func(value string) error {
		return p.object("content[]", value, b, parts)
	})
}

// tools reads the tools. The model reads their schemas; a tool with another type than
// function and custom runs at the upstream, whose results have no bound.
func (p *parser) tools(name, value string) error {
	if value == "null" {
		return nil
	}
	p.Input += int64(len(value))
	return p.array(name, value, func(value string) error {
		p.Tools = true
		err := strictjson.Object(value, nested(value), func(name, value string) error {
			if strictjson.Fold(name) != "type" || value == "null" {
				return nil
			}
			if kind, ok := strictjson.String(value); name != "type" || !ok || kind != "function" && kind != "custom" {
				return unbounded("tools[].type: neither function nor custom")
			}
			return nil
		})
		if err != nil && !strings.HasPrefix(value, "{") {
			return malformed("%s[]: not an object", name)
		}
		return err
	})
}

// entry reads the input of embeddings: a string, a number of a token, or an array of
// either, at most two deep.
func (p *parser) entry(value string, depth int) error {
	switch {
	case strings.HasPrefix(value, "["):
		if depth == 0 {
			return malformed("input: nested too deep")
		}
		return strictjson.Array(value, nested(value), func(value string) error { return p.entry(value, depth-1) })
	case strings.HasPrefix(value, `"`):
		return p.one(func(b *[]string) error { p.string(value, b); return nil })
	case strings.HasPrefix(value, "{"):
		return unbounded("input: only text can be bounded")
	}
	if _, ok := integer(value); !ok {
		return malformed("input: neither text nor tokens")
	}
	p.Input++
	return nil
}
