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

// maxPurposeOctets limits the purpose, which is a label.
const maxPurposeOctets = 128

// SealedConfig configures a [Sealed] cookie.
type SealedConfig struct {
	// Cookie configures the cookie. Its MaxAge must not exceed Lifetime.
	Cookie Config

	// Keys seal the value. Required.
	Keys *Keyring

	// Purpose is the use of the value, such as "login transaction", at most 128
	// octets. A value sealed for one purpose cannot be opened for another purpose,
	// even under the same cookie name. Required.
	Purpose string

	// Lifetime is the time from Set after which a value expires, whether or not the
	// browser keeps the cookie: from a second to 400 days. Required.
	Lifetime time.Duration
}

// Sealed is a cookie whose value can be read and written only with the keys. It is safe
// for concurrent use, and cheap enough to create one for each request.
//
// A value that is too large for one cookie is split into up to four. Browsers
// accept them, but many servers and proxies accept no more than 8 KB of headers:
// put values that can grow into a store.
type Sealed struct {
	cookie   *Cookie
	keys     *Keyring
	data     []byte // associated
	lifetime time.Duration
}

// NewSealed returns a sealed cookie. It reports all errors in config at once.
func NewSealed(config SealedConfig) (*Sealed, error) {
	var errs []error
	cookie, err := newCookie(config.Cookie, "SealedConfig.Cookie")
	errs = append(errs, err)
	if config.Keys == nil {
		errs = append(errs, errors.New("cookie: SealedConfig.Keys: required"))
	}
	if config.Purpose == "" || len(config.Purpose) > maxPurposeOctets {
		errs = append(errs, fmt.Errorf("cookie: SealedConfig.Purpose: required, at most %d octets", maxPurposeOctets))
	}
	switch {
	case config.Lifetime < time.Second || config.Lifetime > maxAge:
		errs = append(errs, fmt.Errorf("cookie: SealedConfig.Lifetime: %v is not within 1 s and 400 days", config.Lifetime))
	case config.Cookie.MaxAge > config.Lifetime:
		errs = append(errs, errors.New("cookie: SealedConfig.Cookie.MaxAge: longer than Lifetime"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return seal(cookie, config.Keys, config.Purpose, config.Lifetime), nil
}

// seal returns a sealed cookie based on cookie.
func seal(cookie *Cookie, keys *Keyring, purpose string, lifetime time.Duration) *Sealed {
	return &Sealed{cookie: cookie, keys: keys, data: associated(cookie.name, purpose), lifetime: lifetime}
}

// Name returns the name of the cookie with its prefix.
func (s *Sealed) Name() string { return s.cookie.name }

// Set seals value and adds it to the response, in as many cookies as it needs.
// It clears parts in r that are no longer needed. Call it before the first byte
// of the body.
//
// The error is [ErrTooLarge] for a value of more than about 12 KB; it leaves the
// response unchanged.
func (s *Sealed) Set(w http.ResponseWriter, r *http.Request, value []byte) error {
	name := s.cookie.name
	parts, err := split(name, s.keys.seal(s.data, value, time.Now().Add(s.lifetime)))
	if err != nil {
		return err
	}
	s.cookie.drop(w.Header())
	for i, part := range parts {
		s.cookie.add(w.Header(), partName(name, i), part, s.cookie.attributes)
	}
	s.clearParts(w, r, len(parts))
	return nil
}

// Clear makes the browser delete the cookie and its parts that are in r.
func (s *Sealed) Clear(w http.ResponseWriter, r *http.Request) {
	s.cookie.Clear(w)
	s.clearParts(w, r, 1)
}

// clearParts clears the parts in the request, from number first on.
func (s *Sealed) clearParts(w http.ResponseWriter, r *http.Request, first int) {
	var stale [maxParts]bool
	for name := range cookies.Named(r.Header["Cookie"], s.cookie.name) {
		if i := partOf(name, s.cookie.name); i >= first {
			stale[i] = true
		}
	}
	for i, is := range stale {
		if is {
			s.cookie.add(w.Header(), partName(s.cookie.name, i), "", s.cookie.removal)
		}
	}
}

// Open returns the value in the request.
//
// The error is [http.ErrNoCookie] if there is none; otherwise it is a [*gatehouse.Error]:
// 400 for two cookies of one name, 401 for parts that are missing, moved or of the wrong
// size and for a value that does not open. Its cause is [ErrSeal] or [ErrExpired] if all
// parts are present and correct.
func (s *Sealed) Open(r *http.Request) ([]byte, error) {
	var f found
	if err := f.find(r, s.cookie.name, maxParts); err != nil {
		return nil, err
	}
	if !f.has[0] {
		return nil, http.ErrNoCookie
	}
	text, ok := join(s.cookie.name, &f)
	if !ok {
		return nil, errMalformed()
	}
	value, err := s.keys.open(s.data, text)
	if err != nil {
		return nil, errUnsealed(err)
	}
	return value, nil
}

// A sealed value that does not fit into one cookie is split into the cookie itself
// and name.1, name.2 and name.3. The first begins with the number of parts, one
// digit. All parts but the last have the maximum length, so that a value has one
// way to be split and characters that were moved between parts are detected.

// capacity returns the number of characters of a value that fit into part i.
func capacity(name string, i int) int {
	if i == 0 {
		return maxOctets - len(name) - 1 // the count
	}
	return maxOctets - len(partName(name, i))
}

// partName returns the name of part i.
func partName(name string, i int) string {
	if i == 0 {
		return name
	}
	return name + "." + strconv.Itoa(i)
}

// split returns the values of the parts of text, or [ErrTooLarge] if it needs more
// than four.
//
// Implements RFC 6265bis §5.6.
func split(name, text string) ([]string, error) {
	parts := make([]string, 0, maxParts)
	for i := range maxParts {
		size := min(len(text), capacity(name, i))
		parts = append(parts, text[:size])
		if text = text[size:]; text == "" {
			parts[0] = strconv.Itoa(len(parts)) + parts[0]
			return parts, nil
		}
	}
	return nil, ErrTooLarge
}

// join returns the text of the parts, and false if split never returns such parts. It
// ignores parts beyond the count, which remain from a larger value.
func join(name string, f *found) (string, bool) {
	first := f.values[0]
	if first == "" || first[0] < '1' || first[0] > '0'+maxParts {
		return "", false
	}
	count := int(first[0] - '0')
	f.values[0] = first[1:]
	for i, part := range f.values[:count] {
		size := capacity(name, i)
		last := i == count-1
		switch {
		case part == "", len(part) > size, !last && len(part) < size:
			return "", false
		}
	}
	return strings.Join(f.values[:count], ""), true
}
