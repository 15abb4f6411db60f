// SPDX-License-Identifier: Apache-2.0

package cookie

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/cookies"
)

// ErrTooLarge means that a value does not fit into a cookie, or into the parts
// of a sealed cookie.
var ErrTooLarge = errors.New("cookie: the value is too large")

// Cookie sets, reads and clears one cookie. It is safe for concurrent use.
//
// The user of the browser, and every program with access to the browser's files, can read
// and write the value. Put values that need confidentiality or integrity into a [Sealed]
// cookie.
type Cookie struct {
	name       string // with its prefix
	attributes string // behind the value of a cookie that is set
	removal    string // behind the value of a cookie that is cleared
}

// New returns a cookie. It reports all errors in config at once, including
// combinations of attributes that browsers reject silently.
func New(config Config) (*Cookie, error) {
	return newCookie(config, "Config")
}

func newCookie(config Config, field string) (*Cookie, error) {
	config = config.withDefaults()
	if err := errors.Join(config.check(field)...); err != nil {
		return nil, err
	}
	return &Cookie{
		name:       config.Prefix.String() + config.Name,
		attributes: config.attributes(),
		removal:    config.removal(),
	}, nil
}

// attributes returns the text behind the value of a cookie that is set.
func (c Config) attributes() string {
	text := c.scope()
	if c.MaxAge > 0 {
		text += "; Max-Age=" + strconv.FormatInt(int64(c.MaxAge/time.Second), 10)
	}
	return text
}

// removal returns the text behind the value of a cookie that is cleared.
//
//	RFC 6265bis §4.1.1 (max-age): max-age-av = "Max-Age" BWS "=" BWS
//	non-zero-digit *DIGIT
//
// That grammar does not allow Max-Age=0, so an Expires in the past is used.
func (c Config) removal() string {
	return c.scope() + "; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
}

// scope returns the attributes that identify the cookie and limit its use. They are the
// same in every Set-Cookie: with another Path or Domain, browsers create another cookie,
// and they ignore a cookie whose attributes contradict its prefix.
//
// Implements RFC 6265bis §4.1.2.7; ASVS 5.0 §3.3.1.
func (c Config) scope() string {
	text := "; Path=" + c.Path
	if c.Domain != "" {
		text += "; Domain=" + c.Domain
	}
	// RFC 10017 §6.1.3.2 (flags): "MUST enable the Secure flag", "MUST enable
	// the HttpOnly flag". ASVS 5.0, 3.3.1, 3.3.2 and 3.3.4.
	text += "; HttpOnly; Secure"
	switch c.SameSite {
	case http.SameSiteStrictMode:
		text += "; SameSite=Strict"
	case http.SameSiteNoneMode:
		text += "; SameSite=None"
	default:
		text += "; SameSite=Lax"
	}
	if c.Partitioned {
		text += "; Partitioned"
	}
	return text
}

// Name returns the name of the cookie with its prefix.
func (c *Cookie) Name() string { return c.name }

// Set adds the cookie to the response. Call it before the first byte of the
// body. The last Set or Clear of a cookie in a response takes effect.
//
// The response gets Cache-Control: no-store unless it has a Cache-Control
// already, because a shared cache could send the cookie to other users.
//
// The error is [ErrTooLarge] if name and value have more than 4096 octets, and
// another one if value has characters that a cookie cannot carry. Both leave the
// response unchanged.
//
// Implements RFC 6265bis §5.6; ASVS 5.0 §3.3.5.
func (c *Cookie) Set(w http.ResponseWriter, value string) error {
	if !isCookieValue(value) {
		return fmt.Errorf("cookie: %s: the value has characters that a cookie cannot carry", c.name)
	}
	if len(c.name)+len(value) > maxOctets {
		return ErrTooLarge
	}
	c.drop(w.Header())
	c.add(w.Header(), c.name, value, c.attributes)
	return nil
}

