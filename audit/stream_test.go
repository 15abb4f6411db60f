// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/audit"
)

func stream(records [][]byte, err error) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var buffer []byte // the records share it, as those of a database may
		for _, record := range records {
			buffer = append(buffer[:0], record...)
			if !yield(buffer, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

func newSealer(t *testing.T, name string) *audit.Sealer {
	t.Helper()
	return must(audit.NewSealer(name, gatehouse.NewSecret(bytes.Repeat([]byte("s"), 32))))
}

// sealed returns the records that seal makes of the events of some subjects.
func sealed(t *testing.T, seal *audit.Sealer, subjects ...int) (records [][]byte) {
	t.Helper()
	var last []byte
	for i, subject := range subjects {
		last = must(seal.Seal(int64(i), last, fmt.Appendf(nil, `{"type":"a","subject":"s%d"}`, subject)))
		records = append(records, last)
	}
	return records
}

func signRecords(t *testing.T, records [][]byte, kept ...[]byte) []byte {
	t.Helper()
	return must(audit.SignRecords(stream(records, nil), newSealer(t, origin), logKey, kept...))
}

// The first record that is not the one that was written is named, also if those behind
// it are numbered anew, and whether a checkpoint signs it or not.
func TestVerifyRecordsFindsChanges(t *testing.T) {
	t.Parallel()
	seal := newSealer(t, origin)
	written := sealed(t, seal, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
	first := signRecords(t, written[:4])
	second := signRecords(t, written[:10], first)
	// renumbered numbers the records in their new order, without the key of the seals.
	renumbered := func(change func([][]byte) [][]byte) func([][]byte) [][]byte {
		return func(r [][]byte) [][]byte {
			for i, record := range change(r) {
				r = append(r[:i:i], regexp.MustCompile(`"seq":\d+`).ReplaceAll(record, fmt.Appendf(nil, `"seq":%d`, i)))
			}
			return r
		}
	}
	remove := func(i int) func([][]byte) [][]byte {
		return func(r [][]byte) [][]byte { return slices.Delete(slices.Clone(r), i, i+1) }
	}
	insert := func(r [][]byte) [][]byte { return slices.Insert(slices.Clone(r), 5, r[4]) }
	swap := func(r [][]byte) [][]byte { r[5], r[6] = r[6], r[5]; return slices.Clone(r) }
	for name, c := range map[string]struct {
		change func([][]byte) [][]byte
		want   *audit.Fault
	}{
		"unchanged":                    {slices.Clone[[][]byte], nil},
		"end without checkpoint":       {func(r [][]byte) [][]byte { return r[:10] }, nil},
		"changed, first range":         {edit(0, "s0", "s9"), &audit.Fault{First: 0, Problem: audit.Changed}},
		"changed, second range":        {edit(7, "s7", "s8"), &audit.Fault{First: 7, Problem: audit.Changed}},
		"changed, not signed":          {edit(11, "s11", "s12"), &audit.Fault{First: 11, Problem: audit.Changed}},
		"seal changed":                 {edit(7, `"mac":"`, `"mac":"A`), &audit.Fault{First: 7, Problem: audit.Changed}},
		"seal removed":                 {edit(7, `,"mac"`, `,"Mac"`), &audit.Fault{First: 7, Problem: audit.Changed}},
		"without number":               {edit(7, `"seq":7,`, ""), &audit.Fault{First: 7, Problem: audit.Changed}},
		"without anything":             {func(r [][]byte) [][]byte { r[7] = nil; return r }, &audit.Fault{First: 7, Problem: audit.Changed}},
		"removed":                      {remove(5), &audit.Fault{First: 5, Problem: audit.Missing}},
		"removed and numbered anew":    {renumbered(remove(5)), &audit.Fault{First: 5, Problem: audit.Changed}},
		"first removed, numbered anew": {renumbered(remove(0)), &audit.Fault{First: 0, Problem: audit.Changed}},
		"inserted":                     {insert, &audit.Fault{First: 5, Problem: audit.OutOfPlace}},
		"inserted and numbered anew":   {renumbered(insert), &audit.Fault{First: 5, Problem: audit.Changed}},
		"added":                        {func(r [][]byte) [][]byte { return append(r, []byte(`{"seq":12,"type":"a"}`)) }, &audit.Fault{First: 12, Problem: audit.Changed}},
		"swapped":                      {swap, &audit.Fault{First: 5, Problem: audit.Missing}},
		"swapped and numbered anew":    {renumbered(swap), &audit.Fault{First: 5, Problem: audit.Changed}},
		"end removed":                  {func(r [][]byte) [][]byte { return r[:9] }, &audit.Fault{First: 9, Problem: audit.Missing}},
		"all removed":                  {func([][]byte) [][]byte { return nil }, &audit.Fault{First: 0, Problem: audit.Missing}},
		"rewritten with the secret":    {func([][]byte) [][]byte { return sealed(t, seal, 0, 1, 2, 3, 4, 5, 7, 7, 8, 9, 10, 11) }, &audit.Fault{First: 4, Last: 9, Problem: audit.Rewritten}},
		"end removed, others added":    {func([][]byte) [][]byte { return sealed(t, seal, 0, 1, 2, 3, 4, 5, 6, 7, 10, 11) }, &audit.Fault{First: 4, Last: 9, Problem: audit.Rewritten}},
		"record of another copy":       {func(r [][]byte) [][]byte { r[5] = sealed(t, seal, 0, 1, 2, 3, 4, 50)[5]; return r }, &audit.Fault{First: 6, Problem: audit.Changed}},
		"records of another log":       {func([][]byte) [][]byte { return sealed(t, newSealer(t, "other"), 0, 1) }, &audit.Fault{First: 0, Problem: audit.Changed}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			records := c.change(slices.Clone(written))
			total, signed, err := audit.VerifyRecords(stream(records, nil), seal, logKey.Public(), second, first)
			got, _ := errors.AsType[*audit.Fault](err)
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil && got == nil {
				t.Fatalf("VerifyRecords() error = %v (-want +got):\n%s", err, diff)
			}
			if c.want == nil && (total != int64(len(records)) || signed != 10) {
				t.Errorf("VerifyRecords() = %d, %d, want %d, 10", total, signed, len(records))
			}
			if _, err := audit.SignRecords(stream(records, nil), seal, logKey, second, first); (err == nil) != (c.want == nil) {
				t.Errorf("SignRecords() error = %v, want %v", err, c.want)
			}
		})
	}
}

func TestVerifyRecordsErrors(t *testing.T) {
	t.Parallel()
	_, other, _ := ed25519.GenerateKey(nil)
	seal := newSealer(t, origin)
	records := sealed(t, seal, 0, 1, 2)
	point := signRecords(t, records)
	foreign := must(audit.SignRecords(stream(nil, nil), newSealer(t, "other"), logKey))
	if want := "other\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"; !strings.HasPrefix(string(foreign), want) { // RFC 6962 §2.1
		t.Errorf("SignRecords() of no records = %q, want %q", foreign, want)
	}
	verify := func(seal *audit.Sealer, key crypto.PublicKey, points ...[]byte) func() error {
		return func() error {
			_, _, err := audit.VerifyRecords(stream(records[:2], errors.New("down")), seal, key, points...)
			return err
		}
	}
	sign := func(seal *audit.Sealer, key crypto.Signer) func() error {
		return func() error { _, err := audit.SignRecords(stream(nil, nil), seal, key); return err }
	}
	for want, call := range map[string]func() error{
		"checkpoints: at least one":  verify(seal, logKey.Public()),
		"no signature by this key":   verify(seal, other.Public(), point),
		`got the origin "other"`:     verify(seal, logKey.Public(), point, foreign),
		"contradict each other":      verify(seal, logKey.Public(), point, signRecords(t, sealed(t, seal, 0, 1, 7))),
		"record 2: down":             verify(seal, logKey.Public(), point),
		"audit: seal: required":      verify(nil, logKey.Public(), point),
		"seal: required":             sign(nil, logKey),
		"SignRecords: key: required": sign(seal, ed25519.PrivateKey(nil)),
		"NewSealer: origin":          func() error { _, err := audit.NewSealer("a b", gatehouse.NewSecret(make([]byte, 32))); return err },
		"got 31 bytes":               func() error { _, err := audit.NewSealer(origin, gatehouse.NewSecret(make([]byte, 31))); return err },
		"want a JSON object":         func() error { _, err := seal.Seal(0, nil, []byte("{}")); return err },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want %q", err, want)
		}
	}
}
