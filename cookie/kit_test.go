// SPDX-License-Identifier: Apache-2.0

package cookie_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
)

// secret returns a secret of 32 bytes that is the same for the same seed.
func secret(seed byte) gatehouse.Secret {
	return gatehouse.NewSecret(bytes.Repeat([]byte{seed}, 32))
}

// newKeyring makes a keyring of the secrets of these seeds.
func newKeyring(tb testing.TB, seeds ...byte) *cookie.Keyring {
	tb.Helper()
	var secrets []gatehouse.Secret
	for _, seed := range seeds {
		secrets = append(secrets, secret(seed))
	}
	return must(cookie.NewKeyring(secrets...))
}

func newCrossSite(tb testing.TB, trusted ...string) *cookie.CrossSite {
	tb.Helper()
	return must(cookie.NewCrossSite(cookie.CrossSiteConfig{TrustedOrigins: trusted}))
}

// newRequest makes a request to app.example.com over TLS, with headers given as
// name, value, name, …
func newRequest(method string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "https://app.example.com/", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func newResponse() *httptest.ResponseRecorder { return httptest.NewRecorder() }

// browser is the cookie store of RFC 6265bis for one host. A cookie that browsers
// reject fails the test.
type browser struct {
	tb    testing.TB
	names []string
	jar   map[string]string
}

func newBrowser(tb testing.TB) *browser {
	tb.Helper()
	return &browser{tb: tb, jar: make(map[string]string)}
}

// receive stores the cookies that a response sets and deletes those it clears.
func (b *browser) receive(w http.ResponseWriter) *browser {
	b.tb.Helper()
	seen := make(map[string]bool)
	for _, line := range w.Header()["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			b.tb.Fatalf("%q: %v", line, err)
		}
		for problem, is := range map[string]bool{
			"longer than 4096 octets":   len(c.Name)+len(c.Value) > 4096,
			"not Secure":                strings.HasPrefix(c.Name, "__") && !c.Secure,
			"not for the host":          strings.HasPrefix(c.Name, "__Host-") && (c.Path != "/" || c.Domain != ""),
			"not HttpOnly":              (strings.HasPrefix(c.Name, "__Http-") || strings.HasPrefix(c.Name, "__Host-Http-")) && !c.HttpOnly,
			"set twice in one response": seen[c.Name],
		} {
			if is {
				b.tb.Fatalf("cookie %.200q: %s", line, problem)
			}
		}
		seen[c.Name] = true
		if _, known := b.jar[c.Name]; !known {
			b.names = append(b.names, c.Name)
		}
		b.jar[c.Name] = c.Value
		if !c.Expires.IsZero() && c.Expires.Year() < 1980 {
			delete(b.jar, c.Name)
			b.names = slices.DeleteFunc(b.names, func(name string) bool { return name == c.Name })
		}
	}
	return b
}

// put has the browser receive a response that sets value in s.
func (b *browser) put(s *cookie.Sealed, value []byte) {
	b.tb.Helper()
	w := newResponse()
	if err := s.Set(w, b.send(newRequest(http.MethodGet)), value); err != nil {
		b.tb.Fatal(err)
	}
	b.receive(w)
}

// send adds the stored cookies to a request.
func (b *browser) send(r *http.Request) *http.Request {
	pairs := make([]string, 0, len(b.names))
	for _, name := range b.names {
		pairs = append(pairs, name+"="+b.jar[name])
	}
	if len(pairs) > 0 {
		r.Header.Set("Cookie", strings.Join(pairs, "; "))
	}
	return r
}

// has returns the names of the stored cookies, sorted.
func (b *browser) has() []string { return slices.Sorted(slices.Values(b.names)) }

// wantError fails the test unless err is a gatehouse.Error with this status
// and reason.
func wantError(tb testing.TB, err error, status int, reason gatehouse.Reason) {
	tb.Helper()
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code.Status() != status || e.Reason != reason {
		tb.Errorf("error = %v, want status %d and reason %s", err, status, reason)
	}
}

// wantSetCookie fails the test unless these are the Set-Cookie lines of w.
func wantSetCookie(tb testing.TB, w http.ResponseWriter, want ...string) {
	tb.Helper()
	if diff := cmp.Diff(want, w.Header()["Set-Cookie"], cmpopts.EquateEmpty()); diff != "" {
		tb.Errorf("Set-Cookie (-want +got):\n%s", diff)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// succeeds ends the test with an error that is not expected.
func succeeds(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
