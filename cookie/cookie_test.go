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

// RFC 6265bis §4.1.1, octet by octet: Read accepts the values that Set writes, and
// both reject all others.
//
// Covers RFC 6265bis §4.1.1 (value).
func TestCookieOctets(t *testing.T) {
	c := must(cookie.New(cookie.Config{Name: "id"}))
	for octet := range 256 {
		allowed := octet == 0x21 || 0x23 <= octet && octet <= 0x2B || 0x2D <= octet && octet <= 0x3A ||
			0x3C <= octet && octet <= 0x5B || 0x5D <= octet && octet <= 0x7E
		for _, value := range []string{string([]byte{byte(octet)}), "a" + string([]byte{byte(octet)}) + "b"} {
			w := newResponse()
			err := c.Set(w, value)
			if (err == nil) != allowed {
				t.Errorf("Set(%q) error = %v, want accepted %t", value, err, allowed)
			}
			if err != nil && (len(w.Header()) != 0 || !strings.HasPrefix(err.Error(), "cookie: "+c.Name()+": the value has characters")) {
				t.Errorf("Set(%q) error = %v with header %v, want one about characters and no header", value, err, w.Header())
			}
			got, err := c.Read(newRequest(http.MethodGet, "Cookie", "__Host-Http-id="+value))
			switch {
			case allowed && (err != nil || got != value):
				t.Errorf("Read(%q) = %q, %v", value, got, err)
			case octet == ';', len(value) == 1 && strings.Contains(" \t\r\n", value):
				// Read as the end of the pair, or as white space around it.
			case !allowed:
				wantError(t, err, 401, cookie.ReasonMalformed)
			}
		}
	}
}

// Browsers accept 4096 octets of name and value and silently drop 4097.
//
// Covers RFC 6265bis §5.6; ASVS 5.0 §3.3.5.
func TestCookieSize(t *testing.T) {
	c := must(cookie.New(cookie.Config{Name: "id"}))
	fits := strings.Repeat("v", 4096-len("__Host-Http-id"))
	w := newResponse()
	succeeds(t, c.Set(w, fits))
	if got, err := c.Read(newBrowser(t).receive(w).send(newRequest(http.MethodGet))); err != nil || got != fits {
		t.Errorf("Read = %d octets, %v, want %d", len(got), err, len(fits))
	}
	w = newResponse()
	if err := c.Set(w, fits+"v"); !errors.Is(err, cookie.ErrTooLarge) || len(w.Header()) != 0 {
		t.Errorf("Set(4097 octets) error = %v with header %v, want %v and none", err, w.Header(), cookie.ErrTooLarge)
	}
	_, err := c.Read(newRequest(http.MethodGet, "Cookie", "__Host-Http-id="+fits+"v"))
	wantError(t, err, 401, cookie.ReasonMalformed)
}

func TestRead(t *testing.T) {
	const id = "__Host-Http-id"
	c := must(cookie.New(cookie.Config{Name: "id"}))
	for _, test := range []struct {
		name   string
		lines  []string
		want   string
		status int // of the error, 0 for none, -1 for ErrNoCookie
		reason gatehouse.Reason
	}{
		{"alone", []string{id + "=v"}, "v", 0, ""},
		{"among others", []string{"a=1; " + id + "=v; b=2"}, "v", 0, ""},
		{"without spaces", []string{"a=1;" + id + "=v;b=2"}, "v", 0, ""},
		{"in a second header", []string{"a=1", id + "=v"}, "v", 0, ""}, // Covers RFC 6265bis §4.2.1.
		{"empty", []string{id + "="}, "", 0, ""},
		{"name without a value", []string{id}, "", 0, ""},
		{"twice, once without a value", []string{id + "; " + id + "=v"}, "", 400, cookie.ReasonDuplicate},
		{"equals signs in the value", []string{id + "=a=b=="}, "a=b==", 0, ""},
		{"space around", []string{" \t" + id + " \t=v \t; a=1"}, "v", 0, ""},
		{"semicolons around", []string{";;" + id + "=v;;"}, "v", 0, ""},

		{"no Cookie header", nil, "", -1, ""},
		{"empty Cookie header", []string{""}, "", -1, ""},
		{"only others", []string{"a=1; b=2"}, "", -1, ""},
		{"without the prefix", []string{"id=v"}, "", -1, ""},
		{"another prefix", []string{"__Host-id=v"}, "", -1, ""},
		{"another case", []string{"__host-http-id=v"}, "", -1, ""},
		{"a longer name", []string{id + "x=v; x" + id + "=v"}, "", -1, ""},
		{"behind a longer name", []string{id + "x=w; " + id + "=v"}, "v", 0, ""},
		{"part alone", []string{id + ".1=v"}, "", -1, ""},
		{"part 0", []string{id + ".0=v"}, "", -1, ""},
		{"duplicate parts, which Read ignores", []string{id + "=v; " + id + ".1=x; " + id + ".1=y"}, "v", 0, ""},
		{"name in a value", []string{"a=" + id + "=v"}, "", -1, ""},
		{"name in quotes", []string{`a="; ` + `"` + id + `"=v`}, "", -1, ""},

		{"twice", []string{id + "=v; " + id + "=w"}, "", 400, cookie.ReasonDuplicate}, // Covers RFC 6265bis §4.2.2.
		{"twice the same", []string{id + "=v; " + id + "=v"}, "", 400, cookie.ReasonDuplicate},
		{"in two headers", []string{id + "=v", id + "=w"}, "", 400, cookie.ReasonDuplicate},
		{"twice, once with space", []string{id + "=v; " + id + " =w"}, "", 400, cookie.ReasonDuplicate},
		{"twice, once empty", []string{id + "=v; " + id + "="}, "", 400, cookie.ReasonDuplicate},
		{"twice, once inside a quoted value", []string{id + `=v; a="; ` + id + `=w"`}, "", 400, cookie.ReasonDuplicate},
		{"quoted", []string{id + `="v"`}, "", 401, cookie.ReasonMalformed},
		{"space in front of the value", []string{id + "= v"}, "", 401, cookie.ReasonMalformed},
		{"a comma", []string{id + "=v,w"}, "", 401, cookie.ReasonMalformed},

		{"64 KB of others", []string{id + "=v; a=" + strings.Repeat("a", 64<<10-len(id)-6)}, "v", 0, ""},
		{"64 KB of others and one octet", []string{id + "=v; a=" + strings.Repeat("a", 64<<10-len(id)-5)}, "", 400, cookie.ReasonMalformed},
		{"in many headers", slices.Repeat([]string{"a=" + strings.Repeat("a", 1<<10)}, 65), "", 400, cookie.ReasonMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRequest(http.MethodGet)
			r.Header["Cookie"] = test.lines
			got, err := c.Read(r)
			switch {
			case test.status == 0 && err != nil, test.status == -1 && !errors.Is(err, http.ErrNoCookie):
				t.Errorf("Read error = %v, want status %d", err, test.status)
			case test.status > 0:
				wantError(t, err, test.status, test.reason)
			}
			if got != test.want {
				t.Errorf("Read = %q, want %q", got, test.want)
			}
		})
	}
}

