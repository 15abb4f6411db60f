// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse/audit"
)

func bigAttrs() []slog.Attr { return []slog.Attr{slog.String("a", strings.Repeat("a", 70_000))} }

func stream(records [][]byte, err error) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, record := range records {
			if !yield(record, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

func numbered(n int) (records [][]byte) {
	for i := range n {
		records = append(records, fmt.Appendf(nil, `{"seq":%d,"type":"a","subject":"s%d"}`, i, i))
	}
	return records
}

func signRecords(t *testing.T, records [][]byte, kept ...[]byte) []byte {
	t.Helper()
	point, err := audit.SignRecords(stream(records, nil), origin, logKey, kept...)
	if err != nil {
		t.Fatal(err)
	}
	return point
}

func TestVerifyRecordsFindsChanges(t *testing.T) {
	t.Parallel()
	written := numbered(12)
	first := signRecords(t, written[:4])
	second := signRecords(t, written[:10], first)
	replace := func(i int, text string) func([][]byte) [][]byte {
		return func(r [][]byte) [][]byte { return slices.Replace(r, i, i+1, []byte(text)) }
	}
	for name, c := range map[string]struct {
		change func([][]byte) [][]byte
		want   *audit.Fault
	}{
		"unchanged":              {func(r [][]byte) [][]byte { return r }, nil},
		"end without checkpoint": {func(r [][]byte) [][]byte { return r[:10] }, nil},
		"changed, first range":   {replace(0, `{"seq":0,"type":"b"}`), &audit.Fault{First: 0, Last: 3, Problem: audit.Rewritten}},
		"changed, second range":  {replace(7, `{"seq":7,"type":"b"}`), &audit.Fault{First: 4, Last: 9, Problem: audit.Rewritten}},
		"without number":         {replace(7, `{"type":"b"}`), &audit.Fault{First: 7, Problem: audit.Changed}},
		"removed":                {func(r [][]byte) [][]byte { return slices.Delete(r, 5, 6) }, &audit.Fault{First: 5, Problem: audit.Missing}},
		"inserted":               {func(r [][]byte) [][]byte { return slices.Insert(r, 5, r[4]) }, &audit.Fault{First: 5, Problem: audit.OutOfPlace}},
		"moved":                  {func(r [][]byte) [][]byte { r[5], r[6] = r[6], r[5]; return r }, &audit.Fault{First: 5, Problem: audit.Missing}},
		"end removed":            {func(r [][]byte) [][]byte { return r[:9] }, &audit.Fault{First: 9, Problem: audit.Missing}},
		"all removed":            {func([][]byte) [][]byte { return nil }, &audit.Fault{First: 0, Problem: audit.Missing}},
		"removed and renumbered": {func([][]byte) [][]byte { return append(numbered(12)[:9], []byte(`{"seq":9,"subject":"s10"}`)) }, &audit.Fault{First: 4, Last: 9, Problem: audit.Rewritten}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			records := c.change(slices.Clone(written))
			total, signed, err := audit.VerifyRecords(stream(records, nil), logKey.Public(), second, first)
			got, _ := errors.AsType[*audit.Fault](err)
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil && got == nil {
				t.Fatalf("VerifyRecords() error = %v (-want +got):\n%s", err, diff)
			}
			if c.want == nil && (total != int64(len(records)) || signed != 10) {
				t.Errorf("VerifyRecords() = %d, %d, want %d, 10", total, signed, len(records))
			}
			if _, err := audit.SignRecords(stream(records, nil), origin, logKey, second, first); (err == nil) != (c.want == nil) {
				t.Errorf("SignRecords() error = %v, want %v", err, c.want)
			}
		})
	}
}

func TestVerifyRecordsErrors(t *testing.T) {
	t.Parallel()
	_, other, _ := ed25519.GenerateKey(nil)
	point := signRecords(t, numbered(3))
	foreign, err := audit.SignRecords(stream(numbered(3), nil), "other", logKey)
	if err != nil {
		t.Fatal(err)
	}
	down := errors.New("down")
	for want, call := range map[string]func() error{
		"checkpoints: at least one": func() error { _, _, err := audit.VerifyRecords(stream(nil, nil), logKey.Public()); return err },
		"no signature by this key":  func() error { _, _, err := audit.VerifyRecords(stream(nil, nil), other.Public(), point); return err },
		"want one log": func() error {
			_, _, err := audit.VerifyRecords(stream(nil, nil), logKey.Public(), point, foreign)
			return err
		},
		"contradict each other": func() error {
			_, _, err := audit.VerifyRecords(stream(nil, nil), logKey.Public(), point, signRecords(t, [][]byte{[]byte(`{"seq":0,}`), []byte(`{"seq":1,}`), []byte(`{"seq":2,}`)}))
			return err
		},
		"record 2: down": func() error {
			_, _, err := audit.VerifyRecords(stream(numbered(2), down), logKey.Public(), point)
			return err
		},
		"SignRecords: origin": func() error { _, err := audit.SignRecords(stream(nil, nil), "a b", logKey); return err },
		"SignRecords: key: required": func() error {
			_, err := audit.SignRecords(stream(nil, nil), origin, ed25519.PrivateKey(nil))
			return err
		},
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want %q", err, want)
		}
	}
}
