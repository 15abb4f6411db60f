// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdkauth "github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/gatehouse-go/gatehouse/interop/provider"
)

const toolScopes = "data:read data:write external:invoke exec:sandbox"

// agentApp is examples/agents as a process, with npm oidc-provider as the issuer of
// people and of delegated tokens.
type agentApp struct {
	*program
	origin   string
	log      string // of audit
	apiKey   string
	provider *provider.Provider
	portal   provider.Client // of people
	broker   provider.Client // whose tokens have the actor helper-1
	keys     map[string]*ecdsa.PrivateKey
	partner  *httptest.Server
	posts    atomic.Int32 // at the partner

	certified, plain *http.Client // with and without a client certificate
}

func newAgentApp(t *testing.T) *agentApp {
	t.Helper()
	dir, ca := t.TempDir(), newAuthority(t)
	a := &agentApp{
		origin: "https://" + strings.Replace(freeAddress(t), "127.0.0.1", "localhost", 1), log: filepath.Join(dir, "audit.jsonl"), keys: make(map[string]*ecdsa.PrivateKey),
		portal: provider.Client{ID: "portal", RedirectURIs: []string{"http://127.0.0.1:7/callback"}, Metadata: map[string]any{"application_type": "native"}},
		broker: provider.Client{ID: "broker", RedirectURIs: []string{"http://127.0.0.1:7/broker"}, Metadata: map[string]any{"application_type": "native"}},
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
	a.provider = provider.Start(t, provider.Options{
		Clients:   []provider.Client{a.portal, a.broker},
		Resources: []provider.Resource{{URI: a.origin + "/mcp", Algorithm: "ES256", Scope: toolScopes}},
		Claims: map[string]map[string]any{
			"alice": people(), "bob": people("operator"), "carol": people("admin"),
			"eve":    {"tenant": "globex", "roles": []string{"admin"}},
			"broker": {"act": map[string]any{"sub": "helper-1"}},
		},
	})
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	server := ca.server()
	newKey := func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }
	pkcs8 := func(key any) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))}))
	}
	var agents []map[string]any
	for _, agent := range []struct{ id, role, attestation string }{{"helper-1", "executor", "key"}, {"plain", "executor", "none"}} {
		key := newKey()
		a.keys[agent.id] = key
		agents = append(agents, map[string]any{
			"id": agent.id, "tenant": "acme", "owner": "alice", "roles": []string{agent.role}, "attestation": agent.attestation,
			"jwk": map[string]string{"kty": "EC", "crv": "P-256", "x": number(key.X), "y": number(key.Y)},
		})
	}
	config := must(json.Marshal(map[string]any{
		"addr": strings.Replace(strings.TrimPrefix(a.origin, "https://"), "localhost", "127.0.0.1", 1), "public_origin": a.origin,
		"tls": map[string]string{
			"cert": "file:" + write("server.pem", certificatePEM(server)), "key": "file:" + write("server.key", keyPEM(server)), "client_ca": ca.file,
		},
		"issuers":     []map[string]any{{"issuer": a.provider.Issuer, "audience": a.origin + "/mcp", "algorithms": []string{"ES256"}}},
		"api_keys":    map[string]any{"driver": "memory", "mint": []map[string]any{{"name": "reader", "tenant": "acme", "scopes": []string{"data:read"}}}},
		"store":       map[string]string{"driver": "memory"},
		"signing_key": "file:" + write("tokens.key", pkcs8(newKey())),
		"agents":      agents, "roles": map[string]any{"executor": strings.Fields(toolScopes)},
		"approvals": map[string]any{"ttl": "10m", "admins_for_exec": 1},
		"audit":     map[string]string{"path": a.log, "signing_key": "file:" + write("audit.key", pkcs8(newKey()))},
	}))
	a.program = startProgram(t, buildExample(t, "agents"), os.Environ(), "-config", write("config.json", string(config)))
	a.apiKey = a.prints(t, &a.out, `api-key reader (\S+)\n`)
	a.prints(t, &a.out, `(listening) `)
	client := func(certificates ...tls.Certificate) *http.Client {
		return &http.Client{Transport: &http.Transport{TLSClientConfig: ca.trust(certificates...)}, Timeout: time.Minute}
	}
	a.certified, a.plain = client(ca.client("spiffe://acme.example/helper-1")), client()
	return a
}

func number(n *big.Int) string {
	return base64.RawURLEncoding.EncodeToString(n.FillBytes(make([]byte, 32)))
}

// person logs a person in at the provider and returns an access token.
func (a *agentApp) person(t *testing.T, name string, client provider.Client) string {
	t.Helper()
	return a.provider.Login(t, provider.NewBrowser(t, name), client, a.origin+"/mcp", "openid "+toolScopes).AccessToken
}

