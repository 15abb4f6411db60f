// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

var errReply = errors.New("malformed reply of a script")

// parseReply reads the reply of a script: a status word, the server's time, and
// records, each an id and the fields of a hash. state returns the error for a
// status other than "ok". A malformed reply is an error.
func parseReply[R any](reply []any, state func(word string) error, parse func(id string, asOf time.Time, f *fields) R) ([]R, error) {
	if len(reply) == 0 {
		return nil, errReply
	}
	if word, _ := reply[0].(string); word != "ok" {
		return nil, state(word)
	}
	if len(reply) < 2 {
		return nil, errReply
	}
	text, _ := reply[1].(string)
	asOf, err := parseTime(text)
	if err != nil {
		return nil, errReply
	}
	records := make([]R, 0, len(reply)-2)
	for _, item := range reply[2:] {
		id, f, err := parseFields(item)
		if err != nil {
			return nil, err
		}
		r := parse(id, asOf, f)
		if f.err != nil {
			return nil, fmt.Errorf("record %s: %w", id, f.err)
		}
		records = append(records, r)
	}
	return records, nil
}

// parseFields reads an id and the fields and values of its hash.
func parseFields(item any) (id string, f *fields, err error) {
	pair, _ := item.([]any)
	if len(pair) != 2 {
		return "", nil, errReply
	}
	id, ok := pair[0].(string)
	flat, isFlat := pair[1].([]any)
	if !ok || !isFlat || len(flat)%2 != 0 {
		return "", nil, errReply
	}
	f = &fields{values: make(map[string]string, len(flat)/2)}
	for i := 0; i < len(flat); i += 2 {
		name, ok := flat[i].(string)
		value, isText := flat[i+1].(string)
		if !ok || !isText {
			return "", nil, errReply
		}
		f.values[name] = value
	}
	return id, f, nil
}

// fields are the fields of a hash, with the first error of reading one.
type fields struct {
	values map[string]string
	err    error
}

func read[T any](f *fields, name string, parse func(string) (T, error)) T {
	value, err := parse(f.values[name])
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("%s is malformed", name)
	}
	return value
}

// optional reads a field that may be absent. Absent means the zero value.
func optional[T any](f *fields, name string, parse func(string) (T, error)) T {
	if _, ok := f.values[name]; !ok {
		var zero T
		return zero
	}
	return read(f, name, parse)
}

func parseInt(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) }

func parseTime(text string) (time.Time, error) {
	n, err := parseInt(text)
	return time.UnixMicro(n).UTC(), err
}
