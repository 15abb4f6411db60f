// SPDX-License-Identifier: Apache-2.0

package strictjson_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/alloctest"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

var limits = strictjson.Limits{Depth: 4, Members: 50}

func read(text string) (names, values []string, err error) {
	err = strictjson.Object(text, limits, func(name, value string) error {
		names, values = append(names, name), append(values, value)
		return nil
	})
	return names, values, err
}

func TestObject(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                            ``,
		" \t\r\n{ \t\r\n} \t\r\n":       ``,
		`{"a":1}`:                       `a=1`,
		` { "a" : 1 , "b" : [ ] } `:     `a=1 b=[ ]`,
		`{"":""}`:                       `=""`,
		`{"a":{"a":{"a":1}}}`:           `a={"a":{"a":1}}`,
		`{"a":[1,"2",null,true,false]}`: `a=[1,"2",null,true,false]`,
		`{"\u0061\n":1}`:                "a\n=1",
		`{"\ud83d\ude00":1}`:            "😀=1",
		`{"é":"é"}`:                     `é="é"`,
		`{"a":-0.5e+10,"b":0,"c":1E-2}`: `a=-0.5e+10 b=0 c=1E-2`,
		`{"a":9,"b":19}`:                `a=9 b=19`,
		`{"é":"a b"}`:                   `é="a b"`,
		`{"a":"\"\\\/\b\f\n\r\t"}`:      `a="\"\\\/\b\f\n\r\t"`,
		`{"a":[[[]]]}`:                  `a=[[[]]]`,
		`{"a":{"x":1},"b":{"x":1}}`:     `a={"x":1} b={"x":1}`,
	} {
		names, values, err := read(text)
		var got []string
		for n := range names {
			got = append(got, names[n]+"="+values[n])
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("Object(%s) = %q, %v, want %q", text, got, err, want)
		}
	}
}

