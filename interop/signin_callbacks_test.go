// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/interop/browser"
)

// failed says that a page is the one for logins that have failed, with a way on
// and without details.
func (f *front) failed(t *testing.T, page *browser.Page) {
	t.Helper()
	text := page.Text(t, "body")
	if !strings.Contains(text, "This sign-in could not be completed") && !strings.Contains(text, "The sign-in was refused") {
		t.Errorf("the page says %q", text)
	}
	if got := page.Run(t, "document.getElementById('signin').getAttribute('href')"); got != `"/login"` {
		t.Errorf("the page leads to %s", got)
	}
	source := page.Run(t, "document.documentElement.outerHTML")
	for _, detail := range []string{"oauth", "state", "iss", "invalid_", "access_denied", "login_", "cookie", "localhost", "evil.example", "script>"} {
		if strings.Contains(strings.ToLower(source), detail) {
			t.Errorf("the page has %q in it: %s", detail, source)
		}
	}
}

// hostileCallbacks: each is tried by somebody who is signed in and by somebody
// who is not, and leaves them as they were.
func (f *front) hostileCallbacks(t *testing.T) {
	eve := f.chromium.Person(t)
	ofEve := f.callback(t, eve, "eve").Query() // good in her browser only
	nobody := f.chromium.Person(t)
	f.callback(t, nobody, "ada")
	ada := f.signedIn(t, "ada")
	_, session := person(t, ada)
	cookie := f.cookies(t, ada)[sessionCookie]
	forged := f.origin + "/callback?" + url.Values{
		"code": {"x"}, "state": {strings.Repeat("A", 43)}, "iss": {f.provider.Issuer},
	}.Encode()

	for _, test := range []struct {
		what    string
		address func(own *url.URL) string
		status  int
		reason  string
	}{
		{"forged", func(*url.URL) string { return forged }, 400, "login_transaction"},
		{"bare", func(*url.URL) string { return f.origin + "/callback" }, 400, "login_transaction"},
		{"of another browser", func(*url.URL) string { return f.origin + "/callback?" + ofEve.Encode() }, 400, "login_transaction"},
		{"state of another browser", func(own *url.URL) string { return with(own, "state", ofEve.Get("state")) }, 400, "login_transaction"},
		{"state forged", func(own *url.URL) string { return with(own, "state", strings.Repeat("A", 43)) }, 400, "login_transaction"},
		{"state twice", func(own *url.URL) string {
			return with(own, "state", own.Query().Get("state"), own.Query().Get("state"))
		}, 400, "login_transaction"},
		{"no state", func(own *url.URL) string { return with(own, "state") }, 400, "login_transaction"},
		{"error with another state", func(*url.URL) string { return f.origin + "/callback?error=access_denied&state=x" }, 400, "login_transaction"},
		{"code of another browser", func(own *url.URL) string { return with(own, "code", ofEve.Get("code")) }, 400, "login_code"},
		{"code forged", func(own *url.URL) string { return with(own, "code", "x") }, 400, "login_code"},
		{"no code", func(own *url.URL) string { return with(own, "code") }, 400, "login_response"},
		{"iss of another server", func(own *url.URL) string { return with(own, "iss", "https://evil.example") }, 400, "login_issuer"},
		{"iss with a slash", func(own *url.URL) string { return with(own, "iss", f.provider.Issuer+"/") }, 400, "login_issuer"},
		{"iss twice", func(own *url.URL) string { return with(own, "iss", f.provider.Issuer, f.provider.Issuer) }, 400, "login_issuer"},
		{"no iss", func(own *url.URL) string { return with(own, "iss") }, 400, "login_issuer"},
		{"error of another server", func(own *url.URL) string { return with(own, "iss") + "&error=access_denied" }, 400, "login_issuer"},
		{"refused", func(own *url.URL) string {
			return with(own, "code") + "&error=access_denied&error_description=" + url.QueryEscape("<script>evil.example</script>")
		}, 403, "login_refused"},
	} {
		before := f.transactions(t, nobody)
		address := test.address(f.callback(t, nobody, ""))
		f.told(t, func() {
			if at := nobody.Visit(t, address); at.Status != test.status {
				t.Errorf("%s, signed out: %+v", test.what, at)
			}
			f.failed(t, nobody)
		}, test.reason)
		if subject, _ := person(t, nobody); subject != "" || f.cookies(t, nobody)[sessionCookie].Value != "" {
			t.Errorf("%s: somebody is signed in, %q", test.what, subject)
		}
		// Its own login is over, unless the callback is not of that one.
		left := len(f.transactions(t, nobody)) - len(before)
		if test.reason == "login_transaction" && left != 1 && len(before) < 5 || test.reason != "login_transaction" && left > 0 {
			t.Errorf("%s: %d transactions more than before", test.what, left)
		}
		hostile.Add(1)

		address = test.address(f.callback(t, ada, ""))
		f.told(t, func() {
			at := ada.Visit(t, address)
			if test.reason == "login_transaction" { // as the back button does
				if at.Status != http.StatusOK || at.URL != f.origin+"/" {
					t.Errorf("%s, signed in: %+v", test.what, at)
				}
				return
			}
			if at.Status != test.status {
				t.Errorf("%s, signed in: %+v", test.what, at)
			}
			f.failed(t, ada)
		}, test.reason)
		if subject, now := person(t, ada); subject != "ada" || now != session || f.cookies(t, ada)[sessionCookie] != cookie {
			t.Errorf("%s: ada is %q, in the session %q instead of %q", test.what, subject, now, session)
		}
		hostile.Add(1)
	}
	f.show(t, nobody, "signed-out")
	f.show(t, ada, "signed-in")
}

