// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Claims is an immutable JSON object: what the issuer of a credential says
// beyond the fields of [Principal]. The zero value is an empty object.
type Claims struct{ json string }

// NewClaims makes Claims of one JSON object. Authenticators call it with bytes
// that they have verified; whether the object is free of duplicate members is
// theirs to check.
func NewClaims(object string) (Claims, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &members); err != nil || members == nil {
		return Claims{}, errors.New("gatehouse: claims are not a JSON object")
	}
	return Claims{object}, nil
}

// VerifiedClaims makes Claims of a JSON object that the caller has already read
// strictly, without reading it again. It is for authenticators.
func VerifiedClaims(object string) Claims { return Claims{object} }

// Decode stores the claims in the value that v points to, like
// [json.Unmarshal], but for one thing: where v points to a struct, a claim is
// matched to a field by its exact name. Unmarshal would also take "TENANT" for
// a field named "tenant", and an issuer that lets its users name claims would
// then let them name their tenant.
//
// Every call decodes anew, so what v holds is the caller's own.
func (c Claims) Decode(v any) error {
	data := []byte(c.String())
	if names := fieldNames(v); names != nil {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(data, &members); err != nil {
			return fmt.Errorf("gatehouse: decode claims: %w", err)
		}
		for name := range members {
			if !names[name] {
				delete(members, name)
			}
		}
		var err error
		if data, err = json.Marshal(members); err != nil {
			return fmt.Errorf("gatehouse: decode claims: %w", err)
		}
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("gatehouse: decode claims: %w", err)
	}
	return nil
}

// String returns the claims as JSON.
func (c Claims) String() string {
	if c.json == "" {
		return "{}"
	}
	return c.json
}

// MarshalJSON returns the claims as they are.
func (c Claims) MarshalJSON() ([]byte, error) { return []byte(c.String()), nil }

// fieldNames returns the member names that v, a pointer to a struct, asks for,
// and nil if v is something else or decodes itself.
func fieldNames(v any) map[string]bool {
	t := reflect.TypeOf(v)
	if t == nil || t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return nil
	}
	if _, ok := v.(json.Unmarshaler); ok {
		return nil
	}
	names := make(map[string]bool)
	for _, field := range reflect.VisibleFields(t.Elem()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" {
			name = field.Name
		}
		names[name] = true
	}
	return names
}