// Covers RFC 7515 §4, §10.12; RFC 7519 §4 (unique), §7.2 (UTF-8); RFC 8725
// §3.7; RFC 8259 §6.
func TestObjectRejects(t *testing.T) {
	for _, text := range []string{wide(50), `{"a":[` + strings.Repeat("1,", 48) + `1]}`} {
		if _, _, err := read(text); err != nil {
			t.Errorf("Object(%.80q) error = %v, want nil", text, err)
		}
	}
	for _, text := range []string{
		``, ` `, `null`, `[]`, `"x"`, `1`, `true`, `{`, `}`, `{}{}`, `{} x`, `{},`, "\ufeff{}", `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`,
		`{"a":1 "b":2}`, `{"a" 1}`, `{a:1}`, `{'a':1}`, `{"a":'x'}`, `{"a":1;"b":2}`, `{a":1}`, `{":1}`, "{\"\n:1}", `{"a":"}`, "{\"a\":\"\n}", `{"a":{"b"}`, "{\f}", `{"a":tru}`, `{"a":nul}`, `{"a":True}`, `{1:1}`, `{"a":fooo,"b":true}`,
		`{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1 2]}`, `{"a":[1}`, `{"a":[`, `{"a":{"b":1}`, `{"a":{"b"}}`, `{"a":"`, `{"a":"\`, `{"a":"\"`, `{"a`,
		"{\"a\":\"\n\"}", "{\"a\":\"\x00\"}", "{\"a\":\"\x1f\"}", "{\"a\n\":1}", "{\"a\":1}\x00", "{\v}", "{\u00a0}",
		`{"a":01}`, `{"a":+1}`, `{"a":1.}`, `{"a":.1}`, `{"a":1e}`, `{"a":1e+}`, `{"a":1e+-1}`, `{"a":-}`, `{"a":--1}`, `{"a":0x1}`, `{"a":NaN}`, `{"a":1_0}`,
		`{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\u12g4"}`, `{"a":"\U1234"}`, `{"\u12":1}`, `{"\q":1}`,
		`{"a":"\ud800"}`, `{"a":"\udc00"}`, `{"a":"\ud800\ud800"}`, `{"a":"\ud800x"}`, `{"a":"\ud800\u0041"}`, `{"a":"\ud800\n"}`, `{"a":"\ud800\u12"}`, `{"a":"\ud800\udc0"}`, `{"a":"\ud800\udc0g"}`,
		`{"\ud800":1}`, "{\"a\":\"\xff\"}", "{\"\xc0\xaf\":1}", "{\"a\":\"\xed\xa0\x80\"}",
		`{"a":1,"a":1}`, `{"a":1,"A":1}`, `{"a":1,"\u0061":1}`, `{"x":{"a":1,"a":1}}`, `{"x":[{"a":1,"b":2,"a":1}]}`, `{"s":1,"ſ":1}`, `{"k":1,"K":1}`,
		`{"é":1,"É":1}`, `{"a":1,"b":{},"a":1}`, `{"":1,"":1}`,
		`{"a":[[[[]]]]}`, `{"a":{"a":{"a":{"a":{}}}}}`, wide(51), `{"a":` + wide(50) + `}`, `{"a":[` + strings.Repeat("1,", 49) + `1]}`,
	} {
		if _, _, err := read(text); err == nil {
			t.Errorf("Object(%.80q) error = nil, want one", text)
		}
	}
}

// Every character of a string is checked, wherever it is in the text.
func TestEveryCharacterIsChecked(t *testing.T) {
	for n := range 20 {
		for c, want := range map[string]bool{
			"\x00": false, "\n": false, "\x1f": false, `\q`: false, "\xff": false, "\x80": false,
			" ": true, "[": true, "]": true, "\x7f": true, "é": true, `\n`: true, "!": true, "|": true, "<": true,
		} {
			text := `{"a":"` + strings.Repeat("x", n) + c + strings.Repeat("x", 20-n) + `"}`
			if _, _, err := read(text); (err == nil) != want {
				t.Errorf("Object(%q) error = %v, want accepted %t", text, err, want)
			}
		}
	}
}

func TestMemberEndsReading(t *testing.T) {
	stop := errors.New("stop")
	calls := 0
	err := strictjson.Object(`{"a":1,"b":2}`, limits, func(string, string) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("Object error = %v after %d calls, want %v after 1", err, calls, stop)
	}
}

// Covers RFC 7519 §7.3.
func TestString(t *testing.T) {
	for value, want := range map[string]string{`""`: "", `"a"`: "a", `"\u0041\ud83d\ude00\/"`: "A😀/", `"\u09aF\ufA0f"`: "\u09af\ufa0f", `"a\\b\"c"`: `a\b"c`, `"\b\f\n\r\t"`: "\b\f\n\r\t"} {
		if got, ok := strictjson.String(value); !ok || got != want {
			t.Errorf("String(%s) = %q, want %q", value, got, want)
		}
	}
	for _, value := range []string{
		``, `1`, `null`, `[]`, `{}`, `true`, `"\q"`, `"\"`, `"\u12/4"`, `"\u12:4"`, `"\u12@4"`, `"\u12G4"`, "\"\\u12`4\"", `"\u12g4"`, `"\ud83dxxde00\u0041"`,
	} {
		if _, ok := strictjson.String(value); ok {
			t.Errorf("String(%s) = true, want false", value)
		}
	}
}

func TestStrings(t *testing.T) {
	collect := func(value string) (list []string, ok bool) {
		ok = strictjson.Strings(value, func(s string) bool { list = append(list, s); return s != "stop" })
		return list, ok
	}
	for value, want := range map[string]string{`[]`: "", `[ ]`: "", `["a"]`: "a", `["a" , "\u0062"]`: "a b"} {
		if got, ok := collect(value); !ok || strings.Join(got, " ") != want {
			t.Errorf("Strings(%s) = %q, want %q", value, got, want)
		}
	}
	for _, value := range []string{``, `"a"`, `null`, `{}`, `[1]`, `["a",1]`, `[["a"]]`, `[null]`, `["stop","a"]`, `["a",{}]`, `"a"]`} {
		if got, ok := collect(value); ok {
			t.Errorf("Strings(%s) = true with %q, want false", value, got)
		}
	}
}

func TestFold(t *testing.T) {
	for name, want := range map[string]string{"iss": "iss", "ISS": "iss", "iſſ": "iss", "\u212aid": "kid", "é": "É", "É": "É", "ς": "Σ", "σ": "Σ", "Σ": "Σ", "iSs": "iss", "": "", "x5t#S256": "x5t#s256", "AZ": "az", "Z": "z"} {
		if got := strictjson.Fold(name); got != want {
			t.Errorf("Fold(%q) = %q, want %q", name, got, want)
		}
	}
	for _, pair := range [][2]string{{"Straße", "straSSe"}, {"σ", "τ"}} {
		if strictjson.Fold(pair[0]) == strictjson.Fold(pair[1]) {
			t.Errorf("Fold(%q) = Fold(%q), want different ones", pair[0], pair[1])
		}
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	text := `{"iss":"https://auth.example.com","sub":"alice","aud":["a","b"],"exp":1,"iat":2,"nested":{"deep":[1,2,{"x":"y"}]}}`
	count := 0
	alloctest.AtMost(t, 0, func() {
		if err := strictjson.Object(text, limits, func(name, value string) error { count += len(name) + len(value); return nil }); err != nil {
			t.Error(err)
		}
	})
}

// Accepted text is JSON, has the members that encoding/json finds, and has the same
// members after it is encoded and read again.
//
// Covers RFC 7515 §10.12; RFC 7519 §7.2 (UTF-8).
func FuzzObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1}`, `{"a":{"b":[1,"x",null]}}`, `{"\u0061":"\ud83d\ude00"}`, `{"a":1,"A":2}`, `{"a":-1.5e3}`, `{"é":"\/"}`, "{\"a\":\"\xff\"}",
		`{"a":1}x`, `{"a":"\ud800"}`, `[`, `{"a":1,"a":1}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		names, values, err := read(text)
		var members map[string]json.RawMessage
		library := json.Unmarshal([]byte(text), &members)
		if err != nil {
			return
		}
		if library != nil || len(members) != len(names) {
			t.Fatalf("Object(%q) finds %d members, encoding/json %d and %v", text, len(names), len(members), library)
		}
		for n, name := range names {
			if got, ok := members[name]; !ok || string(got) != values[n] {
				t.Fatalf("Object(%q): member %q = %q, want %q", text, name, values[n], got)
			}
			if s, ok := strictjson.String(values[n]); ok {
				var want string
				if err := json.Unmarshal([]byte(values[n]), &want); err != nil || s != want {
					t.Fatalf("Object(%q): String = %q, want %q", text, s, want)
				}
			}
		}
		written, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := read(string(written))
		if err != nil || len(again) != len(names) {
			t.Fatalf("Object(%q) encoded as %q = %q, %v", text, written, again, err)
		}
	})
}

