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
)

const (
	// RFC 6265bis §5.6: "If the sum of the lengths of the name string and the
	// value string is more than 4096 octets, abort this algorithm and ignore the
	// set-cookie-string entirely." ASVS 5.0, 3.3.5 asks the same of a server.
	maxOctets = 4096

	// RFC 6265bis §5.6: an attribute value of more than 1024 octets is ignored.
	maxAttributeOctets = 1024

	// RFC 6265bis §5.5: "The limit SHOULD NOT be greater than 400 days (34560000
	// seconds) in the future."
	maxAge = 400 * 24 * time.Hour

	// maxNameOctets leaves room for the prefix and for a value.
	maxNameOctets = 64
)

// Config specifies a cookie. Every cookie is Secure and HttpOnly and says
// SameSite; there is no switch for that, and browsers keep such cookies on
// http://localhost too. The zero value of the other fields but Name is the
// strictest one that works after a login elsewhere.
type Config struct {
	// Name is the name without its prefix: at most 64 characters of a token,
	// RFC 9110 section 5.6.2, not beginning with "__" and not ending in a dot
	// and digits, which is how parts of a large cookie are called. Required.
	Name string

	// Prefix is what the browser promises by the name, [PrefixHostHTTP] if
	// zero. A cookie with a Domain, or with a Path other than "/", needs
	// another.
	Prefix Prefix

	// SameSite is Lax if zero: the cookie comes with links from other sites, and
	// with nothing else from there. Strict takes that away too. None sends it
	// with requests that any site causes, which [CrossSite] then has to sort.
	SameSite http.SameSite

	// MaxAge is how long browsers keep the cookie, in whole seconds and at most
	// 400 days. If it is zero they keep it until they are closed.
	MaxAge time.Duration

	// Path is where the cookie is sent, "/" if empty. It protects nothing from
	// other paths of the same host.
	Path string

	// Domain widens the cookie to all hosts below a domain, any of which can
	// then read and overwrite it. The host alone gets it if Domain is empty.
	// Browsers ignore cookies for a public suffix such as "co.uk", which is not
	// checked here.
	Domain string

	// Partitioned keeps the cookie apart for each site in whose pages this one
	// is embedded (CHIPS).
	Partitioned bool
}

// Prefix is a prefix of cookie names that browsers know: they keep a cookie of
// such a name only if it was set in the way that the prefix promises.
type Prefix uint8

// The prefixes. All of them promise Secure.
const (
	// PrefixHostHTTP, "__Host-Http-": HttpOnly, set by the host itself, for all
	// of its paths. Browsers that do not know it yet see PrefixHost.
	PrefixHostHTTP Prefix = iota
	// PrefixHost, "__Host-": set by the host itself, for all of its paths.
	PrefixHost
	// PrefixHTTP, "__Http-": HttpOnly. Browsers that do not know it see none.
	PrefixHTTP
	// PrefixSecure, "__Secure-": Secure.
	PrefixSecure
)

// String returns the prefix as names begin with it.
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

// withDefaults returns c with its zero values filled in.
func (c Config) withDefaults() Config {
	if c.SameSite == 0 {
		c.SameSite = http.SameSiteLaxMode
	}
	if c.Path == "" {
		c.Path = "/"
	}
	return c
}

// check returns what browsers would refuse, or take for something else. The
// field is what errors call c.
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
			fail("Domain", fmt.Errorf("browsers refuse %s with a Domain", c.Prefix))
		}
		if c.Path != "/" {
			fail("Path", fmt.Errorf("browsers refuse %s with a Path other than /", c.Prefix))
		}
	case PrefixHTTP, PrefixSecure:
	default:
		fail("Prefix", errors.New("unknown"))
	}
	switch c.SameSite {
	case http.SameSiteLaxMode, http.SameSiteStrictMode, http.SameSiteNoneMode:
	default:
		// Without the attribute Chromium sends a new cookie with cross-site POSTs
		// for two minutes.
		fail("SameSite", errors.New("must be Lax, Strict or None"))
	}
	switch {
	case c.MaxAge < 0:
		fail("MaxAge", errors.New("is negative: to delete a cookie call Clear"))
	case c.MaxAge%time.Second != 0:
		fail("MaxAge", errors.New("must be in whole seconds"))
	case c.MaxAge > maxAge:
		fail("MaxAge", errors.New("browsers keep no cookie for more than 400 days"))
	}
	fail("Path", checkPath(c.Path))
	if c.Domain != "" {
		fail("Domain", checkDomain(c.Domain))
	}
	return errs
}

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("required")
	case len(name) > maxNameOctets:
		return fmt.Errorf("has %d characters, at most %d are allowed", len(name), maxNameOctets)
	// RFC 6265bis §5.4: "UAs MUST match cookie name prefixes
	// case-insensitively". A prefix of a later day begins with these two too.
	case strings.HasPrefix(name, "__"):
		return errors.New("begins with __: the prefix is put in front of it by Prefix")
	case isPartName(name):
		return errors.New("ends in a dot and digits, like a part of a larger cookie")
	}
	for i := range len(name) {
		if !isTokenChar(name[i]) {
			return errors.New("is not a token of RFC 9110")
		}
	}
	return nil
}

// isPartName reports whether name ends in a dot and digits.
func isPartName(name string) bool {
	rest := strings.TrimRight(name, "0123456789")
	return rest != name && strings.HasSuffix(rest, ".")
}

// RFC 6265bis §4.1.1: path-value = *av-octet, which is any CHAR except CTLs or
// ";".
func checkPath(path string) error {
	if path[0] != '/' {
		return errors.New("must begin with /")
	}
	if len(path) > maxAttributeOctets {
		return fmt.Errorf("has %d octets, at most %d are allowed", len(path), maxAttributeOctets)
	}
	for i := range len(path) {
		if c := path[i]; c < 0x20 || c > 0x7e || c == ';' {
			return errors.New("has characters that a cookie cannot carry")
		}
	}
	return nil
}

// RFC 6265bis §4.1.1: domain-value is a subdomain of RFC 1034, in ASCII. A
// leading dot is not permitted there.
func checkDomain(domain string) error {
	if _, err := netip.ParseAddr(domain); err == nil {
		return errors.New("is an address: leave it empty")
	}
	labels := strings.Split(domain, ".")
	if len(labels) < 2 || len(domain) > 253 {
		return errors.New("must be a domain name of two labels or more")
	}
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return errors.New("must be a domain name in small letters, without a dot in front")
		}
	}
	return nil
}
