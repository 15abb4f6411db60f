// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// Missing skips the test because something that it needs is not installed, or
// fails it where GATEHOUSE_REQUIRE_ENGINES=1 says that everything must be.
func Missing(tb testing.TB, what, install string) {
	tb.Helper()
	if os.Getenv("GATEHOUSE_REQUIRE_ENGINES") == "1" {
		tb.Fatalf("GATEHOUSE_REQUIRE_ENGINES=1 and %s is missing: %s", what, install)
	}
	tb.Skipf("NOT TESTED: %s is missing: %s", what, install)
}

// find returns the path of a program: the first on PATH, or else the last in
// alphabetical order, which is the newest version, in one of the folders.
func find(program string, folders ...string) (string, bool) {
	if path, err := exec.LookPath(program); err == nil {
		return path, true
	}
	for _, folder := range folders {
		paths, err := filepath.Glob(filepath.Join(folder, program))
		if err == nil && len(paths) > 0 {
			return slices.Max(paths), true
		}
	}
	return "", false
}
