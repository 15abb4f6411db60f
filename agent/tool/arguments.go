// SPDX-License-Identifier: Apache-2.0

package tool

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/gatehouse-go/gatehouse/agent/approval"
)

// Arguments is the type of the arguments of a tool, see [Args].
type Arguments struct {
	decode func(canonical string) (any, error)
	err    error // of the configuration
}

// errArguments is the error for arguments that do not match the type exactly.
var errArguments = errors.New("tool: arguments: a member is missing, unknown, or of another type or case")

// Args returns the type of arguments that are decoded into T, a struct. Decoding is
// strict: the JSON object must have exactly the members of T, each with the same name and
// type. Members with omitempty or omitzero may be missing. null is accepted only where
// encoding T writes it: for a nil pointer, map or slice.
//
// The check needs no schema: the arguments are decoded into T and encoded again, and both
// texts must be equal in canonical JSON. If UnmarshalJSON of a type accepts a form that
// its MarshalJSON does not write, arguments in this form are refused.
func Args[T any]() Arguments {
	if t := reflect.TypeFor[T](); t.Kind() != reflect.Struct {
		return Arguments{decode: func(string) (any, error) { return nil, errArguments }, err: fmt.Errorf("%v: want a struct", t)}
	}
	return Arguments{decode: func(canonical string) (any, error) {
		value := new(T)
		if err := json.Unmarshal([]byte(canonical), value); err != nil {
			return nil, errArguments // the cause may quote the arguments
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, errArguments
		}
		if again, err := approval.Canonical(text); err != nil || again != canonical {
			return nil, errArguments
		}
		return value, nil
	}}
}

// read returns the decoded arguments and their canonical text. Missing arguments count as
// an empty object.
func (a Arguments) read(arguments []byte, limit int) (value any, canonical string, err error) {
	if len(arguments) > limit {
		return nil, "", fmt.Errorf("tool: arguments: %d bytes: at most %d", len(arguments), limit)
	}
	if len(arguments) == 0 {
		arguments = []byte("{}")
	}
	if canonical, err = approval.Canonical(arguments); err != nil {
		return nil, "", err
	}
	value, err = a.decode(canonical)
	return value, canonical, err
}
