// SPDX-License-Identifier: Apache-2.0

package cookie_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/cookie"
)

// What a Set-Cookie looks like, to the letter.
func TestAttributes(t *testing.T) {
	for _, test := range []struct {
		name   string
		config cookie.Config
		want   string
	}{
		{
			"the zero value",
			cookie.Config{Name: "id"},
			"__Host-Http-id=v; Path=/; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"all of it spelled out",
			cookie.Config{Name: "id", Prefix: cookie.PrefixHostHTTP, Path: "/", SameSite: http.SameSiteLaxMode},
			"__Host-Http-id=v; Path=/; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"strict, for a time",
			cookie.Config{Name: "id", SameSite: http.SameSiteStrictMode, MaxAge: 15 * time.Minute},
			"__Host-Http-id=v; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=900",
		},
		{
			"embedded",
			cookie.Config{Name: "id", SameSite: http.SameSiteNoneMode, Partitioned: true},
			"__Host-Http-id=v; Path=/; HttpOnly; Secure; SameSite=None; Partitioned",
		},
		{
			"for the host",
			cookie.Config{Name: "id", Prefix: cookie.PrefixHost},
			"__Host-id=v; Path=/; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"for a domain",
			cookie.Config{Name: "id", Prefix: cookie.PrefixHTTP, Domain: "example.com", Path: "/api"},
			"__Http-id=v; Path=/api; Domain=example.com; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"for a path",
			cookie.Config{Name: "id", Prefix: cookie.PrefixSecure, Path: "/a b", MaxAge: 400 * 24 * time.Hour},
			"__Secure-id=v; Path=/a b; HttpOnly; Secure; SameSite=Lax; Max-Age=34560000",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCookie(t, test.config)
			w := newResponse()
			if err := c.Set(w, "v"); err != nil {
				t.Fatal(err)
			}
			if got := w.Header()["Set-Cookie"]; len(got) != 1 || got[0] != test.want {
				t.Errorf("Set-Cookie %q, want %q", got, test.want)
			}
			name, _, _ := strings.Cut(test.want, "=")
			if c.Name() != name {
				t.Errorf("name %q, want %q", c.Name(), name)
			}
			// Removed with the attributes it was set with, but for its age.
			w = newResponse()
			c.Clear(w)
			attributes, _, _ := strings.Cut(test.want, "; Max-Age")
			want := strings.Replace(attributes, "=v;", "=;", 1) + "; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
			if got := w.Header()["Set-Cookie"]; len(got) != 1 || got[0] != want {
				t.Errorf("Set-Cookie %q, want %q", got, want)
			}
		})
	}
}

