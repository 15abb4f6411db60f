// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
)

// Config configures a [Handler].
type Config struct {
	// Client configures the client at the authorization server: Issuer, ClientID
	// and a client authentication method are required. Once must be nil: the handler
	// sets it.
	Client oauth.Config

	// RedirectURI is the registered address of the callback, such as
	// "https://app.example.com/auth/callback". Its path must be the request path
	// that the handler receives for the callback; the other endpoints are in the
	// same directory. Required.
	RedirectURI string

	// Scopes are requested in addition to openid. Many authorization servers return
	// a refresh token only for the scope offline_access; with this scope, the login
	// requests consent (prompt=consent) unless Params contains prompt.
	Scopes []string

	// Resources, MaxAge and Params are as in [oauth.AuthorizationRequest].
	// Optional.
	Resources []string
	MaxAge    time.Duration
	Params    url.Values

	// CookieSecrets seal the cookies of pending logins and the tokens in the
	// session store, as in [cookie.NewKeyring]: the first one seals, and all of
	// them open sealed values. Required.
	CookieSecrets []gatehouse.Secret

	// Session configures the sessions. Its Store is required. Keys, Refresh, Revoke and
	// Observer must be nil: the handler sets them. It also adds the origin of
	// RedirectURI to the TrustedOrigins, for proxies that change the Host.
	Session session.Config

	// Home is the destination of the browser after a login without return_to and
	// after a logout: a path on this host, "/" if empty, or a URL. If it is a URL,
	// return_to is ignored, because the pages are on another origin.
	Home string

	// PostLogoutRedirectURI is a registered address to which the authorization
	// server sends the browser after a logout. If it is empty, the user stays at
	// the authorization server.
	PostLogoutRedirectURI string

	// Complete, if not nil, completes the session of a login before it starts: it
	// can set a Label, and derive Tenant and Roles of the Principal from its
	// Claims. If it returns an error, the login is rejected: with the status of the
	// error if it is a [*gatehouse.Error], with 503 otherwise.
	Complete func(r *http.Request, login *session.Login) error

	// ErrorPage, if not nil, writes the response to navigations that fail, instead of
	// a line of plain text. It must not show the error, except for its status, and must not
	// redirect to the login, which could be an endless loop. [ReturnTo] says where the
	// login would have led. Other requests are answered with JSON.
	ErrorPage func(w http.ResponseWriter, r *http.Request, err *gatehouse.Error)

	// Observer receives the events of this package and of the sessions, and each
	// rejected request. Optional.
	Observer gatehouse.Observer
}

// Handler serves the endpoints of the browser login. It is safe for concurrent
// use.
type Handler struct {
	// Sessions is the authenticator for the gate.
	Sessions *session.Manager
	// LoginURL is the path of the login, for [gatehouse.Config].
	LoginURL string
	// Client is the client at the authorization server.
	Client *oauth.Client

	keys       *cookie.Keyring
	request    oauth.AuthorizationRequest
	issuer     string
	home       string
	postLogout string
	complete   func(*http.Request, *session.Login) error
	errorPage  func(http.ResponseWriter, *http.Request, *gatehouse.Error)
	observer   gatehouse.Observer

	callback, logout, backChannel string // paths
}

// New returns a handler. It reports all configuration errors at once. New makes
// no network call.
func New(config Config) (*Handler, error) {
	var errs []error
	fail := func(field string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("signin: Config.%s: %w", field, err))
		}
	}
	h := &Handler{
		issuer: config.Client.Issuer, home: config.Home, postLogout: config.PostLogoutRedirectURI,
		complete: config.Complete, errorPage: config.ErrorPage, observer: config.Observer,
	}
	if h.home == "" {
		h.home = "/"
	}
	fail("Home", safeurl.CheckLogin(h.home))
	if h.postLogout != "" {
		_, err := safeurl.Parse(h.postLogout)
		fail("PostLogoutRedirectURI", err)
	}
	var err error
	h.keys, err = cookie.NewKeyring(config.CookieSecrets...)
	fail("CookieSecrets", err)
	origin, err := h.route(config.RedirectURI)
	fail("RedirectURI", err)
	scopes, err := gatehouse.NewScopes(append([]string{"openid"}, config.Scopes...)...)
	fail("Scopes", err)
	fail("Client", h.open(config, scopes))
	fail("Session", h.openSessions(config.Session, origin))
	if err := errors.Join(errs...); err != nil {
		_ = h.Close() // what was made of a configuration that is rejected
		return nil, err
	}
	return h, nil
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

// open makes the client and the authorization request.
func (h *Handler) open(config Config, scopes gatehouse.Scopes) error {
	h.request = oauth.AuthorizationRequest{
		RedirectURI: config.RedirectURI, Scopes: scopes, Resources: slices.Clone(config.Resources), MaxAge: config.MaxAge,
		Params: make(url.Values),
	}
	for name, values := range config.Params {
		h.request.Params[name] = slices.Clone(values)
	}
	// OIDC Core §11: the authorization server "MUST ensure that the
	// prompt parameter contains consent unless other conditions for processing the
	// request permitting offline access to the requested resources are in place;
	// unless one or both of these conditions are fulfilled, then it MUST ignore the
	// offline_access request".
	if scopes.Has("offline_access") && !h.request.Params.Has("prompt") {
		h.request.Params.Set("prompt", "consent")
	}
	if config.Client.Once != nil {
		return errors.New("Once must be nil, because signin sets it")
	}
	config.Client.Once = func(ctx context.Context, state string) (bool, error) {
		return h.Sessions.Once(ctx, h.issuer, state, transactionLifetime)
	}
	client, err := oauth.New(config.Client)
	if err != nil {
		return err
	}
	h.Client = client
	if h.callback == "" || scopes.Len() == 0 {
		return nil // New has reported the mistake in RedirectURI or Scopes
	}
	return client.Check(h.request)
}

func (h *Handler) openSessions(config session.Config, origin string) error {
	if config.Keys != nil || config.Refresh != nil || config.Revoke != nil || config.Observer != nil {
		return errors.New("Keys, Refresh, Revoke and Observer must be nil, because signin sets them")
	}
	config.Keys, config.Refresh, config.Revoke, config.Observer = h.keys, h.refresh, h.revoke, h.observer
	config.TrustedOrigins = slices.Clone(config.TrustedOrigins)
	if origin != "" && !slices.Contains(config.TrustedOrigins, origin) {
		config.TrustedOrigins = append(config.TrustedOrigins, origin)
	}
	if h.keys == nil { // reported already
		config.Keys, config.Refresh = nil, nil
	}
	sessions, err := session.New(config)
	h.Sessions = sessions
	return err
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

// ServeHTTP serves the endpoints by the path of the request: the callback, and in
// the same directory login, logout and backchannel-logout. It must be reachable
// without a session, so it is not behind a gate.
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
		http.NotFound(w, r)
	}
}

// refresh is the Refresh of the sessions.
func (h *Handler) refresh(ctx context.Context, old session.Tokens) (session.Tokens, error) {
	tokens, err := h.Client.Refresh(ctx, old)
	// A response that is a server error says nothing about the refresh token,
	// whatever its code.
	if e, ok := errors.AsType[*oauth.Error](err); ok && e.Code == "invalid_grant" && !errors.Is(err, oauth.ErrUnavailable) {
		return session.Tokens{}, fmt.Errorf("%w: %w", session.ErrSignedOut, err)
	}
	return tokens, err
}
