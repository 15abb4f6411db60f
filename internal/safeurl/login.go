// SPDX-License-Identifier: Apache-2.0

package safeurl

import (
	"errors"
	"strings"
)

// CheckLogin refuses an address of a login that would send a person to nowhere,
// or to somewhere else than it seems: browsers take "//host" and "/\host" for other
// hosts. It accepts a path on this host, an https URL, and "" for none.
func CheckLogin(login string) error {
	if login == "" {
		return nil
	}
	for i := range len(login) {
		if c := login[i]; c <= 0x20 || c >= 0x7f || c == '\\' {
			return errors.New("has characters that a URL cannot have")
		}
	}
	if strings.HasPrefix(login, "/") && !strings.HasPrefix(login, "//") {
		return nil
	}
	if !strings.Contains(login, "://") {
		return errors.New("is neither a path that begins with one / nor an https URL")
	}
	_, err := Parse(login)
	return err
}
