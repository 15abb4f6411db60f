// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdkauth "github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-go/gatehouse/interop/program"
	"github.com/gatehouse-go/gatehouse/interop/provider"
)

const toolScopes = "data:read data:write external:invoke exec:sandbox"

// toolsOrigin is the public origin of all servers of the app.
const toolsOrigin = "https://tools.example.com"

// agentApp is what the servers of examples/agents have in common, with npm oidc-provider
// as the issuer of people and of delegated tokens.
type agentApp struct {
	dir         string
	binary      string
	ca          *authority
	certificate tls.Certificate // of helper-1
	config      map[string]any
	servers     int // that were started
	provider    *provider.Provider
	portal      provider.Client // of people
	broker      provider.Client // whose tokens have the actor helper-1
	keys        map[string]*ecdsa.PrivateKey
	partner     *httptest.Server
	posts       atomic.Int32 // at the partner
}

// agentServer is a server of the app, as a process.
type agentServer struct {
	*agentApp
	*program.Program
	addr   string
	log    string // of audit
	apiKey string

	certified, plain *http.Client // with and without a client certificate
}

func newAgentApp(t *testing.T) *agentApp {
	t.Helper()
	a := &agentApp{
		dir: t.TempDir(), binary: buildExample(t, "agents"), ca: newAuthority(t), keys: make(map[string]*ecdsa.PrivateKey),
		portal: provider.Client{ID: "portal", RedirectURIs: []string{"http://127.0.0.1:7/callback"}, Metadata: map[string]any{"application_type": "native"}},
		broker: provider.Client{ID: "broker", RedirectURIs: []string{"http://127.0.0.1:7/broker"}, Metadata: map[string]any{"application_type": "native"}},
	}
	a.certificate = a.ca.client("spiffe://acme.example/helper-1")
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
			"alice": people(), "bob": people("operator"), "carol": people("admin"),
			"eve":    {"tenant": "globex", "roles": []string{"admin"}},
			"broker": {"act": map[string]any{"sub": "helper-1"}},
		},
	})
	write := func(name, text string) string { return writeFile(t, a.dir, name, text) }
	server := a.ca.server()
	newKey := func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }
	var agents []map[string]any
	for _, agent := range []struct{ id, role, attestation string }{{"helper-1", "executor", "key"}, {"plain", "executor", "none"}} {
		key := newKey()
		a.keys[agent.id] = key
		agents = append(agents, map[string]any{
			"id": agent.id, "tenant": "acme", "owner": "alice", "roles": []string{agent.role}, "attestation": agent.attestation,
			"jwk": map[string]string{"kty": "EC", "crv": "P-256", "x": encode(key.X.FillBytes(make([]byte, 32))), "y": encode(key.Y.FillBytes(make([]byte, 32)))},
		})
	}
	a.config = map[string]any{
		"addr": "127.0.0.1:0", "public_origin": toolsOrigin,
		"tls": map[string]string{
			"cert": "file:" + write("server.pem", certificatePEM(server)), "key": "file:" + write("server.key", keyPEM(server.PrivateKey)), "client_ca": a.ca.file,
		},
		"issuers":     []map[string]any{{"issuer": a.provider.Issuer, "audience": toolsOrigin + "/mcp", "algorithms": []string{"ES256"}}},
		"api_keys":    map[string]any{"driver": "memory", "mint": []map[string]any{{"name": "reader", "tenant": "acme", "scopes": []string{"data:read"}}}},
		"signing_key": "file:" + write("tokens.key", keyPEM(newKey())),
		"agents":      agents, "roles": map[string]any{"executor": strings.Fields(toolScopes)},
		"approvals": map[string]any{"ttl": "10m", "admins_for_exec": 1},
	}
	write("audit.key", keyPEM(newKey()))
	return a
}

