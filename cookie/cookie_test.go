// SPDX-License-Identifier: Apache-2.0

package cookie_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
)

// RFC 6265bis §4.1.1, octet by octet: what Set writes, Read reads, and neither
// does anything else.
func TestCookieOctets(t *testing.T) {
	c := newCookie(t, cookie.Config{Name: "id"})
	for octet := range 256 {
		allowed := octet == 0x21 || 0x23 <= octet && octet <= 0x2B || 0x2D <= octet && octet <= 0x3A ||
			0x3C <= octet && octet <= 0x5B || 0x5D <= octet && octet <= 0x7E
		for _, value := range []string{string([]byte{byte(octet)}), "a" + string([]byte{byte(octet)}) + "b"} {
			w := newResponse()
			err := c.Set(w, value)
			if (err == nil) != allowed {
				t.Errorf("Set %q: %v", value, err)
			}
			if err != nil && (len(w.Header()) != 0 || errors.Is(err, cookie.ErrTooLarge)) {
				t.Errorf("Set %q: %v, %v", value, err, w.Header())
			}
			got, err := c.Read(newRequest(http.MethodGet, "Cookie", "__Host-Http-id="+value))
			switch {
			case allowed && (err != nil || got != value):
				t.Errorf("Read %q: %q, %v", value, got, err)
			case octet == ';', len(value) == 1 && strings.Contains(" \t\r\n", value):
				// The end of the pair, and white space there.
			case !allowed:
				wantError(t, err, 401, gatehouse.ReasonCookieMalformed)
			}
		}
	}
}

// Browsers keep 4096 octets of name and value and silently drop 4097.
func TestCookieSize(t *testing.T) {
	c := newCookie(t, cookie.Config{Name: "id"})
	fits := strings.Repeat("v", 4096-len("__Host-Http-id"))
	w := newResponse()
	if err := c.Set(w, fits); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Read(newBrowser(t).receive(w).send(newRequest(http.MethodGet))); err != nil || got != fits {
		t.Errorf("%d octets, %v", len(got), err)
	}
	w = newResponse()
	if err := c.Set(w, fits+"v"); !errors.Is(err, cookie.ErrTooLarge) || len(w.Header()) != 0 {
		t.Errorf("error %v, header %v", err, w.Header())
	}
	_, err := c.Read(newRequest(http.MethodGet, "Cookie", "__Host-Http-id="+fits+"v"))
	wantError(t, err, 401, gatehouse.ReasonCookieMalformed)
}

