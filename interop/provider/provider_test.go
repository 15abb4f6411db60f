// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/interop/provider"
)

func TestProvider(t *testing.T) {
	t.Parallel()
	received := make(chan string, 1)
	site := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		received <- r.PostFormValue("logout_token")
	}))
	t.Cleanup(site.Close)
	machine := provider.Client{ID: "machine", Secret: "a secret of the machine client"}
	web := provider.Client{ID: "web", Secret: "a secret of the web client", RedirectURIs: []string{"http://127.0.0.1:1/callback"}}
	native := provider.Client{ID: "native", RedirectURIs: []string{"http://127.0.0.1/callback"}}
	notified := provider.Client{
		ID: "notified", Secret: "a secret of the notified client", RedirectURIs: []string{site.URL + "/callback"},
		Metadata: map[string]any{
			"backchannel_logout_uri":    site.URL + "/logout",
			"post_logout_redirect_uris": []string{site.URL + "/bye"},
		},
	}
	p := provider.Start(t, provider.Options{
		Clients: []provider.Client{machine, web, native, notified},
		Resources: []provider.Resource{
			{URI: "https://api.example.com/es256", Algorithm: "ES256", Scope: "reports:read reports:write"},
			{URI: "https://api.example.com/opaque", Scope: "reports:read"},
		},
	})

	first := header(t, p.ClientCredentials(t, machine, "https://api.example.com/es256", "reports:read").AccessToken)
	if first["alg"] != "ES256" || first["typ"] != "at+jwt" || first["kid"] != p.Keys[2].ID {
		t.Errorf("header = %v", first)
	}
	if token := p.ClientCredentials(t, machine, "https://api.example.com/opaque", "reports:read").AccessToken; strings.Contains(token, ".") {
		t.Errorf("token for the opaque resource has dots")
	}

	p.Rotate(t)
	if len(p.Keys) != 8 {
		t.Errorf("after the rotation %d keys are published", len(p.Keys))
	}
	second := header(t, p.ClientCredentials(t, machine, "https://api.example.com/es256", "").AccessToken)
	if second["kid"] == first["kid"] {
		t.Error("the old key still signs after a rotation")
	}
	p.Withdraw(t)
	if len(p.Keys) != 4 || p.Keys[2].ID != second["kid"] {
		t.Errorf("after the withdrawal these are published: %v", p.Keys)
	}

	for _, client := range []provider.Client{web, native} {
		token := p.Login(t, provider.NewBrowser(t, "ada"), client, "https://api.example.com/es256", "openid reports:read")
		if token.RefreshToken == "" || token.IDToken == "" {
			t.Errorf("%s: no refresh token or no ID token", client.ID)
		}
		if got := header(t, token.AccessToken); got["kid"] != second["kid"] {
			t.Errorf("%s: header = %v", client.ID, got)
		}
	}

	// A logout at the provider notifies the client over the back channel, on a
	// loopback address. The provider redirects once the client has answered.
	ada := provider.NewBrowser(t, "ada")
	token := p.Login(t, ada, notified, "https://api.example.com/es256", "openid reports:read")
	end := url.Values{"id_token_hint": {token.IDToken}, "post_logout_redirect_uri": {site.URL + "/bye"}}
	ada.Visit(t, p.Issuer+"/session/end?"+end.Encode(), site.URL+"/bye")
	select {
	case logout := <-received:
		if typ := header(t, logout)["typ"]; typ != "logout+jwt" {
			t.Errorf("typ of the logout token = %v", typ)
		}
	default:
		t.Error("the client has received no logout token")
	}

	// The features that the tests need.
	response, err := http.Get(p.Issuer + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var metadata map[string]any
	if err := json.NewDecoder(response.Body).Decode(&metadata); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"pushed_authorization_request_endpoint", "introspection_endpoint", "revocation_endpoint", "end_session_endpoint",
		"device_authorization_endpoint", "dpop_signing_alg_values_supported", "backchannel_logout_supported",
		"authorization_response_iss_parameter_supported",
	} {
		if metadata[name] == nil || metadata[name] == false {
			t.Errorf("%s = %v", name, metadata[name])
		}
	}
}

func header(t *testing.T, token string) (header map[string]any) {
	t.Helper()
	encoded, _, _ := strings.Cut(token, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(decoded, &header); err != nil {
		t.Fatal(err)
	}
	return header
}
