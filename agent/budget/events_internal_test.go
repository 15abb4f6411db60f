// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/agent/model"
)

// The pieces in which a stream arrives have no effect on what is forwarded and found.
func TestPiecesOfAStream(t *testing.T) {
	crlf := func(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }
	const (
		chat   = model.ChatCompletions
		chunk  = "data: {\"choices\":[{\"index\":0}],\"usage\":null}\n\n"
		report = "data: {\"choices\":[],\"usage\":{\"total_tokens\":12}}\n\n"
		done   = "data: [DONE]\n\n"
		begun  = "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n"
		text   = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\"}\n\n"
		delta  = "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":5}}\n\n"
		stop   = "data: {\"type\":\"message_stop\"}\n\n"
	)
	large := "data: " + strings.Repeat("x", maxEvent+1)
	largest := "data: {\"x\":\"" + strings.Repeat("x", maxEvent+1-len(report)-7) + "\"," + report[7:]
	for name, test := range map[string]struct {
		shape  model.Shape
		pieces []string
		hidden string
		total  int64
		last   bool
		whole  bool
	}{
		"chat":                  {chat, []string{chunk, chunk, report, done}, report, 12, true, true},
		"report in two lines":   {chat, []string{chunk, "data: {\"choices\":[],\"usage\"\ndata: : {\"total_tokens\":12}}\n\n", done}, "data: {\"choices\":[],\"usage\"\ndata: : {\"total_tokens\":12}}\n\n", 12, true, true},
		"spaces":                {chat, []string{chunk, "data: {\"choices\":[],\"usage\" :\t{\"total_tokens\":12}}\n\n"}, "data: {\"choices\":[],\"usage\" :\t{\"total_tokens\":12}}\n\n", 12, false, true},
		"carriage returns":      {chat, []string{crlf(chunk), crlf(report), crlf(done)}, crlf(report), 12, true, true},
		"no end":                {chat, []string{chunk, "data: {\"choices\""}, "", 0, false, false},
		"largest event":         {chat, []string{largest[:maxEvent], "\n" + done}, largest, 12, true, true},
		"after a large event":   {chat, []string{large, "x\n\n", report, done}, report, 12, true, true},
		"large event ends":      {chat, []string{large + "\n", "\n" + report, done}, report, 12, true, true},
		"in a large event":      {chat, []string{large + "x", "\n" + report, done}, "", 0, true, false},
		"messages":              {model.Messages, []string{begun, text, text, delta, stop}, "", 12, true, true},
		"messages with names":   {model.Messages, []string{"event: message_start\n" + begun, text, "event: message_delta\n" + delta, stop}, "", 12, true, true},
		"messages two deltas":   {model.Messages, []string{"event: message_start\n" + begun, delta, "event: message_delta\n" + delta, stop}, "", 12, true, true},
		"messages begun":        {model.Messages, []string{"event: message_start\n" + begun, text}, "", 8, false, false},
		"messages begun twice":  {model.Messages, []string{"event: message_start\n" + strings.Replace(begun, "7", `7,"cache_read_input_tokens":3`, 1), "event: message_start\n" + strings.Replace(begun, "7", "9", 1), text}, "", 13, false, false},
		"messages without stop": {model.Messages, []string{begun, text, delta, text}, "", 12, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			whole := strings.Join(test.pieces, "")
			ways := [][]string{test.pieces, {whole}}
			if len(whole) < maxEvent {
				ways = append(ways, strings.Split(whole, ""))
				for at := range whole {
					ways = append(ways, []string{whole[:at], whole[at:]})
				}
			}
			for n, pieces := range append(ways, ways...) {
				e := events{shape: test.shape, single: n < len(ways), hide: true}
				var out []byte
				for _, piece := range pieces {
					buffer := append(make([]byte, 0, minPiece), piece...)
					out = append(out, e.feed(buffer[:0], buffer)...) // in place, as body does
					if len(e.rest) > maxEvent {
						t.Fatalf("%d bytes are kept, want at most %d", len(e.rest), maxEvent)
					}
				}
				out = append(out, e.rest...)
				last := e.last // before usage reads what is left
				u, known := e.usage()
				if want := strings.Replace(whole, test.hidden, "", 1); string(out) != want || u.Total != test.total || known != test.whole || last != test.last || e.fresh != (test.total > 0) {
					t.Fatalf("%d pieces, the first of %d bytes: %d bytes forwarded, want %d; total %d of the whole call %t, last %t, fresh %t; want %d, %t, %t",
						len(pieces), len(pieces[0]), len(out), len(want), u.Total, known, last, e.fresh, test.total, test.whole, test.last)
				}
			}
		})
	}
}

// The data of an event has all its lines, and the event stays as it is.
func TestReadEvent(t *testing.T) {
	for event, want := range map[string]string{
		"event: x\r\ndata: a\r\ndata:  b\r\ndata:c\r\n\r\n": "a\n b\nc",
		"data:\n\n":               "",
		": comment\nevent: x\n\n": "none",
	} {
		got, kept := "none", []byte(event)
		e := events{shape: model.ChatCompletions, each: func(data []byte) { got = string(data) }}
		if e.read(kept); got != want || string(kept) != event {
			t.Errorf("read(%q) reads %q and leaves %q, want %q", event, got, kept, want)
		}
	}
}

// Read writes nothing after its buffer, and keeps nothing in it.
func TestReadKeepsToItsBuffer(t *testing.T) {
	want := "data: " + strings.Repeat("x", 8192) + "\n\ndata: [DONE]\n\n"
	source := io.MultiReader(strings.NewReader(want[:4096]), strings.NewReader(want[4096:8000]), strings.NewReader(want[8000:]))
	b := &body{flow: &flow{events: &events{shape: model.ChatCompletions}, ended: true}, source: io.NopCloser(source)}
	buffer := bytes.Repeat([]byte{'-'}, 4*minPiece)
	var got []byte
	for {
		n, err := b.Read(buffer[:minPiece])
		got = append(got, buffer[:n]...)
		copy(buffer, bytes.Repeat([]byte{'!'}, minPiece))
		if n == 0 && err == nil {
			t.Error("Read = 0, nil, want an error or some bytes")
		}
		if err != nil {
			break
		}
	}
	if string(got) != want {
		t.Errorf("Read = %.20q of %d bytes, want %d bytes", got, len(got), len(want))
	}
	if after := bytes.Trim(buffer[minPiece:], "-"); len(after) > 0 {
		t.Errorf("Read has written %d bytes after its buffer", len(after))
	}
}
