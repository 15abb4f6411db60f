// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdkauth "github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-go/gatehouse/interop/provider"
)

const toolScopes = "data:read data:write external:invoke exec:sandbox"

// toolsOrigin is the public origin of all servers of the app.
const toolsOrigin = "https://tools.example.com"

// agentApp is a server of examples/agents, with npm oidc-provider as the issuer of people
// and of delegated tokens.
type agentApp struct {
	addr     string
	log      string // of audit
	apiKey   string
	provider *provider.Provider
	portal   provider.Client   // of people
	broker   provider.Client   // whose tokens have the actor helper-1
	key      *ecdsa.PrivateKey // of helper-1
	partner  *httptest.Server
	posts    atomic.Int32 // at the partner

	certified, plain *http.Client // with and without the client certificate of helper-1
}

func newAgentApp(t *testing.T) *agentApp {
	t.Helper()
	newKey := func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }
	native := map[string]any{"application_type": "native"}
	a := &agentApp{
		key: newKey(), log: filepath.Join(t.TempDir(), "audit.jsonl"),
		portal: provider.Client{ID: "portal", RedirectURIs: []string{"http://127.0.0.1:7/callback"}, Metadata: native},
		broker: provider.Client{ID: "broker", RedirectURIs: []string{"http://127.0.0.1:7/broker"}, Metadata: native},
	}
	a.partner = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.posts.Add(1)
		if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
			t.Error("the partner got a credential")
		}
		w.WriteHeader(http.StatusCreated)
	}))
	t.Cleanup(a.partner.Close)
	people := func(roles ...string) map[string]any { return map[string]any{"tenant": "acme", "roles": roles} }
	a.provider = ownProvider(t, provider.Options{
		Clients:   []provider.Client{a.portal, a.broker},
		Resources: []provider.Resource{{URI: toolsOrigin + "/mcp", Algorithm: "ES256", Scope: toolScopes}},
		Claims: map[string]map[string]any{
			"alice": people(), "bob": people("operator"), "carol": people("admin"), "broker": {"act": map[string]any{"sub": "helper-1"}},
		},
	})
	ca := newAuthority(t)
	server := ca.server()
	secret := func(name string, key any) string { return "file:" + writeFile(t, t.TempDir(), name, keyPEM(key)) }
	point := must(a.key.PublicKey.Bytes()) // 4, X, Y
	app := startApp(t, buildExample(t, "agents"), map[string]any{
		"addr": "127.0.0.1:0", "public_origin": toolsOrigin, "store": map[string]string{"driver": "memory"},
		"tls": map[string]string{
			"cert": "file:" + writeFile(t, t.TempDir(), "server.pem", certificatePEM(server)), "key": secret("server.key", server.PrivateKey), "client_ca": ca.file,
		},
		"issuers":     []map[string]any{{"issuer": a.provider.Issuer, "audience": toolsOrigin + "/mcp", "algorithms": []string{"ES256"}}},
		"api_keys":    map[string]any{"driver": "memory", "mint": []map[string]any{{"name": "reader", "tenant": "acme", "scopes": []string{"data:read"}}}},
		"signing_key": secret("tokens.key", newKey()),
		"agents": []map[string]any{{
			"id": "helper-1", "tenant": "acme", "owner": "alice", "roles": []string{"executor"}, "attestation": "key",
			"jwk": map[string]string{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])},
		}},
		"roles":     map[string]any{"executor": strings.Fields(toolScopes)},
		"approvals": map[string]any{"ttl": "10m", "admins_for_exec": 1},
		"audit":     map[string]string{"path": a.log, "signing_key": secret("audit.key", newKey())},
	})
	a.apiKey = app.Prints(t, &app.Out, `api-key reader (\S+)\n`)
	a.addr = app.Prints(t, &app.Out, `listening https://(\S+)\n`)
	client := func(certificates ...tls.Certificate) *http.Client {
		settings := ca.trust(certificates...)
		settings.ServerName = "localhost"
		transport := &http.Transport{TLSClientConfig: settings, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == strings.TrimPrefix(toolsOrigin, "https://")+":443" {
				addr = a.addr
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport, Timeout: time.Minute}
	}
	a.certified, a.plain = client(ca.client("spiffe://acme.example/helper-1")), client()
	return a
}

