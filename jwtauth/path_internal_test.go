// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// A name that is accepted finds the claim that it names, and no two names are the
// same path.
//
// Covers RFC 6901 §3, §4.
func FuzzSelector(f *testing.F) {
	for _, name := range []string{"scp", "/a/b", "/a~1b/c~0d", "/~01", "https://acme.example/roles", "~", "/a~", "/", "//", "/sub/x", "/é/\u212a"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		var b selectors
		s, err := b.add(name)
		if err != nil {
			return
		}
		path := append([]string{append(claimNames[:], b.extra...)[s.index]}, s.steps...)
		text, pointer := "1", ""
		for n := len(path) - 1; n >= 0; n-- {
			key, _ := json.Marshal(path[n]) // cannot fail
			text = "{" + string(key) + ":" + text + "}"
			pointer = "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(path[n]) + pointer
		}
		if name != pointer && (len(path) > 1 || name != path[0] || name[0] == '/') {
			t.Errorf("%q is the path %q, which is the pointer %q", name, path, pointer)
		}
		if s.index < claimCount {
			return // the value would have to be one of that claim
		}
		var c claims
		i := &issuer{extra: strictjson.NewTable(b.extra...), extraCount: len(b.extra)}
		if err := c.parse(text); err != nil {
			t.Fatalf("parse(%s) error = %v, want nil", text, err)
		}
		if err := i.decode(&c); err != nil {
			t.Fatalf("decode(%s) error = %v, want nil", text, err)
		}
		if got := c.value(s); got != "1" {
			t.Errorf("value of %q in %s = %q, want 1", name, text, got)
		}
	})
}