// What browsers would silently refuse, and what they would take for something
// else.
func TestConfigMistakes(t *testing.T) {
	long := strings.Repeat("n", 64)
	for _, test := range []struct {
		name   string
		config cookie.Config
		want   string // the whole error, "" for none
	}{
		{"longest name", cookie.Config{Name: long}, ""},
		{"a dot and letters", cookie.Config{Name: "a.b1"}, ""},
		{"digits", cookie.Config{Name: "a1"}, ""},
		{"a dot and nothing", cookie.Config{Name: "a."}, ""},
		{"every character of a token", cookie.Config{Name: "!#$%&'*+-.^_`|~09azAZ"}, ""},
		{"longest path", cookie.Config{Name: "a", Prefix: cookie.PrefixSecure, Path: "/" + strings.Repeat("p", 1023)}, ""},
		{"longest domain", cookie.Config{Name: "a", Prefix: cookie.PrefixSecure, Domain: strings.Repeat("d.", 125) + "xyz"}, ""},
		{"longest label", cookie.Config{Name: "a", Prefix: cookie.PrefixSecure, Domain: strings.Repeat("d", 63) + ".x"}, ""},
		{"shortest age", cookie.Config{Name: "a", MaxAge: time.Second}, ""},

		{"nothing", cookie.Config{}, "cookie: Config.Name: required"},
		{"name too long", cookie.Config{Name: long + "n"}, "cookie: Config.Name: has 65 characters, at most 64 are allowed"},
		{"prefix in the name", cookie.Config{Name: "__Host-a"}, "cookie: Config.Name: begins with __: the prefix is put in front of it by Prefix"},
		{"prefix in other letters", cookie.Config{Name: "__hOsT-a"}, "cookie: Config.Name: begins with __: the prefix is put in front of it by Prefix"},
		{"name of a part", cookie.Config{Name: "a.1"}, "cookie: Config.Name: ends in a dot and digits, like a part of a larger cookie"},
		{"name of a far part", cookie.Config{Name: "a.b.4711"}, "cookie: Config.Name: ends in a dot and digits, like a part of a larger cookie"},
		{"equals sign", cookie.Config{Name: "a=b"}, "cookie: Config.Name: is not a token of RFC 9110"},
		{"space", cookie.Config{Name: "a "}, "cookie: Config.Name: is not a token of RFC 9110"},
		{"line break", cookie.Config{Name: "a\r\nSet-Cookie: b"}, "cookie: Config.Name: is not a token of RFC 9110"},
		{"another alphabet", cookie.Config{Name: "ключ"}, "cookie: Config.Name: is not a token of RFC 9110"},

		{"__Host-Http- with Domain", cookie.Config{Name: "a", Domain: "example.com"}, "cookie: Config.Domain: browsers refuse __Host-Http- with a Domain"},
		{"__Host- with Domain", cookie.Config{Name: "a", Prefix: cookie.PrefixHost, Domain: "example.com"}, "cookie: Config.Domain: browsers refuse __Host- with a Domain"},
		{"__Host-Http- with Path", cookie.Config{Name: "a", Path: "/x"}, "cookie: Config.Path: browsers refuse __Host-Http- with a Path other than /"},
		{"__Host- with Path", cookie.Config{Name: "a", Prefix: cookie.PrefixHost, Path: "/x"}, "cookie: Config.Path: browsers refuse __Host- with a Path other than /"},
		{"unknown prefix", cookie.Config{Name: "a", Prefix: 4}, "cookie: Config.Prefix: unknown"},

		{"no SameSite", cookie.Config{Name: "a", SameSite: http.SameSiteDefaultMode}, "cookie: Config.SameSite: must be Lax, Strict or None"},
		{"unknown SameSite", cookie.Config{Name: "a", SameSite: 5}, "cookie: Config.SameSite: must be Lax, Strict or None"},

		{"negative age", cookie.Config{Name: "a", MaxAge: -time.Second}, "cookie: Config.MaxAge: is negative: to delete a cookie call Clear"},
		{"half a second", cookie.Config{Name: "a", MaxAge: 1500 * time.Millisecond}, "cookie: Config.MaxAge: must be in whole seconds"},
		{"401 days", cookie.Config{Name: "a", MaxAge: 400*24*time.Hour + time.Second}, "cookie: Config.MaxAge: browsers keep no cookie for more than 400 days"},

		{"relative path", cookie.Config{Name: "a", Prefix: cookie.PrefixSecure, Path: "x"}, "cookie: Config.Path: must begin with /"},
		{"path with an attribute", cookie.Config{Name: "a", Prefix: cookie.PrefixSecure, Path: "/;Domain=evil"}, "cookie: Config.Path: has characters that a cookie cannot carry"},
		{"path with a line break", cookie.Config{Name: "a", Prefix: cookie.PrefixSecure, Path: "/\r\nX: y"}, "cookie: Config.Path: has characters that a cookie cannot carry"},
		{"path with DEL", cookie.Config{Name: "a", Prefix: cookie.PrefixSecure, Path: "/\x7f"}, "cookie: Config.Path: has characters that a cookie cannot carry"},
		{"path too long", cookie.Config{Name: "a", Prefix: cookie.PrefixSecure, Path: "/" + strings.Repeat("p", 1024)}, "cookie: Config.Path: has 1025 octets, at most 1024 are allowed"},

		{"top level domain", cookie.Config{Name: "a", Prefix: cookie.PrefixSecure, Domain: "com"}, "cookie: Config.Domain: must be a domain name of two labels or more"},
		{"localhost", cookie.Config{Name: "a", Prefix: cookie.PrefixSecure, Domain: "localhost"}, "cookie: Config.Domain: must be a domain name of two labels or more"},
		{"IPv4", cookie.Config{Name: "a", Prefix: cookie.PrefixSecure, Domain: "127.0.0.1"}, "cookie: Config.Domain: is an address: leave it empty"},
		{"IPv6", cookie.Config{Name: "a", Prefix: cookie.PrefixSecure, Domain: "::1"}, "cookie: Config.Domain: is an address: leave it empty"},
		{"dot in front", cookie.Config{Name: "a", Prefix: cookie.PrefixSecure, Domain: ".example.com"}, "cookie: Config.Domain: must be a domain name in small letters, without a dot in front"},
		{"capitals", cookie.Config{Name: "a", Prefix: cookie.PrefixSecure, Domain: "Example.com"}, "cookie: Config.Domain: must be a domain name in small letters, without a dot in front"},
		{"port", cookie.Config{Name: "a", Prefix: cookie.PrefixSecure, Domain: "example.com:80"}, "cookie: Config.Domain: must be a domain name in small letters, without a dot in front"},
		{"hyphen in front", cookie.Config{Name: "a", Prefix: cookie.PrefixSecure, Domain: "-a.example.com"}, "cookie: Config.Domain: must be a domain name in small letters, without a dot in front"},
		{"hyphen behind", cookie.Config{Name: "a", Prefix: cookie.PrefixSecure, Domain: "a-.example.com"}, "cookie: Config.Domain: must be a domain name in small letters, without a dot in front"},
		{"label too long", cookie.Config{Name: "a", Prefix: cookie.PrefixSecure, Domain: strings.Repeat("d", 64) + ".x"}, "cookie: Config.Domain: must be a domain name in small letters, without a dot in front"},
		{"domain too long", cookie.Config{Name: "a", Prefix: cookie.PrefixSecure, Domain: strings.Repeat("d.", 126) + "xy"}, "cookie: Config.Domain: must be a domain name of two labels or more"},

		{
			"several at once",
			cookie.Config{Name: "__a", Domain: "com", Path: "x", SameSite: 9, MaxAge: -1, Prefix: 7},
			"cookie: Config.Name: begins with __: the prefix is put in front of it by Prefix\n" +
				"cookie: Config.Prefix: unknown\n" +
				"cookie: Config.SameSite: must be Lax, Strict or None\n" +
				"cookie: Config.MaxAge: is negative: to delete a cookie call Clear\n" +
				"cookie: Config.Path: must begin with /\n" +
				"cookie: Config.Domain: must be a domain name of two labels or more",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := cookie.New(test.config)
			if test.want == "" {
				if err != nil || c == nil {
					t.Errorf("%v, %v", c, err)
				}
				return
			}
			if err == nil || err.Error() != test.want || c != nil {
				t.Errorf("%v, error %v, want %s", c, err, test.want)
			}
		})
	}
}

func TestPrefixString(t *testing.T) {
	for prefix, want := range map[cookie.Prefix]string{
		cookie.PrefixHostHTTP: "__Host-Http-", cookie.PrefixHost: "__Host-",
		cookie.PrefixHTTP: "__Http-", cookie.PrefixSecure: "__Secure-", 9: "Prefix(9)",
	} {
		if got := prefix.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
