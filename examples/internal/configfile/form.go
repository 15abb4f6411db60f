// SPDX-License-Identifier: Apache-2.0

package configfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// form gathers what is wrong with the form of a file: with the names of its
// fields, which encoding/json takes twice and in capitals, and with the types of
// their values, which it calls by their names in Go.
type form struct{ errs []error }

func (f *form) fail(field, format string, args ...any) {
	if field != "" {
		format = strings.ReplaceAll(field, "%", "%%") + ": " + format
	}
	f.errs = append(f.errs, fmt.Errorf(format, args...))
}

// value checks one value, which is JSON. Null is as good as nothing.
func (f *form) value(field string, text []byte, want reflect.Type, example string) {
	if want.Kind() == reflect.Pointer {
		want = want.Elem()
	}
	text = bytes.TrimSpace(text)
	opening, kind := text[0], want.Kind()
	switch {
	case opening == 'n':
	case kind == reflect.Struct && opening == '{':
		f.object(field, text, want)
	case kind == reflect.Slice && opening == '[':
		f.list(field, text, want.Elem())
	case kind == reflect.String && opening == '"':
	default:
		f.fail(field, "has to be %s", describe(want, example))
	}
}

// describe says what a value of a type looks like in a file.
func describe(want reflect.Type, example string) string {
	switch want.Kind() {
	case reflect.Struct:
		if example != "" {
			return "an object: " + example
		}
		return "an object"
	case reflect.Slice:
		switch {
		case want.Elem().Kind() == reflect.Struct:
			return "a list of objects"
		case example != "":
			return fmt.Sprintf("a list: [%q]", example)
		}
		return "a list of strings"
	}
	if example != "" {
		return fmt.Sprintf("a string such as %q", example)
	}
	return "a string"
}

func (f *form) list(field string, text []byte, element reflect.Type) {
	var elements []json.RawMessage
	_ = json.Unmarshal(text, &elements) // it is a list, and JSON
	for i, text := range elements {
		f.value(fmt.Sprintf("%s[%d]", field, i), text, element, "")
	}
}

func (f *form) object(field string, text []byte, want reflect.Type) {
	known := make(map[string]reflect.StructField)
	for _, member := range reflect.VisibleFields(want) {
		if name := member.Tag.Get("json"); name != "" {
			known[name] = member
		}
	}
	seen := make(map[string]bool)
	decoder := json.NewDecoder(bytes.NewReader(text))
	_, _ = decoder.Token() // the brace; nothing can go wrong in what is JSON
	for decoder.More() {
		token, _ := decoder.Token()
		name, _ := token.(string)
		var value json.RawMessage
		_ = decoder.Decode(&value)
		member, ok := known[name]
		switch {
		case seen[name]:
			f.fail(field, "field %q is there twice", name)
		case !ok:
			f.fail(field, "unknown field %q%s", name, suggest(name, known))
		default:
			path := name
			if field != "" {
				path = field + "." + name
			}
			f.value(path, value, member.Type, member.Tag.Get("example"))
		}
		seen[name] = true
	}
}
