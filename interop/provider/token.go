// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Token is the response of the token endpoint, RFC 6749 §5.1.
type Token struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	Scope        string `json:"scope"`
	IDToken      string `json:"id_token"`
}

// ClientCredentials requests an access token for a machine client.
func (p *Provider) ClientCredentials(t testing.TB, c Client, resource, scope string) Token {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {resource}}
	if scope != "" {
		form.Set("scope", scope)
	}
	return p.token(t, c, form)
}

// Login logs the user of a browser in and returns the tokens of the client. An ID
// token needs the scope openid.
func (p *Provider) Login(t testing.TB, b *Browser, c Client, resource, scope string) Token {
	t.Helper()
	verifier := strings.Repeat("the-verifier-of-a-test-", 2)
	query := url.Values{
		"response_type":         {"code"},
		"client_id":             {c.ID},
		"redirect_uri":          {c.RedirectURIs[0]},
		"scope":                 {scope},
		"resource":              {resource},
		"state":                 {"state"},
		"nonce":                 {"nonce"},
		"code_challenge":        {challenge(verifier)},
		"code_challenge_method": {"S256"},
	}
	callback := b.Visit(t, p.Issuer+"/auth?"+query.Encode(), c.RedirectURIs[0])
	code := callback.Query().Get("code")
	if code == "" {
		t.Fatalf("provider: the callback carries no code: %v", callback)
	}
	return p.token(t, c, url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {code},
		"redirect_uri":  {c.RedirectURIs[0]},
		"code_verifier": {verifier},
		"resource":      {resource},
		"client_id":     {c.ID},
	})
}

func (p *Provider) token(t testing.TB, c Client, form url.Values) Token {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.Secret != "" {
		request.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret))
		form.Del("client_id")
	}
	client := http.Client{Timeout: time.Minute}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var token Token
	if err := json.Unmarshal(body, &token); err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(fmt.Errorf("provider: token endpoint: %s: %s", response.Status, body))
	}
	return token
}