// token gets a token from the app, with an assertion of an agent.
func (a *agentApp) token(t *testing.T, client *http.Client, agent string, form url.Values) string {
	t.Helper()
	claims := must(json.Marshal(map[string]any{
		"iss": agent, "sub": agent, "aud": a.origin, "jti": rand.Text(), "iat": time.Now().Unix(), "exp": time.Now().Add(50 * time.Second).Unix(),
	}))
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + encode(claims)
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, a.keys[agent], digest[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	form = maps.Clone(form)
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", input+"."+encode(signature))
	response, err := client.PostForm(a.origin+"/token", form)
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

type header struct {
	base        http.RoundTripper
	name, value string
}

func (h header) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(h.name, h.value)
	return h.base.RoundTrip(r)
}

// connect connects the client of the official SDK, with a credential or with a handler
// that gets one.
func (a *agentApp) connect(t *testing.T, client *http.Client, credential string, handler sdkauth.OAuthHandler) *sdk.ClientSession {
	t.Helper()
	if credential != "" {
		name, value, _ := strings.Cut(credential, ": ")
		client = &http.Client{Transport: header{client.Transport, name, value}}
	}
	transport := &sdk.StreamableClientTransport{Endpoint: a.origin + "/mcp", HTTPClient: client, MaxRetries: -1, OAuthHandler: handler}
	session, err := sdk.NewClient(&sdk.Implementation{Name: "interop", Version: "1"}, nil).Connect(t.Context(), transport, nil)
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

// once calls a tool of which the credential is too weak to connect.
func (a *agentApp) once(t *testing.T, client *http.Client, credential, name string, arguments any) (status int, outcome string) {
	t.Helper()
	body := must(json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": map[string]any{"name": name, "arguments": arguments}}))
	r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, a.origin+"/mcp", strings.NewReader(string(body))))
	field, value, _ := strings.Cut(credential, ": ")
	r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, field: {value}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text := must(io.ReadAll(response.Body))
	if match := regexp.MustCompile(`"error":"([a-z_]+)"`).FindStringSubmatch(string(text)); match != nil {
		outcome = match[1]
	}
	return response.StatusCode, outcome
}

func (a *agentApp) decide(t *testing.T, token, id string) (int, string) {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, a.origin+"/approvals/"+id, strings.NewReader(`{"decision":"approve","reason":"ok"}`)))
	r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "Authorization": {"Bearer " + token}}
	response, err := a.plain.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body struct{ Status string }
	_ = json.NewDecoder(response.Body).Decode(&body)
	return response.StatusCode, body.Status
}

func (a *agentApp) wantRecord(t *testing.T, parts ...string) {
	t.Helper()
	for line := range strings.Lines(string(must(os.ReadFile(a.log)))) {
		found := true
		for _, part := range parts {
			found = found && strings.Contains(line, part)
		}
		if found {
			return
		}
	}
	t.Errorf("the audit log has no record with %q", parts)
}

// TestAgents runs examples/agents with the official MCP client and with npm
// oidc-provider as the issuer of people.
func TestAgents(t *testing.T) {
	a := newAgentApp(t)
	t.Run("rows", func(t *testing.T) { agentRows(t, a) })
	t.Run("step up", func(t *testing.T) { agentStepUp(t, a) })
}