// replayed: a callback is good once, in one browser.
func (f *front) replayed(t *testing.T) {
	ada := f.chromium.Person(t)
	address := f.callback(t, ada, "ada").String()
	if at := ada.Visit(t, address); at.URL != f.origin+"/" {
		t.Fatalf("the callback leads to %+v", at)
	}
	shown(t, ada, "signed-in")
	f.told(t, func() {
		if at := ada.Visit(t, address); at.URL != f.origin+"/" {
			t.Errorf("once more, it leads to %+v", at)
		}
	}, "login_transaction")
	thief := f.chromium.Person(t)
	f.told(t, func() {
		if at := thief.Visit(t, address); at.Status != http.StatusBadRequest {
			t.Errorf("in another browser it leads to %+v", at)
		}
		f.failed(t, thief)
	}, "login_transaction")
	// With the session over it does not begin another one.
	if r := fetch(t, ada, "/logout", "{method: 'POST'}"); r.Status != http.StatusOK {
		t.Fatalf("logout: %+v", r)
	}
	f.told(t, func() {
		if at := ada.Visit(t, address); at.Status != http.StatusBadRequest {
			t.Errorf("after the logout it leads to %+v", at)
		}
		f.failed(t, ada)
	}, "login_transaction")
	f.show(t, ada, "signed-out")
}

// swapped: two logins of one browser do not mix.
func (f *front) swapped(t *testing.T) {
	page := f.chromium.Person(t)
	one := f.callback(t, page, "ada")
	two := f.callback(t, page, "")
	for what, address := range map[string]string{
		"the code of the other":  with(one, "code", two.Query().Get("code")),
		"the state of the other": with(one, "state", two.Query().Get("state")),
	} {
		f.told(t, func() {
			if at := page.Visit(t, address); at.Status != http.StatusBadRequest {
				t.Errorf("%s: %+v", what, at)
			}
			f.failed(t, page)
		}, "login_code")
	}
	f.show(t, page, "signed-out")
	// Both are over.
	for _, address := range []*url.URL{one, two} {
		f.told(t, func() {
			if at := page.Visit(t, address.String()); at.Status != http.StatusBadRequest {
				t.Errorf("afterwards: %+v", at)
			}
		}, "login_transaction")
	}
	if names := f.transactions(t, page); len(names) != 0 {
		t.Errorf("the transactions %v stay", names)
	}
}

// refused: a person does not want to sign in after all.
func (f *front) refused(t *testing.T) {
	page := f.chromium.Person(t)
	page.Visit(t, f.origin+"/login")
	f.told(t, func() {
		if at := page.Submit(t, "a[href$='/abort']"); at.Status != http.StatusForbidden || !strings.HasPrefix(at.URL, f.origin+"/callback?") {
			t.Errorf("cancelling leads to %+v", at)
		}
		f.failed(t, page)
	}, "login_refused")
	f.show(t, page, "signed-out")
	// The way on is a good one.
	page.Back(t)
	page.Submit(t, "#signin")
	if at := f.consent(t, page, "ada"); at.URL != f.origin+"/" {
		t.Errorf("the next login ends at %+v", at)
	}
	shown(t, page, "signed-in")
}
