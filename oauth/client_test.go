// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/oauth"
)

func TestNewReportsEveryError(t *testing.T) {
	certificate := &tls.Config{Certificates: []tls.Certificate{{}}}
	for name, test := range map[string]struct {
		change func(*oauth.Config)
		want   string
	}{
		"no issuer": {func(c *oauth.Config) { c.Issuer = "" }, "Config.Issuer: required"},
		// Covers RFC 8414 §2 (issuer).
		"http":              {func(c *oauth.Config) { c.Issuer = "http://as.example.com" }, "Config.Issuer: plain http"},
		"query":             {func(c *oauth.Config) { c.Issuer += "?x" }, "Config.Issuer: has a query"}, // Covers RFC 8414 §2 (issuer).
		"empty query":       {func(c *oauth.Config) { c.Issuer += "?" }, "Config.Issuer: has a query"},
		"metadata URL":      {func(c *oauth.Config) { c.Issuer += "/tenant" + wellKnown }, "Config.Issuer: is the URL of the metadata"},
		"nil transport":     {func(c *oauth.Config) { c.Transport = (*http.Transport)(nil) }, "oauth: Config.Transport: is a nil *http.Transport"},
		"nil keys":          {func(c *oauth.Config) { c.IDTokenKeys = (*jwtauth.KeyRing)(nil) }, "Config.IDTokenKeys: is a nil *jwtauth.KeyRing"},
		"no client":         {func(c *oauth.Config) { c.ClientID = "" }, "Config.ClientID: required"},
		"no secret":         {func(c *oauth.Config) { c.Secret = secret("") }, "Config.Secret: required for client_secret_basic"},
		"no secret to post": {func(c *oauth.Config) { c.Auth, c.Secret = oauth.SecretPost, secret("") }, "Config.Secret: required for client_secret_post"},
		"public, secret":    {func(c *oauth.Config) { c.Auth = oauth.Public }, "Config.Secret: is not used by none"},
		"no keys":           {func(c *oauth.Config) { c.Auth, c.Secret = oauth.PrivateKeyJWT, secret("") }, "Config.Keys: required for private_key_jwt"},
		"keys unused":       {func(c *oauth.Config) { c.Auth, c.Secret, c.Keys = oauth.Public, secret(""), providertest.Keys() }, "Config.Keys: is not used by none"},
		"no certificate":    {func(c *oauth.Config) { c.Auth, c.Secret = oauth.TLSClient, secret("") }, "Config.TLS: a certificate is required"},
		"empty TLS":         {func(c *oauth.Config) { c.Auth, c.TLS = oauth.SelfSignedTLS, &tls.Config{} }, "Config.TLS: a certificate is required"},
		"auth unknown":      {func(c *oauth.Config) { c.Auth = "client_secret_jwt" }, `Config.Auth: "client_secret_jwt" is not supported`},
		"TLS and transport": {func(c *oauth.Config) { c.TLS = certificate }, "Config.Transport: cannot be set together"},
		// Covers RFC 7662 §4 (TLS); RFC 8414 §6.1.
		"unverified":         {func(c *oauth.Config) { c.Transport, c.TLS = nil, &tls.Config{InsecureSkipVerify: true} }, "Config.TLS: InsecureSkipVerify is not supported"},
		"skew":               {func(c *oauth.Config) { c.Skew = 6 * time.Minute }, "Config.Skew: 6m0s: must be between 0 and 5m0s"},
		"timeout":            {func(c *oauth.Config) { c.Timeout = -1 }, "Config.Timeout: -1ns: must be between 0 and 1m0s"},
		"provider":           {func(c *oauth.Config) { c.Provider = oauth.Provider{Issuer: issuer + "/"} }, "issuer: differs from Config.Issuer"},
		"no token endpoint":  {func(c *oauth.Config) { c.Provider = oauth.Provider{Issuer: issuer} }, "token_endpoint: required"},
		"endpoint with http": {func(c *oauth.Config) { c.Provider = oauth.Provider{Issuer: issuer, TokenEndpoint: "http://x.example"} }, "token_endpoint: plain http"},
		"algorithm":          {func(c *oauth.Config) { c.Algorithms = []jwtauth.Algorithm{"none"} }, `"none" is not supported`},
		// Covers ASVS 5.0 §9.1.2; OIDC Core §3.1.3.7 (step 8).
		"symmetric":         {func(c *oauth.Config) { c.Algorithms = []jwtauth.Algorithm{"HS256"} }, "Config.Algorithms: HS256: symmetric"},
		"another symmetric": {func(c *oauth.Config) { c.Algorithms = []jwtauth.Algorithm{"ES256", "HS384"} }, "Config.Algorithms: HS384: symmetric"},
	} {
		c := providertest.New(t).Config()
		test.change(&c)
		if client, err := oauth.New(c); err == nil || !strings.Contains(err.Error(), test.want) || client != nil {
			t.Errorf("%s: New error = %v, want %s", name, err, test.want)
		}
	}
	c := providertest.New(t).Config()
	c.Skew, c.Timeout, c.Provider = 5*time.Minute, time.Minute, oauth.Provider{Issuer: issuer, TokenEndpoint: issuer + "/token"}
	if err := newClient(t, c).Check(oauth.AuthorizationRequest{RedirectURI: redirect}); err != nil { // needs no keys without openid
		t.Errorf("Check of a client without keys: error = %v", err)
	}
	c.Issuer = "http://127.0.0.1:8080/https:" // begins with http
	c.Provider = oauth.Provider{Issuer: c.Issuer, TokenEndpoint: "http://127.0.0.1:8080/token"}
	newClient(t, c)
	_, err := oauth.New(oauth.Config{})
	for _, field := range []string{"Issuer", "ClientID", "Secret"} {
		if !strings.Contains(err.Error(), "Config."+field) {
			t.Errorf("New(Config{}) error = %v, want it to name %s", err, field)
		}
	}
}

