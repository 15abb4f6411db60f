// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/internal/base64url"
	"github.com/gatehouse-go/gatehouse/internal/jose"
	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// prover is a provider that requires DPoP proofs with a nonce at its endpoints.
type prover struct {
	*providertest.Server
	key   *dpop.Key
	mu    sync.Mutex
	seen  map[string]bool // jti
	sent  map[string]int  // requests with a valid proof, by path
	asked int             // requests without a nonce
}

func newProver(t *testing.T) (*prover, *oauth.Client) {
	t.Helper()
	p := &prover{Server: providertest.New(t), key: must(dpop.GenerateKey()), seen: map[string]bool{}, sent: map[string]int{}}
	p.Metadata["dpop_signing_alg_values_supported"] = []string{"PS256", "ES256", "RS256"}
	p.Reply = object{"token_type": "DPoP"}
	return p, p.Client(func(c *oauth.Config) { c.DPoP, c.Transport = p.key, p })
}

func (p *prover) RoundTrip(r *http.Request) (*http.Response, error) {
	proof := r.Header.Get("DPoP")
	if proof == "" {
		return p.Server.RoundTrip(r)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	claims := p.verify(proof)
	if claims["htm"] != r.Method || claims["htu"] != "https://"+r.URL.Host+r.URL.Path || claims["jti"] == "" || p.seen[claims["jti"]] {
		p.Errorf("proof %v for %s %s, want a new one for it", claims, r.Method, r.URL)
	}
	if access, found := strings.CutPrefix(r.Header.Get("Authorization"), "DPoP "); found != (claims["ath"] != "") || found && access == "" {
		p.Errorf("proof %v for the Authorization header %q, want ath with a token only", claims, r.Header.Get("Authorization"))
	}
	p.seen[claims["jti"]] = true
	if claims["nonce"] != "n1" {
		p.asked++
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return &http.Response{
			StatusCode: http.StatusBadRequest, Request: r, Header: http.Header{"Dpop-Nonce": {"n1"}},
			Body: io.NopCloser(strings.NewReader(`{"error":"use_dpop_nonce"}`)),
		}, nil
	}
	p.sent[r.URL.Path]++
	return p.Server.RoundTrip(r)
}

// verify returns the claims of a proof by the key of the client.
func (p *prover) verify(proof string) map[string]string {
	parts, err := jose.Split(proof)
	if err != nil {
		p.Fatal(err)
	}
	var header struct {
		Type string          `json:"typ"`
		JWK  json.RawMessage `json:"jwk"`
	}
	if err := json.Unmarshal(must(base64url.Decode(nil, parts.Header)), &header); err != nil {
		p.Fatal(err)
	}
	key := must(jose.ParseKey(string(header.JWK)))
	if header.Type != "dpop+jwt" || key.Thumbprint != p.key.Thumbprint() || !jose.Verify("ES256", key.Public, parts.SigningInput, must(base64url.Decode(nil, parts.Signature))) {
		p.Fatalf("proof %s: not a proof by the key of the client", proof)
	}
	var all map[string]any
	if err := json.Unmarshal(must(base64url.Decode(nil, parts.Payload)), &all); err != nil {
		p.Fatal(err)
	}
	claims := map[string]string{}
	for _, name := range []string{"htm", "htu", "jti", "ath", "nonce"} {
		claims[name], _ = all[name].(string)
	}
	return claims
}

// A login, a refresh and userinfo with proofs: the code and the tokens are bound to
// the key of the client.
//
// Covers RFC 9449 §5, §10.
func TestDPoPLogin(t *testing.T) {
	for _, pushed := range []bool{false, true} {
		p, client := newProver(t)
		var body url.Values
		if pushed {
			p.Metadata["pushed_authorization_request_endpoint"] = issuer + "/par"
			p.Routes["/par"] = func(w http.ResponseWriter, r *http.Request) {
				_ = r.ParseForm()
				body = r.PostForm
				answer(w, http.StatusCreated, object{"request_uri": "urn:x", "expires_in": 60})
			}
		}
		p.Metadata["userinfo_endpoint"] = issuer + "/userinfo"
		p.Routes["/userinfo"] = func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Authorization"); got != "DPoP access-2" {
				t.Errorf("userinfo with the Authorization header %q, want DPoP access-2", got)
			}
			answer(w, http.StatusOK, object{"sub": "alice"})
		}
		asked := map[bool]string{true: "reports:read", false: "openid"}[pushed]
		transaction, err := client.Authorize(t.Context(), oauth.AuthorizationRequest{RedirectURI: redirect, Scopes: scopes(asked)})
		if err != nil {
			t.Fatal(err)
		}
		query := must(url.Parse(transaction.URL)).Query()
		if pushed {
			if query.Has("dpop_jkt") || body.Get("dpop_jkt") != p.key.Thumbprint() {
				t.Errorf("dpop_jkt of the pushed request = %q, and %q in the URL, want %q and none", body.Get("dpop_jkt"), query.Get("dpop_jkt"), p.key.Thumbprint())
			}
			continue
		}
		if query.Get("dpop_jkt") != p.key.Thumbprint() {
			t.Errorf("dpop_jkt = %q, want %q", query.Get("dpop_jkt"), p.key.Thumbprint())
		}
		result, err := client.Redeem(t.Context(), transaction, p.Authorize(transaction.URL))
		if err != nil || !result.Tokens.DPoP || p.sent["/token"] != 1 || p.asked != 1 {
			t.Fatalf("Redeem = %v, %v after %d requests with a nonce and %d without, want bound tokens after 1 and 1", result.Tokens, err, p.sent["/token"], p.asked)
		}
		renewed, err := client.Refresh(t.Context(), result.Tokens)
		if err != nil || !renewed.DPoP || p.sent["/token"] != 2 || p.asked != 1 {
			t.Errorf("Refresh = %v, %v after %d requests, want bound tokens with the nonce of before", renewed, err, p.sent["/token"])
		}
		if claims, err := client.Userinfo(t.Context(), renewed.Access, "alice"); err != nil || !strings.Contains(claims.String(), "alice") {
			t.Errorf("Userinfo = %v, %v", claims, err)
		}
		if token := oauth.ToOAuth2(renewed); token.TokenType != "DPoP" || !oauth.FromOAuth2(token).DPoP {
			t.Errorf("ToOAuth2 has the type %q, want DPoP there and back", token.TokenType)
		}
	}
}