// Members and Array are as strict as Object, and return the raw values.
func TestMembersAndArray(t *testing.T) {
	limits := strictjson.Limits{Depth: 3, Members: 10}
	text := ` {"a" : 1.0 ,"b\u0063":[ 1, {"x":"y"} ] } `
	var got []string
	err := strictjson.Members(text, limits, func(name string, start, end int) error {
		got = append(got, name+"="+text[start:end])
		return nil
	})
	if want := []string{"a=1.0", `bc=[ 1, {"x":"y"} ]`}; err != nil || !slices.Equal(got, want) {
		t.Errorf("Members(%s) = %q, %v, want %q", text, got, err, want)
	}
	stop := errors.New("stop")
	if err := strictjson.Members(text, limits, func(string, int, int) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Members error = %v, want that of member", err)
	}
	got = nil
	collect := func(value string) error { got = append(got, value); return nil }
	if err := strictjson.Array(` [1.0, {"x":"y"} ] `, limits, collect); err != nil || !slices.Equal(got, []string{"1.0", `{"x":"y"}`}) {
		t.Errorf("Array = %q, %v, want both elements", got, err)
	}
	for _, text := range []string{``, `1`, `1]`, `[1]2`, `[1,]`, `[`, `[{"a":1,"A":2}]`, "[\"\xff\"]", `["\ud800"]`, `[[[[1]]]]`, `[1,2,3,4,5,6,7,8,9,10,11]`, `{"a":[1]}`} {
		if err := strictjson.Array(text, limits, collect); err == nil {
			t.Errorf("Array(%s) succeeded, want an error", text)
		}
	}
	for _, text := range []string{`[]`, `{"a":1,"A":2}`, `{"a":1}x`, "{\"a\":\"\xff\"}", `{"a":"\ud800"}`} {
		if err := strictjson.Members(text, limits, func(string, int, int) error { return nil }); err == nil {
			t.Errorf("Members(%s) succeeded, want an error", text)
		}
	}
}
