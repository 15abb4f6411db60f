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

	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// Require skips the test if Node or an npm package is missing or has another
// version than package.json wants.
func Require(t testing.TB) {
	t.Helper()
	if err := missing(); err != nil {
		enginetest.Missing(t, "Node or an npm package", fmt.Sprintf("%v: install Node 20 or newer and run `npm ci` in %s", err, Dir()))
	}
}

// Dir is the directory of the module interop, which has node_modules.
func Dir() string {
	// The scripts are not embedded because Node looks for packages in the
	// directories above a script.
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
			return fmt.Errorf("npm package %s is installed as %s, want %s", name, installed.Version, version)
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
