// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Claims is an immutable JSON object: the claims of a credential, including
// those without a field in [Principal]. The zero value is an empty object.
type Claims struct{ json string }

// NewClaims parses one JSON object. Authenticators call it with verified data;
// they must check for duplicate members themselves.
func NewClaims(object string) (Claims, error) {
	var members map[string]json.RawMessage
	_ = json.Unmarshal([]byte(object), &members) // members stays nil unless object is a JSON object
	if members == nil {
		return Claims{}, errors.New("gatehouse: claims: not a JSON object")
	}
	return Claims{object}, nil
}

// VerifiedClaims returns Claims for a JSON object that the caller has already
// parsed strictly. It does not parse the object again. It is for
// authenticators.
func VerifiedClaims(object string) Claims { return Claims{object} }

// Decode stores the claims in the value that v points to, like [json.Unmarshal], except
// that at every depth a member name must equal the name of a struct field exactly.
// [json.Unmarshal] ignores case: it would match "TENANT" to a field named "tenant", and a
// user who can choose claim names could choose a tenant.
//
// A [json.Unmarshaler] gets its part of the object unchanged.
//
// Every call decodes the object again, so v shares no memory with c.
func (c Claims) Decode(v any) error {
	if err := json.Unmarshal(exact([]byte(c.String()), reflect.TypeOf(v)), v); err != nil {
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

// MarshalJSON returns the same as String.
func (c Claims) MarshalJSON() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalJSON reads one JSON object like [NewClaims].
func (c *Claims) UnmarshalJSON(object []byte) (err error) {
	*c, err = NewClaims(string(object))
	return err
}

// extend reports whether the claims have every member of old, unchanged.
func (c Claims) extend(old Claims) bool {
	if c == old {
		return true
	}
	var before, after map[string]json.RawMessage
	_ = json.Unmarshal([]byte(old.String()), &before) // cannot fail: an authenticator has verified it
	if json.Unmarshal([]byte(c.String()), &after) != nil {
		return false
	}
	for name, value := range before {
		if !bytes.Equal(value, after[name]) { //nolint:forbidigo // claims are no secrets
			return false
		}
	}
	return true
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// exact returns data without each member whose name equals a field name of t only if case
// is ignored, at every depth: json.Unmarshal would decode such a member. It keeps values
// of a wrong type, for which Unmarshal returns an error.
func exact(data json.RawMessage, t reflect.Type) json.RawMessage {
	if t == nil || reflect.PointerTo(t).Implements(unmarshaler) {
		return data
	}
	switch t.Kind() {
	case reflect.Pointer:
		return exact(data, t.Elem())
	case reflect.Slice, reflect.Array:
		return rewrite(data, func(elements *[]json.RawMessage) {
			for i, element := range *elements {
				(*elements)[i] = exact(element, t.Elem())
			}
		})
	case reflect.Map:
		return rewrite(data, func(members *map[string]json.RawMessage) {
			for name, member := range *members {
				(*members)[name] = exact(member, t.Elem())
			}
		})
	case reflect.Struct:
		fields := fieldsOf(t)
		return rewrite(data, func(members *map[string]json.RawMessage) {
			for name, member := range *members {
				if field, ok := fields[name]; ok {
					(*members)[name] = exact(member, field)
				} else {
					delete(*members, name)
				}
			}
		})
	}
	return data
}

// rewrite decodes data into a T, calls change and encodes the T again.
func rewrite[T any](data json.RawMessage, change func(*T)) json.RawMessage {
	var parts T
	if err := json.Unmarshal(data, &parts); err != nil {
		return data
	}
	change(&parts)
	rewritten, _ := json.Marshal(parts) // cannot fail: parts was decoded from JSON
	return rewritten
}

// fieldsOf returns the types of the fields of a struct by JSON name.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := make(map[string]reflect.Type)
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case !field.IsExported() || field.Tag.Get("json") == "-":
		case name != "":
			fields[name] = field.Type
		case !field.Anonymous:
			fields[field.Name] = field.Type
		}
	}
	return fields
}
