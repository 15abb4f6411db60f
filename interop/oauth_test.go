// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/interop/provider"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// site is a server with a login, and one browser at it.
type site struct {
	client *oauth.Client
	login  *oauth.Login
	person *provider.Browser
	jar    map[string]string
}

func newClient(t *testing.T, c oauth.Config) *oauth.Client {
	t.Helper()
	client, err := oauth.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func parseScopes(t *testing.T, text string) gatehouse.Scopes {
	t.Helper()
	scopes, err := gatehouse.ParseScopes(text)
	if err != nil {
		t.Fatal(err)
	}
	return scopes
}

func newSite(t *testing.T, c oauth.Config) *site {
	t.Helper()
	keys, err := cookie.NewKeyring(gatehouse.NewSecret([]byte(strings.Repeat("k", 32))))
	if err != nil {
		t.Fatal(err)
	}
	s := &site{client: newClient(t, c), person: provider.NewBrowser(t, "ada"), jar: make(map[string]string)}
	s.login, err = oauth.NewLogin(oauth.LoginConfig{Client: s.client, Keys: keys, Request: oauth.AuthorizationRequest{
		RedirectURI: webapp.RedirectURIs[0], Scopes: parseScopes(t, "openid reports:read"), Resources: []string{opaque},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// another is another browser at the same server.
func (s *site) another(t *testing.T) *site {
	return &site{client: s.client, login: s.login, person: provider.NewBrowser(t, "eve"), jar: make(map[string]string)}
}

func (s *site) request(target string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, http.NoBody)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	for name, value := range s.jar {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return r
}

func (s *site) keep(w *httptest.ResponseRecorder) {
	for _, c := range w.Result().Cookies() {
		s.jar[c.Name] = c.Value
		if c.Value == "" {
			delete(s.jar, c.Name)
		}
	}
}

// start begins a login and returns where the browser is sent.
func (s *site) start(t *testing.T) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.login.Start(w, s.request("/login?return_to=/reports"))
	s.keep(w)
	if w.Code != http.StatusSeeOther {
		t.Fatalf("start: %d %s", w.Code, w.Body)
	}
	return w.Header().Get("Location")
}

// consent goes through the provider's pages and returns the query with which it
// sends the browser back.
func (s *site) consent(t *testing.T, address string) url.Values {
	t.Helper()
	return s.person.Visit(t, address, webapp.RedirectURIs[0]).Query()
}

func (s *site) callback(params url.Values) (oauth.Result, error) {
	w := httptest.NewRecorder()
	result, err := s.login.Callback(w, s.request("/callback?"+params.Encode()))
	s.keep(w)
	return result, err
}

func oauthConfig(p *provider.Provider, c provider.Client) oauth.Config {
	return oauth.Config{Issuer: p.Issuer, ClientID: c.ID, Secret: gatehouse.NewSecret([]byte(c.Secret))}
}

// assertions are the keys of clients that sign assertions, and their metadata.
func assertions(t *testing.T) (*jwtauth.KeyRing, map[string]any) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "client-key", Algorithm: jwtauth.ES256, Private: key})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	ring.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	var set map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &set); err != nil {
		t.Fatal(err)
	}
	return ring, map[string]any{
		"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256",
		"application_type": "web", "jwks": set,
	}
}

