// SPDX-License-Identifier: Apache-2.0

package cookie

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/text"
)

const (
	// RFC 6265bis §5.6: "If the sum of the lengths of the name string and the value
	// string is more than 4096 octets, abort this algorithm and ignore the
	// set-cookie-string entirely." ASVS 5.0, 3.3.5 requires the same of a server.
	maxOctets = 4096

	// RFC 6265bis §5.6: an attribute value of more than 1024 octets is ignored.
	maxAttributeOctets = 1024

	// RFC 6265bis §5.5: "The limit SHOULD NOT be greater than 400 days (34560000
	// seconds) in the future."
	maxAge = 400 * 24 * time.Hour

	// maxNameOctets leaves space for the prefix and for a value.
	maxNameOctets = 64
)

// Config configures a [Cookie]. Every cookie is Secure and HttpOnly and has a SameSite
// attribute; these cannot be disabled. Browsers accept such cookies on http://localhost
// too. Name is required. The zero values of the other fields are the strictest with which
// a login at another site works.
type Config struct {
	// Name is the name without its prefix: at most 64 characters of a token, RFC 9110
	// section 5.6.2, that does not begin with "__" and does not end in a dot and digits,
	// like the names of the parts of a large cookie. Required.
	Name string

	// Prefix is the prefix of the name, which browsers enforce: [PrefixHostHTTP] if
	// zero. A cookie with a Domain, or with a Path other than "/", needs
	// [PrefixHTTP] or [PrefixSecure].
	Prefix Prefix

	// SameSite is Lax if zero: among cross-site requests, browsers send the cookie
	// only with GET navigations. With Strict they never send it with cross-site
	// requests. With None they send it with all of them, and [CrossSite] is the
	// only protection against CSRF.
	SameSite http.SameSite

	// MaxAge is the time that browsers keep the cookie, in whole seconds, at most
	// 400 days. Zero makes a session cookie, which browsers delete when they close.
	MaxAge time.Duration

	// Path is the path prefix of requests that get the cookie, "/" if empty. It
	// does not protect the cookie from pages at other paths of the same host.
	Path string

	// Domain extends the cookie to all hosts of a domain. Each of them can then read and
	// overwrite it. If it is empty, only this host gets the cookie. Browsers ignore
	// cookies for a public suffix such as "co.uk"; New does not check that.
	Domain string

	// Partitioned makes browsers keep a separate cookie for each site that embeds this
	// one in its pages (CHIPS).
	Partitioned bool
}

// Prefix is a prefix of cookie names that browsers enforce: they accept a cookie with
// such a name only with the attributes that the prefix requires.
type Prefix uint8

// The prefixes. All of them require Secure.
const (
	// PrefixHostHTTP is "__Host-Http-": HttpOnly, Path=/ and no Domain. Browsers
	// that do not know it enforce PrefixHost.
	PrefixHostHTTP Prefix = iota
	// PrefixHost is "__Host-": Path=/ and no Domain.
	PrefixHost
	// PrefixHTTP is "__Http-": HttpOnly. Browsers that do not know it enforce
	// nothing.
	PrefixHTTP
	// PrefixSecure is "__Secure-": nothing but Secure.
	PrefixSecure
)

// String returns the text of the prefix, such as "__Host-".
func (p Prefix) String() string {
	switch p {
	case PrefixHostHTTP:
		return "__Host-Http-"
	case PrefixHost:
		return "__Host-"
	case PrefixHTTP:
		return "__Http-"
	case PrefixSecure:
		return "__Secure-"
	default:
		return "Prefix(" + strconv.Itoa(int(p)) + ")"
	}
}

// withDefaults returns c with defaults in place of zero values.
func (c Config) withDefaults() Config {
	if c.SameSite == 0 {
		c.SameSite = http.SameSiteLaxMode
	}
	if c.Path == "" {
		c.Path = "/"
	}
	return c
}

