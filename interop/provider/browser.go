// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Browser is a user agent at the provider: it keeps cookies, follows redirects,
// logs in and consents. It runs no scripts.
type Browser struct {
	login  string
	client http.Client
}

// NewBrowser returns a browser without cookies, whose user logs in with the name.
func NewBrowser(t testing.TB, login string) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Browser{login: login, client: http.Client{
		Jar:           jar,
		Timeout:       time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

var (
	prompt = regexp.MustCompile(`name="prompt" value="(login|consent)"`)
	logout = regexp.MustCompile(`action="([^"]+)"><input type="hidden" name="xsrf" value="([^"]+)"`)
)

// Visit opens an address and follows redirects up to one that starts with stop,
// which it returns without a request. On the way the user logs in, consents and
// confirms a logout.
func (b *Browser) Visit(t testing.TB, address, stop string) *url.URL {
	t.Helper()
	return b.VisitUntil(t, address, func(next *url.URL) bool { return strings.HasPrefix(next.String(), stop) })
}

// VisitUntil is Visit with a function that recognizes the last address.
func (b *Browser) VisitUntil(t testing.TB, address string, stop func(next *url.URL) bool) *url.URL {
	t.Helper()
	method, form := http.MethodGet, ""
	for range 20 {
		request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		if form != "" {
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		response, err := b.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if location := response.Header.Get("Location"); location != "" {
			next, err := request.URL.Parse(location)
			if err != nil {
				t.Fatal(err)
			}
			if stop(next) {
				return next
			}
			method, form, address = http.MethodGet, "", next.String()
			continue
		}
		if asked := prompt.FindSubmatch(body); asked != nil {
			method, form = http.MethodPost, url.Values{
				"prompt": {string(asked[1])}, "login": {b.login}, "password": {"any"},
			}.Encode()
		} else if asked := logout.FindSubmatch(body); asked != nil {
			method, address = http.MethodPost, string(asked[1])
			form = url.Values{"xsrf": {string(asked[2])}, "logout": {"yes"}}.Encode()
		} else {
			t.Fatalf("provider: %s %s: %s, and neither a redirect nor a form:\n%s", method, address, response.Status, body)
		}
	}
	t.Fatalf("provider: too many steps, the last one to %s", address)
	return nil
}

// RFC 7636 §4.2: code_challenge = BASE64URL-ENCODE(SHA256(ASCII(code_verifier)))
func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
