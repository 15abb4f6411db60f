// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"runtime"
)

// openBrowser opens a URL in the default browser. It reports whether it started a
// command for that.
//
//	RFC 8252 §5, §8.12: native apps "MUST NOT use embedded user-agents to perform
//	authorization requests".
func openBrowser(url string) bool {
	command := opener(runtime.GOOS, os.Getenv)
	if command == nil {
		return false
	}
	// The URL is one argument and begins with http, so neither a shell nor a flag
	// parser reads it. The browser outlives this program.
	cmd := exec.Command(command[0], append(command[1:], url)...) //nolint:gosec,noctx // see above
	if cmd.Start() != nil {
		return false
	}
	_ = cmd.Process.Release() // if it fails, the URL is on the terminal
	return true
}

// opener returns the command that opens a URL, nil if there is no display.
func opener(system string, getenv func(string) string) []string {
	switch system {
	case "darwin":
		return []string{"open"}
	case "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler"}
	}
	// Without a display, xdg-open starts a text browser in this terminal.
	if getenv("DISPLAY") == "" && getenv("WAYLAND_DISPLAY") == "" {
		return nil
	}
	return []string{"xdg-open"}
}
