// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"bytes"

	"github.com/gatehouse-go/gatehouse/agent/model"
)

// maxEvent limits the size of an event that is read. Larger ones are forwarded unread:
// no report has this size.
const maxEvent = 1 << 20

// events reads a stream of server-sent events and finds the reports in it.
type events struct {
	shape    model.Shape
	single   bool              // the call has one choice
	hide     bool              // drop the event that only reports the usage
	each     func(data []byte) // called with the data of each event; optional
	ended    func()            // called before the last event is forwarded
	fields   fields            // of the reports, the newest of each
	reported bool              // there was a report
	bad      bool              // a report was malformed
	fresh    bool              // a report has arrived that grow has not seen
	final    bool              // the last report is that of the whole call
	last     bool              // the event after which nothing follows has arrived

	started []byte // the message_start, which read leaves until the client has it

	rest     []byte // of the last line break, an unfinished event
	unread   bool   // rest is the end of an event that is too large to be read
	searched int    // the part of rest that has no end of an event
}

// feed reads the next piece and appends to out what may be forwarded: all whole
// events, and what cannot be a report.
func (e *events) feed(out, piece []byte) []byte {
	data := piece
	if len(e.rest) > 0 {
		e.rest = append(e.rest, piece...)
		data = e.rest
	}
	begin := 0 // of the next event
	if e.each == nil && !e.unread {
		if end := lastEnd(data); !e.matters(data[:end]) {
			out, begin = append(out, data[:end]...), end
		}
	}
	from := begin // of what is not yet in out
	for begin < len(data) {
		end := eventEnd(data[begin:], max(e.searched-begin-3, 0))
		if end < 0 {
			break
		}
		if event := data[begin : begin+end]; !e.unread && e.read(event) {
			out = append(out, data[from:begin]...)
			from = begin + end
		}
		begin += end
		e.unread = false
	}
	out = append(out, data[from:begin]...)
	e.rest = append(e.rest[:0], data[begin:]...)
	if e.searched = len(e.rest); e.searched > maxEvent {
		out = append(out, e.rest...)
		e.rest, e.searched, e.unread = e.rest[:0], 0, true
	}
	return out
}

// lastEnd returns the end of the last whole event of data, 0 if there is none.
func lastEnd(data []byte) int {
	for i := bytes.LastIndexByte(data, '\n'); i > 0; i = bytes.LastIndexByte(data[:i], '\n') {
		if before := bytes.TrimSuffix(data[:i], []byte{'\r'}); bytes.HasSuffix(before, []byte{'\n'}) {
			return i + 1
		}
	}
	return 0
}

// matters reports whether whole events have to be read one by one: whether there may be
// a report or the end of the stream among them. Most have neither.
func (e *events) matters(data []byte) bool {
	switch e.shape {
	case model.ChatCompletions:
		return bytes.Contains(data, []byte("[DONE]")) || reports(data)
	case model.Messages:
		return bytes.Contains(data, usageMember) || bytes.Contains(data, []byte("message_stop"))
	case model.Responses, model.Embeddings:
	}
	return true
}

// close returns the unfinished event at the end of a stream.
func (e *events) close(out []byte) []byte { return append(out, e.rest...) }

// eventEnd returns the length of the first event of data, with the empty line after
// it, -1 if it is unfinished. The first bytes have been searched before. Lines end
// with LF or CRLF; no upstream and no official client uses CR alone.
func eventEnd(data []byte, searched int) int {
	for i := searched; ; i++ {
		n := bytes.IndexByte(data[i:], '\n')
		if n < 0 {
			return -1
		}
		i += n
		switch after := data[i+1:]; {
		case len(after) > 0 && after[0] == '\n':
			return i + 2
		case len(after) > 1 && after[0] == '\r' && after[1] == '\n':
			return i + 3
		}
	}
}

var usageMember = []byte(`"usage"`)

// reports reports whether data may have a usage record. All chunks of a stream of chat
// completions but the last one have the value null. White space may be the border of two
// lines of one event.
func reports(data []byte) bool {
	for {
		_, rest, found := bytes.Cut(data, usageMember)
		if !found {
			return false
		}
		value, isMember := bytes.CutPrefix(bytes.TrimLeft(rest, " \t"), []byte{':'})
		if !isMember || !bytes.HasPrefix(bytes.TrimLeft(value, " \t"), []byte("null")) {
			return true
		}
		data = rest
	}
}

// read reads one event and reports whether it is to be dropped.
func (e *events) read(event []byte) (drop bool) {
	var name, data []byte
	for rest := event; len(rest) > 0; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte{'\n'})
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if value, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			value = bytes.TrimPrefix(value, []byte(" "))
			if data == nil {
				data = value
			} else {
				data = append(append(bytes.Clone(data), '\n'), value...)
			}
		} else if value, ok := bytes.CutPrefix(line, []byte("event:")); ok {
			name = bytes.TrimPrefix(value, []byte(" "))
		}
	}
	if data == nil {
		return false
	}
	if e.each != nil {
		e.each(data)
	}
	switch e.shape {
	case model.Messages:
		e.anthropic(name, data)
	case model.Responses:
		e.responses(name, data)
	default:
		drop = e.chat(data)
	}
	if e.last && e.ended != nil {
		e.ended()
		e.ended = nil
	}
	return drop && e.hide
}
