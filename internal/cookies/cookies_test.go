// SPDX-License-Identifier: Apache-2.0

package cookies_test

import (
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/cookies"
)

// split is Named without its shortcut.
func split(line, prefix string) (all [][2]string) {
	for pair := range strings.SplitSeq(line, ";") {
		name, value, _ := strings.Cut(textproto.TrimString(pair), "=")
		if name = textproto.TrimString(name); strings.HasPrefix(name, prefix) {
			all = append(all, [2]string{name, value})
		}
	}
	return all
}

// FuzzNamed: it finds the same cookies as a reader that looks at each of them.
func FuzzNamed(f *testing.F) {
	for _, line := range []string{
		"", "id", "id=1", "id=1; id.1=2", "a=1; id=2;id=3", "a=id=1; id =2", "a=b id=1", "a= id=1", "xid=1; id2", " id=1 ; \tid\t=2", ";;id;", "id=id=id; id", "a=;id=", "a=1; b=id=2", "\vid=1; id\u00a0=2; id=3\v",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var got [][2]string
		for name, value := range cookies.Named([]string{line}, "id") {
			got = append(got, [2]string{name, value})
		}
		if want := split(line, "id"); !slices.Equal(got, want) {
			t.Errorf("Named(%q) = %q, want %q", line, got, want)
		}
	})
}

func TestNamedReadsAllHeaders(t *testing.T) {
	for range cookies.Named([]string{"id=1; id.1=2"}, "id") {
		break
	}
	var got []string
	for name, value := range cookies.Named([]string{"id=1", "a=2", "id=3"}, "id") {
		got = append(got, name+value)
	}
	if !slices.Equal(got, []string{"id1", "id3"}) {
		t.Errorf("Named = %q, want id1, id3", got)
	}
}