// start starts a server. Servers with one store are one app.
func (a *agentApp) start(t *testing.T, store map[string]string) *agentServer {
	t.Helper()
	a.servers++
	path := func(name string) string { return filepath.Join(a.dir, fmt.Sprintf("%d-%s", a.servers, name)) }
	s := &agentServer{agentApp: a, log: path("audit.jsonl")}
	config := maps.Clone(a.config)
	config["store"], config["audit"] = store, map[string]string{"path": s.log, "signing_key": "file:" + filepath.Join(a.dir, "audit.key")}
	s.Program = startApp(t, a.binary, config)
	s.apiKey = s.Prints(t, &s.Out, `api-key reader (\S+)\n`)
	s.addr = s.Prints(t, &s.Out, `listening https://(\S+)\n`)
	client := func(certificates ...tls.Certificate) *http.Client {
		settings := a.ca.trust(certificates...)
		settings.ServerName = "localhost"
		transport := &http.Transport{TLSClientConfig: settings, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == strings.TrimPrefix(toolsOrigin, "https://")+":443" {
				addr = s.addr
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport, Timeout: time.Minute}
	}
	s.certified, s.plain = client(a.certificate), client()
	return s
}

// person logs a person in at the provider and returns an access token.
func (a *agentApp) person(t *testing.T, name string, client provider.Client) string {
	t.Helper()
	return a.provider.Login(t, provider.NewBrowser(t, name), client, toolsOrigin+"/mcp", "openid "+toolScopes).AccessToken
}

// token gets a token from the app, with an assertion of an agent.
func (a *agentApp) token(t *testing.T, client *http.Client, agent string, form url.Values) string {
	t.Helper()
	claims := must(json.Marshal(map[string]any{
		"iss": agent, "sub": agent, "aud": toolsOrigin, "jti": rand.Text(), "iat": time.Now().Unix(), "exp": time.Now().Add(50 * time.Second).Unix(),
	}))
	form = maps.Clone(form)
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", signES256(a.keys[agent], `{"alg":"ES256","typ":"JWT"}`, string(claims)))
	response, err := client.PostForm(toolsOrigin+"/token", form)
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

func (a *agentApp) own(t *testing.T, client *http.Client, agent string) string {
	t.Helper()
	return a.token(t, client, agent, url.Values{"grant_type": {"client_credentials"}})
}

func (a *agentApp) exchange(t *testing.T, client *http.Client, agent, subject string) string {
	t.Helper()
	return a.token(t, client, agent, url.Values{
		"grant_type":    {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token": {subject}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
	})
}

// transport adds a credential to each request, and keeps the last refusal of a message.
type transport struct {
	base        http.RoundTripper
	name, value string

	mu     sync.Mutex
	status int
	code   string // the error code in the body
}

func (c *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.name != "" {
		r = r.Clone(r.Context())
		r.Header.Set(c.name, c.value)
	}
	response, err := c.base.RoundTrip(r)
	if err != nil || r.Method != http.MethodPost || response.StatusCode < 400 {
		return response, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = response.StatusCode
	if match := regexp.MustCompile(`"error":"([a-z_]+)"`).FindSubmatch(body); match != nil {
		c.code = string(match[1])
	}
	return response, nil
}

// dial connects the client of the official SDK, with a credential or with a handler
// that gets one.
func dial(t *testing.T, client *http.Client, credential string, handler sdkauth.OAuthHandler) (*sdk.ClientSession, *transport, error) {
	t.Helper()
	name, value, _ := strings.Cut(credential, ": ")
	c := &transport{base: client.Transport, name: name, value: value}
	endpoint := &sdk.StreamableClientTransport{Endpoint: toolsOrigin + "/mcp", HTTPClient: &http.Client{Transport: c}, MaxRetries: -1, OAuthHandler: handler}
	session, err := sdk.NewClient(&sdk.Implementation{Name: "interop", Version: "1"}, nil).Connect(t.Context(), endpoint, nil)
	if err == nil {
		t.Cleanup(func() { _ = session.Close() })
	}
	return session, c, err
}

// connect is dial for a credential with which the client can connect.
func connect(t *testing.T, client *http.Client, credential string, handler sdkauth.OAuthHandler) *sdk.ClientSession {
	t.Helper()
	session, _, err := dial(t, client, credential, handler)
	if err != nil {
		t.Fatalf("Connect() error = %v, want nil", err)
	}
	return session
}

// refused connects and calls a tool. It returns the status and the error code of the
// refusal, which can come before the call.
func refused(t *testing.T, client *http.Client, credential, name string, arguments any) (status int, code string) {
	t.Helper()
	session, c, err := dial(t, client, credential, nil)
	if err == nil {
		if outcome, _ := call(t, session, name, arguments); outcome == "done" {
			return http.StatusOK, outcome
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status, c.code
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
func (s *agentServer) decide(t *testing.T, client *http.Client, token, id string) (int, string) {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, toolsOrigin+"/approvals/"+id, strings.NewReader(`{"decision":"approve","reason":"ok"}`)))
	r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "Authorization": {"Bearer " + token}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body struct{ Status, Error string }
	_ = json.NewDecoder(response.Body).Decode(&body)
	return response.StatusCode, body.Status + body.Error
}

// records returns the number of records that contain all parts.
func (s *agentServer) records(parts ...string) int {
	n := 0
	for line := range strings.Lines(string(must(os.ReadFile(s.log)))) {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
			n++
		}
	}
	return n
}

func (s *agentServer) wantRecord(t *testing.T, parts ...string) {
	t.Helper()
	if s.records(parts...) == 0 {
		t.Errorf("the audit log has no record with %q", parts)
	}
}
