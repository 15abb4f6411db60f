// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// maxReturnTo bounds the length of a return_to, which is kept in a cookie.
const maxReturnTo = 2048

// returnTo returns the destination of a login: the return_to of the query, or Home if
// there is none. If the return_to is rejected, or the query is malformed, it returns Home
// and false.
func (h *Handler) returnTo(query url.Values, err error) (string, bool) {
	requested := query["return_to"]
	switch {
	case err != nil, len(requested) > 1:
		return h.home, false
	case len(requested) == 0:
		return h.home, true
	case !isLocal(requested[0]):
		return h.home, false
	case !strings.HasPrefix(h.home, "/"):
		return h.home, true
	}
	return requested[0], true
}

type returnToKey struct{}

// withReturnTo returns r with the path to which the failed login should have returned.
func withReturnTo(r *http.Request, path string) *http.Request {
	if path == "" {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), returnToKey{}, path))
}

// returnToOf returns the path that withReturnTo has set, "" if unknown.
func returnToOf(r *http.Request) string {
	path, _ := r.Context().Value(returnToKey{}).(string)
	return path
}

// isLocal reports whether every browser reads text as a path on the same host: it begins
// with one slash and contains nothing, escaped or not, that a browser, a proxy or a
// router may read as another host.
//
// Implements RFC 9700 §2.1 (redirect).
func isLocal(text string) bool {
	if len(text) > maxReturnTo {
		return false
	}
	for i := range len(text) {
		// Browsers read a backslash as a slash and ignore control characters. Some
		// characters beyond ASCII become slashes by normalization.
		if c := text[i]; c <= 0x20 || c >= 0x7f || c == '\\' {
			return false
		}
	}
	path := text
	if end := strings.IndexAny(text, "?#"); end >= 0 {
		path = text[:end]
	}
	u, err := url.Parse(text)
	return err == nil && isCleanPath(path) && isCleanPath(u.Path)
}

// isCleanPath reports whether a path begins with one slash and has no empty
// segments except the last one, no dot segments, no backslashes and no control
// characters.
func isCleanPath(path string) bool {
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
