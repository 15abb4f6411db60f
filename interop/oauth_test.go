// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/interop/provider"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
)

func newClient(t *testing.T, c oauth.Config) *oauth.Client {
	t.Helper()
	client := must(oauth.New(c))
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// website is a server with the login of package signin.
type website struct {
	*signin.Handler
	recorder // of the reasons why callbacks are rejected
	url      string
	login    session.Login // that the last callback completed
}

func newWebsite(t *testing.T, c oauth.Config) *website {
	t.Helper()
	w := &website{}
	w.Handler = must(signin.New(signin.Config{
		Client: c, RedirectURI: webapp.RedirectURIs[0], Scopes: []string{"reports:read"}, Resources: []string{opaque},
		CookieSecrets: cookieSecrets, Session: session.Config{Store: session.NewMemory(0)}, Observer: &w.recorder,
		Complete: func(_ *http.Request, l *session.Login) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.login = *l
			return nil
		},
	}))
	server := httptest.NewServer(w)
	w.url = server.URL
	t.Cleanup(func() {
		server.Close()
		_ = w.Close()
	})
	return w
}

// callback sends a visitor to the callback. It returns the login that this
// completes, or the reason why it is rejected.
func (w *website) callback(t *testing.T, v *visitor, query url.Values) (session.Login, gatehouse.Reason) {
	t.Helper()
	w.why()
	w.mu.Lock()
	w.login = session.Login{}
	w.mu.Unlock()
	response, body := v.get(t, w.url+"/callback?"+query.Encode(), asNavigation)
	reason := w.why()
	if rejected := reason != ""; rejected == (response.StatusCode == http.StatusSeeOther) || !rejected && response.Header.Get("Location") != "/reports" {
		t.Errorf("callback: %d to %q with reason %q: %s, want 303 to /reports or a reason", response.StatusCode, response.Header.Get("Location"), reason, body)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.login, reason
}

// authorize starts a login and returns the address of the provider.
func (w *website) authorize(t *testing.T, v *visitor) string {
	t.Helper()
	return v.authorize(t, w.url, "?return_to=/reports")
}

// consent goes through the provider's pages and returns the query of the callback.
func consent(t *testing.T, v *visitor, address string) url.Values {
	t.Helper()
	return v.person.Visit(t, address, webapp.RedirectURIs[0]).Query()
}

func oauthConfig(p *provider.Provider, c provider.Client) oauth.Config {
	return oauth.Config{Issuer: p.Issuer, ClientID: c.ID, Secret: gatehouse.NewSecret([]byte(c.Secret))}
}

// Clients of the shared provider in addition to machine and webapp.
var (
	postClient = provider.Client{
		ID: "post client", Secret: "its secret + more %", RedirectURIs: webapp.RedirectURIs,
		Metadata: map[string]any{"token_endpoint_auth_method": "client_secret_post"},
	}
	basicClient    = provider.Client{ID: "basic:client", Secret: "its secret: more %+&=", RedirectURIs: webapp.RedirectURIs}
	nativeClient   = provider.Client{ID: "native", RedirectURIs: webapp.RedirectURIs}
	signerClient   = provider.Client{ID: "signer", RedirectURIs: webapp.RedirectURIs, Metadata: assertionMetadata("authorization_code", "refresh_token")}
	signingMachine = provider.Client{ID: "signing machine", Metadata: assertionMetadata("client_credentials")}
)

var cookieSecrets = []gatehouse.Secret{gatehouse.NewSecret([]byte(strings.Repeat("k", 32)))}

// clientKeys are the signing keys of the clients that authenticate with
// private_key_jwt.
var clientKeys = func() *jwtauth.KeyRing {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	return must(jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "client-key", Algorithm: jwtauth.ES256, Private: key}))
}()

// assertionMetadata is the metadata of such a client.
func assertionMetadata(grants ...string) map[string]any {
	w := httptest.NewRecorder()
	clientKeys.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	return map[string]any{
		"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256",
		"application_type": "web", "jwks": json.RawMessage(w.Body.Bytes()), "grant_types": grants,
	}
}

