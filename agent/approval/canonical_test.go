// SPDX-License-Identifier: Apache-2.0

package approval_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/agent/approval"
)

// TestCanonical has the examples of the standard, as far as their numbers survive.
//
// Covers RFC 8785 §3.2.1, §3.2.2 (strings), §3.2.2 (numbers), §3.2.3 (sort), §3.2.4.
func TestCanonical(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"RFC 8785 §3.2.2", `{
  "numbers": [4.50, 2e-3, 0.000000000000000000000000001],
  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
  "literals": [null, true, false]
}`, `{"literals":[null,true,false],"numbers":[4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`},
		{
			"RFC 8785 §3.2.3", `{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji","\u0080":"Control","\u00f6":"o"}`,
			"{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\",\"ö\":\"o\",\"€\":\"Euro Sign\",\"😀\":\"Emoji\",\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}",
		},
		{"empty", " {} ", "{}"},
		{"nested", `{"b":{"d":[{"z":1,"y":2}],"c":1},"a":[]}`, `{"a":[],"b":{"c":1,"d":[{"y":2,"z":1}]}}`},
		{"surrogate pairs with one beginning", `{"😄":5,"😂":3,"😀":1,"😃":4,"😁":2}`, `{"😀":1,"😁":2,"😂":3,"😃":4,"😄":5}`},
		{"a prefix sorts first", `{"ab":1,"a":2}`, `{"a":2,"ab":1}`},
		{"escapes", "{\"a\":\"\\b\\t\\n\\u000b\\f\\r\\u0000\\u001f\u007f\u2028<>&\"}", "{\"a\":\"\\b\\t\\n\\u000b\\f\\r\\u0000\\u001f\u007f\u2028<>&\"}"},
		{"integers", `{"a":[0,-1,9007199254740991,-9007199254740991,1e3,1.0,10e-1,0e5,100]}`, `{"a":[0,-1,9007199254740991,-9007199254740991,1000,1,1,0,100]}`},
		{"fractions", `{"a":[0.1,-5e-1,1.5e-7,0.000001,5e-324,1E-7,123456.789]}`, `{"a":[0.1,-0.5,1.5e-7,0.000001,5e-324,1e-7,123456.789]}`},
	} {
		got, err := approval.Canonical([]byte(test.text))
		if err != nil || got != test.want {
			t.Errorf("%s: Canonical = %s, %v, want %s", test.name, got, err, test.want)
		}
		if again, err := approval.Canonical([]byte(got)); err != nil || again != got {
			t.Errorf("%s: Canonical of the result = %s, %v, want no change", test.name, again, err)
		}
	}
}

// Covers RFC 8785 §3.1 (I-JSON).
func TestCanonicalRefusesWhatHasSeveralMeanings(t *testing.T) {
	for _, text := range []string{
		``, `[]`, `1`, `null`, `{"a":1} x`, "\ufeff{}", `{"a":01}`, `{"a":NaN}`, `{'a':1}`,
		`{"a":1,"a":1}`, `{"a":1,"A":1}`, `{"a":1,"\u0061":2}`, `{"x":{"a":1,"a":2}}`,
		"{\"a\":\"\xff\"}", `{"a":"\ud800"}`, `{"a":"\udc00\ud800"}`, `{"\ud800":1}`,
		strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40),
	} {
		if got, err := approval.Canonical([]byte(text)); err == nil {
			t.Errorf("Canonical(%q) = %s, want an error", text, got)
		}
	}
	for _, number := range []string{
		"9007199254740992", "9007199254740993", "-9007199254740992", "18446744073709551615", "1e400", "-1e400", "1e-400", "-0", "-0.0", "-0e5",
		"1e16", "1e21", "0.1000000000000000055511151231257827", "333333333.33333329", "1.00000000000000000001", "1e-99999999999999999999",
	} {
		if got, err := approval.Canonical([]byte(`{"a":[` + number + `]}`)); !errors.Is(err, approval.ErrNumber) {
			t.Errorf("Canonical of %s = %s, %v, want %v", number, got, err, approval.ErrNumber)
		}
	}
}

// Numbers are written as encoding/json writes them, which is the form of ECMAScript.
func FuzzCanonicalNumbers(f *testing.F) {
	for _, n := range []float64{0, 1, -1, 0.1, 1e-6, 1e-7, 123456789.125, 5e-324, 9007199254740991} {
		f.Add(math.Float64bits(n))
	}
	f.Fuzz(func(t *testing.T, bits uint64) {
		n := math.Float64frombits(bits)
		if math.IsNaN(n) || math.IsInf(n, 0) {
			return
		}
		text := must(json.Marshal(map[string]any{"n": n}))
		got, err := approval.Canonical(text)
		survives := math.Abs(n) <= 1<<53-1 && !(n == 0 && math.Signbit(n))
		if (err == nil) != survives || survives && got != string(text) {
			t.Errorf("Canonical(%s) = %s, %v", text, got, err)
		}
	})
}

func FuzzCanonical(f *testing.F) {
	for _, text := range []string{`{"a":[1,{"b":"\u0000"}]}`, `{"é":1e-9,"":null}`, `{"a":1,"A":2}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := approval.Canonical([]byte(text))
		if err != nil {
			return
		}
		if again, err := approval.Canonical([]byte(got)); err != nil || again != got {
			t.Errorf("Canonical(%q) = %q, and then %q, %v", text, got, again, err)
		}
		var before, after any
		if json.Unmarshal([]byte(text), &before) != nil || json.Unmarshal([]byte(got), &after) != nil {
			t.Fatalf("Canonical(%q) = %q: encoding/json does not read one of them", text, got)
		}
		x, _ := json.Marshal(before)
		y, _ := json.Marshal(after)
		if string(x) != string(y) {
			t.Errorf("Canonical(%q) = %q, which means something else", text, got)
		}
	})
}