// check returns the errors in c, with field as its name: values that browsers
// reject or read differently.
//
// Implements RFC 6265bis §4.1.2.7, §5.5; ASVS 5.0 §3.3.1.
func (c Config) check(field string) []error {
	var errs []error
	fail := func(name string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("cookie: %s.%s: %w", field, name, err))
		}
	}
	fail("Name", checkName(c.Name))
	switch c.Prefix {
	case PrefixHostHTTP, PrefixHost:
		// RFC 6265bis §4.1.3.2: "the cookie will have been set with a Secure
		// attribute, a Path attribute with a value of /, and no Domain attribute."
		if c.Domain != "" {
			fail("Domain", fmt.Errorf("browsers reject %s with a Domain", c.Prefix))
		}
		if c.Path != "/" {
			fail("Path", fmt.Errorf("browsers reject %s with a Path other than /", c.Prefix))
		}
	case PrefixHTTP, PrefixSecure:
	default:
		fail("Prefix", fmt.Errorf("unknown value %d", uint8(c.Prefix)))
	}
	switch c.SameSite {
	case http.SameSiteLaxMode, http.SameSiteStrictMode, http.SameSiteNoneMode:
	default:
		// Without the attribute, Chromium sends a cookie with cross-site POSTs for
		// two minutes after it was set.
		fail("SameSite", errors.New("must be Lax, Strict or None"))
	}
	switch {
	case c.MaxAge < 0:
		fail("MaxAge", errors.New("negative: call Clear to delete a cookie"))
	case c.MaxAge%time.Second != 0:
		fail("MaxAge", fmt.Errorf("%v is not in whole seconds", c.MaxAge))
	case c.MaxAge > maxAge:
		fail("MaxAge", fmt.Errorf("%v is more than 400 days", c.MaxAge))
	}
	fail("Path", checkPath(c.Path))
	if c.Domain != "" {
		fail("Domain", checkDomain(c.Domain))
	}
	return errs
}

// Implements RFC 6265bis §4.1.1 (name).
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("required")
	case len(name) > maxNameOctets:
		return fmt.Errorf("%d characters, at most %d are allowed", len(name), maxNameOctets)
	// RFC 6265bis §5.4: "UAs MUST match cookie name prefixes
	// case-insensitively". Future prefixes will begin with "__" too.
	case strings.HasPrefix(name, "__"):
		return errors.New("begins with __: set Config.Prefix instead")
	case isPartName(name):
		return errors.New("ends in a dot and digits, like the parts of a large cookie")
	case !text.IsToken(name):
		return errors.New("not a token of RFC 9110, section 5.6.2")
	}
	return nil
}

// isPartName reports whether name ends in a dot and digits.
func isPartName(name string) bool {
	rest := strings.TrimRight(name, "0123456789")
	return rest != name && strings.HasSuffix(rest, ".")
}

// RFC 6265bis §4.1.1 (path): path-value = *av-octet, which is any CHAR except
// CTLs or ";".
//
// Implements RFC 6265bis §5.6.
func checkPath(path string) error {
	if path[0] != '/' {
		return errors.New("must begin with /")
	}
	if len(path) > maxAttributeOctets {
		return fmt.Errorf("%d octets, at most %d are allowed", len(path), maxAttributeOctets)
	}
	if !text.IsPrintable(path) || strings.Contains(path, ";") {
		return errors.New("has characters that a cookie cannot carry")
	}
	return nil
}

// RFC 6265bis §4.1.1 (domain): domain-value is a subdomain of RFC 1034, in
// ASCII. A leading dot is not permitted there.
func checkDomain(domain string) error {
	if _, err := netip.ParseAddr(domain); err == nil {
		return errors.New("an IP address: leave it empty")
	}
	labels := strings.Split(domain, ".")
	if len(labels) < 2 || len(domain) > 253 {
		return errors.New("must be a domain name of at least two labels and at most 253 characters")
	}
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return errors.New("must be a domain name in lower case without a leading dot")
		}
	}
	return nil
}