// TestOAuthLogin signs in and refreshes, introspects and revokes the tokens, with
// each client authentication method that the provider has over plain HTTP.
//
// Covers RFC 6749 §4.1.3; RFC 7009 §2.1 (client), §2.2 (client); RFC 9126 §2.1
// (POST); RFC 9700 §2.2.2.
func TestOAuthLogin(t *testing.T) {
	t.Parallel()
	p := sharedProvider(t)
	for name, test := range map[string]struct {
		client provider.Client
		change func(*oauth.Config)
	}{
		"secret in Basic": {basicClient, func(*oauth.Config) {}}, // Covers RFC 6749 §2.3.1 (basic).
		"secret in body":  {postClient, func(c *oauth.Config) { c.Auth = oauth.SecretPost }},
		"assertion": {signerClient, func(c *oauth.Config) {
			c.Auth, c.Secret, c.Keys = oauth.PrivateKeyJWT, gatehouse.Secret{}, clientKeys
		}},
		"public": {nativeClient, func(c *oauth.Config) { c.Auth, c.Secret = oauth.Public, gatehouse.Secret{} }},
		"without PAR, not discovered": {webapp, func(c *oauth.Config) { // Covers RFC 9207 §2.4 (metadata).
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
			w, ada := newWebsite(t, c), newVisitor(t, "ada")
			address := w.authorize(t, ada)
			pushed := strings.Contains(address, "request_uri=urn")
			if pushed == (c.Provider != oauth.Provider{}) || pushed && (strings.Contains(address, "state=") || strings.Contains(address, "redirect_uri=")) {
				t.Errorf("the browser is sent to %s, want a pushed request if the metadata are discovered", address)
			}
			query := consent(t, ada, address)
			if query.Get("iss") != p.Issuer {
				t.Errorf("the callback is %v, want iss %s", query, p.Issuer)
			}
			login, reason := w.callback(t, ada, query)
			if reason != "" || login.Principal.Subject != "ada" || !login.Tokens.Scopes.Has("reports:read") || len(ada.cookies) != 1 {
				t.Fatalf("the login is %+v, reason %q, cookies %v, want ada", login, reason, ada.cookies)
			}
			refreshAndRevoke(t, w.Client, login.Tokens, test.client.Secret != "" || c.Keys != nil)
		})
	}
}

func refreshAndRevoke(t *testing.T, client *oauth.Client, first oauth.Tokens, confidential bool) {
	t.Helper()
	ctx := t.Context()
	active := func(token gatehouse.Secret) bool {
		t.Helper()
		if !confidential { // public clients cannot introspect
			return true
		}
		got := do(client.Introspect(ctx, token, oauth.AccessToken))(t)
		if got.Active && (!got.For(opaque) || got.Subject != "ada" || !got.Scopes.Has("reports:read")) {
			t.Errorf("Introspect() = %+v, want ada with reports:read for %s", got, opaque)
		}
		return got.Active
	}
	if !active(first.Access) {
		t.Error("the access token of the login is not active")
	}
	second := do(client.Refresh(ctx, first))(t)
	if second.Refresh.Equal(first.Refresh) || second.Access.Equal(first.Access) || !active(second.Access) {
		t.Error("Refresh() returns old or inactive tokens")
	}
	if err := client.Revoke(ctx, second.Access, oauth.AccessToken); err != nil {
		t.Fatal(err)
	}
	if confidential && active(second.Access) {
		t.Error("the access token is active after Revoke")
	}
	if err := client.Revoke(ctx, gatehouse.NewSecret([]byte("unknown")), ""); err != nil {
		t.Errorf("Revoke(unknown token) = %v, want nil", err)
	}
	// The provider revokes the family at reuse of a refresh token.
	for n, old := range []oauth.Tokens{first, second} {
		_, err := client.Refresh(ctx, old)
		wantCode(t, fmt.Sprintf("Refresh(token %d) after the reuse", n), err, "invalid_grant")
	}
}

