// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/apikey"
)

// maxMetadata is more than a key may have.
const maxMetadata = 64 << 10

// metadata returns the metadata of a key: the JSON object in the file, if one is
// named, and the roles as its member "roles". Servers read them from the Claims of the
// caller. Caps that they would not accept are refused here.
func metadata(file string, roles []string) (gatehouse.Claims, error) {
	if file == "" && len(roles) == 0 {
		return gatehouse.Claims{}, nil
	}
	members := make(map[string]json.RawMessage)
	if file != "" {
		if err := readObject(file, members); err != nil {
			return gatehouse.Claims{}, fmt.Errorf("-metadata: %w", err)
		}
	}
	if len(roles) > 0 {
		if _, ok := members["roles"]; ok {
			return gatehouse.Claims{}, errors.New("-role: the file of -metadata has roles too")
		}
		if _, err := gatehouse.NewRoles(roles...); err != nil {
			return gatehouse.Claims{}, fmt.Errorf("-role: %w", err)
		}
		text, err := json.Marshal(roles)
		if err != nil {
			return gatehouse.Claims{}, err
		}
		members["roles"] = text
	}
	text, err := json.Marshal(members)
	if err != nil {
		return gatehouse.Claims{}, fmt.Errorf("-metadata: %w", err)
	}
	claims, err := gatehouse.NewClaims(string(text))
	if err != nil {
		return gatehouse.Claims{}, err
	}
	var known struct {
		Roles []string `json:"roles"`
	}
	if err := claims.Decode(&known); err != nil {
		return gatehouse.Claims{}, fmt.Errorf("-metadata: %w", err)
	}
	if _, err := gatehouse.NewRoles(known.Roles...); err != nil {
		return gatehouse.Claims{}, fmt.Errorf("-metadata: roles: %w", err)
	}
	if _, err := budget.CapsOf(gatehouse.Principal{Method: apikey.Method, Claims: claims}); err != nil {
		return gatehouse.Claims{}, fmt.Errorf("-metadata: %w", errors.Unwrap(err))
	}
	return claims, nil
}

// readObject reads the members of one JSON object. A name that is there twice is an
// error: programs differ in which one they take.
func readObject(file string, members map[string]json.RawMessage) error {
	f, err := os.Open(file) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	decoder := json.NewDecoder(io.LimitReader(f, maxMetadata))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	for decoder.More() {
		var value json.RawMessage
		name, err := decoder.Token()
		if err == nil {
			err = decoder.Decode(&value)
		}
		if err != nil {
			return errors.New("not a JSON object")
		}
		text, _ := name.(string)
		if _, ok := members[text]; ok {
			return fmt.Errorf("%q is there twice", text)
		}
		members[text] = value
	}
	if _, err := decoder.Token(); err != nil {
		return errors.New("not a JSON object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind the JSON object")
	}
	return nil
}
