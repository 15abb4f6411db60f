// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

func TestNewClaims(t *testing.T) {
	for object, good := range map[string]bool{
		`{}`: true, `{"a":1}`: true, ` {"a":{"b":[1,"c",null]}} `: true,
		``: false, ` `: false, `null`: false, `[]`: false, `"a"`: false, `1`: false, `true`: false,
		`{`: false, `{"a":1}{}`: false, `{"a":1},`: false, `{"a":01}`: false, `{a:1}`: false, "{}\x00": false,
	} {
		c, err := gatehouse.NewClaims(object)
		equal(t, fmt.Sprintf("NewClaims(%q) accepted", object), err == nil, good)
		if want := object; good && c.String() != want || !good && c != (gatehouse.Claims{}) {
			t.Errorf("NewClaims(%q) = %q", object, c)
		}
	}
	if c := gatehouse.VerifiedClaims(`{"a":1}`); c.String() != `{"a":1}` {
		t.Errorf("VerifiedClaims = %q", c)
	}
	equal(t, "String of the zero value", (gatehouse.Claims{}).String(), "{}")
}

func TestClaimsMarshal(t *testing.T) {
	for _, object := range []string{"", `{"b":1,"a":[1.50,9007199254740993]}`} {
		c := gatehouse.VerifiedClaims(object)
		got, err := json.Marshal(map[string]any{"claims": c})
		if want := `{"claims":` + c.String() + `}`; err != nil || string(got) != want {
			t.Errorf("Marshal = %s, %v; want %s", got, err, want)
		}
	}
}

type upper string

func (u *upper) UnmarshalJSON(b []byte) error {
	*u = upper("saw " + string(b))
	return nil
}

type ownDecoder struct{ Tenant string }

func (s *ownDecoder) UnmarshalJSON(b []byte) error {
	s.Tenant = "saw " + string(b)
	return nil
}

type Base struct {
	Issuer string `json:"iss"`
	Plain  string
}

type everything struct {
	Base
	Tenant   string `json:"tenant"`
	NoTag    string
	Empty    string          `json:",omitempty"`
	Number   int64           `json:"n"`
	Text     int64           `json:"text,string"`
	Dash     inner           `json:"-,"`
	Ignored  string          `json:"-"`
	Raw      json.RawMessage `json:"raw"`
	Any      any             `json:"any"`
	Bytes    []byte          `json:"bytes"`
	Time     time.Time       `json:"time"`
	Upper    upper           `json:"upper"`
	Own      ownDecoder      `json:"own"`
	Pointer  *inner          `json:"pointer"`
	Nested   inner           `json:"nested"`
	Slice    []inner         `json:"slice"`
	Array    [1]inner        `json:"array"`
	Map      map[string]inner
	Deep     map[int][]*inner `json:"deep"`
	unseen   string
	Seen     string       `json:"UNSEEN"`
	Children []everything `json:"children"`
}

type inner struct {
	Roles []string `json:"roles"`
	Open  map[string]any
}

func TestClaimsDecode(t *testing.T) {
	claims := gatehouse.VerifiedClaims(`{
		"iss":"https://a.example","Plain":"p","tenant":"acme","NoTag":"x","Empty":"e","n":9007199254740993,"text":"7","-":{"roles":["d"]},
		"raw":{"ROLES":1},"any":{"ROLES":[1]},"bytes":"aGk=","time":"2030-01-02T03:04:05Z","upper":{"A":1},"own":{"TENANT":1},
		"pointer":{"roles":["a"],"Open":{"OPEN":true}},"nested":{"roles":["b"]},"slice":[{"roles":["c"]},null,{}],"array":[{"roles":["d"]}],
		"Map":{"Roles":{"roles":["e"]}},"deep":{"1":[{"roles":["f"]},null]},"children":[{"tenant":"child","children":[{"tenant":"grandchild"}]}],
		"unknown":{"tenant":"x"}
	}`)
	want := everything{
		Base: Base{Issuer: "https://a.example", Plain: "p"}, Tenant: "acme", NoTag: "x", Empty: "e", Number: 9007199254740993, Text: 7, Dash: inner{Roles: []string{"d"}},
		Raw: json.RawMessage(`{"ROLES":1}`), Any: map[string]any{"ROLES": []any{1.0}}, Bytes: []byte("hi"), Time: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
		Upper: `saw {"A":1}`, Own: ownDecoder{`saw {"TENANT":1}`},
		Pointer: &inner{Roles: []string{"a"}, Open: map[string]any{"OPEN": true}}, Nested: inner{Roles: []string{"b"}},
		Slice: []inner{{Roles: []string{"c"}}, {}, {}}, Array: [1]inner{{Roles: []string{"d"}}},
		Map: map[string]inner{"Roles": {Roles: []string{"e"}}}, Deep: map[int][]*inner{1: {{Roles: []string{"f"}}, nil}},
		Children: []everything{{Tenant: "child", Children: []everything{{Tenant: "grandchild"}}}},
	}
	for range 2 { // two decoded values share nothing
		var got everything
		noError(t, claims.Decode(&got))
		if !reflect.DeepEqual(got, want) {
			t.Errorf("Decode =\n%+v, want\n%+v", got, want)
		}
		got.Pointer.Roles[0], got.Raw[0] = "evil", '!'
	}
	pointer := new(everything)
	if err := claims.Decode(&pointer); err != nil || pointer.Tenant != "acme" {
		t.Errorf("Decode = %+v, %v", pointer, err)
	}
	var m map[string]any
	if err := claims.Decode(&m); err != nil || m["tenant"] != "acme" || len(m) != 22 {
		t.Errorf("Decode into a map: %d members, %+v, %v", len(m), m, err)
	}
	if err := (gatehouse.Claims{}).Decode(pointer); err != nil || pointer.Tenant != "acme" {
		t.Errorf("Decode = %+v, %v", pointer, err)
	}
}

