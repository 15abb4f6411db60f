// SPDX-License-Identifier: Apache-2.0

package cookie_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
)

// What a Set-Cookie looks like, to the letter.
//
// Covers RFC 6265bis §4.1.1 (max-age), §4.1.2.7; RFC 10017 §6.1.3.2 (flags);
// ASVS 5.0 §3.3.1.
func TestAttributes(t *testing.T) {
	for _, test := range []struct {
		name   string
		config cookie.Config
		want   string
	}{
		{"zero value", cookie.Config{Name: "id"}, "__Host-Http-id=v; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{
			"defaults spelled out",
			cookie.Config{Name: "id", Prefix: cookie.PrefixHostHTTP, Path: "/", SameSite: http.SameSiteLaxMode},
			"__Host-Http-id=v; Path=/; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"strict with Max-Age",
			cookie.Config{Name: "id", SameSite: http.SameSiteStrictMode, MaxAge: time.Second},
			"__Host-Http-id=v; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=1",
		},
		{
			"embedded",
			cookie.Config{Name: "id", SameSite: http.SameSiteNoneMode, Partitioned: true},
			"__Host-Http-id=v; Path=/; HttpOnly; Secure; SameSite=None; Partitioned",
		},
		{"host", cookie.Config{Name: "id", Prefix: cookie.PrefixHost}, "__Host-id=v; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{
			"domain",
			cookie.Config{Name: "id", Prefix: cookie.PrefixHTTP, Domain: "example.com", Path: "/api"},
			"__Http-id=v; Path=/api; Domain=example.com; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"path",
			cookie.Config{Name: "id", Prefix: cookie.PrefixSecure, Path: "/a b", MaxAge: 400 * 24 * time.Hour},
			"__Secure-id=v; Path=/a b; HttpOnly; Secure; SameSite=Lax; Max-Age=34560000",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := must(cookie.New(test.config))
			w := newResponse()
			succeeds(t, c.Set(w, "v"))
			wantSetCookie(t, w, test.want)
			if name, _, _ := strings.Cut(test.want, "="); c.Name() != name {
				t.Errorf("Name = %q, want %q", c.Name(), name)
			}
			// Clear uses the attributes of Set, but for Max-Age.
			w = newResponse()
			c.Clear(w)
			attributes, _, _ := strings.Cut(test.want, "; Max-Age")
			wantSetCookie(t, w, strings.Replace(attributes, "=v;", "=;", 1)+"; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
		})
	}
}

