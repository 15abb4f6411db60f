// SPDX-License-Identifier: Apache-2.0

package useragent_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/examples/internal/useragent"
)

func TestName(t *testing.T) {
	for header, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0":                                                                  "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36":                         "Chrome on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36 Edg/150.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15":                   "Safari on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1": "Safari on iOS",
		"Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Mobile Safari/537.36":                            "Chrome on Android",
		"curl/8.0":                     "Unknown browser",
		"":                             "Unknown browser",
		"Firefox/1 <script>\n":         "Firefox",
		"something on Windows":         "A browser on Windows",
		"Mozilla/5.0 HeadlessChrome/1": "Chrome",
	} {
		if got := useragent.Name(header); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}
