// SPDX-License-Identifier: Apache-2.0

package strictjson_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/alloctest"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

func TestTableRead(t *testing.T) {
	table := strictjson.NewTable("iss", "x5t#S256", "sub")
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"raw values":         {`{"sub": "a" ,"iss":["b"]}`, []string{`["b"]`, "", `"a"`}},
		"unknown skipped":    {`{"custom":{"ISS":1},"x5t#S256":null}`, []string{"", "null", ""}},
		"escaped name":       {`{"\u0069ss":1}`, []string{"1", "", ""}},
		"exact name in caps": {`{"x5t#S256":"a"}`, []string{"", `"a"`, ""}},
		"empty object":       {`{}`, []string{"", "", ""}},
	} {
		got := make([]string, 3)
		if err := table.Read(test.text, limits, &got[0], &got[1], &got[2]); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: Read(%s) = %q, %v, want %q, nil", name, test.text, got, err, test.want)
		}
	}
	for text, want := range map[string]strictjson.CaseError{
		`{"ISS":1}`: "iss", `{"iſs":1}`: "iss", `{"Iss":1,"sub":1}`: "iss", `{"x5t#s256":1}`: "x5t#S256", `{"X5T#S256":1}`: "x5t#S256",
	} {
		err := table.Read(text, limits, new(string), new(string), new(string))
		if got, ok := errors.AsType[strictjson.CaseError](err); !ok || got != want {
			t.Errorf("Read(%s) error = %v, want CaseError(%s)", text, err, want)
		}
	}
	for _, text := range []string{``, `[]`, `{"iss":1,"iss":2}`, `{"iss":1}x`} {
		if err := table.Read(text, limits, new(string), new(string), new(string)); err == nil {
			t.Errorf("Read(%q) error = nil, want an error", text)
		}
	}
}

func TestTableHas(t *testing.T) {
	table := strictjson.NewTable("iss", "x5t#S256")
	for name, want := range map[string]bool{"iss": true, "ISS": true, "iſs": true, "x5t#s256": true, "is": false, "": false} {
		if got := table.Has(name); got != want {
			t.Errorf("Has(%q) = %v, want %v", name, got, want)
		}
	}
	for n := range 200 { // full tables, whose names collide
		var names []string
		for m := range 48 {
			names = append(names, fmt.Sprintf("name%d-%d", n, m))
		}
		full := strictjson.NewTable(names...)
		for _, name := range names {
			if !full.Has(name) || full.Has(name+"x") {
				t.Errorf("table %d: Has(%q), Has(%q) = %v, %v, want true, false", n, name, name+"x", full.Has(name), full.Has(name+"x"))
			}
		}
	}
}

// A name is found, although other names begin with it.
func TestTableOfBeginnings(t *testing.T) {
	var names, members, want []string
	got, values := make([]string, 48), make([]*string, 48)
	for n := range 48 {
		names = append(names, "Four score and seven years ago our fathers brought"[:48-n])
		want, values[n] = append(want, fmt.Sprint(n)), &got[n]
		members = append(members, fmt.Sprintf("%q:%d", names[n], n))
	}
	if err := strictjson.NewTable(names...).Read("{"+strings.Join(members, ",")+"}", strictjson.Limits{Depth: 1, Members: 48}, values...); err != nil || !slices.Equal(got, want) {
		t.Errorf("Read = %q, %v, want the numbers in order", got, err)
	}
}

func TestTablePanics(t *testing.T) {
	var names []string
	for n := range 49 {
		names = append(names, fmt.Sprint("name", n))
	}
	for name, call := range map[string]func(){
		`NewTable("iss", "ISS")`: func() { strictjson.NewTable("iss", "ISS") },
		"NewTable of 49 names":   func() { strictjson.NewTable(names...) },
		"Read with two values":   func() { _ = strictjson.NewTable("iss").Read("{}", limits, new(string), new(string)) },
		"Read without values":    func() { _ = strictjson.NewTable("iss").Read("{}", limits) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic", name)
				}
			}()
			call()
		}()
	}
}

func TestTableReadAllocatesNothing(t *testing.T) {
	table := strictjson.NewTable("iss", "sub")
	alloctest.AtMost(t, 0, func() {
		var iss, sub string
		_ = table.Read(`{"iss":"a","sub":"b","custom":1}`, limits, &iss, &sub)
	})
}
