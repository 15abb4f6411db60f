// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/gatehouse-go/gatehouse/audit"
)

// Two checkpoints: 5 and 10 records.
func TestVerifyFindsRecord(t *testing.T) {
	for _, test := range []struct {
		name    string
		tamper  func(l [][]byte) [][]byte
		first   int64
		problem audit.Problem
	}{
		{"changed", edit(3, "reports", "Reports"), 3, audit.Changed},
		{"the first changed", edit(0, "audit", "Audit"), 0, audit.Changed},
		{"the last changed", edit(9, "reports", "Reports"), 9, audit.Changed},
		{"removed", func(l [][]byte) [][]byte { return slices.Delete(l, 6, 7) }, 6, audit.Missing},
		{"two removed", func(l [][]byte) [][]byte { return slices.Delete(l, 6, 8) }, 6, audit.Missing},
		{"the first removed", func(l [][]byte) [][]byte { return l[1:] }, 0, audit.Missing},
		{"the last removed", func(l [][]byte) [][]byte { return l[:9] }, 9, audit.Missing},
		{"all removed", func([][]byte) [][]byte { return nil }, 0, audit.Missing},
		{"copied", func(l [][]byte) [][]byte { return slices.Insert(l, 4, l[3]) }, 4, audit.Inserted},
		{"foreign", func(l [][]byte) [][]byte { return slices.Insert(l, 2, []byte(`{"seq":2,"type":"decision"}`)) }, 2, audit.Inserted},
		{"appended", func(l [][]byte) [][]byte { return append(l, []byte(`{"seq":10,"type":"decision"}`)) }, 10, audit.Inserted},
		{"copy appended", func(l [][]byte) [][]byte { return append(l, l[9]) }, 10, audit.Inserted},
		{"empty line", func(l [][]byte) [][]byte { return slices.Insert(l, 5, []byte("\n")) }, 5, audit.Inserted},
		{"swapped", func(l [][]byte) [][]byte { l[7], l[8] = l[8], l[7]; return l }, 7, audit.OutOfPlace},
		{"moved to the end", func(l [][]byte) [][]byte { return append(slices.Delete(slices.Clone(l), 2, 3), l[2]) }, 2, audit.Missing},
		{"moved to the front", func(l [][]byte) [][]byte { return slices.Insert(slices.Delete(slices.Clone(l), 8, 9), 1, l[8]) }, 1, audit.Inserted},
		{"joined to one line", func(l [][]byte) [][]byte {
			l[4] = append(bytes.TrimSuffix(l[4], []byte("\n")), l[5]...)
			return slices.Delete(l, 5, 6)
		}, 4, audit.Changed},
		{"a line of a megabyte", func(l [][]byte) [][]byte { l[4] = bytes.Repeat([]byte("x"), 1<<20); return l }, 4, audit.Changed},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := written(t, 4, 4)
			verify(t, path, 10)
			write(t, path, join(test.tamper(lines(t, path))...))
			wantFault(t, path, test.first, test.problem)
		})
	}
}

// A flipped bit in any byte of any file is found, and one in the records is
// located.
func TestVerifyFindsBit(t *testing.T) {
	path := written(t, 2, 1)
	for suffix, located := range map[string]bool{"": true, ".hashes": false, ".checkpoints": false} {
		original := read(t, path+suffix)
		record := int64(0)
		for i, b := range original {
			changed, bit := bytes.Clone(original), i%8
			changed[i] ^= 1 << bit
			write(t, path+suffix, changed)
			_, err := audit.Verify(path, logKey.Public())
			fault, ok := errors.AsType[*audit.Fault](err)
			if !ok || located && fault.First != record {
				t.Fatalf("Verify() with bit %d of byte %d of %q flipped error = %v, want a Fault, record %d", bit, i, suffix, err, record)
			}
			if b == '\n' {
				record++
			}
		}
		write(t, path+suffix, original)
	}
	verify(t, path, 5)
}

// An attacker who can write all files can compute the hashes, but not sign them.
func TestVerifyFindsRewrittenLog(t *testing.T) {
	path := written(t, 4, 4, 4)
	forged := edit(7, "reports", "Reports")(lines(t, path))
	write(t, path, join(forged...))
	write(t, path+".hashes", audit.HashFile(forged))
	_, err := audit.Verify(path, logKey.Public())
	fault, ok := errors.AsType[*audit.Fault](err)
	if !ok || fault.Problem != audit.Rewritten || fault.First != 5 || fault.Last != 9 || !strings.Contains(err.Error(), "records 5 to 9 were changed") {
		t.Errorf("Verify() error = %v, want records 5 to 9 rewritten", err)
	}
}