// TestOAuthCallbacks sends invalid callbacks with codes of a real provider.
//
// Covers RFC 6749 §10.12; RFC 9207 §2.4 (mismatch, missing); RFC 9700 §2.1
// (CSRF, mix-up), §2.1.1 (injection); ASVS 5.0 §10.1.2, §10.2.2; OIDC Core
// §3.1.3.7 (step 11).
func TestOAuthCallbacks(t *testing.T) {
	t.Parallel()
	p, elsewhere := sharedProvider(t), ownProvider(t, withClients())
	w := newWebsite(t, oauthConfig(p, webapp))
	mixed := newWebsite(t, oauthConfig(elsewhere, webapp)) // of the same host, with the same keys
	// Without PAR, so that the request can be changed.
	c := oauthConfig(p, webapp)
	c.Provider = oauth.Provider{Issuer: p.Issuer, AuthorizationEndpoint: p.Issuer + "/auth", TokenEndpoint: p.Issuer + "/token", JWKSURI: p.Issuer + "/jwks"}
	plain := newWebsite(t, c)
	eve := newVisitor(t, "eve")
	stolen := consent(t, eve, w.authorize(t, eve)) // that she does not let her browser request

	// replace is the callback with other values of a parameter.
	replace := func(name string, values ...string) func(url.Values) {
		return func(query url.Values) {
			if query[name] = values; len(values) == 0 {
				query.Del(name)
			}
		}
	}
	unchanged := func(url.Values) {}
	var rejected atomic.Int64
	for name, test := range map[string]struct {
		start  *website                 // where the login starts
		sent   func(request url.Values) // the authorization request
		back   func(query url.Values)   // the callback
		finish *website
		want   gatehouse.Reason
	}{
		"valid":                    {w, unchanged, unchanged, w, ""},
		"state forged":             {w, unchanged, replace("state", strings.Repeat("A", 43)), w, signin.ReasonTransaction},
		"no iss":                   {w, unchanged, replace("iss"), w, oauth.ReasonIssuer},
		"iss of another server":    {w, unchanged, replace("iss", elsewhere.Issuer), w, oauth.ReasonIssuer},
		"iss twice":                {w, unchanged, replace("iss", p.Issuer, p.Issuer), w, oauth.ReasonIssuer},
		"code of another browser":  {w, unchanged, replace("code", stolen.Get("code")), w, oauth.ReasonCode},
		"mix-up of two servers":    {w, unchanged, replace("iss", elsewhere.Issuer), mixed, oauth.ReasonIssuer},
		"without a challenge":      {plain, func(q url.Values) { q.Del("code_challenge"); q.Del("code_challenge_method") }, unchanged, plain, oauth.ReasonDenied},
		"challenge method plain":   {plain, replace("code_challenge_method", "plain"), unchanged, plain, oauth.ReasonDenied},
		"challenge of an attacker": {plain, replace("code_challenge", strings.Repeat("E", 42)+"A"), unchanged, plain, oauth.ReasonCode},
		"nonce of an attacker":     {plain, replace("nonce", "another"), unchanged, plain, oauth.ReasonIDToken},
	} {
		ada := newVisitor(t, "ada")
		address := must(url.Parse(test.start.authorize(t, ada)))
		request := address.Query()
		test.sent(request)
		address.RawQuery = request.Encode()
		query := consent(t, ada, address.String())
		test.back(query)
		login, reason := test.finish.callback(t, ada, query)
		if reason != test.want || (login.Principal.Subject == "ada") != (test.want == "") {
			t.Errorf("%s: the callback is for %q with reason %q, want %q", name, login.Principal.Subject, reason, test.want)
		}
		if test.want != "" {
			rejected.Add(1)
			continue
		}
		thief := newVisitor(t, "eve") // replayed in another browser
		if _, reason := w.callback(t, thief, query); reason != signin.ReasonTransaction {
			t.Errorf("%s, replayed in another browser: reason %q, want %q", name, reason, signin.ReasonTransaction)
		}
		clear(ada.cookies) // and without the session
		if _, reason := w.callback(t, ada, query); reason != signin.ReasonTransaction {
			t.Errorf("%s, replayed: reason %q, want %q", name, reason, signin.ReasonTransaction)
		}
	}
	report(t, &rejected)
}

