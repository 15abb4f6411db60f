// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/gatehouse-go/gatehouse/audit"
)

// Verify needs no more memory for a large log, and names the record of a single
// flipped bit. GATEHOUSE_AUDIT_RECORDS is the number of records: 10,000,000 for a
// year of a busy service.
func TestVerifyLargeLog(t *testing.T) {
	n := 20_000
	if text := os.Getenv("GATEHOUSE_AUDIT_RECORDS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1000 {
			t.Fatalf("GATEHOUSE_AUDIT_RECORDS = %q, want a number of at least 1,000", text)
		}
	}
	path := newPath(t)
	offset := audit.WriteLarge(t, path, logKey, n, n*3/4)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	verify(t, path, int64(n))
	runtime.ReadMemStats(&after)
	if grown := int64(after.Sys) - int64(before.Sys); grown > 8<<20 {
		t.Errorf("Verify() of %d records needed %d bytes, want at most 8 MiB", n, grown)
	}
	proof, err := audit.Prove(path, logKey.Public(), int64(n/2))
	if err != nil || len(proof) > 1331 {
		t.Errorf("Prove() = %d bytes, %v, want at most 1.3 KiB", len(proof), err)
	}

	file := must(os.OpenFile(path, os.O_RDWR, 0))
	b := make([]byte, 1)
	_, readErr := file.ReadAt(b, offset)
	b[0] ^= 4
	_, writeErr := file.WriteAt(b, offset)
	if err := errors.Join(readErr, writeErr, file.Close()); err != nil {
		t.Fatal(err)
	}
	wantFault(t, path, int64(n*3/4), audit.Changed)
}
