// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"errors"
	"strings"

	"github.com/gatehouse-go/gatehouse/internal/text"
)

// challenge is one challenge of a WWW-Authenticate header.
type challenge struct {
	scheme string
	params map[string]string // names in lower case
}

var errChallenge = errors.New("malformed, RFC 9110 section 11.6.1")

// parseChallenges reads the values of WWW-Authenticate headers strictly.
//
//	RFC 9110 §11.3: challenge = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
//	RFC 9110 §11.2: auth-param = token BWS "=" BWS ( token / quoted-string )
func parseChallenges(values []string) ([]challenge, error) {
	var all []challenge
	for _, value := range values {
		p := &challengeParser{rest: value}
		for {
			p.skip(" \t")
			c, ok := p.challenge()
			if !ok {
				return nil, errChallenge
			}
			all = append(all, c)
			if p.rest == "" {
				break
			}
		}
	}
	return all, nil
}

type challengeParser struct{ rest string }

func (p *challengeParser) skip(cutset string) { p.rest = strings.TrimLeft(p.rest, cutset) }

func (p *challengeParser) take(s string) bool {
	rest, ok := strings.CutPrefix(p.rest, s)
	p.rest = rest
	return ok
}

func (p *challengeParser) token() string {
	end := 0
	for end < len(p.rest) && text.IsTokenChar(p.rest[end]) {
		end++
	}
	token := p.rest[:end]
	p.rest = p.rest[end:]
	return token
}

// challenge reads one challenge and the comma after it.
func (p *challengeParser) challenge() (challenge, bool) {
	c := challenge{scheme: p.token(), params: make(map[string]string)}
	if c.scheme == "" {
		return c, false
	}
	if p.rest == "" || p.comma() {
		return c, true
	}
	if !p.take(" ") {
		return c, false
	}
	p.skip(" ")
	end := strings.IndexAny(p.rest+",", ", \t")
	isName := strings.HasPrefix(strings.TrimLeft(p.rest[end:], " \t"), "=") // a = b
	if text.IsToken68(p.rest[:end]) && !isName {
		p.rest = p.rest[end:]
		return c, p.rest == "" || p.comma()
	}
	for {
		before := p.rest
		name, value, ok := p.param()
		if !ok {
			// The token can be the scheme of the next challenge.
			p.rest = before
			return c, len(c.params) > 0
		}
		if _, twice := c.params[name]; twice {
			return c, false // RFC 9110 §11.2: "each parameter name MUST only occur once per challenge"
		}
		c.params[name] = value
		if p.rest == "" {
			return c, true
		}
		if !p.comma() {
			return c, false
		}
	}
}

func (p *challengeParser) comma() bool {
	before := p.rest
	p.skip(" \t")
	if !p.take(",") {
		p.rest = before
		return false
	}
	p.skip(" \t,")
	return true
}

func (p *challengeParser) param() (name, value string, ok bool) {
	name = strings.ToLower(p.token())
	p.skip(" \t")
	if name == "" || !p.take("=") {
		return "", "", false
	}
	p.skip(" \t")
	if !p.take(`"`) {
		value = p.token()
		return name, value, value != ""
	}
	var b strings.Builder
	for n := 0; n < len(p.rest); n++ {
		switch c := p.rest[n]; {
		case c == '"':
			p.rest = p.rest[n+1:]
			return name, b.String(), true
		case c == '\\' && n+1 < len(p.rest) && p.rest[n+1] >= ' ' && p.rest[n+1] != 0x7f:
			n++
			b.WriteByte(p.rest[n])
		case c == '\\' || c < ' ' && c != '\t' || c == 0x7f:
			return "", "", false
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}