// TestOAuthMachine gets tokens with client credentials, by secret and by
// assertion, and the error codes of the provider.
//
// Covers RFC 7523 §3 (claims).
func TestOAuthMachine(t *testing.T) {
	t.Parallel()
	p := sharedProvider(t)
	signed := oauth.Config{Issuer: p.Issuer, ClientID: signingMachine.ID, Auth: oauth.PrivateKeyJWT, Keys: clientKeys}
	api := newAPI(t, jwtauth.Config{Issuers: []jwtauth.Issuer{issuer(p, jwtauth.ES256, jwtauth.Discover())}})
	for name, c := range map[string]oauth.Config{"secret": oauthConfig(p, machine), "assertion": signed} {
		client := newClient(t, c)
		source := must(client.ClientCredentials(oauth.CredentialsRequest{
			Scopes: must(gatehouse.ParseScopes("reports:read")), Resources: []string{resource(jwtauth.ES256)},
		}))
		one := do(source.Token(t.Context()))(t)
		api.accept(t, "/reports", string(one.Access.Reveal()), caller{gatehouse.KindService, c.ClientID, p.Issuer, c.ClientID, "reports:read"})
		if one.Scopes.String() != "reports:read" {
			t.Errorf("%s: scopes = %v, want reports:read", name, one.Scopes)
		}
		if two, err := source.Token(t.Context()); err != nil || !two.Access.Equal(one.Access) {
			t.Errorf("%s: the second Token() is not the cached one: %v", name, err)
		}
		// For golang.org/x/oauth2.
		if three, err := source.OAuth2().Token(); err != nil || three.AccessToken != string(one.Access.Reveal()) || !three.Valid() {
			t.Errorf("%s: OAuth2().Token() is not the cached token: %v", name, err)
		}
		unknown := must(client.ClientCredentials(oauth.CredentialsRequest{Resources: []string{"https://unknown.example.com"}}))
		_, err := unknown.Token(t.Context())
		wantCode(t, name+": Token() for another resource", err, "invalid_target")
		_, err = client.Exchange(t.Context(), oauth.ExchangeRequest{Subject: one.Access})
		wantCode(t, name+": Exchange()", err, "unsupported_grant_type")
	}
	wrong := oauthConfig(p, machine)
	wrong.Secret = gatehouse.NewSecret([]byte("not the secret"))
	_, err := must(newClient(t, wrong).ClientCredentials(oauth.CredentialsRequest{})).Token(t.Context())
	wantCode(t, "Token() with a wrong secret", err, "invalid_client")
}

// wantCode checks that err is a response of the provider with an error code.
func wantCode(t *testing.T, what string, err error, want string) {
	t.Helper()
	if e, ok := errors.AsType[*oauth.Error](err); !ok || e.Code != want || errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("%s: error = %v, want %s", what, err, want)
	}
}

// backChannel is the registration of a client to which the provider sends logout
// tokens.
func backChannel(t *testing.T) (client provider.Client, tokens <-chan string) {
	t.Helper()
	received := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		received <- r.PostFormValue("logout_token")
	}))
	t.Cleanup(server.Close)
	return provider.Client{
		ID: "client", Secret: "the secret of the client", RedirectURIs: webapp.RedirectURIs,
		Metadata: map[string]any{
			"backchannel_logout_uri": server.URL, "backchannel_logout_session_required": true,
			"post_logout_redirect_uris": []string{"http://127.0.0.1:1/bye"},
		},
	}, received
}

// logoutToken returns the logout token of a logout, "" if there is none. The provider
// sends it before it redirects the browser.
func logoutToken(tokens <-chan string) string {
	select {
	case token := <-tokens:
		return token
	default:
		return ""
	}
}

// TestOAuthLogout signs out at the provider, which notifies the client.
//
// Covers OIDC Back-Channel Logout §2.6 (kind); OIDC RP-Initiated Logout §2
// (hint).
func TestOAuthLogout(t *testing.T) {
	t.Parallel()
	client, tokens := backChannel(t)
	w, ada := newWebsite(t, oauthConfig(ownProvider(t, withClients(client)), client)), newVisitor(t, "ada")
	login, _ := w.callback(t, ada, consent(t, ada, w.authorize(t, ada)))
	ada.person.Visit(t, do(w.Client.EndSessionURL(t.Context(), login.Tokens, "http://127.0.0.1:1/bye"))(t), "http://127.0.0.1:1/bye")
	got, err := w.Client.VerifyLogoutToken(t.Context(), logoutToken(tokens))
	if err != nil || got.Subject != "ada" || got.ID == "" || got.SessionID == "" || got.SessionID != login.SID {
		t.Errorf("VerifyLogoutToken() = %+v, %v, want ada and sid %q", got, err, login.SID)
	}
	if _, err := w.Client.VerifyLogoutToken(t.Context(), string(login.Tokens.ID.Reveal())); err == nil {
		t.Error("VerifyLogoutToken(ID token) accepts it")
	}
}
