// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// defaultRetryAfter is when to try again where the server does not say.
const defaultRetryAfter = 5 * time.Second

func retryAfter(d time.Duration) string {
	if d <= 0 {
		d = defaultRetryAfter
	}
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// Start begins a login and sends the browser to the authorization server. It is
// a handler, for GET, and writes the whole response.
//
// Only a navigation begins a login: whatever else a page requests is answered
// with 401, since nobody would see the login. The query parameter return_to may
// say where to go afterwards, as a path on this host; what leads elsewhere
// becomes "/".
func (l *Login) Start(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	if !isNavigation(r) {
		e := l.client.refuse(gatehouse.CodeMissingCredentials, gatehouse.ReasonLoginBackground, nil)
		l.Refuse(w, r, l.tell(r, start, e))
		return
	}
	back, ok := returnTo(r.URL.RawQuery)
	if !ok {
		event := l.event(r, start)
		event.Decision, event.Reason = gatehouse.Refused, gatehouse.ReasonReturnTo
		if e := l.observe(r, event); e != nil {
			l.Refuse(w, r, e)
			return
		}
	}
	address, t, err := l.client.authorize(r.Context(), l.request)
	if err != nil {
		l.Refuse(w, r, l.tell(r, start, l.client.unavailable(err)))
		return
	}
	t.ReturnTo = back
	if err := l.remember(w, r, t); err != nil {
		l.Refuse(w, r, l.tell(r, start, l.client.unavailable(err)))
		return
	}
	private(w.Header())
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusSeeOther) // RFC 9700 §4.12: never 307
}

// remember puts the transaction into a cookie of its own, so that two tabs do
// not disturb each other.
func (l *Login) remember(w http.ResponseWriter, r *http.Request, t transaction) error {
	value, err := t.text()
	if err != nil {
		return err
	}
	sealed, err := l.transactionCookie(nameOf(t.State))
	if err != nil {
		return err
	}
	l.makeRoom(w, r, len(value)*4/3)
	return sealed.Set(w, r, value)
}

// maxReturnTo bounds what is kept of an address in a cookie.
const maxReturnTo = 2048

// returnTo returns the way back that a query asks for, "/" if it asks for none,
// and "/" and false if it asks for one that is refused.
func returnTo(query string) (string, bool) {
	values, err := url.ParseQuery(query)
	asked := values["return_to"]
	switch {
	case err != nil, len(asked) > 1:
		return "/", false
	case len(asked) == 0:
		return "/", true
	case !isLocal(asked[0]):
		return "/", false
	}
	return asked[0], true
}

// isLocal reports whether every browser takes the text for a path on the same
// host: it begins with one slash, and has nothing in it, neither as it is nor
// once it is unescaped, that browsers, proxies or routers read as another host.
func isLocal(text string) bool {
	if len(text) > maxReturnTo {
		return false
	}
	for i := range len(text) {
		// Browsers take a backslash for a slash and skip what is invisible; beyond
		// ASCII lie characters that become slashes when they are normalised.
		if c := text[i]; c <= 0x20 || c >= 0x7f || c == '\\' {
			return false
		}
	}
	path := text
	if end := strings.IndexAny(text, "?#"); end >= 0 {
		path = text[:end]
	}
	u, err := url.Parse(text)
	return err == nil && u.Host == "" && isPath(path) && isPath(u.Path)
}

// isPath reports whether a path begins with one slash and is what remains when
// it is cleaned: it has no empty segments but the last, no dots, no backslashes
// and nothing invisible.
func isPath(path string) bool {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return false
	}
	segments := strings.Split(rest, "/")
	for i, segment := range segments {
		switch {
		case segment == ".", segment == "..", segment == "" && i < len(segments)-1:
			return false
		case strings.ContainsFunc(segment, func(r rune) bool { return r == '\\' || r < 0x20 || r == 0x7f }):
			return false
		}
	}
	return true
}
