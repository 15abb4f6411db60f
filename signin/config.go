// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
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
	// "https://app.example.com/auth/callback". The handler must receive requests with
	// this path: if a proxy removes a path prefix, the handler refuses the requests with
	// [ReasonPath]. The other endpoints are in the same directory. Required.
	RedirectURI string

	// Scopes are requested in addition to openid. Many authorization servers return
	// a refresh token only for the scope offline_access; with this scope, the login
	// requests consent (prompt=consent) unless Params contains prompt.
	Scopes []string

	// Resources, MaxAge and Params are as in [oauth.AuthorizationRequest]. The values
	// of Params, such as acr_values, are not compared with the ID token. Optional.
	Resources []string
	MaxAge    time.Duration
	Params    url.Values

	// ACRValues are requested as acr_values. A login is refused with [ReasonStepUp] if
	// the acr of its ID token is not one of them. They are visible ASCII without spaces,
	// at most 256 bytes together. Optional.
	ACRValues []string

	// Userinfo adds the claims of the userinfo endpoint to those of the ID token. It does
	// not replace claims of the ID token. Set it if the authorization server omits claims
	// such as groups and email from ID tokens. If the endpoint fails, the login fails.
	Userinfo bool

	// Admit defines which users may sign in. The zero value admits every user of the
	// authorization server.
	Admit Admit

	// Remember is the lifetime of the session of a user who asks to stay signed in: the
	// login then has the query parameter remember=1, for example from a checkbox in a
	// form. The parameter is ignored if Remember is zero, and in cross-origin requests.
	Remember session.Lifetime

	// Revocations revokes the access tokens of users who sign out everywhere: a
	// *revocation.List with the issuer. Optional.
	Revocations Revocations

	// CookieSecrets seal the cookies of pending logins and the tokens in the
	// session store, as in [cookie.NewKeyring]: the first one seals, and all of
	// them open sealed values. Required.
	CookieSecrets []gatehouse.Secret

	// Session configures the sessions. Its Store is required. Keys, Refresh, Revoke and
	// Observer must be nil: the handler sets them. It also adds the origin of
	// RedirectURI to the TrustedOrigins, for proxies that change the Host.
	Session session.Config

	// Home is the destination of the browser after a login without return_to and after a
	// logout: a path on this host, "/" if empty, or a URL. If a proxy adds a path prefix,
	// include the prefix. If Home is a URL, return_to is ignored, because the pages are
	// on another origin.
	Home string

	// PostLogoutRedirectURI is a registered address to which the authorization server
	// redirects the browser after a logout. If it is empty, the user stays at the
	// authorization server.
	PostLogoutRedirectURI string

	// Complete changes the session of a login before it starts: it can set a Label, and
	// derive Tenant and Roles of the Principal from its Claims. If it returns an error,
	// the login is refused, with the status of a [*gatehouse.Error] or with 503.
	// Optional.
	Complete func(r *http.Request, login *session.Login) error

	// Page returns the page for a navigation that the login, the logout or, with
	// [Handler.ErrorBody], the gate refuses. The zero Body stands for the page of this
	// package. For the login and the logout, a Location in its Header redirects the
	// browser (303), such as to a page on another origin. It must not lead to the login,
	// which could be an endless loop. The response to other requests is JSON. Optional.
	Page func(r *http.Request, p Page) gatehouse.Body

	// Observer receives the events of this package and of the sessions, and each
	// rejected request. Optional.
	Observer gatehouse.Observer
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
		complete: config.Complete, custom: config.Page, observer: config.Observer, userinfo: config.Userinfo,
		admits: config.Admit.clone(), acr: slices.Clone(config.ACRValues), lifetime: config.Remember, revocations: config.Revocations,
		framing: config.Session.AllowFraming, partitioned: config.Session.Partitioned,
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
	if err != nil {
		fail("Scopes", fmt.Errorf("%w: each element is one scope", err))
	}
	fail("Client", h.open(config, scopes))
	fail("Session", h.openSessions(config.Session, origin))
	fail("Admit", h.admits.check())
	fail("ACRValues", checkACR(h.acr, config.Params))
	if h.lifetime != (session.Lifetime{}) {
		fail("Remember", h.lifetime.Check())
	}
	if h.revocations != nil && typednil.Is(h.revocations) {
		fail("Revocations", fmt.Errorf("is a nil %T", h.revocations))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	h.Gate, err = gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{h.Sessions}, Realm: cmp.Or(config.Session.Name, "session"),
		LoginURL: h.LoginURL, Observer: h.observer, ErrorBody: h.ErrorBody,
	})
	if err != nil {
		return nil, fmt.Errorf("signin: Config: %w", err)
	}
	return h, nil
}

// open creates the client and the authorization request.
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
	if len(h.acr) > 0 {
		h.request.Params.Set("acr_values", strings.Join(h.acr, " "))
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
		return nil // New has reported the error in RedirectURI or Scopes
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
