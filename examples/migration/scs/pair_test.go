// SPDX-License-Identifier: Apache-2.0

package scs_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/examples/migration/scs"
)

// browser sends requests to one program and keeps its cookie.
type browser struct {
	handler http.Handler
	cookie  string
}

func (b *browser) do(method, path, site, form string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://www.example.com"+path, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if site != "" {
		r.Header.Set("Sec-Fetch-Site", site)
	}
	r.Header.Set("Cookie", b.cookie)
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	if set := w.Header().Get("Set-Cookie"); set != "" {
		b.cookie, _, _ = strings.Cut(set, ";")
	}
	return w
}

// TestPair sends the same requests to both programs, in this order: both accept the
// same ones of the user, and the second one refuses more of others.
func TestPair(t *testing.T) {
	password := func(name, password string) bool { return name == "ada" && password == "correct horse" }
	replaced, err := scs.After(password, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	programs := map[string]*browser{"before": {handler: scs.Before(password)}, "after": {handler: replaced}}
	stolen := make(map[string]string)
	for _, test := range []struct {
		name, method, path, site string
		password                 string
		stolen                   bool // with the cookie from before the logout
		before, after            int
	}{
		{"no session", "GET", "/account", "same-origin", "", false, 401, 401},
		{"no session, a handler that does not ask", "POST", "/account", "same-origin", "", false, 200, 401},
		{"wrong password", "POST", "/login", "same-origin", "wrong", false, 403, 403},
		{"login from the page of another site", "POST", "/login", "cross-site", "correct horse", false, 303, 403},
		{"login", "POST", "/login", "same-origin", "correct horse", false, 303, 303},
		{"session", "GET", "/account", "same-origin", "", false, 200, 200},
		{"change", "POST", "/account", "same-origin", "", false, 200, 200},
		{"change from the page of another site", "POST", "/account", "cross-site", "", false, 200, 403},
		{"change without the headers of a browser", "POST", "/account", "", "", false, 200, 403},
		{"logout from the page of another site", "POST", "/logout", "cross-site", "", false, 200, 403},
		{"login again", "POST", "/login", "same-origin", "correct horse", false, 303, 303},
		{"logout", "POST", "/logout", "same-origin", "", false, 200, 200},
		{"after the logout", "GET", "/account", "same-origin", "", false, 401, 401},
		{"the cookie from before the logout", "GET", "/account", "same-origin", "", true, 401, 401},
	} {
		for name, b := range programs {
			want := map[string]int{"before": test.before, "after": test.after}[name]
			if test.name == "logout" {
				stolen[name] = b.cookie
			}
			if test.stolen {
				b.cookie = stolen[name]
			}
			form := ""
			if test.password != "" {
				form = url.Values{"name": {"ada"}, "password": {test.password}}.Encode()
			}
			w := b.do(test.method, test.path, test.site, form)
			if w.Code != want {
				t.Errorf("%s, %s: %d %s, want %d", test.name, name, w.Code, w.Body, want)
			}
			if strings.HasPrefix(test.path, "/account") && w.Code == http.StatusOK && test.name != "no session, a handler that does not ask" && !strings.HasSuffix(w.Body.String(), " ada") {
				t.Errorf("%s, %s: %s, want that of ada", test.name, name, w.Body)
			}
		}
	}
}
