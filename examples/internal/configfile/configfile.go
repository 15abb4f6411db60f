// SPDX-License-Identifier: Apache-2.0

// Package configfile reads the configuration files of the example apps: JSON,
// strictly, since these files open doors and are never guessed at.
package configfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Read decodes the file into v, a pointer to a struct whose fields are named in
// small letters. Unknown fields, fields that are there twice, and anything behind
// the end are errors.
func Read(path string, v any) error {
	data, err := os.ReadFile(path) //nolint:gosec // it is the operator who names the file
	if err != nil {
		return errors.Unwrap(err) // without the path, which the caller puts in front
	}
	if err := checkNames(json.NewDecoder(bytes.NewReader(data))); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("json: there is something behind the end")
	}
	return nil
}

// checkNames reads one JSON value and refuses what encoding/json puts up with:
// names that are there twice, and names that differ from the right ones in
// their case.
func checkNames(decoder *json.Decoder) error {
	opening, err := decoder.Token()
	if err != nil {
		return err
	}
	switch opening {
	case json.Delim('{'):
		seen := make(map[string]bool)
		for decoder.More() {
			token, err := decoder.Token()
			if err != nil {
				return err
			}
			name, _ := token.(string)
			switch {
			case strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "":
				return fmt.Errorf("json: unknown field %q", name)
			case seen[name]:
				return fmt.Errorf("json: field %q is there twice", name)
			}
			seen[name] = true
			if err := checkNames(decoder); err != nil {
				return err
			}
		}
		_, err = decoder.Token()
	case json.Delim('['):
		for decoder.More() {
			if err := checkNames(decoder); err != nil {
				return err
			}
		}
		_, err = decoder.Token()
	}
	return err
}

// Rename puts the names that the file has into an error in which the library
// names its own. They are given in pairs: from, to.
func Rename(err error, names ...string) error {
	if err == nil {
		return nil
	}
	return errors.New(strings.NewReplacer(names...).Replace(err.Error()))
}
