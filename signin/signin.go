// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
)

// Handler serves the endpoints of the browser login. It is safe for concurrent
// use.
type Handler struct {
	// Sessions is the authenticator for the gate.
	Sessions *session.Manager
	// LoginURL is the path of the login, for [gatehouse.Config].
	LoginURL string
	// Client is the client at the authorization server.
	Client *oauth.Client
	// Gate accepts requests with a session, and redirects other navigations to the login.
	Gate *gatehouse.Gate

	keys       *cookie.Keyring
	request    oauth.AuthorizationRequest
	issuer     string
	home       string
	postLogout string
	complete   func(*http.Request, *session.Login) error
	custom     func(*http.Request, Page) gatehouse.Body // nil for none
	observer   gatehouse.Observer

	acr         []string
	userinfo    bool
	admits      Admit
	lifetime    session.Lifetime // of remembered logins, zero for none
	revocations Revocations      // nil for none
	framing     bool
	partitioned bool

	callback, logout, backChannel string // paths
}

// route derives the paths of the endpoints from the redirect URI, and returns its
// origin.
func (h *Handler) route(redirectURI string) (origin string, err error) {
	u, err := safeurl.Parse(redirectURI)
	if err != nil {
		return "", err
	}
	directory := path.Dir(u.Path)
	h.callback = u.Path
	h.LoginURL, h.logout = path.Join(directory, "login"), path.Join(directory, "logout")
	h.backChannel = path.Join(directory, "backchannel-logout")
	switch h.callback {
	case "", "/", h.LoginURL, h.logout, h.backChannel:
		return "", errors.New("path: must not be empty, / or the path of another endpoint: use a path such as /auth/callback")
	}
	return u.Scheme + "://" + u.Host, nil
}

// Close waits for running refreshes of tokens, and cancels the other shared
// requests. The handler cannot be used afterwards.
func (h *Handler) Close() error {
	var err1, err2 error
	if h.Sessions != nil {
		err1 = h.Sessions.Close()
	}
	if h.Client != nil {
		err2 = h.Client.Close()
	}
	return errors.Join(err1, err2)
}

// ServeHTTP serves the endpoints by the path of the request: the callback, and in the
// same directory login, logout and backchannel-logout. Do not put it behind a gate: it
// must be reachable without a session. [Handler.Protect] takes care of that.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case h.LoginURL:
		h.serveLogin(w, r)
	case h.callback:
		h.serveCallback(w, r)
	case h.logout:
		h.serveLogout(w, r)
	case h.backChannel:
		h.serveBackChannelLogout(w, r)
	default:
		if endpoint := h.shortened(r.URL.Path); endpoint != "" {
			h.fail(w, r, time.Now(), h.reject(CodePath, ReasonPath, fmt.Errorf("%w: got %s, want %s", errPath, r.URL.Path, endpoint)))
			return
		}
		http.NotFound(w, r)
	}
}

// shortened returns the endpoint whose path ends with path, if a proxy may have removed
// the rest, "" for none.
func (h *Handler) shortened(path string) string {
	for _, endpoint := range []string{h.LoginURL, h.callback, h.logout, h.backChannel} {
		if len(path) > 1 && path != endpoint && strings.HasSuffix(endpoint, path) {
			return endpoint
		}
	}
	return ""
}

// refresh is the Refresh of the sessions.
func (h *Handler) refresh(ctx context.Context, old session.Tokens) (session.Tokens, error) {
	tokens, err := h.Client.Refresh(ctx, old)
	// After a server error the refresh token may be valid, whatever the code.
	if e, ok := errors.AsType[*oauth.Error](err); ok && e.Code == "invalid_grant" && !errors.Is(err, oauth.ErrUnavailable) {
		return session.Tokens{}, fmt.Errorf("%w: %w", session.ErrSignedOut, err)
	}
	return tokens, err
}
