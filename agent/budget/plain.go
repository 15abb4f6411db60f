// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"cmp"

	"github.com/gatehouse-go/gatehouse/agent/model"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// maxRecord limits the size of a usage record, in bytes.
const maxRecord = 64 << 10

// plain finds the members usage and service_tier of a JSON object in pieces, without
// keeping the rest. It does not validate the rest. A response that is not a JSON object
// has no report.
type plain struct {
	depth   int
	text    bool // inside a string
	escaped bool
	name    []byte  // the part read so far of the name of a member of the outer object
	naming  bool    // the current string may be such a name
	keep    *[]byte // where to keep the current value, nil if it is not needed
	record  []byte  // the value of usage
	tier    []byte  // the value of service_tier
	found   int     // the number of members named usage
	done    bool    // the object has ended
	invalid bool    // the response is not an object
}

// feed reads the next piece.
func (p *plain) feed(data []byte) {
	for i := 0; i < len(data) && !p.done && !p.invalid; i++ {
		c := data[i]
		if p.text {
			// Most bytes are inside strings and can be skipped.
			if p.keep == nil && !p.naming && !p.escaped {
				for i < len(data) && data[i] != '"' && data[i] != '\\' {
					i++
				}
				if i == len(data) {
					return
				}
				c = data[i]
			}
			p.inString(c)
			continue
		}
		p.outside(c)
	}
}

func (p *plain) inString(c byte) {
	switch {
	case p.escaped:
		p.escaped = false
	case c == '\\':
		p.escaped = true
	case c == '"':
		p.text = false
	}
	if p.naming && p.text && len(p.name) < 13 {
		p.name = append(p.name, c)
	}
	p.hold(c)
}

func (p *plain) outside(c byte) {
	switch c {
	case ' ', '\t', '\r', '\n':
		return
	case '"':
		p.text = true
		p.naming = p.depth == 1 && p.keep == nil && p.name == nil
		if p.naming {
			p.name = []byte{}
		}
	case '{', '[':
		p.depth++
	case '}', ']':
		if p.depth--; p.depth <= 0 {
			p.done, p.keep = true, nil
			return
		}
	case ':':
		if p.depth == 1 {
			p.naming = false
			switch string(p.name) {
			case "usage":
				p.keep = &p.record
				p.found++
				return
			case "service_tier":
				p.keep = &p.tier
				return
			}
		}
	case ',':
		if p.depth == 1 {
			p.keep, p.name = nil, nil
			return
		}
	}
	if p.depth == 0 {
		p.invalid = true
		return
	}
	p.hold(c)
}

// hold appends a byte to the value that is kept.
func (p *plain) hold(c byte) {
	if p.keep != nil && len(*p.keep) <= maxRecord {
		*p.keep = append(*p.keep, c)
	}
}

// usage returns the report. Two reports count as none.
func (p *plain) usage(shape model.Shape) (Usage, bool) {
	if p.found != 1 || !p.done {
		return Usage{}, false
	}
	u, ok := parseUsage(shape, p.record)
	if u == (Usage{}) {
		return u, ok // nothing was served
	}
	tier, _ := strictjson.String(string(p.tier)) // of OpenAI, beside the record
	u.Tier = cmp.Or(tier, u.Tier)
	return u, ok
}