// encoding/json takes "TENANT" for "tenant", and U+017F for "s". Decode does
// not, at any depth.
func TestClaimsDecodeMatchesExactNames(t *testing.T) {
	for _, object := range []string{
		`{"TENANT":"evil","Tenant":"evil","tenanT":"evil","ISS":"evil","i\u017f\u017f":"evil","notag":"evil","NOTAG":"evil","plain":"evil","Ignored":"evil","N":9,"empty":"evil"}`,
		`{"unseen":"evil"}`,
		`{"-":{"ROLES":["evil"]}}`,
		`{"nested":{"ROLES":["evil"],"Roles":["evil"],"role\u017f":["evil"],"open":{"x":1}}}`,
		`{"pointer":{"ROLES":["evil"]}}`,
		`{"slice":[{"ROLES":["evil"]}],"SLICE":[{"roles":["evil"]}]}`,
		`{"array":[{"ROLES":["evil"]}]}`,
		`{"Map":{"a":{"ROLES":["evil"]}},"map":{"a":{"roles":["evil"]}}}`,
		`{"deep":{"1":[{"ROLES":["evil"]}]}}`,
		`{"children":[{"TENANT":"evil","children":[{"Tenant":"evil"}]}]}`,
	} {
		// The case tests something only if encoding/json accepts it.
		var unsafe, got everything
		noError(t, json.Unmarshal([]byte(object), &unsafe))
		noError(t, gatehouse.VerifiedClaims(object).Decode(&got))
		if !containsEvil(unsafe) {
			t.Errorf("json.Unmarshal ignores %s", object)
		}
		if containsEvil(got) || got.unseen != "" {
			t.Errorf("Decode of %s = %+v", object, got)
		}
	}
	// The exact name wins over a later one in other case.
	var got everything
	if err := gatehouse.VerifiedClaims(`{"tenant":"acme","TENANT":"evil"}`).Decode(&got); err != nil || got.Tenant != "acme" {
		t.Errorf("Decode = %+v, %v", got, err)
	}
}

func containsEvil(e everything) bool {
	b, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	var m any
	if err := json.Unmarshal(b, &m); err != nil {
		panic(err)
	}
	var walk func(any) bool
	walk = func(v any) bool {
		switch v := v.(type) {
		case string:
			return v == "evil"
		case []any:
			if slices.ContainsFunc(v, walk) {
				return true
			}
		case map[string]any:
			for _, v := range v {
				if walk(v) {
					return true
				}
			}
		}
		return false
	}
	return walk(m)
}

func TestClaimsDecodeErrors(t *testing.T) {
	claims := gatehouse.VerifiedClaims(`{"tenant":1,"nested":[],"slice":{},"Map":3,"iss":"a"}`)
	var typeError *json.UnmarshalTypeError
	for name, v := range map[string]any{
		"string": &struct {
			Tenant string `json:"tenant"`
		}{},
		"struct": &struct {
			Nested inner `json:"nested"`
		}{},
		"slice": &struct {
			Slice []inner `json:"slice"`
		}{},
		"map":       &struct{ Map map[string]inner }{},
		"not a map": &[]string{},
	} {
		if err := claims.Decode(v); !errors.As(err, &typeError) {
			t.Errorf("Decode into %s: error = %v", name, err)
		}
	}
	var invalid *json.InvalidUnmarshalError
	for _, v := range []any{nil, everything{}, (*everything)(nil)} {
		if err := claims.Decode(v); !errors.As(err, &invalid) {
			t.Errorf("Decode into %T: error = %v", v, err)
		}
	}
	var syntax *json.SyntaxError
	if err := gatehouse.VerifiedClaims(`{"a":`).Decode(new(everything)); !errors.As(err, &syntax) {
		t.Errorf("%v", err)
	}
}

// A field gets the member of exactly its name, or nothing.
func FuzzClaimsDecode(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"tenant":"a"}`, `{"TENANT":"a"}`, `{"tenant":"a","TENANT":"b"}`, `{"Tenant":"b","tenant":"a"}`,
		`{"inner":{"ROLES":["a"]}}`, `{"inner":{"roles":["a"],"Roles":["b"]}}`, `{"INNER":{"roles":["a"]}}`, `{"inner":null}`,
		`{"tenant":null}`, `{"te\u006eant":"a"}`, `{"inner":[]}`, `{"tenant":1}`,
	} {
		f.Add(seed)
	}
	type outer struct {
		Tenant *string `json:"tenant"`
		Inner  *inner  `json:"inner"`
	}
	f.Fuzz(func(t *testing.T, object string) {
		claims, err := gatehouse.NewClaims(object)
		if err != nil {
			return
		}
		var got outer
		if err := claims.Decode(&got); err != nil {
			return
		}
		var members, within map[string]json.RawMessage
		noError(t, json.Unmarshal([]byte(object), &members))
		equal(t, "tenant decoded", got.Tenant != nil, len(members["tenant"]) > 0 && string(members["tenant"]) != "null")
		if got.Tenant != nil {
			var want string
			if err := json.Unmarshal(members["tenant"], &want); err != nil || want != *got.Tenant {
				t.Errorf("tenant %q, want %q, %v", *got.Tenant, want, err)
			}
		}
		if got.Inner == nil {
			return
		}
		noError(t, json.Unmarshal(members["inner"], &within))
		var want []string
		if roles, ok := within["roles"]; ok {
			noError(t, json.Unmarshal(roles, &want))
		}
		if !reflect.DeepEqual(got.Inner.Roles, want) {
			t.Errorf("roles %q, want %q", got.Inner.Roles, want)
		}
	})
}
