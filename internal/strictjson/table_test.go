// SPDX-License-Identifier: Apache-2.0

package strictjson_test

import (
	"errors"
	"slices"
	"testing"

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
		if err := table.Read(test.text, limits, got); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: Read(%s) = %q, %v, want %q, nil", name, test.text, got, err, test.want)
		}
	}
	for text, want := range map[string]strictjson.CaseError{
		`{"ISS":1}`: "iss", `{"iſs":1}`: "iss", `{"Iss":1,"sub":1}`: "iss", `{"x5t#s256":1}`: "x5t#S256", `{"X5T#S256":1}`: "x5t#S256",
	} {
		err := table.Read(text, limits, make([]string, 3))
		if got, ok := errors.AsType[strictjson.CaseError](err); !ok || got != want {
			t.Errorf("Read(%s) error = %v, want CaseError(%s)", text, err, want)
		}
	}
	for _, text := range []string{``, `[]`, `{"iss":1,"iss":2}`, `{"iss":1}x`} {
		if err := table.Read(text, limits, make([]string, 3)); err == nil {
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
}

func TestNewTablePanicsOnDuplicate(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error(`NewTable("iss", "ISS") did not panic`)
		}
	}()
	strictjson.NewTable("iss", "ISS")
}

func TestTableReadAllocatesNothing(t *testing.T) {
	table := strictjson.NewTable("iss", "sub")
	var values [2]string
	if n := testing.AllocsPerRun(100, func() { _ = table.Read(`{"iss":"a","sub":"b","custom":1}`, limits, values[:]) }); n != 0 {
		t.Errorf("Read allocates %v times, want 0", n)
	}
}
