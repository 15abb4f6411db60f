// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gatehouse-go/gatehouse"
)

// maxMetadata is the largest file, in bytes. The library has a lower limit.
const maxMetadata = 64 << 10

// metadata returns the metadata of a key: the object in the file, if there is one, and
// the roles as its member roles. Applications read both, so only the operator of this
// command can set them.
func metadata(path string, roles []string) (gatehouse.Claims, error) {
	members := make(map[string]json.RawMessage)
	if path != "" {
		text, err := readFile(path)
		if err != nil {
			return gatehouse.Claims{}, fmt.Errorf("-metadata: %w", err)
		}
		if members, err = object(text); err != nil {
			return gatehouse.Claims{}, fmt.Errorf("-metadata: %s: %w", path, err)
		}
	}
	if _, ok := members["roles"]; ok {
		return gatehouse.Claims{}, errors.New("-metadata: roles: use -role")
	}
	if len(roles) > 0 {
		if _, err := gatehouse.NewRoles(roles...); err != nil {
			return gatehouse.Claims{}, fmt.Errorf("-role: %w", err)
		}
		members["roles"], _ = json.Marshal(roles) // cannot fail
	}
	if len(members) == 0 {
		return gatehouse.Claims{}, nil
	}
	text, err := json.Marshal(members)
	if err != nil {
		return gatehouse.Claims{}, err
	}
	return gatehouse.NewClaims(string(text))
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxMetadata+1))
	if err == nil && len(text) > maxMetadata {
		err = fmt.Errorf("%s has more than %d bytes", path, maxMetadata)
	}
	return text, err
}

// object decodes one JSON object. A member that occurs twice is an error, because a limit
// could be the one or the other.
func object(text []byte) (map[string]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	members := make(map[string]json.RawMessage)
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, errors.New("malformed JSON")
		}
		if _, ok := members[name]; ok {
			return nil, fmt.Errorf("member %q occurs twice", name)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, errors.New("malformed JSON")
		}
		members[name] = value
	}
	if _, err := decoder.Token(); err != nil { // the closing brace
		return nil, errors.New("malformed JSON")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("data after the JSON object")
	}
	return members, nil
}
