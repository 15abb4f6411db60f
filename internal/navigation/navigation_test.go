// SPDX-License-Identifier: Apache-2.0

package navigation_test

import (
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/navigation"
)

func TestNavigation(t *testing.T) {
	const html = "text/html,application/xhtml+xml"
	for _, test := range []struct {
		name, method, mode, dest, accept string
		is, shows                        bool
	}{
		{"page", "GET", "navigate", "document", html, true, true},
		{"page that accepts JSON", "GET", "navigate", "document", "application/json", true, true},
		{"HEAD", "HEAD", "navigate", "document", html, false, true},
		{"script that loads a document", "GET", "cors", "document", html, false, false},
		{"form", "POST", "navigate", "document", html, false, true},
		{"frame", "GET", "navigate", "iframe", html, false, true},
		{"no destination", "GET", "navigate", "", html, false, true},
		{"script", "GET", "cors", "empty", html, false, false},
		{"image", "GET", "no-cors", "image", html, false, false},
		{"old browser, page", "GET", "", "", html, true, true},
		{"old browser, form", "POST", "", "", html, false, true},
		{"old browser, script", "GET", "", "", "*/*", false, false},
		{"program", "GET", "", "", "", false, false},
	} {
		r := httptest.NewRequest(test.method, "/", nil)
		for name, value := range map[string]string{"Sec-Fetch-Mode": test.mode, "Sec-Fetch-Dest": test.dest, "Accept": test.accept} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		if is, shows := navigation.Is(r), navigation.ShowsResponse(r); is != test.is || shows != test.shows {
			t.Errorf("%s: Is() = %v, ShowsResponse() = %v, want %v, %v", test.name, is, shows, test.is, test.shows)
		}
	}
}