// The errors of all constructors: want is "" for none, or each error on a line.
//
// Covers RFC 6265bis §4.1.1 (name); RFC 6265bis §4.1.1 (domain, path).
func TestConfigErrors(t *testing.T) {
	type constructor func() (made bool, err error)
	plain := func(c cookie.Config) constructor {
		return func() (bool, error) { v, err := cookie.New(c); return v != nil, err }
	}
	secure := func(c cookie.Config) constructor { // that permits Path and Domain
		c.Name, c.Prefix = "a", cookie.PrefixSecure
		return plain(c)
	}
	sealed := func(change func(*cookie.SealedConfig)) constructor {
		config := cookie.SealedConfig{Cookie: cookie.Config{Name: "a"}, Keys: newKeyring(t, 1), Purpose: "test", Lifetime: time.Minute}
		change(&config)
		return func() (bool, error) { v, err := cookie.NewSealed(config); return v != nil, err }
	}
	keyring := func(secrets ...gatehouse.Secret) constructor {
		return func() (bool, error) { v, err := cookie.NewKeyring(secrets...); return v != nil, err }
	}
	token := func(c cookie.AccessTokenConfig) constructor {
		return func() (bool, error) { v, err := cookie.NewAccessToken(c); return v != nil, err }
	}
	many := make([]gatehouse.Secret, 9)
	for i := range many {
		many[i] = secret(byte(i))
	}
	short := gatehouse.NewSecret(make([]byte, 31))
	v := &verifier{}
	const (
		domain   = "cookie: Config.Domain: must be a domain name in lower case without a leading dot"
		labels   = "cookie: Config.Domain: must be a domain name of at least two labels and at most 253 characters"
		path     = "cookie: Config.Path: has characters that a cookie cannot carry"
		name     = "cookie: Config.Name: not a token of RFC 9110, section 5.6.2"
		prefix   = "cookie: Config.Name: begins with __: set Config.Prefix instead"
		part     = "cookie: Config.Name: ends in a dot and digits, like the parts of a large cookie"
		purpose  = "cookie: SealedConfig.Purpose: required, at most 128 octets"
		lifetime = "cookie: SealedConfig.Lifetime: "
	)
	for _, test := range []struct {
		name string
		make constructor
		want string
	}{
		{"minimal", plain(cookie.Config{Name: "a"}), ""},
		{"name of all token characters", plain(cookie.Config{Name: "!#$%&'*+-.^_`|~09azAZ"}), ""},
		{"name of 64 characters", plain(cookie.Config{Name: strings.Repeat("n", 64)}), ""},
		{"name with a dot and digits after letters", plain(cookie.Config{Name: "a.b1"}), ""},
		{"name that ends in a dot", plain(cookie.Config{Name: "a."}), ""},
		{"name with underscores inside", plain(cookie.Config{Name: "a__b"}), ""},
		{"name with digits", plain(cookie.Config{Name: "a1"}), ""},
		{"path of 1024", secure(cookie.Config{Path: "/" + strings.Repeat("p", 1023)}), ""},
		{"path beside its prefix", plain(cookie.Config{Name: "a", Prefix: cookie.PrefixHTTP, Path: "/x"}), ""},
		{"domain", secure(cookie.Config{Domain: "sub-1.example.com"}), ""},
		{"longest domain", secure(cookie.Config{Domain: strings.Repeat("d.", 125) + "xyz"}), ""},
		{"label of 63", secure(cookie.Config{Domain: strings.Repeat("d", 63) + ".x"}), ""},
		{"one second", plain(cookie.Config{Name: "a", MaxAge: time.Second}), ""},
		{"400 days", plain(cookie.Config{Name: "a", MaxAge: 400 * 24 * time.Hour}), ""},

		{"no name", plain(cookie.Config{}), "cookie: Config.Name: required"},
		{"name of 65 characters", plain(cookie.Config{Name: strings.Repeat("n", 65)}), "cookie: Config.Name: 65 characters, at most 64 are allowed"},
		{"name with a space", plain(cookie.Config{Name: "a b"}), name},
		{"name with an equals sign", plain(cookie.Config{Name: "a=b"}), name},
		{"name with a semicolon", plain(cookie.Config{Name: "a;b"}), name},
		{"name with a line break", plain(cookie.Config{Name: "a\r\nb"}), name},
		{"name outside ASCII", plain(cookie.Config{Name: "\u00e9"}), name},
		{"name with a prefix", plain(cookie.Config{Name: "__Host-a"}), prefix},
		{"name with a prefix in lower case", plain(cookie.Config{Name: "__host-a"}), prefix}, // Covers RFC 6265bis §5.4.
		{"name with a future prefix", plain(cookie.Config{Name: "__New-a"}), prefix},
		{"name of a part", plain(cookie.Config{Name: "a.1"}), part},
		{"name of part 42", plain(cookie.Config{Name: "a.b.42"}), part},
		{"name of nothing but a part", plain(cookie.Config{Name: ".1"}), part},

		{"__Host-Http- with Domain", plain(cookie.Config{Name: "a", Domain: "example.com"}), "cookie: Config.Domain: browsers reject __Host-Http- with a Domain"},
		// Covers RFC 6265bis §4.1.3.2.
		{"__Host- with Domain", plain(cookie.Config{Name: "a", Prefix: cookie.PrefixHost, Domain: "example.com"}), "cookie: Config.Domain: browsers reject __Host- with a Domain"},
		{"__Host-Http- with Path", plain(cookie.Config{Name: "a", Path: "/x"}), "cookie: Config.Path: browsers reject __Host-Http- with a Path other than /"},
		// Covers RFC 6265bis §4.1.3.2.
		{"__Host- with Path", plain(cookie.Config{Name: "a", Prefix: cookie.PrefixHost, Path: "/x"}), "cookie: Config.Path: browsers reject __Host- with a Path other than /"},
		{"unknown prefix", plain(cookie.Config{Name: "a", Prefix: 4}), "cookie: Config.Prefix: unknown value 4"},
		// Covers RFC 6265bis §4.1.2.7.
		{"no SameSite", plain(cookie.Config{Name: "a", SameSite: http.SameSiteDefaultMode}), "cookie: Config.SameSite: must be Lax, Strict or None"},
		{"unknown SameSite", plain(cookie.Config{Name: "a", SameSite: 5}), "cookie: Config.SameSite: must be Lax, Strict or None"},
		{"negative age", plain(cookie.Config{Name: "a", MaxAge: -time.Second}), "cookie: Config.MaxAge: negative: call Clear to delete a cookie"},
		{"half a second", plain(cookie.Config{Name: "a", MaxAge: 1500 * time.Millisecond}), "cookie: Config.MaxAge: 1.5s is not in whole seconds"},
		// Covers RFC 6265bis §5.5.
		{"401 days", plain(cookie.Config{Name: "a", MaxAge: 400*24*time.Hour + time.Second}), "cookie: Config.MaxAge: 9600h0m1s is more than 400 days"},

		{"relative path", secure(cookie.Config{Path: "x"}), "cookie: Config.Path: must begin with /"},
		{"path with an attribute", secure(cookie.Config{Path: "/;Domain=evil"}), path},
		{"path with a line break", secure(cookie.Config{Path: "/\r\nX: y"}), path},
		{"path with DEL", secure(cookie.Config{Path: "/\x7f"}), path},
		// Covers RFC 6265bis §5.6.
		{"path too long", secure(cookie.Config{Path: "/" + strings.Repeat("p", 1024)}), "cookie: Config.Path: 1025 octets, at most 1024 are allowed"},

		{"top level domain", secure(cookie.Config{Domain: "com"}), labels},
		{"localhost", secure(cookie.Config{Domain: "localhost"}), labels},
		{"domain too long", secure(cookie.Config{Domain: strings.Repeat("d.", 126) + "xy"}), labels},
		{"IPv4", secure(cookie.Config{Domain: "127.0.0.1"}), "cookie: Config.Domain: an IP address: leave it empty"},
		{"IPv6", secure(cookie.Config{Domain: "::1"}), "cookie: Config.Domain: an IP address: leave it empty"},
		{"leading dot", secure(cookie.Config{Domain: ".example.com"}), domain},
		{"upper case", secure(cookie.Config{Domain: "Example.com"}), domain},
		{"port", secure(cookie.Config{Domain: "example.com:80"}), domain},
		{"leading hyphen", secure(cookie.Config{Domain: "a.-b.example.com"}), domain},
		{"trailing hyphen", secure(cookie.Config{Domain: "a.bcd-.example.com"}), domain},
		{"label too long", secure(cookie.Config{Domain: strings.Repeat("d", 64) + ".x"}), domain},
		{
			"all fields of Config", plain(cookie.Config{Name: "__a", Domain: "com", Path: "x", SameSite: 9, MaxAge: -1, Prefix: 7}),
			prefix + "\ncookie: Config.Prefix: unknown value 7\ncookie: Config.SameSite: must be Lax, Strict or None\n" +
				"cookie: Config.MaxAge: negative: call Clear to delete a cookie\ncookie: Config.Path: must begin with /\n" + labels,
		},

		{"sealed", sealed(func(*cookie.SealedConfig) {}), ""},
		{"shortest lifetime", sealed(func(c *cookie.SealedConfig) { c.Lifetime = time.Second }), ""},
		{"longest lifetime", sealed(func(c *cookie.SealedConfig) { c.Lifetime = 400 * 24 * time.Hour }), ""},
		{"MaxAge of the lifetime", sealed(func(c *cookie.SealedConfig) { c.Cookie.MaxAge = time.Minute }), ""},
		{"longest purpose", sealed(func(c *cookie.SealedConfig) { c.Purpose = strings.Repeat("p", 128) }), ""},
		{"no purpose", sealed(func(c *cookie.SealedConfig) { c.Purpose = "" }), purpose},
		{"purpose too long", sealed(func(c *cookie.SealedConfig) { c.Purpose = strings.Repeat("p", 129) }), purpose},
		{"lifetime too short", sealed(func(c *cookie.SealedConfig) { c.Lifetime = time.Second - 1 }), lifetime + "999.999999ms is not within 1 s and 400 days"},
		{"lifetime too long", sealed(func(c *cookie.SealedConfig) { c.Lifetime = 400*24*time.Hour + 1 }), lifetime + "9600h0m0.000000001s is not within 1 s and 400 days"},
		{"MaxAge beyond the lifetime", sealed(func(c *cookie.SealedConfig) { c.Cookie.MaxAge = 61 * time.Second }), "cookie: SealedConfig.Cookie.MaxAge: longer than Lifetime"},
		{
			"all fields of SealedConfig", sealed(func(c *cookie.SealedConfig) { *c = cookie.SealedConfig{} }),
			"cookie: SealedConfig.Cookie.Name: required\ncookie: SealedConfig.Keys: required\n" + purpose + "\n" + lifetime + "0s is not within 1 s and 400 days",
		},

		{"one secret", keyring(many[0]), ""},
		{"eight secrets", keyring(many[:8]...), ""},
		{"longer secret", keyring(gatehouse.NewSecret(make([]byte, 64))), ""},
		{"no secret", keyring(), "cookie: NewKeyring: at least one secret is required"},
		{"nine secrets", keyring(many...), "cookie: NewKeyring: 9 secrets, at most 8 are allowed"},
		{"empty secret", keyring(gatehouse.Secret{}), "cookie: NewKeyring: secret 0 has 0 bytes, needs at least 32"},
		{
			"short and repeated secrets", keyring(short, secret(1), secret(1), secret(2), secret(1)),
			"cookie: NewKeyring: secret 0 has 31 bytes, needs at least 32\ncookie: NewKeyring: secret 2 occurs twice\n" +
				"cookie: NewKeyring: secret 4 occurs twice\ncookie: NewKeyring: secret 4 occurs twice",
		},

		{"access token", token(cookie.AccessTokenConfig{Verifier: v}), ""},
		{"nil verifier", token(cookie.AccessTokenConfig{Verifier: (*verifier)(nil)}), "cookie: AccessTokenConfig.Verifier: required"},
		{
			"all fields of AccessTokenConfig", token(cookie.AccessTokenConfig{TrustedOrigins: []string{""}, Name: "__Host-a", MaxAge: time.Millisecond}),
			"cookie: AccessTokenConfig.Verifier: required\ncookie: AccessTokenConfig.TrustedOrigins[0]: required\n" +
				"cookie: AccessTokenConfig.Name: begins with __: set Config.Prefix instead\ncookie: AccessTokenConfig.MaxAge: 1ms is not in whole seconds",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			made, err := test.make()
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != test.want || made != (err == nil) {
				t.Errorf("made %t, error\n%s\nwant\n%s", made, got, test.want)
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
			t.Errorf("String of %d = %q, want %q", uint8(prefix), got, want)
		}
	}
}
