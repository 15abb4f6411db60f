// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/interop/provider"
)

func TestProvider(t *testing.T) {
	t.Parallel()
	machine := provider.Client{ID: "machine", Secret: "a secret of the machine client"}
	web := provider.Client{ID: "web", Secret: "a secret of the web client", RedirectURIs: []string{"http://127.0.0.1:1/callback"}}
	native := provider.Client{ID: "native", RedirectURIs: []string{"http://127.0.0.1/callback"}}
	p := provider.Start(t, provider.Options{
		Clients: []provider.Client{machine, web, native},
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
		token := p.Login(t, client, "ada", "https://api.example.com/es256", "openid reports:read")
		if token.RefreshToken == "" || token.IDToken == "" {
			t.Errorf("%s: no refresh token or no ID token", client.ID)
		}
		if got := header(t, token.AccessToken); got["kid"] != second["kid"] {
			t.Errorf("%s: header = %v", client.ID, got)
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
