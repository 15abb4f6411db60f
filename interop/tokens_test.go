// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// flips returns the tokens with one bit flipped: six for each character of
// base64url, and one for a dot, which becomes a letter.
func flips(token string) (flipped []string) {
	for i := range len(token) {
		value := strings.IndexByte(base64url, token[i])
		if value < 0 {
			flipped = append(flipped, token[:i]+"A"+token[i+1:])
			continue
		}
		for bit := range 6 {
			flipped = append(flipped, token[:i]+string(base64url[value^1<<bit])+token[i+1:])
		}
	}
	return flipped
}

// split returns header and claims of a token as JSON, and the encoded signature.
func split(t *testing.T, token string) (header, claims, signature string) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("the token has %d parts, want 3", len(parts))
	}
	var text [2]string
	for i := range text {
		b := must(base64.RawURLEncoding.DecodeString(parts[i]))
		text[i] = string(b)
	}
	return text[0], text[1], parts[2]
}

// join is the inverse of split.
func join(header, claims, signature string) string {
	return encode([]byte(header)) + "." + encode([]byte(claims)) + "." + signature
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// object is a JSON object that keeps the order and the text of its members.
type object []member

type member struct{ name, value string }

func parse(t *testing.T, text string) (o object) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	if _, err := decoder.Token(); err != nil {
		t.Fatal(err)
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
		o = append(o, member{name.(string), string(value)})
	}
	if o.String() != text {
		t.Fatalf("%s is written as %s", text, o)
	}
	return o
}

func (o object) String() string {
	members := make([]string, len(o))
	for i, m := range o {
		members[i] = `"` + m.name + `":` + m.value
	}
	return "{" + strings.Join(members, ",") + "}"
}

func (o object) get(name string) string {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return ""
}

// variant is an object with one thing changed.
type variant struct{ name, text string }

// variants returns the object with each member removed, changed, renamed and
// repeated, with each addition that it does not have, in another order, and with a
// space behind it.
func (o object) variants(additions object) (all []variant) {
	for i, m := range o {
		with := func(what string, members ...member) {
			all = append(all, variant{m.name + " " + what, slices.Concat(o[:i], members, o[i+1:]).String()})
		}
		other := member{m.name, change(m.value)}
		with("removed")
		with("changed", other)
		with("null", member{m.name, "null"})
		with("renamed", member{strings.ToUpper(m.name), m.value})
		with("twice", m, m)
		with("changed behind", m, other)
		with("changed in front", other, m)
	}
	for _, m := range additions {
		if o.get(m.name) == "" {
			all = append(all, variant{m.name + " added", slices.Concat(o, object{m}).String()})
		}
	}
	reversed := slices.Clone(o)
	slices.Reverse(reversed)
	return append(all, variant{"order reversed", reversed.String()}, variant{"space added", o.String() + " "})
}

// change returns another JSON value of the same type.
func change(value string) string {
	switch value[0] {
	case '"':
		return value[:len(value)-1] + `x"`
	case '[':
		return `["x"]`
	case '{':
		return `{"x":1}`
	case 't':
		return "false"
	case 'f':
		return "true"
	}
	return value + "0"
}