// TestClientAuthentication: the client uses the configured method only.
//
// Covers RFC 6749 §2.3; RFC 7523 §3 (audience, claims); RFC 7662 §2.1
// (authenticated); RFC 9700 §2.5.
func TestClientAuthentication(t *testing.T) {
	var seen []string
	for name, test := range map[string]struct {
		change func(*oauth.Config)
		basic  bool
		form   url.Values
	}{
		"basic": {func(*oauth.Config) {}, true, url.Values{}}, // Covers RFC 6749 §2.3.1 (basic).
		"post":  {func(c *oauth.Config) { c.Auth = oauth.SecretPost }, false, url.Values{"client_id": {clientID}, "client_secret": {providertest.Secret}}},
		// Covers RFC 8252 §8.5.
		"public": {func(c *oauth.Config) { c.Auth, c.Secret = oauth.Public, secret("") }, false, url.Values{"client_id": {clientID}}},
		"assertion": {func(c *oauth.Config) {
			c.ClientID, c.Auth, c.Secret, c.Keys = "https://client.example", oauth.PrivateKeyJWT, secret(""), providertest.Keys()
		}, false, url.Values{"client_id": {"https://client.example"}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}},
	} {
		s := providertest.New(t)
		s.Routes["/introspect"] = func(w http.ResponseWriter, r *http.Request) {
			_, _, basic := r.BasicAuth()
			if assertion := r.PostFormValue("client_assertion"); assertion != "" {
				seen = append(seen, assertion)
			}
			for _, parameter := range []string{"client_assertion", "token"} {
				r.PostForm.Del(parameter)
			}
			if basic != test.basic || r.PostForm.Encode() != test.form.Encode() {
				t.Errorf("%s: basic %t and form %v, want %t and %v", name, basic, r.PostForm, test.basic, test.form)
			}
			answer(w, http.StatusOK, object{"active": true})
		}
		client := s.Client(test.change)
		for range 2 {
			if _, err := client.Introspect(t.Context(), secret("x"), ""); err != nil {
				t.Errorf("%s: Introspect error = %v", name, err)
			}
		}
		transaction, err := client.Authorize(t.Context(), oauth.AuthorizationRequest{RedirectURI: redirect})
		if err != nil || strings.Contains(transaction.URL, "client_secret") || strings.Contains(transaction.URL, "client_assertion") {
			t.Errorf("%s: Authorize = %+v, %v, want no client authentication in the URL", name, transaction, err)
		}
	}
	// RFC 7523 §3: the assertion is about the client and for the issuer only; each has
	// its own jti.
	verifier := must(jwtauth.NewVerifier(jwtauth.VerifierConfig{Issuer: jwtauth.Issuer{
		URL: "https://client.example", Audiences: []string{issuer}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: providertest.Keys(), MaxLifetime: time.Minute,
	}}))
	ids := make(map[string]bool)
	for _, text := range seen {
		verified, err := verifier.Verify(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		var claims struct {
			Audience any    `json:"aud"`
			ID       string `json:"jti"`
		}
		if err := verified.Claims.Decode(&claims); err != nil || claims.Audience != issuer || verified.Subject != "https://client.example" || claims.ID == "" {
			t.Errorf("assertion %+v of %s, %v", claims, verified.Subject, err)
		}
		ids[claims.ID] = true
	}
	if len(ids) != 2 {
		t.Errorf("%d assertions with %d jti, want 2", len(seen), len(ids))
	}
}

// TestMutualTLS: the client presents its certificate at the endpoints of
// mtls_endpoint_aliases, RFC 8705 section 5.
//
// Covers RFC 7662 §4 (TLS); RFC 8414 §6.1; RFC 8705 §5; RFC 9700 §2.5.
func TestMutualTLS(t *testing.T) {
	var asked []string
	var flag, aliases any = true, nil
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		base := "https://" + r.Host
		if r.URL.Path == "/.well-known/openid-configuration" {
			answer(w, http.StatusOK, object{
				"issuer": base, "token_endpoint": base + "/token", "authorization_endpoint": base + "/auth", "tls_client_certificate_bound_access_tokens": flag,
				map[bool]string{true: "mtls_endpoint_aliases", false: "x"}[aliases != nil]: aliases,
			})
			return
		}
		asked = append(asked, fmt.Sprint(r.URL.Path, len(r.TLS.PeerCertificates), r.PostFormValue("client_id")))
		answer(w, http.StatusOK, object{"access_token": "x", "token_type": "Bearer"})
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	aliases = object{
		"token_endpoint": server.URL + "/mtls/token", "authorization_endpoint": server.URL + "/mtls/auth",
		"jwks_uri": server.URL + "/mtls/jwks", "end_session_endpoint": server.URL + "/mtls/end", "x": 1,
	}
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
		c.TLS.RootCAs = nil // the client has a copy
		if _, err := client.Token(t.Context(), machineParams()); err != nil {
			t.Fatal(err)
		}
		if p, err := client.Provider(t.Context()); err != nil || p.AuthorizationEndpoint != server.URL+"/auth" || p.JWKSURI != "" || p.EndSessionEndpoint != "" || !p.CertificateBoundTokens {
			t.Errorf("Provider = %+v, %v, want no alias for browsers and keys, and CertificateBoundTokens", p, err)
		}
		if reflect.ValueOf(client).Elem().FieldByName("http").FieldByName("Transport").Elem().Elem().FieldByName("Proxy").IsNil() {
			t.Error("the client does not use the proxy of the environment")
		}
	}
	if got, want := fmt.Sprint(asked), "[/mtls/token1m /mtls/token1m /token0m]"; got != want {
		t.Errorf("requests %s, want %s", got, want)
	}
	for name, test := range map[string]struct {
		flag, aliases any
		want          string // in the error, "" for none
	}{
		"no aliases":         {true, nil, ""},
		"malformed metadata": {"x", aliases, "tls_client_certificate_bound_access_tokens: malformed"},
		"malformed alias":    {true, object{"revocation_endpoint": 1}, ": revocation_endpoint: malformed"},
		"alias over http":    {true, object{"revocation_endpoint": "http://127.0.0.1/revoke"}, ": revocation_endpoint: must be an https URL"},
	} {
		flag, aliases = test.flag, test.aliases
		client := newClient(t, oauth.Config{Issuer: server.URL, ClientID: "m", Auth: oauth.TLSClient, TLS: &tls.Config{RootCAs: trusted, Certificates: server.TLS.Certificates}})
		if _, err := client.Provider(t.Context()); (err == nil) != (test.want == "") || !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("%s: Provider error = %v, want %q", name, err, test.want)
		}
	}
	stranger := newClient(t, oauth.Config{Issuer: server.URL, ClientID: "m", Auth: oauth.Public})
	if _, err := stranger.Token(t.Context(), machineParams()); !errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("Token with an untrusted server certificate: error = %v, want %v", err, oauth.ErrUnavailable)
	}
}

// TestSecretsStayInBodies: the provider checks that secrets are sent with POST in the
// body or in a header, and never in a URL.
//
// Covers RFC 6749 §2.3.1 (body), §3.2; RFC 7009 §2 (POST); RFC 7662 §2.1
// (POST); RFC 9700 §4.3.2; ASVS 5.0 §14.2.1.
func TestSecretsStayInBodies(t *testing.T) {
	s, _ := newLimited(t)
	s.Routes["/token"] = raw(200, `{"access_token":"x","token_type":"Bearer"}`)
	for _, change := range []func(*oauth.Config){
		func(*oauth.Config) {},
		func(c *oauth.Config) { c.Auth = oauth.SecretPost },
		func(c *oauth.Config) { c.Auth, c.Secret, c.Keys = oauth.PrivateKeyJWT, secret(""), providertest.Keys() },
	} {
		client := s.Client(change)
		for path, call := range calls {
			if err := call(t.Context(), client); err != nil {
				t.Errorf("%s: error = %v", path, err)
			}
		}
		params := machineParams()
		if _, err := client.Token(t.Context(), params); err != nil || len(params) != len(machineParams()) {
			t.Errorf("Token error = %v, parameters of the caller %v, want no client authentication in them", err, params)
		}
	}
}
