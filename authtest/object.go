// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Claims are claims of a token by name. encoding/json encodes the values; nil
// removes a claim, and json.RawMessage("null") is a JSON null.
type Claims map[string]any

// Header are header parameters of a token by name, with the rules of [Claims].
type Header map[string]any

func (c Claims) clone() Claims { return maps.Clone(c) }

// object is a JSON object. Names and values are JSON text and are not checked, so
// that it can be malformed.
type object []member

type member struct{ name, value string }

// set replaces a member or adds it at the end.
func (o object) set(name, value string) object {
	name = quote(name)
	if n := slices.IndexFunc(o, func(m member) bool { return m.name == name }); n >= 0 {
		o = slices.Clone(o)
		o[n].value = value
		return o
	}
	return o.append(name, value)
}

// append adds a member even if there is one of this name. The name is JSON text.
func (o object) append(name, value string) object {
	return append(slices.Clip(o), member{name, value})
}

// prepend adds a member at the start, like append.
func (o object) prepend(name, value string) object {
	return append(object{{name, value}}, o...)
}

// rename gives a member another name, which is JSON text.
func (o object) rename(name, to string) object {
	o = slices.Clone(o)
	for n := range o {
		if o[n].name == quote(name) {
			o[n].name = to
		}
	}
	return o
}

func (o object) without(name string) object {
	name = quote(name)
	return slices.DeleteFunc(slices.Clone(o), func(m member) bool { return m.name == name })
}

func (o object) value(name string) string {
	for _, m := range o {
		if m.name == quote(name) {
			return m.value
		}
	}
	return ""
}

// merge sets the members of Claims or Header.
func (o object) merge(members map[string]any) object {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if members[name] == nil {
			o = o.without(name)
			continue
		}
		o = o.set(name, marshal(members[name]))
	}
	return o
}

func (o object) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for n, m := range o {
		if n > 0 {
			b.WriteByte(',')
		}
		b.WriteString(m.name)
		b.WriteByte(':')
		b.WriteString(m.value)
	}
	b.WriteByte('}')
	return b.String()
}

func quote(s string) string { return marshal(s) }

// marshal returns v as JSON and does not escape <, > and &.
func marshal(v any) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(fmt.Errorf("authtest: token: %w", err))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func encode[T ~string | ~[]byte](b T) string { return base64.RawURLEncoding.EncodeToString([]byte(b)) }

// signingInput returns the text of a JWS that is signed, RFC 7515 section 7.1.
func signingInput(header, payload object) string {
	return encode(header.String()) + "." + encode(payload.String())
}
