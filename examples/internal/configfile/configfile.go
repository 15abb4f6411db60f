// SPDX-License-Identifier: Apache-2.0

// Package configfile reads the configuration files of the example apps: JSON,
// strictly, since these files open doors and are never guessed at.
package configfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Read decodes the file into v, a pointer to a struct whose fields have the names
// of the file in a json tag. Unknown fields, fields that are there twice, values
// of another type, and anything behind the end are errors, with a line for each.
//
// The tag example of a field is shown to who has written something of another
// type: `example:"15m"`.
func Read(path string, v any) error {
	data, err := os.ReadFile(path) //nolint:gosec // it is the operator who names the file
	if err != nil {
		return errors.Unwrap(err) // without the path, which the caller puts in front
	}
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		return locate(data, err)
	}
	var f form
	f.value("", data, reflect.TypeOf(v).Elem(), "")
	if err := errors.Join(f.errs...); err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// locate says where in the file the JSON is broken.
func locate(data []byte, err error) error {
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return err
	}
	at, what := int(syntax.Offset), "not JSON: "+syntax.Error()
	if !strings.Contains(what, "unexpected end") {
		at-- // the character that has been read last is the one that is wrong
	}
	if strings.Contains(what, "after top-level value") {
		what = "there is something behind the end"
	}
	before := string(data[:at])
	line, start := strings.Count(before, "\n")+1, strings.LastIndex(before, "\n")+1
	return fmt.Errorf("line %d, column %d: %s", line, utf8.RuneCountInString(before[start:])+1, what)
}