// TestOAuthLogin: a person logs in, and the tokens are renewed, looked at and
// withdrawn, with every way of client authentication that the provider has over
// plain HTTP.
func TestOAuthLogin(t *testing.T) {
	t.Parallel()
	ring, metadata := assertions(t)
	post := provider.Client{
		ID: "post client", Secret: "its secret + more %", RedirectURIs: webapp.RedirectURIs,
		Metadata: map[string]any{"token_endpoint_auth_method": "client_secret_post"},
	}
	basic := provider.Client{ID: "basic:client", Secret: "its secret: more %+&=", RedirectURIs: webapp.RedirectURIs}
	signer := provider.Client{ID: "signer", RedirectURIs: webapp.RedirectURIs, Metadata: metadata}
	native := provider.Client{ID: "native", RedirectURIs: webapp.RedirectURIs}
	p := startProvider(t, post, basic, signer, native)

	for name, test := range map[string]struct {
		client provider.Client
		change func(*oauth.Config)
	}{
		"secret in Basic": {basic, func(*oauth.Config) {}},
		"secret in body":  {post, func(c *oauth.Config) { c.Auth = oauth.SecretPost }},
		"assertion": {signer, func(c *oauth.Config) {
			c.Auth, c.Secret, c.Keys = oauth.PrivateKeyJWT, gatehouse.Secret{}, ring
		}},
		"public": {native, func(c *oauth.Config) { c.Auth, c.Secret = oauth.Public, gatehouse.Secret{} }},
		"without PAR, not discovered": {webapp, func(c *oauth.Config) {
			c.Provider = oauth.Provider{
				Issuer: p.Issuer, AuthorizationEndpoint: p.Issuer + "/auth", TokenEndpoint: p.Issuer + "/token",
				RevocationEndpoint: p.Issuer + "/token/revocation", IntrospectionEndpoint: p.Issuer + "/token/introspection",
				JWKSURI: p.Issuer + "/jwks", ResponseIssuer: true,
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := oauthConfig(p, test.client)
			test.change(&c)
			s := newSite(t, c)
			sent := s.start(t)
			if pushed := strings.Contains(sent, "request_uri=urn"); pushed == (c.Provider != oauth.Provider{}) {
				t.Errorf("sent to %s", sent)
			}
			if strings.Contains(sent, "request_uri") && (strings.Contains(sent, "state=") || strings.Contains(sent, "redirect_uri=")) {
				t.Errorf("what was pushed is sent through the browser too: %s", sent)
			}
			params := s.consent(t, sent)
			if params.Get("iss") != p.Issuer {
				t.Errorf("callback %v", params)
			}
			result, err := s.callback(params)
			if err != nil {
				t.Fatal(err, errors.Unwrap(err))
			}
			if result.Subject != "ada" || result.ReturnTo != "/reports" || !result.Tokens.Scopes.Has("reports:read") || len(s.jar) != 0 {
				t.Errorf("result %+v, cookies %v", result, s.jar)
			}
			s.renewAndRevoke(t, result.Tokens, test.client.Secret != "" || c.Keys != nil)
		})
	}
}

func (s *site) renewAndRevoke(t *testing.T, first oauth.Tokens, confidential bool) {
	t.Helper()
	ctx := t.Context()
	active := func(token gatehouse.Secret) bool {
		t.Helper()
		if !confidential { // the provider tells public clients nothing
			return true
		}
		said, err := s.client.Introspect(ctx, token, oauth.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		if said.Active && (!said.For(opaque) || said.Subject != "ada" || !said.Scopes.Has("reports:read")) {
			t.Errorf("introspection %+v", said)
		}
		return said.Active
	}
	if !active(first.Access) {
		t.Error("the access token is not active")
	}
	second, err := s.client.Refresh(ctx, first)
	if err != nil {
		t.Fatal(err)
	}
	if second.Refresh.Equal(first.Refresh) || second.Access.Equal(first.Access) || !active(second.Access) {
		t.Error("the refresh brought nothing new")
	}
	if err := s.client.Revoke(ctx, second.Access, oauth.AccessToken); err != nil {
		t.Fatal(err)
	}
	if confidential && active(second.Access) {
		t.Error("the access token is active after its revocation")
	}
	if err := s.client.Revoke(ctx, gatehouse.NewSecret([]byte("unknown")), ""); err != nil {
		t.Errorf("an unknown token: %v", err)
	}
	// The provider ends the family when a refresh token comes twice.
	for n, old := range []oauth.Tokens{first, second} {
		_, err := s.client.Refresh(ctx, old)
		if e, ok := errors.AsType[*oauth.Error](err); !ok || e.Code != "invalid_grant" || errors.Is(err, oauth.ErrUnavailable) {
			t.Errorf("refresh token %d after the reuse: %v", n, err)
		}
	}
}

// TestOAuthCallbacks: what a callback must not be, against the real codes of a
// real server.
func TestOAuthCallbacks(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	elsewhere := startProvider(t)
	s := newSite(t, oauthConfig(p, webapp))
	eve := s.another(t)
	other := newSite(t, oauthConfig(elsewhere, webapp)) // at the same host, with the same keys
	var refused atomic.Int64
	refuse := func(what string, browser *site, params url.Values, want gatehouse.Reason) {
		t.Helper()
		_, err := browser.callback(params)
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Reason != want {
			t.Errorf("%s: %v, want %s", what, err, want)
		}
		refused.Add(1)
	}
	with := func(params url.Values, name string, values ...string) url.Values {
		changed := make(url.Values)
		maps.Copy(changed, params)
		changed[name] = values
		if len(values) == 0 {
			changed.Del(name)
		}
		return changed
	}
	fresh := func() url.Values { return s.consent(t, s.start(t)) }

	params := fresh()
	refuse("in another browser", eve, params, gatehouse.ReasonLoginTransaction)
	refuse("state forged", s, with(params, "state", strings.Repeat("A", 43)), gatehouse.ReasonLoginTransaction)
	if _, err := s.callback(params); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	refuse("replayed", s, params, gatehouse.ReasonLoginTransaction)

	refuse("no iss", s, with(fresh(), "iss"), gatehouse.ReasonLoginIssuer)
	refuse("iss of another server", s, with(fresh(), "iss", elsewhere.Issuer), gatehouse.ReasonLoginIssuer)
	params = fresh()
	refuse("iss twice", s, with(params, "iss", p.Issuer, p.Issuer), gatehouse.ReasonLoginIssuer)

	// Eve logs in, keeps her callback from her browser, and puts her code into a
	// callback of Ada's.
	stolen := eve.consent(t, eve.start(t))
	refuse("code injected", s, with(fresh(), "code", stolen.Get("code")), gatehouse.ReasonLoginCode)

	// The server at which the login began is not the one whose callback is used.
	params = fresh()
	maps.Copy(other.jar, s.jar)
	refuse("mixed up", other, with(params, "iss", elsewhere.Issuer), gatehouse.ReasonLoginIssuer)

	// A request that somebody has taken the challenge out of.
	c := oauthConfig(p, webapp)
	c.Provider = oauth.Provider{Issuer: p.Issuer, AuthorizationEndpoint: p.Issuer + "/auth", TokenEndpoint: p.Issuer + "/token", JWKSURI: p.Issuer + "/jwks"}
	plain := newSite(t, c)
	for what, change := range map[string]func(url.Values){
		"without a challenge": func(q url.Values) { q.Del("code_challenge"); q.Del("code_challenge_method") },
		"downgraded to plain": func(q url.Values) { q.Set("code_challenge_method", "plain") },
	} {
		address, err := url.Parse(plain.start(t))
		if err != nil {
			t.Fatal(err)
		}
		query := address.Query()
		change(query)
		address.RawQuery = query.Encode()
		refuse(what, plain, plain.consent(t, address.String()), gatehouse.ReasonLoginRefused)
	}
	// A challenge of an attacker's own: the code is then not for our verifier.
	address, err := url.Parse(plain.start(t))
	if err != nil {
		t.Fatal(err)
	}
	query := address.Query()
	query.Set("code_challenge", strings.Repeat("E", 42)+"A")
	address.RawQuery = query.Encode()
	refuse("challenge of another", plain, plain.consent(t, address.String()), gatehouse.ReasonLoginCode)
	// The same for the nonce.
	address, err = url.Parse(plain.start(t))
	if err != nil {
		t.Fatal(err)
	}
	query = address.Query()
	query.Set("nonce", "another")
	address.RawQuery = query.Encode()
	refuse("nonce of another", plain, plain.consent(t, address.String()), gatehouse.ReasonLoginToken)
	report(t, &refused)
}

// TestOAuthMachine: client credentials by secret and by assertion; what the
// provider refuses is told by its code.
func TestOAuthMachine(t *testing.T) {
	t.Parallel()
	ring, metadata := assertions(t)
	metadata["grant_types"] = []string{"client_credentials"}
	signer := provider.Client{ID: "signer", Metadata: metadata}
	p := startProvider(t, signer)
	signed := oauth.Config{Issuer: p.Issuer, ClientID: signer.ID, Auth: oauth.PrivateKeyJWT, Keys: ring}
	api := newAPI(t, jwtauth.Config{Issuers: []jwtauth.Issuer{issuer(p, jwtauth.ES256, jwtauth.Discover())}})
	for name, c := range map[string]oauth.Config{"secret": oauthConfig(p, machine), "assertion": signed} {
		client := newClient(t, c)
		source, err := client.ClientCredentials(oauth.CredentialsRequest{
			Scopes: parseScopes(t, "reports:read"), Resources: []string{resource(jwtauth.ES256)},
		})
		if err != nil {
			t.Fatal(err)
		}
		one, err := source.Token(t.Context())
		if err != nil {
			t.Fatal(name, err)
		}
		who := api.accept(t, "/reports", string(one.Access.Reveal()))
		if who.Subject != c.ClientID || one.Scopes.String() != "reports:read" {
			t.Errorf("%s: %+v, %v", name, who, one.Scopes)
		}
		if two, err := source.Token(t.Context()); err != nil || !two.Access.Equal(one.Access) {
			t.Errorf("%s: the second token is another one: %v", name, err)
		}
		// For golang.org/x/oauth2.
		if three, err := source.OAuth2().Token(); err != nil || three.AccessToken != string(one.Access.Reveal()) || !three.Valid() {
			t.Errorf("%s: %v", name, err)
		}
		for what, test := range map[string]struct {
			code string
			ask  func() error
		}{
			"resource": {"invalid_target", func() error {
				source, _ := client.ClientCredentials(oauth.CredentialsRequest{Resources: []string{"https://unknown.example.com"}})
				_, err := source.Token(t.Context())
				return err
			}},
			"exchange": {"unsupported_grant_type", func() error {
				_, err := client.Exchange(t.Context(), oauth.ExchangeRequest{Subject: one.Access})
				return err
			}},
		} {
			if e, ok := errors.AsType[*oauth.Error](test.ask()); !ok || e.Code != test.code {
				t.Errorf("%s: %s: %v, want %s", name, what, test.ask(), test.code)
			}
		}
	}
	wrong := oauthConfig(p, machine)
	wrong.Secret = gatehouse.NewSecret([]byte("not the secret"))
	source, err := newClient(t, wrong).ClientCredentials(oauth.CredentialsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = source.Token(t.Context())
	if e, ok := errors.AsType[*oauth.Error](err); !ok || e.Code != "invalid_client" {
		t.Errorf("wrong secret: %v", err)
	}
}

// TestOAuthLogout: the person logs out at the provider, which tells the client.
func TestOAuthLogout(t *testing.T) {
	t.Parallel()
	told := make(chan string, 1)
	back := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		told <- r.PostFormValue("logout_token")
	}))
	t.Cleanup(back.Close)
	client := provider.Client{
		ID: "client", Secret: "the secret of the client", RedirectURIs: webapp.RedirectURIs,
		Metadata: map[string]any{
			"backchannel_logout_uri": back.URL, "backchannel_logout_session_required": true,
			"post_logout_redirect_uris": []string{"http://127.0.0.1:1/bye"},
		},
	}
	p := startProvider(t, client)
	s := newSite(t, oauthConfig(p, client))
	result, err := s.callback(s.consent(t, s.start(t)))
	if err != nil {
		t.Fatal(err)
	}
	address, err := s.client.LogoutURL(t.Context(), result.Tokens, "http://127.0.0.1:1/bye")
	if err != nil {
		t.Fatal(err)
	}
	s.person.Visit(t, address, "http://127.0.0.1:1/bye")
	var token string
	select {
	case token = <-told:
	default:
		t.Fatal("no logout token has come")
	}
	logout, err := s.client.LogoutToken(context.Background(), token)
	if err != nil || logout.Subject != "ada" || logout.ID == "" || logout.SessionID == "" || logout.SessionID != result.SessionID {
		t.Errorf("%+v, %v, session %q", logout, err, result.SessionID)
	}
	if _, err := s.client.LogoutToken(t.Context(), string(result.Tokens.ID.Reveal())); err == nil {
		t.Error("an ID token logs somebody out")
	}
}
