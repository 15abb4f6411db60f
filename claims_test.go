// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

func TestNewClaims(t *testing.T) {
	equal(t, "String of the zero Claims", gatehouse.Claims{}.String(), "{}")
	equal(t, "Marshal of the zero Claims", string(must(json.Marshal(gatehouse.Claims{}))), "{}")
	for object, good := range map[string]bool{
		`{}`: true, `{"b":1,"a":[1.50,9007199254740993]}`: true, ` {"a":{"b":[1,"c",null]}} `: true,
		``: false, ` `: false, `null`: false, `[]`: false, `"a"`: false, `1`: false, `true`: false,
		`{`: false, `{"a":1}{}`: false, `{"a":1},`: false, `{"a":01}`: false, `{a:1}`: false, "{}\x00": false,
	} {
		c, err := gatehouse.NewClaims(object)
		if good {
			equal(t, "Marshal of "+object, string(must(json.Marshal(map[string]any{"claims": c}))), `{"claims":`+strings.TrimSpace(object)+`}`)
		}
		if (err == nil) != good || good && c.String() != object || !good && c != (gatehouse.Claims{}) {
			t.Errorf("NewClaims(%q) = %q, %v; want accepted: %v", object, c, err, good)
		}
	}
}

type upper string

func (u *upper) UnmarshalJSON(b []byte) error { *u = upper("saw " + string(b)); return nil }

type ownDecoder struct{ Tenant string }

func (s *ownDecoder) UnmarshalJSON(b []byte) error { s.Tenant = "saw " + string(b); return nil }

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
		`{"slice":[{},{"ROLES":["evil"]}],"SLICE":[{"roles":["evil"]}]}`,
		`{"array":[{"ROLES":["evil"]}]}`,
		`{"Map":{"a":{"ROLES":["evil"]},"b":{"ROLES":["evil"]}},"map":{"a":{"roles":["evil"]}}}`,
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
	return strings.Contains(string(must(json.Marshal(e))), `"evil"`)
}

func TestClaimsDecodeErrors(t *testing.T) {
	var typeError *json.UnmarshalTypeError
	var invalid *json.InvalidUnmarshalError
	var syntax *json.SyntaxError
	for _, test := range []struct {
		object string
		into   any
		want   any // *E, where E is the type of the error
	}{
		{`{"tenant":1}`, new(everything), &typeError},
		{`{"nested":[]}`, new(everything), &typeError},
		{`{"slice":{}}`, new(everything), &typeError},
		{`{"Map":3}`, new(everything), &typeError},
		{`{}`, &[]string{}, &typeError},
		{`{}`, nil, &invalid},
		{`{}`, everything{}, &invalid},
		{`{}`, (*everything)(nil), &invalid},
		{`{"a":`, new(everything), &syntax},
	} {
		if err := gatehouse.VerifiedClaims(test.object).Decode(test.into); !errors.As(err, test.want) {
			t.Errorf("Decode of %s into %T: error = %v, want a %T", test.object, test.into, err, test.want)
		}
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
	f.Fuzz(func(t *testing.T, object string) {
		var got struct {
			Tenant *string `json:"tenant"`
			Inner  *inner  `json:"inner"`
		}
		claims, err := gatehouse.NewClaims(object)
		if err != nil || claims.Decode(&got) != nil {
			return
		}
		var members, within map[string]json.RawMessage // encoding/json matches the keys of a map exactly
		noError(t, json.Unmarshal([]byte(object), &members))
		var tenant *string
		if member := members["tenant"]; member != nil {
			noError(t, json.Unmarshal(member, &tenant))
		}
		equal(t, "tenant", got.Tenant, tenant)
		if got.Inner == nil {
			return
		}
		noError(t, json.Unmarshal(members["inner"], &within))
		var roles []string
		if member, ok := within["roles"]; ok {
			noError(t, json.Unmarshal(member, &roles))
		}
		equal(t, "roles", got.Inner.Roles, roles)
	})
}
