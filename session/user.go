// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"

	"github.com/gatehouse-go/gatehouse"
)

const (
	// UserHeader is the header in which a script sends the [UserTag] of the user that its
	// page shows. The manager rejects a request with the tag of another user than that of
	// the session: a tab may still show one user after another has signed in.
	UserHeader = "Session-User"

	// UserField is the form field, or query parameter, in which a form sends the same
	// value: see [RequireUser].
	UserField = "session_user"
)

// CodeUserChanged is the code for a request from a page that shows another user.
var CodeUserChanged = gatehouse.NewCode(http.StatusConflict, "user_changed", "Another user has signed in since this page was loaded.")

var (
	errOtherUserTag = errors.New("session: the page belongs to another user than the session")
	errNoUserTag    = errors.New("session: the request does not name the user that its page shows: send the header " + UserHeader + " or the form field " + UserField)
)

// UserTag returns the value of [UserHeader] and [UserField] for the pages of a user. It
// is the same in all sessions of the user, and reveals neither subject nor issuer, unless
// both can be guessed.
func UserTag(p gatehouse.Principal) string {
	sum := sha256.Sum256([]byte("session user\x00" + p.Issuer + "\x00" + p.Subject))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// checkUser returns an error if the values name another user than p.
func checkUser(values []string, p gatehouse.Principal) error {
	if len(values) == 0 {
		return nil
	}
	if tag := UserTag(p); slices.ContainsFunc(values, func(value string) bool { return value != tag }) {
		return &gatehouse.Error{Code: CodeUserChanged, Reason: ReasonOtherUser, Credential: p.Credential, Cause: errOtherUserTag}
	}
	return nil
}

// RequireUser returns a handler, for use behind a gate, that requires the [UserTag] of
// the user in each request with a session and a method other than GET, HEAD and OPTIONS:
// in [UserHeader], or in [UserField] in the query or the
// application/x-www-form-urlencoded body. Without a tag the response is 400, with the tag
// of another user 409, and next is not called. Requests with credentials other than a
// session need no tag, because pages do not send them.
//
// It reads form bodies as [http.Request.ParseForm] does, so set a limit for them in
// front of it. It does not read other bodies; a multipart form can have the field in
// the query of its action. [gatehouse.Refuse] writes the refusals.
func RequireUser(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		if p.Method == Method && !isSafe(r.Method) {
			if err := checkPage(r, p); err != nil {
				gatehouse.Refuse(w, r, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// checkPage checks that a request has the tag of p. The manager has checked the header;
// checkPage checks it again for principals that the application has put into the context.
func checkPage(r *http.Request, p gatehouse.Principal) error {
	values := slices.Clone(r.Header[UserHeader])
	query, err := url.ParseQuery(r.URL.RawQuery)
	values = append(values, query[UserField]...)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && kind == "application/x-www-form-urlencoded" {
		err = r.ParseForm()
		values = append(values, r.PostForm[UserField]...)
	}
	if err != nil {
		return &gatehouse.Error{Code: gatehouse.CodeInvalidRequest, Reason: ReasonNoUser, Credential: p.Credential, Cause: err}
	}
	if len(values) == 0 {
		return &gatehouse.Error{Code: gatehouse.CodeInvalidRequest, Reason: ReasonNoUser, Credential: p.Credential, Cause: errNoUserTag}
	}
	return checkUser(values, p)
}

// isSafe reports whether requests with the method change nothing.
func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
