// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

// origin is a scheme and an authority in the form of RFC 3986 section 6.2: in lower
// case and without the default port.
type origin struct{ scheme, authority string }

func parseOrigin(s string) (origin, error) {
	u, err := safeurl.Parse(s)
	switch {
	case err != nil:
		return origin{}, err
	case !text.IsVisible(s):
		return origin{}, errors.New("has characters that a URL cannot have")
	case u.Path != "" || strings.Contains(s, "?"):
		return origin{}, errors.New("must have no path and no query")
	}
	o, _, _ := splitURL(s)
	return o, nil
}

// splitURL returns the origin of a URL, in the normal form, and its path as it is,
// without query and fragment. It is not ok if the URL is not absolute. User information
// is a part of the authority, which no origin has.
//
// Implements RFC 9449 §4.3 (htu).
func splitURL(s string) (o origin, path string, ok bool) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || !text.IsVisible(s) {
		return origin{}, "", false
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, path := rest[:end], rest[end:]
	if n := strings.IndexAny(path, "?#"); n >= 0 {
		path = path[:n]
	}
	// RFC 3986 sections 6.2.2.1 and 6.2.3: scheme and host are case-insensitive, and an empty
	// port is that of the scheme.
	o = origin{strings.ToLower(scheme), strings.ToLower(authority)}
	port := ":443"
	if o.scheme == "http" {
		port = ":80"
	}
	o.authority = strings.TrimSuffix(strings.TrimSuffix(o.authority, port), ":")
	return o, path, true
}

// receivedPath returns the path of a request as the server received it. Handlers
// change only the URL: http.StripPrefix does.
func receivedPath(r *http.Request) string {
	if path, _, _ := strings.Cut(r.RequestURI, "?"); strings.HasPrefix(path, "/") {
		return path
	}
	return r.URL.EscapedPath()
}

// isTarget reports whether htu is the URL with an origin and a path.
//
// Implements RFC 9449 §4.3 (htu, normalization).
func isTarget(htu string, o origin, path string) bool {
	got, gotPath, ok := splitURL(htu)
	if !ok || got != o {
		return false
	}
	if gotPath == path && path != "" && !strings.Contains(path, "%") {
		return true
	}
	gotPath, ok1 := normalize(gotPath)
	path, ok2 := normalize(path)
	return ok1 && ok2 && gotPath == path
}

// normalize returns the normal form of an escaped path: RFC 3986 sections 6.2.2.2,
// 6.2.2.3 and 6.2.3. It is not ok if the path is malformed.
func normalize(path string) (string, bool) {
	if path == "" {
		return "/", true
	}
	if path[0] != '/' {
		return "", false
	}
	path, ok := unescapeUnreserved(path)
	if !ok || !strings.Contains(path, "/.") {
		return path, ok
	}
	return removeDotSegments(path), true
}

// unescapeUnreserved decodes the characters that need no escape, and writes the
// other escapes in upper case.
func unescapeUnreserved(path string) (string, bool) {
	if !strings.Contains(path, "%") {
		return path, true
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			b.WriteByte(path[i])
			continue
		}
		if i+2 >= len(path) {
			return "", false
		}
		high := strings.IndexByte(digits, upper(path[i+1]))
		low := strings.IndexByte(digits, upper(path[i+2]))
		if high < 0 || low < 0 {
			return "", false
		}
		if c := byte(high<<4 | low); text.IsAlphanumeric(c) || strings.IndexByte("-._~", c) >= 0 { //nolint:gosec // two hexadecimal digits
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(digits[high])
			b.WriteByte(digits[low])
		}
		i += 2
	}
	return b.String(), true
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// removeDotSegments is the algorithm of RFC 3986 section 5.2.4 for a path that begins
// with a slash.
func removeDotSegments(path string) string {
	segments := strings.Split(path[1:], "/")
	kept := segments[:0]
	for i, segment := range segments {
		switch segment {
		case ".", "..":
			if segment == ".." && len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
			if i == len(segments)-1 {
				kept = append(kept, "")
			}
		default:
			kept = append(kept, segment)
		}
	}
	return "/" + strings.Join(kept, "/")
}