// person logs a person in at the provider and returns an access token.
func (a *agentApp) person(t *testing.T, name string, client provider.Client) string {
	t.Helper()
	return a.provider.Login(t, provider.NewBrowser(t, name), client, toolsOrigin+"/mcp", "openid "+toolScopes).AccessToken
}

// token gets a token from the app, with an assertion of helper-1.
func (a *agentApp) token(t *testing.T, form url.Values) string {
	t.Helper()
	claims := must(json.Marshal(map[string]any{
		"iss": "helper-1", "sub": "helper-1", "aud": toolsOrigin, "jti": rand.Text(), "iat": time.Now().Unix(), "exp": time.Now().Add(50 * time.Second).Unix(),
	}))
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", signES256(a.key, `{"alg":"ES256","typ":"JWT"}`, string(claims)))
	response, err := a.certified.PostForm(toolsOrigin+"/token", form)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body struct {
		Token string `json:"access_token"`
		Error string `json:"error"`
	}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil || body.Token == "" {
		t.Fatalf("POST /token: %d %+v, %v, want a token", response.StatusCode, body, err)
	}
	return "Authorization: Bearer " + body.Token
}

// transport adds a credential to each request.
type transport struct {
	base        http.RoundTripper
	name, value string
}

func (c *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.name != "" {
		r = r.Clone(r.Context())
		r.Header.Set(c.name, c.value)
	}
	return c.base.RoundTrip(r)
}

// connect connects the client of the official SDK, with a credential or with a handler
// that gets one.
func connect(t *testing.T, client *http.Client, credential string, handler sdkauth.OAuthHandler) *sdk.ClientSession {
	t.Helper()
	name, value, _ := strings.Cut(credential, ": ")
	endpoint := &sdk.StreamableClientTransport{
		Endpoint: toolsOrigin + "/mcp", HTTPClient: &http.Client{Transport: &transport{client.Transport, name, value}}, MaxRetries: -1, OAuthHandler: handler,
	}
	session, err := sdk.NewClient(&sdk.Implementation{Name: "interop", Version: "1"}, nil).Connect(t.Context(), endpoint, nil)
	if err != nil {
		t.Fatalf("Connect() error = %v, want nil", err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// call calls a tool and says what came of it: "done", the code of the refusal, or the
// error of the result with the ID of the approval.
func call(t *testing.T, session *sdk.ClientSession, name string, arguments any) (outcome, approval string) {
	t.Helper()
	result, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: name, Arguments: arguments})
	if answer, ok := errors.AsType[*jsonrpc.Error](err); ok {
		var data struct{ Error string }
		_ = json.Unmarshal(answer.Data, &data)
		return data.Error, ""
	}
	if err != nil {
		return err.Error(), ""
	}
	content, _ := result.StructuredContent.(map[string]any)
	if result.IsError {
		outcome, _ = content["error"].(string)
		approval, _ = content["approval"].(string)
		return outcome, approval
	}
	return "done", ""
}

// decide approves and returns the status, with the error code or the new state.
func (a *agentApp) decide(t *testing.T, token, id string) (int, string) {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, toolsOrigin+"/approvals/"+id, strings.NewReader(`{"decision":"approve","reason":"ok"}`)))
	r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "Authorization": {"Bearer " + token}}
	response, err := a.plain.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body struct{ Status, Error string }
	_ = json.NewDecoder(response.Body).Decode(&body)
	return response.StatusCode, body.Status + body.Error
}

// wantRecord checks that the audit log has a record that contains all parts.
func (a *agentApp) wantRecord(t *testing.T, parts ...string) {
	t.Helper()
	for line := range strings.Lines(string(must(os.ReadFile(a.log)))) {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
			return
		}
	}
	t.Errorf("the audit log has no record with %q", parts)
}
