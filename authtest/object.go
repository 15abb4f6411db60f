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

// Claims are claims of a token by name. Values are what encoding/json takes;
// nil takes a claim away that would otherwise be there, and
// json.RawMessage("null") is a JSON null.
type Claims map[string]any

// Header are header parameters of a token by name, to the same rules as
// [Claims].
type Header map[string]any

func (c Claims) clone() Claims { return maps.Clone(c) }

// object is a JSON object in the making. Names and values are JSON text and
// are not checked, so that it can be wrong in every way.
type object []member

type member struct{ name, value string }

// set replaces the member or adds it at the end.
func (o object) set(name, value string) object {
	name = quote(name)
	if n := slices.IndexFunc(o, func(m member) bool { return m.name == name }); n >= 0 {
		o = slices.Clone(o)
		o[n].value = value
		return o
	}
	return o.append(name, value)
}

// append adds a member whatever is there already. The name is JSON text.
func (o object) append(name, value string) object {
	return append(slices.Clip(o), member{name, value})
}

// prepend is append at the front.
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

// merge sets members as Claims and Header have them.
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

// marshal returns v as JSON, leaving <, > and & as they are.
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
