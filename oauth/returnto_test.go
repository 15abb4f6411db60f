// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

// TestReturnTo: what leads elsewhere ends at "/", and somebody is told.
func TestReturnTo(t *testing.T) {
	a := newApp(t)
	back := func(query string) string {
		t.Helper()
		result, err := a.callback(a.authorize(a.start("/login" + query)))
		if err != nil {
			t.Fatal(err)
		}
		return result.ReturnTo
	}
	for _, good := range []string{
		"/", "/reports", "/reports/", "/reports/2026?by=month&x=//y", "/a.b/..c", "/#part", "/?u=https://other.example/", "/a%20b", "/caf%C3%A9",
	} {
		if got := back("?return_to=" + url.QueryEscape(good)); got != good {
			t.Errorf("%q became %q", good, got)
		}
		if reasons := a.told.reasons(); !slices.Equal(reasons, []gatehouse.Reason{""}) {
			t.Errorf("%q: told %v", good, reasons)
		}
	}
	bad := []string{
		"//evil.example", "///evil.example", "////evil.example", `/\evil.example`, `\/evil.example`, `\\evil.example`, `/\/evil.example`,
		"https://evil.example", "https:evil.example", "HTTPS://evil.example", "http:/evil.example", "javascript:alert(1)", "data:text/html,x",
		"evil.example", "", "?x", "#x", ".", "..//evil.example", "@evil.example", "/\t/evil.example", "/\n/evil.example", "/\r/evil.example",
		"\t//evil.example", " //evil.example", "/ /evil.example", "/\x00/evil.example", "/.//evil.example", "/..//evil.example", "/a/..//evil.example",
		"/%2e%2e//evil.example", "/%2f/evil.example", "/%2F%2Fevil.example", "/%5cevil.example", "/%5C%5Cevil.example", "/%09/evil.example", "/%7f/evil.example",
		"/%0d%0aSet-Cookie:x", "/%2e/x", "/%3f/%2e%2e/x", "/a//b", "/%zz", "/\u2215evil.example", "/\uff0fevil.example", "/\u3002/evil", "/\u200b/evil.example",
		"/\xff", "/" + strings.Repeat("a", 2048),
	}
	for _, text := range bad {
		if got := back("?return_to=" + url.QueryEscape(text)); got != "/" {
			t.Errorf("%q became %q", text, got)
		}
		if reasons := a.told.reasons(); !slices.Equal(reasons, []gatehouse.Reason{gatehouse.ReasonReturnTo, ""}) {
			t.Errorf("%q: told %v", text, reasons)
		}
	}
	for _, query := range []string{"?return_to=/a&return_to=/b", "?return_to=/a;x", "?return_to=%zz"} {
		if got := back(query); got != "/" {
			t.Errorf("%s became %q", query, got)
		}
		if reasons := a.told.reasons(); !slices.Equal(reasons, []gatehouse.Reason{gatehouse.ReasonReturnTo, ""}) {
			t.Errorf("%s: told %v", query, reasons)
		}
	}
	if got := back("?other=1"); got != "/" {
		t.Errorf("nothing became %q", got)
	}
	if reasons := a.told.reasons(); !slices.Equal(reasons, []gatehouse.Reason{""}) {
		t.Errorf("nothing: told %v", reasons)
	}
	t.Logf("%d spellings of another place end at /", len(bad))
}