// An authorization server whose metadata name more and more origins gets no memory for
// them.
func TestOriginsWithProofsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newProver(t)
		client := p.Client(func(c *oauth.Config) {
			c.DPoP, c.Transport = p.key, roundTripper(func(r *http.Request) (*http.Response, error) {
				if strings.HasPrefix(r.URL.Host, "host") {
					return nil, errors.New("no such host")
				}
				return p.RoundTrip(r)
			})
		})
		for n := range 20 {
			p.Metadata["userinfo_endpoint"] = fmt.Sprintf("https://host%d.example.com/userinfo", n)
			if _, err := client.Userinfo(t.Context(), secret("a"), "alice"); !errors.Is(err, oauth.ErrUnavailable) {
				t.Errorf("Userinfo of host %d: error = %v, want %v", n, err, oauth.ErrUnavailable)
			}
			if got := reflect.ValueOf(client).Elem().FieldByName("proving").FieldByName("clients").Len(); got != n%8+1 {
				t.Errorf("%d clients with proofs after host %d, want %d", got, n, n%8+1)
			}
			time.Sleep(2 * time.Hour) // the metadata are fetched again
		}
	})
}

// A request that is repeated with a nonce has a new client assertion, because servers
// accept the jti of an assertion once.
//
// Covers RFC 9449 §8 (retry).
func TestDPoPRetryHasNewAssertion(t *testing.T) {
	p, _ := newProver(t)
	assertions := map[string]int{}
	record := roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost {
			body := must(io.ReadAll(r.Body))
			assertions[must(url.ParseQuery(string(body))).Get("client_assertion")]++
			r.Body = io.NopCloser(strings.NewReader(string(body)))
		}
		return p.RoundTrip(r)
	})
	client := p.Client(func(c *oauth.Config) {
		c.Auth, c.Secret, c.Keys = oauth.PrivateKeyJWT, secret(""), providertest.Keys()
		c.DPoP, c.Transport = p.key, record
	})
	p.Routes["/token"] = func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, object{"access_token": "a", "token_type": "dpop", "expires_in": 60})
	}
	for want := 2; want <= 3; want++ { // the nonce is remembered
		tokens, err := must(client.ClientCredentials(oauth.CredentialsRequest{})).Token(t.Context())
		if err != nil || !tokens.DPoP || len(assertions) != want || p.asked != 1 {
			t.Errorf("Token = %v, %v with %d assertions after %d requests without a nonce, want %d and 1", tokens, err, len(assertions), p.asked, want)
		}
	}
	for assertion, n := range assertions {
		if n != 1 || assertion == "" {
			t.Errorf("assertion %q sent %d times, want once", assertion, n)
		}
	}
	// A server that never accepts the proof gets two requests.
	p.Routes["/token"] = func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusBadRequest, object{"error": "invalid_dpop_proof"})
	}
	p.sent["/token"] = 0
	if _, err := must(client.ClientCredentials(oauth.CredentialsRequest{})).Token(t.Context()); err == nil || p.sent["/token"] != 2 {
		t.Errorf("Token error = %v after %d requests, want one after 2", err, p.sent["/token"])
	}
	// Another error is no reason to repeat the request.
	refused := p.Routes["/token"]
	p.Routes["/token"], p.sent["/token"] = raw(400, `{"error":"invalid_scope"}`), 0
	if _, err := must(client.ClientCredentials(oauth.CredentialsRequest{})).Token(t.Context()); err == nil || p.sent["/token"] != 1 {
		t.Errorf("Token error = %v after %d requests, want one after 1", err, p.sent["/token"])
	}
	p.Routes["/token"] = refused
	// A request without a proof is not repeated, also if the server asks for one.
	plain := p.Client(func(c *oauth.Config) { c.Auth, c.Secret, c.Keys = oauth.PrivateKeyJWT, secret(""), providertest.Keys() })
	before := p.Count("/token")
	if _, err := plain.Token(t.Context(), machineParams()); err == nil || p.Count("/token") != before+1 {
		t.Errorf("Token without a key: error = %v after %d requests, want one after 1", err, p.Count("/token")-before)
	}
	p.Routes["/revoke"] = p.Routes["/token"]
	if err := client.Revoke(t.Context(), secret("r"), ""); err == nil || p.Count("/revoke") != 1 {
		t.Errorf("Revoke error = %v after %d requests, want one after 1", err, p.Count("/revoke"))
	}
}

