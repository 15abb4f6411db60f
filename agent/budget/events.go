// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"bytes"

	"github.com/gatehouse-go/gatehouse/agent/model"
)

// maxEvent limits the size of an event that is read, in bytes. Larger events are
// forwarded unread: no report is so large.
const maxEvent = 1 << 20

// events reads a stream of server-sent events and finds the reports in it.
type events struct {
	shape  model.Shape
	single bool              // the call has one choice
	hide   bool              // drop the event that only reports the usage
	each   func(data []byte) // called with the data of each event; optional
	ended  func()            // called before the last event is forwarded
	fields fields            // of the reports, the newest value of each
	bad    bool              // a report was malformed
	fresh  bool              // a report has arrived since the last grow
	final  bool              // the last report covers the whole call
	last   bool              // the last event of the stream has arrived

	started []byte // the message_start, parsed after it was forwarded

	rest     []byte // the beginning of an unfinished event
	unread   bool   // rest belongs to an event that is too large to be read
	searched int    // the length of the part of rest without the end of an event
}

// feed reads the next piece and appends the bytes that may be forwarded to out: all whole
// events, and bytes that cannot be a report. It never writes beyond the bytes that it has
// read, so out and piece may share their memory.
func (e *events) feed(out, piece []byte) []byte {
	data := piece
	if len(e.rest) > 0 {
		e.rest = append(e.rest, piece...)
		data = e.rest
	}
	searched := max(e.searched-3, 0)
	whole := data[:0] // events
	if end := lastEnd(data[searched:]); end > 0 {
		whole = data[:searched+end]
	}
	begin, from := 0, 0 // of the next event, and of the bytes that are not yet in out
	report := -1        // the position of the next one, -1 before the search
	for begin < len(whole) {
		if e.each == nil && !e.unread {
			if begin > report {
				report = begin + e.nextReport(whole[begin:])
			}
			begin += lastEnd(whole[begin : begin+e.nextEnd(whole[begin:report])])
		}
		end := eventEnd(whole[begin:], max(searched-begin, 0))
		if event := whole[begin : begin+end]; !e.unread && e.read(event) {
			out = append(out, data[from:begin]...)
			from = begin + end
		}
		begin += end
		e.unread = false
	}
	out = append(out, whole[from:]...)
	e.rest = append(e.rest[:0], data[len(whole):]...)
	if e.searched = len(e.rest); e.searched > maxEvent {
		kept := e.searched - 3 // the empty line may have begun there
		out = append(out, e.rest[:kept]...)
		e.rest, e.searched, e.unread = append(e.rest[:0], e.rest[kept:]...), 3, true
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

// nextReport returns the position where the next report may be, or the length of data.
// Events before it need not be read, unless one ends the stream.
func (e *events) nextReport(data []byte) int {
	switch e.shape {
	case model.ChatCompletions:
		return indexReport(data)
	case model.Messages:
		return indexOr(data, usageMember)
	case model.Responses, model.Embeddings:
	}
	return 0
}

// nextEnd returns the position where the stream may end, or the length of data.
func (e *events) nextEnd(data []byte) int {
	if e.shape == model.Messages {
		return indexOr(data, "message_stop")
	}
	return indexOr(data, "DONE]")
}

// indexOr returns the index of text in data, or the length of data.
func indexOr(data []byte, text string) int {
	if at := bytes.Index(data, []byte(text)); at >= 0 {
		return at
	}
	return len(data)
}

// eventEnd returns the length of the first event of data, including the empty line after
// it. data must contain a whole event. The search begins at searched. Lines end with LF
// or CRLF; no upstream and no official client uses CR alone.
func eventEnd(data []byte, searched int) int {
	for i := searched; ; i++ {
		n := bytes.IndexByte(data[i:], '\n')
		if n < 0 {
			return len(data)
		}
		i += n
		switch after := data[i+1:]; {
		case bytes.HasPrefix(after, []byte("\n")):
			return i + 2
		case bytes.HasPrefix(after, []byte("\r\n")):
			return i + 3
		}
	}
}

// usageMember is the end of the name of a report, without the first quote: quotes are so
// frequent that searching with it takes four times as long.
const usageMember = `usage"`

// indexReport returns the position where data may contain a usage record, or the length
// of data. It skips the value null, which all chunks of a chat completions stream have
// except the last. White space may include the border of two lines of one event.
func indexReport(data []byte) int {
	for from := 0; ; {
		at := from + indexOr(data[from:], usageMember)
		if at == len(data) {
			return at
		}
		from = at + len(usageMember)
		value, _ := bytes.CutPrefix(bytes.TrimLeft(data[from:], " \t"), []byte{':'})
		if !bytes.HasPrefix(bytes.TrimLeft(value, " \t"), []byte("null")) {
			return at
		}
	}
}

// read reads one event and reports whether the client must not receive it.
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
	}
	return drop && e.hide
}
