// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
)

// maxLogoutRequest bounds the body of a back-channel logout, in bytes.
const maxLogoutRequest = 64 << 10

var errLogoutRequest = errors.New("oauth: is no back-channel logout request")

// BackChannelLogout returns the handler for the logout tokens that the
// authorization server sends when a login has ended there: OpenID Connect
// Back-Channel Logout 1.0. It ends the sessions that began with it.
//
// The request is not of a browser and has no credential but the token, so the
// handler stands outside of every gate.
func (l *Login) BackChannelLogout(sessions *session.Manager) http.Handler {
	if sessions == nil {
		panic("oauth: Login.BackChannelLogout: nil sessions")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		// §2.8: "the RP ... SHOULD include in its HTTP response a Cache-Control
		// header field with a no-store value".
		w.Header().Set("Cache-Control", "no-store")
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		if err := l.endSessions(w, r, sessions); err != nil {
			// §2.8: "If the logout request was invalid or the logout failed, the RP
			// MUST respond with HTTP 400 Bad Request."
			code := gatehouse.CodeInvalidRequest
			if l.tell(r, start, err).Status() == http.StatusServiceUnavailable {
				code = gatehouse.CodeTemporarilyUnavailable
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"` + string(code) + `"}` + "\n")) // a server that has gone is no concern of ours
		}
	})
}

func (l *Login) endSessions(w http.ResponseWriter, r *http.Request, sessions *session.Manager) error {
	// §2.5: "The logout request body ... uses the
	// application/x-www-form-urlencoded encoding".
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	r.Body = http.MaxBytesReader(w, r.Body, maxLogoutRequest)
	if err := r.ParseForm(); err != nil || kind != "application/x-www-form-urlencoded" || len(r.PostForm["logout_token"]) != 1 {
		return l.client.refuse(gatehouse.CodeInvalidRequest, gatehouse.ReasonLogoutToken, errLogoutRequest)
	}
	said, err := l.client.LogoutToken(r.Context(), r.PostForm.Get("logout_token"))
	switch {
	case errors.Is(err, ErrUnavailable):
		return l.client.unavailable(err)
	case err != nil:
		return l.client.refuse(gatehouse.CodeInvalidRequest, gatehouse.ReasonLogoutToken, err)
	}
	// A server that does not wait for the answer does not always say it again.
	return sessions.Logout(context.WithoutCancel(r.Context()), session.Logout{
		Issuer: l.client.issuer, Subject: said.Subject, SID: said.SessionID, ID: said.ID,
	})
}