func TestDPoPTransport(t *testing.T) {
	p, client := newProver(t)
	p.Routes["/api"] = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "DPoP access-1" {
			t.Errorf("API with the Authorization header %q, want DPoP access-1", r.Header.Get("Authorization"))
		}
		w.WriteHeader(http.StatusNoContent)
	}
	source := must(client.ClientCredentials(oauth.CredentialsRequest{}))
	transport := must(oauth.NewTransport(oauth.TransportConfig{Source: source, Origins: []string{"https://other.example.com", issuer}, Base: p}))
	response, err := (&http.Client{Transport: transport}).Get(issuer + "/api")
	if err != nil || response.StatusCode != http.StatusNoContent || p.sent["/api"] != 1 {
		t.Fatalf("Get = %v, %v after %d requests with a nonce, want 204 after 1", response, err, p.sent["/api"])
	}
	_ = response.Body.Close()
}

// A proof is sent to an endpoint with a port too.
func TestDPoPWithPort(t *testing.T) {
	proof := ""
	client := newClient(t, oauth.Config{
		Issuer: issuer, Provider: oauth.Provider{Issuer: issuer, TokenEndpoint: issuer + ":8443/token"},
		ClientID: clientID, Secret: secret(providertest.Secret), DPoP: must(dpop.GenerateKey()),
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			proof = r.Header.Get("DPoP")
			w := httptest.NewRecorder()
			answer(w, http.StatusOK, object{"access_token": "a", "token_type": "DPoP"})
			return w.Result(), nil
		}),
	})
	if _, err := client.Token(t.Context(), machineParams()); err != nil || proof == "" {
		t.Errorf("Token error = %v, proof %q, want a proof", err, proof)
	}
}

// Tokens that are not bound to the key are rejected, and so is a server that cannot
// bind them.
//
// Covers RFC 9449 §5 (token_type), §5.1.
func TestDPoPNotOffered(t *testing.T) {
	for name, change := range map[string]func(*prover){
		"Bearer token":       func(p *prover) { p.Reply = object{"token_type": "Bearer"} },
		"no token type":      func(p *prover) { p.Reply = object{"token_type": nil} },
		"no metadata":        func(p *prover) { delete(p.Metadata, "dpop_signing_alg_values_supported") },
		"other algorithms":   func(p *prover) { p.Metadata["dpop_signing_alg_values_supported"] = []string{"PS256", "ES256K"} },
		"malformed list":     func(p *prover) { p.Metadata["dpop_signing_alg_values_supported"] = []any{"ES256", 1} },
		"malformed metadata": func(p *prover) { p.Metadata["dpop_signing_alg_values_supported"] = "ES256" },
	} {
		p, client := newProver(t)
		change(p)
		if tokens, err := must(client.ClientCredentials(oauth.CredentialsRequest{})).Token(t.Context()); !errors.Is(err, oauth.ErrUnavailable) {
			t.Errorf("%s: Token = %v, %v, want ErrUnavailable", name, tokens, err)
		} else if strings.HasPrefix(name, "malformed") && !strings.Contains(err.Error(), "dpop_signing_alg_values_supported: malformed") {
			t.Errorf("%s: Token error = %v, want it to say so", name, err)
		}
	}
	// The other way round: a client without a key.
	p, _ := newProver(t)
	if _, err := must(p.Client().ClientCredentials(oauth.CredentialsRequest{})).Token(t.Context()); !errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("DPoP token for a client without a key: error = %v, want ErrUnavailable", err)
	}
	_, client := newProver(t)
	request := oauth.AuthorizationRequest{RedirectURI: redirect, Params: url.Values{"dpop_jkt": {"x"}}}
	if err := client.Check(request); err == nil || !strings.Contains(err.Error(), "dpop_jkt") {
		t.Errorf("Check with dpop_jkt error = %v, want one that names it", err)
	}
}