func TestVerifyFindsChangedFiles(t *testing.T) {
	whole := written(t, 4, 4)
	kept := must(audit.LastCheckpoint(whole))
	forger := written(t, 4, 4) // same key, other records
	points := read(t, whole+".checkpoints")
	half := points[:bytes.Index(points, []byte("\n\n— "))]
	half = points[:len(half)+bytes.Index(points[len(half)+2:], []byte("\n\n"))+4]
	for _, test := range []struct {
		name    string
		files   map[string][]byte
		first   int64
		problem audit.Problem
		kept    [][]byte
	}{
		{"cut at an earlier checkpoint", map[string][]byte{
			"": join(lines(t, whole)[:5]...), ".hashes": read(t, whole+".hashes")[:8*32], ".checkpoints": half,
		}, 5, audit.Missing, [][]byte{kept, half[:len(half)-1]}},
		{"last checkpoint removed", map[string][]byte{".checkpoints": half}, 5, audit.CheckpointChanged, [][]byte{kept}},
		{"incomplete checkpoint behind the others", map[string][]byte{".checkpoints": append(bytes.Clone(points), points[:9]...)}, 10, audit.CheckpointChanged, nil},
		{"no checkpoint", map[string][]byte{".checkpoints": nil}, 0, audit.CheckpointChanged, nil},
		{"checkpoints swapped", map[string][]byte{".checkpoints": append(bytes.Clone(points[len(half):]), half...)}, 10, audit.CheckpointChanged, nil},
		{"checkpoints of another log", map[string][]byte{".checkpoints": read(t, forger+".checkpoints")}, 0, audit.Rewritten, nil},
		{"another log", map[string][]byte{
			"": read(t, forger), ".hashes": read(t, forger+".hashes"), ".checkpoints": read(t, forger+".checkpoints"),
		}, 5, audit.Rewritten, [][]byte{kept}},
		{"hashes cut", map[string][]byte{".hashes": read(t, whole+".hashes")[:3*32]}, 2, audit.HashesChanged, nil},
		{"hashes longer", map[string][]byte{".hashes": append(read(t, whole+".hashes"), make([]byte, 32)...)}, 10, audit.Missing, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := t.TempDir() + "/audit.jsonl"
			for _, suffix := range []string{"", ".hashes", ".checkpoints"} {
				data, changed := test.files[suffix]
				if !changed {
					data = read(t, whole+suffix)
				}
				write(t, path+suffix, data)
			}
			wantFault(t, path, test.first, test.problem, test.kept...)
		})
	}
	other, _, _ := ed25519.GenerateKey(nil)
	for _, key := range []crypto.PublicKey{ecKey.Public(), other} {
		_, err := audit.Verify(whole, key)
		if fault, ok := errors.AsType[*audit.Fault](err); !ok || fault.Problem != audit.CheckpointChanged || !strings.Contains(err.Error(), "no signature by this key") {
			t.Errorf("Verify() with another %T error = %v, want %s that names the key", key, err, audit.CheckpointChanged)
		}
	}
	// The same tree in the name of another log, with the same key.
	text, _, _ := strings.Cut(string(kept), "\n\n")
	renamed := must(note.Sign(&note.Note{Text: strings.Replace(text, origin, "other", 1) + "\n"}, signer{logKey, "other"}))
	path := written(t, 4, 4)
	for suffix, data := range map[string][]byte{
		"": read(t, whole), ".hashes": read(t, whole+".hashes"), ".checkpoints": append(append(bytes.Clone(half), renamed...), '\n'),
	} {
		write(t, path+suffix, data)
	}
	wantFault(t, path, 5, audit.CheckpointChanged)
	write(t, path+".checkpoints", append(bytes.Clone(points), points[len(half):]...)) // the last one twice says nothing new
	verify(t, path, 10)
	// A checkpoint of the log itself has one form.
	root := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for text, want := range map[string]string{
		"07\n" + root: "malformed size", "+7\n" + root: "malformed size", "-7\n" + root: "malformed size", "x\n" + root: "malformed size",
		"7\nAAAA": "malformed root hash", "7\n" + root + "\nmore": "three lines", "7": "three lines", "7\n" + root: "",
	} {
		signed := must(note.Sign(&note.Note{Text: origin + "\n" + text + "\n"}, signer{logKey, origin}))
		if _, err := audit.Verify(whole, logKey.Public(), signed); want == "" && err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("Verify(kept %q) error = %v, want %q in it", text, err, want)
		}
	}
	t.Run("kept checkpoint", func(t *testing.T) {
		verify(t, whole, 10, kept, kept)
		wantFault(t, whole, 0, audit.Rewritten, kept, must(audit.LastCheckpoint(written(t, 4)))) // of another log
		for text, want := range map[string]string{"no checkpoint": "malformed origin", string(kept) + "\n": "without the empty line after it"} {
			if _, err := audit.Verify(whole, logKey.Public(), []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Verify(kept %q) error = %v, want %q", text, err, want)
			}
		}
	})
}
