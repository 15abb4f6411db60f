// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"runtime"
)

// openBrowser opens an address in the browser of the person, and reports whether
// it has found something that does so.
//
//	RFC 8252 §8.12: native apps "MUST NOT use embedded user-agents to perform
//	authorization requests".
func openBrowser(address string) bool {
	command := opener(runtime.GOOS, os.Getenv)
	if command == nil {
		return false
	}
	// The address is one argument and begins with http, so that it is neither read
	// by a shell nor taken for a flag. The browser outlives this program.
	cmd := exec.Command(command[0], append(command[1:], address)...) //nolint:gosec,noctx // see above
	if cmd.Start() != nil {
		return false
	}
	_ = cmd.Process.Release() // whatever becomes of it, the address is on the terminal
	return true
}

// opener returns the command that opens an address, nil if there is nobody who
// would see a window.
func opener(system string, getenv func(string) string) []string {
	switch system {
	case "darwin":
		return []string{"open"}
	case "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler"}
	}
	// Without a display, xdg-open looks for a browser of the terminal, and takes
	// the terminal for it.
	if getenv("DISPLAY") == "" && getenv("WAYLAND_DISPLAY") == "" {
		return nil
	}
	return []string{"xdg-open"}
}
