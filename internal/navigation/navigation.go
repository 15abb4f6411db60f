// SPDX-License-Identifier: Apache-2.0

// Package navigation recognises the requests by which a browser loads a page.
package navigation

import (
	"net/http"
	"strings"
)

// Is reports whether a browser sent r to show a page in a window or tab of its
// own: a GET that the Fetch metadata headers, or in an old browser Accept,
// describe as one. A redirect to a login page makes sense only for such a
// request: a script that follows it gets an opaque error, and a frame shows a
// login page that the user cannot recognise.
func Is(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// ShowsResponse reports whether the browser shows the response to r to the user: r
// is a navigation of any method, such as a form, also in a frame. The response to
// a script is for the script.
func ShowsResponse(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}
