// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/navigation"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
)

const (
	// logoutTimeout bounds the requests to the authorization server at a logout.
	logoutTimeout = 3 * time.Second

	// maxLogoutRequest bounds the body of a back-channel logout request, in bytes.
	maxLogoutRequest = 64 << 10
)

// serveLogout ends the session of the request, or with the parameter everywhere=1 all
// sessions of its user. It revokes their tokens and redirects to the end session
// endpoint.
func (h *Handler) serveLogout(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	private(w.Header())
	if !allowPOST(w, r) {
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxLogoutRequest)
	everywhere := r.FormValue("everywhere") == "1"
	user, err := h.leaving(r, everywhere)
	if err != nil {
		h.fail(w, r, start, err)
		return
	}
	tokens, err := h.Sessions.End(w, r) // the manager reports the error
	// The logout completes even if the browser disconnects or the observer fails.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), logoutTimeout)
	defer cancel()
	var incomplete error
	if everywhere { // before the calls of the authorization server, which may be slow
		var failed error
		incomplete, failed = h.endUser(ctx, user)
		err = errors.Join(err, failed)
	}
	incomplete = errors.Join(failure(h.revoke(ctx, tokens)), incomplete)
	if err != nil {
		h.answer(w, r, h.asError(err))
		return
	}
	shown := navigation.ShowsResponse(r)
	if !shown {
		tokens.ID = gatehouse.Secret{} // scripts get no token; without it the user must confirm the logout
	}
	location, err := h.Client.EndSessionURL(ctx, tokens, h.postLogout)
	if err != nil {
		location = h.home // the session in this application has ended
	}
	if err := errors.Join(failure(incomplete), failure(err)); err != nil {
		_ = h.report(r, EventLogoutIncomplete, err) // the logout is complete: an error of the observer changes nothing
	}
	if shown {
		redirect(w, location)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"logout_url": location}) // fails only if the client has disconnected
}

// leaving returns the user of the session that a logout ends, the zero Key if there is
// none. It returns an error if the page shows another user, who must not sign this one
// out, or if the user to sign out everywhere is unknown.
func (h *Handler) leaving(r *http.Request, everywhere bool) (gatehouse.Key, error) {
	proof, err := h.Sessions.Authenticate(r)
	if everywhere && errors.Is(err, gatehouse.ErrNoCredentials) {
		return gatehouse.Key{}, h.reject(gatehouse.CodeMissingCredentials, gatehouse.ReasonNoCredentials, nil)
	}
	if e, ok := errors.AsType[*gatehouse.Error](err); ok && (everywhere || e.Reason == session.ReasonOtherUser) {
		return gatehouse.Key{}, err
	}
	if err != nil {
		return gatehouse.Key{}, nil //nolint:nilerr // End reports the error, unless there is no session
	}
	if tag := r.FormValue(session.UserField); tag != "" && tag != session.UserTag(proof.Principal()) {
		return gatehouse.Key{}, h.reject(session.CodeUserChanged, session.ReasonOtherUser, nil)
	}
	return proof.Principal().Key(), nil
}

// LogoutOrigin returns the origin of the end session endpoint, such as
// "https://auth.example.com", "" if the authorization server has none. If a page with a
// logout form has a Content-Security-Policy, its form-action must contain 'self' and this
// origin, because browsers apply form-action to the redirect after the form. The origin
// may differ from that of the issuer. The metadata are cached; the error wraps
// [oauth.ErrUnavailable].
func (h *Handler) LogoutOrigin(ctx context.Context) (string, error) {
	p, err := h.Client.Provider(ctx)
	if err != nil || p.EndSessionEndpoint == "" {
		return "", err
	}
	u, err := url.Parse(p.EndSessionEndpoint)
	if err != nil {
		return "", errors.New("signin: end session endpoint: malformed URL")
	}
	return u.Scheme + "://" + u.Host, nil
}

// failure returns err, or nil if err means that the authorization server has no such
// endpoint.
func failure(err error) error {
	if errors.Is(err, oauth.ErrNotOffered) {
		return nil
	}
	return err
}

// revoke revokes the refresh token of an ended session, or the access token if there is
// none. If it fails, the tokens stay valid until they expire.
func (h *Handler) revoke(ctx context.Context, tokens session.Tokens) error {
	token, kind := tokens.Refresh, oauth.RefreshToken
	if token.Len() == 0 {
		token, kind = tokens.Access, oauth.AccessToken
	}
	if token.Len() == 0 {
		return nil
	}
	return h.Client.Revoke(ctx, token, kind)
}

// serveBackChannelLogout ends the sessions that a logout token identifies: OpenID Connect
// Back-Channel Logout 1.0. The request comes from the authorization server, and the token
// is its only credential.
func (h *Handler) serveBackChannelLogout(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	// OIDC Back-Channel Logout §2.8: "the RP ... SHOULD include in its HTTP
	// response a Cache-Control header field with a no-store value".
	w.Header().Set("Cache-Control", "no-store")
	if !allowPOST(w, r) {
		return
	}
	if err := h.endSessions(w, r); err != nil {
		// OIDC Back-Channel Logout §2.8: "If the logout request was invalid or
		// the logout failed, the RP MUST respond with HTTP 400 Bad Request."
		code := gatehouse.CodeInvalidRequest
		if h.record(r, start, err).Code.Status() == http.StatusServiceUnavailable {
			code = gatehouse.CodeTemporarilyUnavailable
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"` + code.String() + `"}` + "\n")) // fails only if the client has disconnected
	}
}

func (h *Handler) endSessions(w http.ResponseWriter, r *http.Request) error {
	// OIDC Back-Channel Logout §2.5: "The logout request body ... uses the
	// application/x-www-form-urlencoded encoding". ParseForm reads only this encoding.
	r.Body = http.MaxBytesReader(w, r.Body, maxLogoutRequest)
	if err := r.ParseForm(); err != nil || len(r.PostForm["logout_token"]) != 1 {
		return h.reject(gatehouse.CodeInvalidRequest, ReasonLogoutToken, errLogoutRequest)
	}
	token, err := h.Client.VerifyLogoutToken(r.Context(), r.PostForm.Get("logout_token"))
	switch {
	case errors.Is(err, oauth.ErrUnavailable):
		return h.unavailable(err)
	case err != nil:
		return h.reject(gatehouse.CodeInvalidRequest, ReasonLogoutToken, err)
	}
	// The logout completes even if the authorization server disconnects, because it may
	// not send the token again.
	return h.Sessions.Logout(context.WithoutCancel(r.Context()), session.Logout{
		Issuer: h.issuer, Subject: token.Subject, SID: token.SessionID, ID: token.ID,
	})
}

// allowPOST responds 405 to other methods than POST.
func allowPOST(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodPost {
		return true
	}
	w.Header().Set("Allow", http.MethodPost)
	http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	return false
}
