// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/oauth"
)

func TestNewRefuses(t *testing.T) {
	certificate := &tls.Config{Certificates: []tls.Certificate{{}}}
	for name, test := range map[string]struct {
		change func(*oauth.Config)
		want   string
	}{
		"no issuer":          {func(c *oauth.Config) { c.Issuer = "" }, "Config.Issuer: required"},
		"http":               {func(c *oauth.Config) { c.Issuer = "http://as.example.com" }, "Config.Issuer: plain http"},
		"query":              {func(c *oauth.Config) { c.Issuer += "?x" }, "Config.Issuer: has a query"},
		"no client":          {func(c *oauth.Config) { c.ClientID = "" }, "Config.ClientID: required"},
		"no secret":          {func(c *oauth.Config) { c.Secret = secret("") }, "Config.Secret: required for client_secret_basic"},
		"no secret to post":  {func(c *oauth.Config) { c.Auth, c.Secret = oauth.SecretPost, secret("") }, "Config.Secret: required for client_secret_post"},
		"public, secret":     {func(c *oauth.Config) { c.Auth = oauth.Public }, "Config.Secret: is not used by none"},
		"no keys":            {func(c *oauth.Config) { c.Auth, c.Secret = oauth.PrivateKeyJWT, secret("") }, "Config.Keys: required for private_key_jwt"},
		"keys unused":        {func(c *oauth.Config) { c.Keys = ring() }, "Config.Keys: is not used"},
		"no certificate":     {func(c *oauth.Config) { c.Auth, c.Secret = oauth.TLSClient, secret("") }, "Config.TLS: a certificate is required"},
		"empty TLS":          {func(c *oauth.Config) { c.Auth, c.TLS = oauth.SelfSignedTLS, &tls.Config{} }, "Config.TLS: a certificate is required"},
		"auth unknown":       {func(c *oauth.Config) { c.Auth = "client_secret_jwt" }, `Config.Auth: "client_secret_jwt" is not one`},
		"TLS and transport":  {func(c *oauth.Config) { c.TLS = certificate }, "Config.Transport: cannot be set together"},
		"unverified":         {func(c *oauth.Config) { c.Transport, c.TLS = nil, &tls.Config{InsecureSkipVerify: true} }, "Config.TLS: the certificate of the server"},
		"skew":               {func(c *oauth.Config) { c.Skew = 6 * time.Minute }, "Config.Skew: 6m0s is not within"},
		"timeout":            {func(c *oauth.Config) { c.Timeout = -1 }, "Config.Timeout: -1ns is not within"},
		"provider":           {func(c *oauth.Config) { c.Provider = oauth.Provider{Issuer: issuer + "/"} }, "issuer: is not the configured one"},
		"no token endpoint":  {func(c *oauth.Config) { c.Provider = oauth.Provider{Issuer: issuer} }, "token_endpoint: required"},
		"endpoint with http": {func(c *oauth.Config) { c.Provider = oauth.Provider{Issuer: issuer, TokenEndpoint: "http://x.example"} }, "token_endpoint: plain http"},
		"algorithm":          {func(c *oauth.Config) { c.Algorithms = []jwtauth.Algorithm{"none"} }, `"none" is not supported`},
		"symmetric":          {func(c *oauth.Config) { c.Algorithms = []jwtauth.Algorithm{"HS256"} }, "Config.Algorithms: HS256: is not for ID tokens"},
	} {
		c := newServer(t).config()
		test.change(&c)
		if client, err := oauth.New(c); err == nil || !strings.Contains(err.Error(), test.want) || client != nil {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
	// All at once.
	_, err := oauth.New(oauth.Config{})
	for _, field := range []string{"Issuer", "ClientID", "Secret"} {
		if !strings.Contains(err.Error(), "Config."+field) {
			t.Errorf("the error does not name %s: %v", field, err)
		}
	}
}

func TestNewLoginRefuses(t *testing.T) {
	s := newServer(t)
	client := newClient(t, s.config())
	c := s.config()
	c.Provider = oauth.Provider{Issuer: issuer, TokenEndpoint: issuer + "/token"}
	keyless := newClient(t, c)
	for name, test := range map[string]struct {
		change func(*oauth.LoginConfig)
		want   string
	}{
		"no client":        {func(l *oauth.LoginConfig) { l.Client = nil }, "LoginConfig.Client: required"},
		"no cookie keys":   {func(l *oauth.LoginConfig) { l.Keys = nil }, "LoginConfig.Keys: required"},
		"no redirect":      {func(l *oauth.LoginConfig) { l.Request.RedirectURI = "" }, "RedirectURI: required"},
		"redirect by http": {func(l *oauth.LoginConfig) { l.Request.RedirectURI = "http://app.example.com/" }, "RedirectURI: plain http"},
		"fragment":         {func(l *oauth.LoginConfig) { l.Request.RedirectURI += "#x" }, "RedirectURI: has a fragment"},
		"no ID token keys": {func(l *oauth.LoginConfig) { l.Client = keyless }, "Scopes: oauth: nothing says where the keys"},
		"resource":         {func(l *oauth.LoginConfig) { l.Request.Resources = []string{"/api"} }, "Resources: not an absolute URI"},
		"resource #":       {func(l *oauth.LoginConfig) { l.Request.Resources = []string{"https://api#x"} }, "Resources: not an absolute URI"},
		"age":              {func(l *oauth.LoginConfig) { l.Request.MaxAge = time.Millisecond }, "MaxAge: must be in whole seconds"},
		"age below":        {func(l *oauth.LoginConfig) { l.Request.MaxAge = -time.Second }, "MaxAge: must be in whole seconds"},
		"age, no openid":   {func(l *oauth.LoginConfig) { l.Request.MaxAge, l.Request.Scopes = time.Second, scopes("a") }, "MaxAge: needs the scope openid"},
	} {
		l := oauth.LoginConfig{Client: client, Keys: cookieKeys(), Request: oauth.AuthorizationRequest{RedirectURI: redirect, Scopes: scopes("openid")}}
		test.change(&l)
		if login, err := oauth.NewLogin(l); err == nil || !strings.Contains(err.Error(), test.want) || login != nil {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
	for _, name := range []string{
		"response_type", "response_mode", "redirect_uri", "scope", "resource", "max_age", "state", "nonce", "code_challenge",
		"code_challenge_method", "request", "request_uri", "client_id", "client_secret", "client_assertion", "client_assertion_type", "code_verifier",
	} {
		_, err := oauth.NewLogin(oauth.LoginConfig{Client: client, Keys: cookieKeys(), Request: oauth.AuthorizationRequest{
			RedirectURI: redirect, Params: url.Values{name: {"code"}},
		}})
		if err == nil || !strings.Contains(err.Error(), "Params: "+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestConfigIsCopied: what is changed later changes nothing.
func TestConfigIsCopied(t *testing.T) {
	params, resources := url.Values{"prompt": {"login"}}, []string{"https://api.example.com"}
	a := newApp(t, func(_ *oauth.Config, l *oauth.LoginConfig) { l.Request.Params, l.Request.Resources = params, resources })
	params["prompt"][0], resources[0] = "none", "https://evil.example"
	params.Set("x", "y")
	q := must(url.Parse(a.start("/login"))).Query()
	if q.Get("prompt") != "login" || q.Get("resource") != "https://api.example.com" || q.Has("x") {
		t.Errorf("%v", q)
	}
	q2 := must(url.Parse(a.start("/login"))).Query()
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if q.Get(name) == q2.Get(name) {
			t.Errorf("%s is not fresh", name)
		}
	}
}

// TestAuth: one way of authentication, the configured one, and nothing of
// another.
func TestAuth(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*oauth.Config)
		check  func(basic bool, form url.Values) bool
	}{
		"basic": {func(*oauth.Config) {}, func(basic bool, form url.Values) bool {
			return basic && !form.Has("client_id") && !form.Has("client_secret")
		}},
		"post": {func(c *oauth.Config) { c.Auth = oauth.SecretPost }, func(basic bool, form url.Values) bool {
			return !basic && form.Get("client_id") == clientID && form.Get("client_secret") == password
		}},
		"public": {func(c *oauth.Config) { c.Auth, c.Secret = oauth.Public, secret("") }, func(basic bool, form url.Values) bool {
			return !basic && form.Get("client_id") == clientID && !form.Has("client_secret")
		}},
		"assertion": {func(c *oauth.Config) { c.Auth, c.Secret, c.Keys = oauth.PrivateKeyJWT, secret(""), ring() }, func(basic bool, form url.Values) bool {
			verifier := must(jwtauth.NewVerifier(jwtauth.VerifierConfig{Issuer: jwtauth.Issuer{
				URL: issuer, Audience: issuer, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: ring(),
			}}))
			_, err := verifier.Verify(t.Context(), form.Get("client_assertion"))
			// The assertion is good but for its iss, which is the client.
			return !basic && err != nil && form.Get("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" && form.Get("client_id") == clientID
		}},
	} {
		s := newServer(t)
		s.routes["/introspect"] = func(w http.ResponseWriter, r *http.Request) {
			_, _, basic := r.BasicAuth()
			if _ = r.ParseForm(); !test.check(basic, r.PostForm) {
				t.Errorf("%s: %v %v", name, r.Header, r.PostForm)
			}
			answer(w, http.StatusOK, object{"active": true})
		}
		c := s.config()
		test.change(&c)
		if _, err := newClient(t, c).Introspect(t.Context(), secret("x"), ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAssertion: the assertion says what RFC 7523 asks for, to one audience.
func TestAssertion(t *testing.T) {
	s := newServer(t)
	var seen []string
	s.routes["/introspect"] = func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.PostFormValue("client_assertion"))
		answer(w, http.StatusOK, object{"active": true})
	}
	c := s.config()
	c.ClientID, c.Auth, c.Secret, c.Keys = "https://client.example", oauth.PrivateKeyJWT, secret(""), ring()
	client := newClient(t, c)
	verifier := must(jwtauth.NewVerifier(jwtauth.VerifierConfig{Issuer: jwtauth.Issuer{
		URL: c.ClientID, Audience: issuer, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: ring(), MaxLifetime: time.Minute,
	}}))
	ids := make(map[string]bool)
	for n := range 2 {
		if _, err := client.Introspect(t.Context(), secret("x"), ""); err != nil {
			t.Fatal(err)
		}
		said, err := verifier.Verify(t.Context(), seen[n])
		if err != nil {
			t.Fatal(err)
		}
		var claims struct {
			Audience any    `json:"aud"`
			ID       string `json:"jti"`
		}
		if err := said.Claims.Decode(&claims); err != nil || claims.Audience != issuer || said.Subject != c.ClientID || ids[claims.ID] || claims.ID == "" {
			t.Errorf("%+v, %v", claims, err)
		}
		ids[claims.ID] = true
	}
}

// TestMutualTLS: the client shows its certificate, at the addresses where it is
// asked for.
func TestMutualTLS(t *testing.T) {
	var asked []string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		base := "https://" + r.Host
		if r.URL.Path == "/.well-known/openid-configuration" {
			answer(w, http.StatusOK, object{
				"issuer": base, "token_endpoint": base + "/token", "authorization_endpoint": base + "/auth",
				"mtls_endpoint_aliases": object{"token_endpoint": base + "/mtls/token", "authorization_endpoint": base + "/mtls/auth", "x": 1},
			})
			return
		}
		asked = append(asked, fmt.Sprint(r.URL.Path, len(r.TLS.PeerCertificates), r.PostFormValue("client_id")))
		answer(w, http.StatusOK, object{"access_token": "x", "token_type": "Bearer"})
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	trusted := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	for _, c := range []oauth.Config{
		{Auth: oauth.SelfSignedTLS, TLS: &tls.Config{RootCAs: trusted, Certificates: server.TLS.Certificates}},
		{Auth: oauth.TLSClient, TLS: &tls.Config{RootCAs: trusted, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &server.TLS.Certificates[0], nil
		}}},
		{Auth: oauth.Public, TLS: &tls.Config{RootCAs: trusted}},
	} {
		c.Issuer, c.ClientID = server.URL, "m"
		client := newClient(t, c)
		if _, err := client.Token(t.Context(), machineParams()); err != nil {
			t.Fatal(err)
		}
		if p, err := client.Provider(t.Context()); err != nil || p.AuthorizationEndpoint != server.URL+"/auth" {
			t.Errorf("%+v, %v", p, err)
		}
	}
	if got := fmt.Sprint(asked); got != "[/mtls/token1m /mtls/token1m /token0m]" {
		t.Errorf("asked %s", got)
	}
	stranger := newClient(t, oauth.Config{Issuer: server.URL, ClientID: "m", Auth: oauth.Public})
	if _, err := stranger.Token(t.Context(), machineParams()); !errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("a certificate that nobody trusts: %v", err)
	}
}

// TestPushed: a request that is pushed is not sent through the browser, and one
// that is refused is not sent at all.
func TestPushed(t *testing.T) {
	s := newServer(t)
	s.metadata["pushed_authorization_request_endpoint"] = issuer + "/par"
	var pushed url.Values
	s.routes["/par"] = func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		pushed = r.PostForm
		if r.Header.Get("Authorization") == "" {
			t.Error("the client is not authenticated")
		}
		answer(w, http.StatusCreated, object{"request_uri": "urn:x:1", "expires_in": 60})
	}
	client := newClient(t, s.config())
	begin := func() (*oauth.Transaction, error) {
		return client.Authorize(t.Context(), oauth.AuthorizationRequest{RedirectURI: redirect, Scopes: scopes("openid")})
	}
	transaction, err := begin()
	if err != nil {
		t.Fatal(err)
	}
	q := must(url.Parse(transaction.URL)).Query()
	if q.Encode() != (url.Values{"client_id": {clientID}, "request_uri": {"urn:x:1"}, "tenant": {"1"}}).Encode() {
		t.Errorf("sent to %s", transaction.URL)
	}
	for _, name := range []string{"client_id", "response_type", "redirect_uri", "state", "nonce", "code_challenge", "code_challenge_method", "scope"} {
		if len(pushed[name]) != 1 {
			t.Errorf("pushed %s: %v", name, pushed[name])
		}
	}
	for _, route := range []http.HandlerFunc{
		raw(400, `{"error":"invalid_request"}`), raw(503, ""), raw(201, "{}"), raw(201, `{"request_uri":1}`), raw(201, `x`),
	} {
		s.routes["/par"] = route
		if transaction, err := begin(); err == nil {
			t.Errorf("sent to %s all the same", transaction.URL)
		}
	}
}