func TestRead(t *testing.T) {
	const id = "__Host-Http-id"
	c := newCookie(t, cookie.Config{Name: "id"})
	for _, test := range []struct {
		name   string
		lines  []string
		want   string
		status int // of the refusal, 0 for none, -1 for ErrNoCookie
		reason gatehouse.Reason
	}{
		{"alone", []string{id + "=v"}, "v", 0, ""},
		{"among others", []string{"a=1; " + id + "=v; b=2"}, "v", 0, ""},
		{"without spaces", []string{"a=1;" + id + "=v;b=2"}, "v", 0, ""},
		{"in a second header", []string{"a=1", id + "=v"}, "v", 0, ""},
		{"empty", []string{id + "="}, "", 0, ""},
		{"the name alone", []string{id}, "", 0, ""},
		{"twice, once the name alone", []string{id + "; " + id + "=v"}, "", 400, gatehouse.ReasonCookieDuplicate},
		{"equals signs in the value", []string{id + "=a=b=="}, "a=b==", 0, ""},
		{"space around", []string{" \t" + id + " \t=v \t; a=1"}, "v", 0, ""},
		{"semicolons around", []string{";;" + id + "=v;;"}, "v", 0, ""},

		{"no header", nil, "", -1, ""},
		{"an empty header", []string{""}, "", -1, ""},
		{"only others", []string{"a=1; b=2"}, "", -1, ""},
		{"without the prefix", []string{"id=v"}, "", -1, ""},
		{"another prefix", []string{"__Host-id=v"}, "", -1, ""},
		{"in other letters", []string{"__host-http-id=v"}, "", -1, ""},
		{"a longer name", []string{id + "x=v; x" + id + "=v"}, "", -1, ""},
		{"only a part", []string{id + ".1=v"}, "", -1, ""},
		{"a part that cannot be", []string{id + ".0=v"}, "", -1, ""},
		{"parts, which are not of this cookie", []string{id + "=v; " + id + ".1=x; " + id + ".1=y"}, "v", 0, ""},
		{"the name in a value", []string{"a=" + id + "=v"}, "", -1, ""},
		{"the name in quotes", []string{`a="; ` + `"` + id + `"=v`}, "", -1, ""},

		{"twice", []string{id + "=v; " + id + "=w"}, "", 400, gatehouse.ReasonCookieDuplicate},
		{"twice the same", []string{id + "=v; " + id + "=v"}, "", 400, gatehouse.ReasonCookieDuplicate},
		{"in two headers", []string{id + "=v", id + "=w"}, "", 400, gatehouse.ReasonCookieDuplicate},
		{"twice, once with space", []string{id + "=v; " + id + " =w"}, "", 400, gatehouse.ReasonCookieDuplicate},
		{"twice, once empty", []string{id + "=v; " + id + "="}, "", 400, gatehouse.ReasonCookieDuplicate},
		{"hidden in what others take for a quoted value", []string{id + `=v; a="; ` + id + `=w"`}, "", 400, gatehouse.ReasonCookieDuplicate},
		{"quoted", []string{id + `="v"`}, "", 401, gatehouse.ReasonCookieMalformed},
		{"space in front of the value", []string{id + "= v"}, "", 401, gatehouse.ReasonCookieMalformed},
		{"a comma", []string{id + "=v,w"}, "", 401, gatehouse.ReasonCookieMalformed},

		{"64 KB of others", []string{id + "=v; a=" + strings.Repeat("a", 64<<10-len(id)-6)}, "v", 0, ""},
		{"and one octet more", []string{id + "=v; a=" + strings.Repeat("a", 64<<10-len(id)-5)}, "", 400, gatehouse.ReasonCookieMalformed},
		{"in many headers", slices.Repeat([]string{"a=" + strings.Repeat("a", 1<<10)}, 65), "", 400, gatehouse.ReasonCookieMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRequest(http.MethodGet)
			r.Header["Cookie"] = test.lines
			got, err := c.Read(r)
			switch {
			case test.status == 0 && err != nil:
				t.Errorf("error %v", err)
			case test.status == -1 && !errors.Is(err, http.ErrNoCookie):
				t.Errorf("error %v, want http.ErrNoCookie", err)
			case test.status > 0:
				wantError(t, err, test.status, test.reason)
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// The last word counts, and others' cookies stay.
func TestOneSetCookieEach(t *testing.T) {
	a, b := newCookie(t, cookie.Config{Name: "a"}), newCookie(t, cookie.Config{Name: "ab"})
	w := newResponse()
	http.SetCookie(w, &http.Cookie{Name: "other", Value: "1"})
	for _, err := range []error{a.Set(w, "1"), b.Set(w, "2"), a.Set(w, "3")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"other=1",
		"__Host-Http-ab=2; Path=/; HttpOnly; Secure; SameSite=Lax",
		"__Host-Http-a=3; Path=/; HttpOnly; Secure; SameSite=Lax",
	}
	if got := w.Header()["Set-Cookie"]; !slices.Equal(got, want) {
		t.Errorf("Set-Cookie %q, want %q", got, want)
	}
	// A value that is refused leaves the one before it.
	if err := a.Set(w, strings.Repeat("v", 5000)); !errors.Is(err, cookie.ErrTooLarge) {
		t.Error(err)
	}
	if got := w.Header()["Set-Cookie"]; !slices.Equal(got, want) {
		t.Errorf("Set-Cookie %q, want %q", got, want)
	}
	a.Clear(w)
	want[2] = "__Host-Http-a=; Path=/; HttpOnly; Secure; SameSite=Lax; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
	if got := w.Header()["Set-Cookie"]; !slices.Equal(got, want) {
		t.Errorf("Set-Cookie %q, want %q", got, want)
	}
}

func TestSetForbidsCaching(t *testing.T) {
	c := newCookie(t, cookie.Config{Name: "id"})
	w := newResponse()
	if err := c.Set(w, "v"); err != nil {
		t.Fatal(err)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	w = newResponse()
	w.Header().Set("Cache-Control", "private, max-age=60")
	c.Clear(w)
	if got := w.Header()["Cache-Control"]; len(got) != 1 || got[0] != "private, max-age=60" {
		t.Errorf("Cache-Control %q", got)
	}
}

// A browser that follows the rules keeps the cookie, sends it back, and forgets
// it.
func TestRoundTrip(t *testing.T) {
	c := newCookie(t, cookie.Config{Name: "id"})
	b := newBrowser(t)
	w := newResponse()
	if err := c.Set(w, "v1"); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Read(b.receive(w).send(newRequest(http.MethodGet))); err != nil || got != "v1" {
		t.Errorf("%q, %v", got, err)
	}
	w = newResponse()
	c.Clear(w)
	if _, err := c.Read(b.receive(w).send(newRequest(http.MethodGet))); !errors.Is(err, http.ErrNoCookie) {
		t.Errorf("error %v, want http.ErrNoCookie", err)
	}
}

func TestErrorsCarryNoValue(t *testing.T) {
	c := newCookie(t, cookie.Config{Name: "id"})
	for _, value := range []string{"secret\x00", `"secret"`, strings.Repeat("secret", 1000), "secret; __Host-Http-id=secret"} {
		_, err := c.Read(newRequest(http.MethodGet, "Cookie", "__Host-Http-id="+value))
		for _, err := range []error{err, c.Set(newResponse(), value), errors.Unwrap(err)} {
			if strings.Contains(fmt.Sprintf("%v %+v", err, err), "secret") {
				t.Errorf("error %v", err)
			}
		}
	}
}

// Whatever the header is, Read finds one cookie or says which of three it was,
// and what it finds is what Set could have set.
func FuzzRead(f *testing.F) {
	const id = "__Host-Http-id"
	for _, seed := range []string{"", id + "=v", "a=1; " + id + "=v", id + "=v; " + id + "=w", id + " =v", id, ";=;" + id + "==", `a="; ` + id + `=v"`} {
		f.Add(seed, "")
		f.Add("a=1", seed)
	}
	c, err := cookie.New(cookie.Config{Name: "id"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		r := newRequest(http.MethodGet)
		r.Header["Cookie"] = []string{one, two}
		value, err := c.Read(r)
		if err == nil {
			w := newResponse()
			if err := c.Set(w, value); err != nil {
				t.Fatalf("read %q, which cannot be set: %v", value, err)
			}
			// What net/http finds is the same, unless it does not find it.
			if found := r.CookiesNamed(id); len(found) > 1 || len(found) == 1 && found[0].Value != value {
				t.Fatalf("read %q where net/http finds %v", value, found)
			}
			return
		}
		if value != "" {
			t.Fatalf("%q beside %v", value, err)
		}
		// What net/http finds, Read does not overlook.
		if errors.Is(err, http.ErrNoCookie) && len(r.CookiesNamed(id)) > 0 {
			t.Fatalf("overlooked %v", r.CookiesNamed(id))
		}
	})
}