// The last Set or Clear of a cookie counts, and other cookies stay.
//
// Covers RFC 6265bis §4.1.1 (one).
func TestOneSetCookiePerName(t *testing.T) {
	a, b := must(cookie.New(cookie.Config{Name: "a"})), must(cookie.New(cookie.Config{Name: "ab"}))
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
	wantSetCookie(t, w, want...)
	// A rejected value leaves the one before it.
	if err := a.Set(w, strings.Repeat("v", 5000)); !errors.Is(err, cookie.ErrTooLarge) {
		t.Error(err)
	}
	wantSetCookie(t, w, want...)
	a.Clear(w)
	want[2] = "__Host-Http-a=; Path=/; HttpOnly; Secure; SameSite=Lax; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
	wantSetCookie(t, w, want...)
}

// Covers RFC 9111 §7.3.
func TestSetAndClearAddNoStore(t *testing.T) {
	c := must(cookie.New(cookie.Config{Name: "id"}))
	for before, want := range map[string]string{"": "no-store", "private, max-age=60": "private, max-age=60"} {
		for name, write := range map[string]func(http.ResponseWriter){"Set": func(w http.ResponseWriter) { _ = c.Set(w, "v") }, "Clear": c.Clear} {
			w := newResponse()
			if before != "" {
				w.Header().Set("Cache-Control", before)
			}
			if write(w); w.Header().Get("Cache-Control") != want {
				t.Errorf("Cache-Control %q after %s = %q, want %q", before, name, w.Header().Get("Cache-Control"), want)
			}
		}
	}
}

func TestErrorsHoldNoValue(t *testing.T) {
	c := must(cookie.New(cookie.Config{Name: "id"}))
	for _, value := range []string{"secret\x00", `"secret"`, strings.Repeat("secret", 1000), "secret; __Host-Http-id=secret"} {
		_, err := c.Read(newRequest(http.MethodGet, "Cookie", "__Host-Http-id="+value))
		for _, err := range []error{err, c.Set(newResponse(), value), errors.Unwrap(err)} {
			if strings.Contains(fmt.Sprintf("%v %+v", err, err), "secret") {
				t.Errorf("error holds the value: %v", err)
			}
		}
	}
}

// Read returns only values that Set writes, and finds every cookie that net/http
// finds.
func FuzzRead(f *testing.F) {
	const id = "__Host-Http-id"
	for _, seed := range []string{"", id + "=v", "a=1; " + id + "=v", id + "=v; " + id + "=w", id + " =v", id, ";=;" + id + "==", `a="; ` + id + `=v"`} {
		f.Add(seed, "")
		f.Add("a=1", seed)
	}
	c := must(cookie.New(cookie.Config{Name: "id"}))
	f.Fuzz(func(t *testing.T, one, two string) {
		r := newRequest(http.MethodGet)
		r.Header["Cookie"] = []string{one, two}
		value, err := c.Read(r)
		if err == nil {
			w := newResponse()
			if err := c.Set(w, value); err != nil {
				t.Fatalf("Read = %q, for which Set returns %v", value, err)
			}
			if found := r.CookiesNamed(id); len(found) > 1 || len(found) == 1 && found[0].Value != value {
				t.Fatalf("Read = %q, net/http finds %v", value, found)
			}
			return
		}
		if value != "" {
			t.Fatalf("Read = %q beside the error %v", value, err)
		}
		if errors.Is(err, http.ErrNoCookie) && len(r.CookiesNamed(id)) > 0 {
			t.Fatalf("Read error = %v, net/http finds %v", err, r.CookiesNamed(id))
		}
	})
}
