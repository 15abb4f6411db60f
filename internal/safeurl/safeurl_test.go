// SPDX-License-Identifier: Apache-2.0

package safeurl_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/safeurl"
)

// Covers RFC 9728 §1.2.
func TestParse(t *testing.T) {
	for want, all := range map[string][]string{ // the error, "" for none
		"": {
			"https://a.example", "HTTPS://a.example", "https://a.example:8443/b/c?d=e", "https://a.example/%2F?", "https://[2001:db8::1]/",
			"https://10.0.0.1/", "http://localhost", "http://localhost:8080/a", "http://127.0.0.1:8080", "http://127.255.255.254",
			"http://[::1]:8080", "http://[::ffff:127.0.0.1]",
		},
		"required": {""},
		"plain http is for loopback addresses only": {
			"http://a.example", "http://localhost.a.example", "http://127.0.0.1.a.example", "http://notlocalhost", "http://a.localhost",
			"http://localhost.", "http://127.1", "http://2130706433", "http://0x7f000001", "http://0.0.0.0", "http://[::]",
			"http://[::ffff:10.0.0.1]", "http://169.254.169.254/latest", "http://128.0.0.1",
		},
		"not an absolute URL": {
			"file:///etc/passwd", "javascript:alert(1)", "https:a.example", "https:/a.example", "https://", "https://:443", "https:///a",
			"a.example", "/a", " https://a.example", "https://a.example:port", "https://a b.example", "https://a.example/\r\nX: y",
			"https://a.example/%zz", "https://user:secret@a.example/%zz#",
		},
		"not an https URL": {"file://localhost/etc/passwd", "ftp://a.example", "ws://127.0.0.1", "//a.example"},
		"has user information in it": {
			"https://user@a.example", "https://user:secret@a.example", "https://@a.example", "http://a.example@127.0.0.1",
		},
		"has a fragment": {"https://a.example#b", "https://a.example/#", "https://a.example/?b#"},
	} {
		for _, s := range all {
			u, err := safeurl.Parse(s)
			switch {
			case want == "" && (err != nil || !strings.EqualFold(u.String(), s)):
				t.Errorf("Parse(%q) = %v, %v, want the URL", s, u, err)
			case want != "" && (err == nil || err.Error() != want || u != nil):
				t.Errorf("Parse(%q) = %v, %v, want %s", s, u, err, want)
			}
		}
	}
}

// A listed host may be plain http: exactly this host and this port.
func TestParsePlainHTTPHosts(t *testing.T) {
	hosts := []string{"keycloak:8080", "plain:80", "[fd00::1]:8080"}
	for s, want := range map[string]bool{
		"http://keycloak:8080/realms/a": true, "http://KEYCLOAK:8080": true, "http://plain": true, "http://plain:80": true, "http://[fd00::1]:8080": true,
		"http://localhost": true, "https://other": true,
		"http://keycloak": false, "http://keycloak:80": false, "http://keycloak:8081": false, "http://a.keycloak:8080": false, "http://keycloak.a:8080": false,
		"http://plain:8080": false, "http://[fd00::2]:8080": false, "http://keycloak:8080@other": false, "ftp://keycloak:8080": false,
	} {
		if _, err := safeurl.Parse(s, hosts...); (err == nil) != want {
			t.Errorf("Parse(%q, %q) error = %v, want accepted %t", s, hosts, err, want)
		}
	}
}

// What an https document names is https, also on loopback and on listed hosts.
func TestParseNamed(t *testing.T) {
	for _, test := range []struct {
		by, s string
		want  bool
	}{
		{"https://a.example", "https://b.example/keys", true},
		{"https://a.example", "http://127.0.0.1/keys", false},
		{"https://a.example", "http://keys:8080", false},
		{"https://a.example", "keys", false},
		{"http://keys:8080", "http://keys:8080/keys", true},
		{"http://keys:8080", "http://127.0.0.1/keys", true},
		{"http://keys:8080", "https://a.example", true},
		{"http://keys:8080", "http://a.example", false},
	} {
		by, err := safeurl.Parse(test.by, "keys:8080")
		if err != nil {
			t.Fatal(err)
		}
		if u, err := safeurl.ParseNamed(by, test.s, "keys:8080"); (err == nil) != test.want || test.want && u.String() != test.s {
			t.Errorf("ParseNamed(%s, %s) = %v, %v, want accepted %t", test.by, test.s, u, err, test.want)
		}
	}
}

func TestCheckHostPort(t *testing.T) {
	for entry, want := range map[string]bool{
		"keycloak:8080": true, "10.0.0.1:80": true, "[fd00::1]:80": true, "a.example:65535": true,
		"": false, ":80": false, "keycloak": false, "keycloak:": false, "keycloak:0": false, "keycloak:080": false, "keycloak:65536": false,
		"Keycloak:8080": false, "keycloak:8080/": false, "http://keycloak:8080": false, "a@keycloak:8080": false, "*:8080": false, "*.a:80": false,
		"fd00::1:80": false, "a b:80": false,
	} {
		if err := safeurl.CheckHostPort(entry); (err == nil) != want {
			t.Errorf("CheckHostPort(%q) error = %v, want accepted %t", entry, err, want)
		}
	}
}

func TestOrigin(t *testing.T) {
	for s, want := range map[string]string{
		"https://A.example/path?b":  "https://a.example:443",
		"https://a.example:443":     "https://a.example:443",
		"https://a.example:8443/":   "https://a.example:8443",
		"http://localhost":          "http://localhost:80",
		"https://[2001:DB8::1]:9/a": "https://[2001:db8::1]:9",
	} {
		u, err := safeurl.Parse(s)
		if err != nil {
			t.Fatalf("Parse(%q) error = %v", s, err)
		}
		if got := safeurl.Origin(u); got != want {
			t.Errorf("Origin(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestCheckLogin(t *testing.T) {
	const chars, neither = "has characters that a URL cannot have", "is neither a path that begins with one / nor an https URL"
	for want, all := range map[string][]string{ // the error, "" for none
		"":      {"", "/", "/login", "/login?hint=a%20b", "/login?next=https://auth.example", "https://auth.example/login", "http://localhost:8080/login"},
		neither: {"login", "//auth.example/login", "javascript:alert(1)"},
		chars:   {"/\\auth.example/login", "/a\\b", "/login\r\nSet-Cookie: a=b", "/log in", "/l\u00f6gin"},
		"plain http is for loopback addresses only": {"http://auth.example/login"},
		"has user information in it":                {"https://user@auth.example/"},
		"has a fragment":                            {"https://auth.example/#/signin"},
	} {
		for _, login := range all {
			got := ""
			if err := safeurl.CheckLogin(login); err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("CheckLogin(%q) error = %q, want %q", login, got, want)
			}
		}
	}
}
