// SPDX-License-Identifier: Apache-2.0

package cookie

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// maxPurposeOctets bounds what is only a label.
const maxPurposeOctets = 128

// SealedConfig configures a [Sealed] cookie.
type SealedConfig struct {
	// Cookie specifies the cookie. Its MaxAge may not exceed Lifetime.
	Cookie Config

	// Keys seal the value. Required.
	Keys *Ring

	// Purpose says what the value is for, such as "login transaction": at most
	// 128 octets. A value sealed for one purpose does not open for another,
	// whatever the cookies are called. Required.
	Purpose string

	// Lifetime is how long a value is good for after it was set, whatever the
	// browser does: from a second to 400 days. Required.
	Lifetime time.Duration
}

// Sealed is a cookie whose value only this server can read or make. It is safe
// for concurrent use, and cheap enough to be made for a request.
//
// A value that is too large for one cookie is split into up to four. Browsers
// keep them, but servers and proxies on the way often accept no more than 8 KB
// of headers: what may grow belongs into a store.
type Sealed struct {
	cookie   *Cookie
	keys     *Ring
	data     []byte // associated
	lifetime time.Duration
}

// NewSealed makes a sealed cookie. All mistakes in the configuration are
// reported at once.
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
		errs = append(errs, errors.New("cookie: SealedConfig.Lifetime: must be from a second to 400 days"))
	case config.Cookie.MaxAge > config.Lifetime:
		errs = append(errs, errors.New("cookie: SealedConfig.Cookie.MaxAge: exceeds Lifetime"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return seal(cookie, config.Keys, config.Purpose, config.Lifetime), nil
}

// seal makes a sealed cookie of one that is not.
func seal(cookie *Cookie, keys *Ring, purpose string, lifetime time.Duration) *Sealed {
	return &Sealed{cookie: cookie, keys: keys, data: associated(cookie.name, purpose), lifetime: lifetime}
}

// Name returns the name of the cookie as browsers know it, with its prefix.
func (s *Sealed) Name() string { return s.cookie.name }

// Set seals value and puts it into the response, in as many cookies as it
// needs. Of those that the request came with, the ones that are not needed any
// more are cleared. It must be called before the first byte of the body.
//
// The error is [ErrTooLarge] for a value of more than about 12 KB, and the
// response is left as it was.
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

// Clear has the browser forget the cookie and those of its parts that the
// request came with.
func (s *Sealed) Clear(w http.ResponseWriter, r *http.Request) {
	s.cookie.Clear(w)
	s.clearParts(w, r, 1)
}

// clearParts clears the parts from number first on that are in the request.
func (s *Sealed) clearParts(w http.ResponseWriter, r *http.Request, first int) {
	var stale [maxParts]bool
	for _, line := range r.Header["Cookie"] {
		for line != "" {
			var name string
			name, _, line = next(line)
			if i := partOf(name, s.cookie.name); i >= first {
				stale[i] = true
			}
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
// The error is [http.ErrNoCookie] if there is none; otherwise it is a
// [*gatehouse.Error]: two cookies of one name are refused with 400; parts that
// are missing, moved or of the wrong size, and what does not open, with 401.
// Its cause is [ErrSeal] or [ErrExpired] where the parts are in order.
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
