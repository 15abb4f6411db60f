// SPDX-License-Identifier: Apache-2.0

package cookie

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ErrTooLarge says that a value does not fit into a cookie, or into the parts
// of a sealed one.
var ErrTooLarge = errors.New("cookie: the value is too large")

// Cookie sets, reads and clears one cookie. It is safe for concurrent use.
//
// Its value is seen by whoever can read the files of the browser. What must
// not be seen, or not be changed, belongs into a [Sealed] cookie.
type Cookie struct {
	name       string // with its prefix
	attributes string // what stands behind the value of one that is set,
	removal    string // and of one that is cleared
}

// New makes a cookie. All mistakes in the configuration are reported at once,
// and so is every combination that browsers refuse: they would do so silently.
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

// attributes returns the attributes as they stand behind the value.
func (c Config) attributes() string {
	text := c.scope()
	if c.MaxAge > 0 {
		text += "; Max-Age=" + strconv.FormatInt(int64(c.MaxAge/time.Second), 10)
	}
	return text
}

// removal returns the attributes that remove the cookie.
//
//	RFC 6265bis §4.1.1: max-age-av = "Max-Age" BWS "=" BWS non-zero-digit *DIGIT
//
// A Max-Age of 0 has no place in that grammar, so the date does it.
func (c Config) removal() string {
	return c.scope() + "; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
}

// scope returns the attributes that say which cookie is meant and who gets it.
// They are the same in every Set-Cookie, since browsers take one with another
// Path or Domain for another cookie and ignore one that breaks the promise of
// its prefix.
func (c Config) scope() string {
	text := "; Path=" + c.Path
	if c.Domain != "" {
		text += "; Domain=" + c.Domain
	}
	// RFC 10017 §6.1.3.2: "MUST enable the Secure flag", "MUST enable the
	// HttpOnly flag". ASVS 5.0, 3.3.1, 3.3.2 and 3.3.4.
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

// Name returns the name of the cookie as browsers know it, with its prefix.
func (c *Cookie) Name() string { return c.name }

// Set puts the cookie into the response. It must be called before the first
// byte of the body. The last Set or Clear of a cookie counts.
//
// A response that sets a cookie and says nothing about caching is marked
// no-store, since whoever got it from a shared cache would get the cookie too.
//
// The error is [ErrTooLarge] if name and value have more than 4096 octets, and
// another one if the value has octets that a cookie cannot carry.
func (c *Cookie) Set(w http.ResponseWriter, value string) error {
	if !isCookieValue(value) {
		return fmt.Errorf("cookie: %s: the value has octets that a cookie cannot carry", c.name)
	}
	if len(c.name)+len(value) > maxOctets {
		return ErrTooLarge
	}
	c.drop(w.Header())
	c.add(w.Header(), c.name, value, c.attributes)
	return nil
}

// Clear has the browser forget the cookie.
func (c *Cookie) Clear(w http.ResponseWriter) {
	c.drop(w.Header())
	c.add(w.Header(), c.name, "", c.removal)
}

// Read returns the value of the cookie in the request.
//
// The error is [http.ErrNoCookie] if there is none; otherwise it is a
// [*gatehouse.Error]: two cookies of the name are refused with 400, since one
// of them was set by somebody else, and one that cannot be ours with 401.
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

// drop removes what the response says of the cookie and of its parts, so that
// it can say something else.
//
//	RFC 6265bis §4.1.1: "Servers MUST NOT include more than one Set-Cookie
//	header field in the same response with the same cookie-name."
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