// Clear makes the browser delete the cookie.
func (c *Cookie) Clear(w http.ResponseWriter) {
	c.drop(w.Header())
	c.add(w.Header(), c.name, "", c.removal)
}

// Read returns the value of the cookie in the request.
//
// The error is [http.ErrNoCookie] if there is none; otherwise it is a
// [*gatehouse.Error]: 400 for two cookies with the name, one of which was set
// by another host or a script, and 401 for a value that Set never writes.
func (c *Cookie) Read(r *http.Request) (string, error) {
	var f found
	if err := f.find(r, c.name, 1); err != nil {
		return "", err
	}
	value := f.values[0]
	switch {
	case !f.has[0]:
		return "", http.ErrNoCookie
	case len(c.name)+len(value) > maxOctets, !isCookieValue(value):
		return "", errMalformed()
	}
	return value, nil
}

// add appends one Set-Cookie.
func (c *Cookie) add(h http.Header, name, value, attributes string) {
	h.Add("Set-Cookie", name+"="+value+attributes)
	// RFC 9111 §7.3: "Note that the Set-Cookie response header field does not
	// inhibit caching".
	if len(h["Cache-Control"]) == 0 {
		h.Set("Cache-Control", "no-store")
	}
}

// drop removes the Set-Cookie headers of the cookie and of its parts from a
// response.
//
//	RFC 6265bis §4.1.1 (one): "Servers MUST NOT include more than one
//	Set-Cookie header field in the same response with the same cookie-name."
func (c *Cookie) drop(h http.Header) {
	var kept []string
	for _, line := range h["Set-Cookie"] {
		name, _, _ := strings.Cut(line, "=")
		if partOf(name, c.name) < 0 {
			kept = append(kept, line)
		}
	}
	h["Set-Cookie"] = kept
}

// maxHeaderOctets limits the Cookie headers that are read. Servers and proxies
// commonly accept 8 to 16 KB; the four parts of a sealed cookie have 16.
const maxHeaderOctets = 64 << 10

// maxParts is the most cookies that one value is split into.
const maxParts = 4

// found is the cookie of one name in a request: the cookie itself, then its parts.
type found struct {
	values [maxParts]string
	has    [maxParts]bool
}

// find reads the cookie called base and its parts, limit values in all. It
// rejects the request if one of them occurs twice.
//
//	RFC 6265bis §4.2.2: "servers SHOULD NOT rely upon the order in which these
//	cookies appear in the header field."
//
// Implements RFC 6265bis §4.2.1.
func (f *found) find(r *http.Request, base string, limit int) error {
	size := 0
	for _, line := range r.Header["Cookie"] {
		if size += len(line); size > maxHeaderOctets {
			return errOversized()
		}
	}
	for name, value := range cookies.Named(r.Header["Cookie"], base) {
		i := partOf(name, base)
		if i < 0 || i >= limit {
			continue
		}
		if f.has[i] {
			return errDuplicate()
		}
		f.has[i], f.values[i] = true, value
	}
	return nil
}

// partOf returns which part of the cookie base has this name: 0 for the cookie itself, 1
// for "base.1" and so on, -1 for no part.
func partOf(name, base string) int {
	rest, ok := strings.CutPrefix(name, base)
	switch {
	case !ok:
		return -1
	case rest == "":
		return 0
	case len(rest) == 2 && rest[0] == '.' && '1' <= rest[1] && rest[1] < '0'+maxParts:
		return int(rest[1] - '0')
	}
	return -1
}

// isCookieValue reports whether s has only characters that a cookie can carry.
//
//	RFC 6265bis §4.1.1 (value): cookie-octet = %x21 / %x23-2B / %x2D-3A /
//	%x3C-5B / %x5D-7E ; US-ASCII characters excluding CTLs, whitespace,
//	DQUOTE, comma, semicolon, ; and backslash
//
// A value in DQUOTEs is not read: some readers strip them and others do not.
func isCookieValue(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c <= 0x20, c >= 0x7f, c == '"', c == ',', c == ';', c == '\\':
			return false
		}
	}
	return true
}