// agentRows runs the four rows of the table, and weakens each proof.
func agentRows(t *testing.T, a *agentApp) {
	alice, bob, carol := a.person(t, "alice", a.portal), a.person(t, "bob", a.portal), a.person(t, "carol", a.portal)
	key := "X-API-Key: " + a.apiKey
	own := a.own(t, a.certified, "helper-1")
	exchanged := a.exchange(t, a.certified, "helper-1", alice)
	brokered := "Authorization: Bearer " + a.person(t, "alice", a.broker)
	reading, profile := map[string]any{"topic": "hello"}, map[string]any{"display_name": "Alice"}
	partner, code := map[string]any{"url": a.partner.URL, "amount": 5}, map[string]any{"language": "echo", "source": "1+1"}

	for _, row := range []struct {
		name, tool, credential string
		client                 *http.Client
		arguments              map[string]any
		wrong, decider         string
	}{
		{"key", "read_public", key, a.plain, reading, "", ""},
		{"person", "read_public", "Authorization: Bearer " + alice, a.plain, reading, "", ""},
		{"exchanged token", "update_profile", exchanged, a.certified, profile, carol, alice},
		{"token that the provider delegated", "update_profile", brokered, a.plain, map[string]any{"display_name": "A."}, bob, alice},
		{"own token with certificate", "call_partner", own, a.certified, partner, alice, bob},
		{"attested agent", "run_code", own, a.certified, code, bob, carol},
	} {
		t.Run(row.tool+" by "+row.name, func(t *testing.T) {
			session := a.connect(t, row.client, row.credential, nil)
			outcome, approval := call(t, session, row.tool, row.arguments)
			if row.decider != "" {
				if outcome != "approval_required" {
					t.Fatalf("before the approval: %s, want approval_required", outcome)
				}
				for _, wrong := range []string{row.wrong, a.person(t, "eve", a.portal), strings.TrimPrefix(exchanged, "Authorization: Bearer ")} {
					if status, _ := a.decide(t, wrong, approval); status != 401 && status != 403 && status != 404 {
						t.Errorf("decision of another person: %d, want a refusal", status)
					}
				}
				if status, state := a.decide(t, row.decider, approval); status != 200 || state != "approved" {
					t.Fatalf("decision: %d %s, want approved", status, state)
				}
				a.wantRecord(t, `"approval_decided"`, approval)
				other := maps.Clone(row.arguments)
				for name, value := range other {
					if text, ok := value.(string); ok && name != "language" && name != "url" {
						other[name] = text + "!"
					}
				}
				if other["amount"] != nil {
					other["amount"] = 6
				}
				if got, _ := call(t, session, row.tool, other); got != "approval_required" {
					t.Errorf("other arguments: %s, want approval_required", got)
				}
				outcome, _ = call(t, session, row.tool, row.arguments)
			}
			if outcome != "done" {
				t.Errorf("%s: %s, want done", row.tool, outcome)
			}
			if row.decider != "" {
				if got, _ := call(t, session, row.tool, row.arguments); got != "approval_required" {
					t.Errorf("used twice: %s, want approval_required", got)
				}
			}
			a.wantRecord(t, `"tool_call"`, `"decision":"allowed"`, row.tool)
		})
	}
	if got := a.posts.Load(); got != 1 {
		t.Errorf("the partner was called %d times, want once", got)
	}

	for _, weak := range []struct {
		name, tool, credential string
		client                 *http.Client
		arguments              map[string]any
		status                 int
		outcome, reason        string
	}{
		{"key instead of OAuth", "update_profile", key, a.plain, profile, 403, "access_denied", "tool_proof"},
		{"key instead of OAuth", "call_partner", key, a.plain, partner, 403, "access_denied", "tool_proof"},
		{"key instead of OAuth", "run_code", key, a.plain, code, 403, "access_denied", "tool_proof"},
		{"no actor", "update_profile", "Authorization: Bearer " + alice, a.plain, profile, 403, "access_denied", "tool_proof"},
		{"no certificate", "call_partner", own, a.plain, partner, 401, "invalid_token", "mtls_no_certificate"},
		{"not bound", "call_partner", brokered, a.certified, partner, 401, "invalid_token", "tool_binding"},
		{"no attestation", "run_code", a.own(t, a.certified, "plain"), a.certified, code, 403, "access_denied", "tool_attestation"},
	} {
		if status, outcome := a.once(t, weak.client, weak.credential, weak.tool, weak.arguments); status != weak.status || outcome != weak.outcome {
			t.Errorf("%s: %s: %d %s, want %d %s", weak.name, weak.tool, status, outcome, weak.status, weak.outcome)
		}
		a.wantRecord(t, weak.reason)
	}
}

// agentStepUp lets the client of the SDK find the provider by the metadata, log a
// person in with too small a scope, and step up after the refusal, on one connection.
func agentStepUp(t *testing.T, a *agentApp) {
	browser := provider.NewBrowser(t, "alice")
	var asked []string
	handler, err := sdkauth.NewAuthorizationCodeHandler(&sdkauth.AuthorizationCodeHandlerConfig{
		PreregisteredClient: &oauthex.ClientCredentials{ClientID: a.portal.ID},
		RedirectURL:         a.portal.RedirectURIs[0],
		Client:              a.plain,
		ScopeFilter: func(discovered []string) []string {
			if len(asked) == 0 {
				return []string{"data:write"}
			}
			return discovered
		},
		AuthorizationCodeFetcher: func(_ context.Context, args *sdkauth.AuthorizationArgs) (*sdkauth.AuthorizationResult, error) {
			u, err := url.Parse(args.URL)
			if err != nil {
				return nil, err
			}
			if u.Query().Get("resource") != a.origin+"/mcp" || u.Query().Get("code_challenge_method") != "S256" {
				return nil, fmt.Errorf("the request is %s", u)
			}
			asked = append(asked, u.Query().Get("scope"))
			callback := browser.Visit(t, args.URL, a.portal.RedirectURIs[0]).Query()
			return &sdkauth.AuthorizationResult{Code: callback.Get("code"), State: callback.Get("state"), Iss: callback.Get("iss")}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	session := a.connect(t, a.plain, "", handler)
	if outcome, _ := call(t, session, "read_public", map[string]any{"topic": "hello"}); outcome != "done" {
		t.Errorf("read_public: %s, want done after the step-up", outcome)
	}
	if len(asked) != 2 || asked[0] != "data:write" || !strings.Contains(asked[1], "data:read") {
		t.Errorf("the client asked for %q, want data:write and then data:read too", asked)
	}
	a.wantRecord(t, `"tool_scope"`, "alice")
	listed, err := session.ListTools(t.Context(), nil)
	if err != nil || len(listed.Tools) != 2 {
		t.Errorf("ListTools() = %v, %v, want read_public and call_partner", listed, err)
	}
}
