// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// Require skips the test where Node or the npm packages are missing, or are
// others than package.json asks for.
func Require(t testing.TB) {
	t.Helper()
	if err := missing(); err != nil {
		const format = "%v: install Node 20 or newer and run `npm ci` in %s"
		if os.Getenv("GATEHOUSE_REQUIRE_ENGINES") == "1" {
			t.Fatalf(format, err, Dir())
		}
		t.Skipf("SKIPPED, NOT TESTED: "+format, err, Dir())
	}
}

// Dir is the directory of the module interop, where node_modules is.
func Dir() string {
	// The scripts are not built into the binary because Node looks for packages
	// in the directories above a script.
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) {
		panic("node: the tests of interop cannot run from a binary built with -trimpath")
	}
	return filepath.Dir(filepath.Dir(file))
}

func missing() error {
	if _, err := exec.LookPath("node"); err != nil {
		return err
	}
	var wanted struct{ Dependencies map[string]string }
	if err := readJSON(filepath.Join(Dir(), "package.json"), &wanted); err != nil {
		return err
	}
	if len(wanted.Dependencies) == 0 {
		return errors.New("package.json names no packages")
	}
	for name, version := range wanted.Dependencies {
		var installed struct{ Version string }
		if err := readJSON(filepath.Join(Dir(), "node_modules", name, "package.json"), &installed); err != nil {
			return fmt.Errorf("npm package %s is not installed", name)
		}
		if installed.Version != version {
			return fmt.Errorf("npm package %s is installed as %s, wanted is %s", name, installed.Version, version)
		}
	}
	return nil
}

func readJSON(name string, v any) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}
