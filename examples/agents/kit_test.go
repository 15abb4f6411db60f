// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// asServer makes this test binary the server, so that a test can kill a process.
const asServer = "GATEHOUSE_AGENTS_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type object = map[string]any

// world is what a server needs: keys, certificates, an issuer of people, agents.
type world struct {
	*cast
	origin string
	agents map[string]*ecdsa.PrivateKey
	spare  *http.Client // with the certificate of another client
}

var tenants = map[string]string{"helper-1": "acme", "helper-2": "acme", "plain": "acme", "other": "globex"}

// newWorld makes a world whose servers have the public origin https://tools.example.com,
// as behind a load balancer, and listen on addresses of their own.
func newWorld(t *testing.T) *world {
	t.Helper()
	c := &cast{dir: t.TempDir()}
	must(t, c.startIssuer())
	t.Cleanup(c.issuer.Close)
	c.partner = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }))
	t.Cleanup(c.partner.Close)
	w := &world{cast: c, origin: "https://tools.example.com", agents: make(map[string]*ecdsa.PrivateKey)}
	for name := range tenants {
		w.agents[name] = newKey()
	}
	must(t, c.makeCertificates())
	w.spare = c.ca.client(value(c.ca.issue("spare", x509.ExtKeyUsageClientAuth)))
	for _, name := range []string{"tokens", "audit", "stranger"} {
		must(t, c.writeKey(name, newKey()))
	}
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// value returns v, and panics if there is an error.
func value[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newKey() *ecdsa.PrivateKey { return value(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

func jwk(key *ecdsa.PrivateKey) object {
	return object{"kty": "EC", "crv": "P-256", "x": coordinate(key.X), "y": coordinate(key.Y)}
}

// settings returns a valid configuration.
func (w *world) settings() object {
	file := func(name string) string { return "file:" + filepath.Join(w.dir, name) }
	return object{
		"addr": "127.0.0.1:0", "public_origin": w.origin,
		"tls":         object{"cert": file("server.pem"), "key": file("server.key"), "client_ca": filepath.Join(w.dir, "ca.pem")},
		"issuers":     []object{{"issuer": w.issuer.URL, "audience": w.origin + "/mcp", "algorithms": []string{"ES256"}, "jwks_url": w.issuer.URL}},
		"api_keys":    object{"driver": "memory", "mint": []object{{"name": "reader", "tenant": "acme", "scopes": []string{"data:read"}}, {"name": "tied", "tenant": "acme", "scopes": []string{"data:read"}, "agent": "helper-1"}}},
		"store":       object{"driver": "memory"},
		"signing_key": file("tokens.key"),
		"agents": []object{
			{"id": "helper-1", "tenant": "acme", "owner": "alice", "roles": []string{"executor"}, "jwk": jwk(w.agents["helper-1"]), "attestation": "key"},
			{"id": "helper-2", "tenant": "acme", "roles": []string{"reader"}, "jwk": jwk(w.agents["helper-2"]), "attestation": "key"},
			{"id": "plain", "tenant": "acme", "roles": []string{"executor"}, "jwk": jwk(w.agents["plain"]), "attestation": "none"},
			{"id": "other", "tenant": "globex", "roles": []string{"executor"}, "jwk": jwk(w.agents["other"]), "attestation": "key"},
		},
		"roles":     object{"reader": []string{"data:read"}, "writer": []string{"data:read", "data:write"}, "executor": allScopes},
		"approvals": object{"ttl": "10m", "admins_for_exec": 1},
		"audit":     object{"path": filepath.Join(w.dir, "audit.jsonl"), "signing_key": file("audit.key")},
	}
}

// write writes a configuration with changes. A nil value removes a member.
func (w *world) write(t testing.TB, changes object) string {
	t.Helper()
	settings := w.settings()
	maps.Copy(settings, changes)
	maps.DeleteFunc(settings, func(_ string, value any) bool { return value == nil })
	return writeText(t, string(value(json.Marshal(settings))))
}

func writeText(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// node is a running server.
type node struct {
	*world
	addr    string
	keys    map[string]string
	process *exec.Cmd
	log     *bytes.Buffer
	ended   chan error
	mu      sync.Mutex
}

// start starts a server as a process, so that it can be killed.
func (w *world) start(t testing.TB, changes object) *node {
	t.Helper()
	n := &node{world: w, keys: make(map[string]string), log: &bytes.Buffer{}, ended: make(chan error, 1)}
	n.process = exec.Command(os.Args[0], "-config", w.write(t, changes)) //nolint:gosec // this test binary; the test ends it
	n.process.Env = append(os.Environ(), asServer+"=1")
	n.process.Stderr = n.log
	out := value(n.process.StdoutPipe())
	must(t, n.process.Start())
	go func() { n.ended <- n.process.Wait() }()
	t.Cleanup(func() { _ = n.end(syscall.SIGKILL) })
	for lines := bufio.NewReader(out); n.addr == ""; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the server ended: %v\n%s", err, n.log)
		}
		words := strings.Fields(line)
		switch words[0] {
		case "api-key":
			n.keys[words[1]] = words[2]
		case "listening":
			n.addr = value(url.Parse(words[1])).Host
		}
	}
	return n
}

// end sends a signal and waits until the process has ended.
func (n *node) end(signal syscall.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process.ProcessState != nil {
		return nil
	}
	_ = n.process.Process.Signal(signal)
	return <-n.ended
}

// through returns a client whose connections to the public origin lead to this node.
func (n *node) through(client *http.Client) *http.Client {
	base, _ := client.Transport.(*http.Transport)
	transport := base.Clone()
	transport.TLSClientConfig.ServerName = "127.0.0.1"
	transport.DisableKeepAlives = true
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if strings.HasPrefix(addr, "tools.example.com:") {
			addr = n.addr
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	return &http.Client{Transport: transport, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// reply is a response with its JSON body.
type reply struct {
	status int
	header http.Header
	body   object
	text   string
}

// request returns a request with headers in pairs.
func (n *node) request(method, path, body string, headers ...string) *http.Request {
	r := value(http.NewRequestWithContext(context.Background(), method, n.origin+path, strings.NewReader(body)))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func (n *node) send(t testing.TB, client *http.Client, method, path, body string, headers ...string) reply {
	t.Helper()
	return n.do(t, client, n.request(method, path, body, headers...))
}

func (n *node) do(t testing.TB, client *http.Client, r *http.Request) reply {
	t.Helper()
	response, err := n.through(client).Do(r)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	answer := reply{status: response.StatusCode, header: response.Header, text: string(value(io.ReadAll(response.Body)))}
	message := answer.text
	if _, data, ok := strings.Cut(message, "data: "); ok {
		message, _, _ = strings.Cut(data, "\n")
	}
	_ = json.Unmarshal([]byte(message), &answer.body)
	return answer
}

// get asks for JSON as a person.
func (n *node) get(t testing.TB, path, token string) reply {
	t.Helper()
	return n.send(t, n.browser, http.MethodGet, path, "", "Authorization", "Bearer "+token, "Accept", "application/json")
}

// message returns a JSON-RPC request, without the client of the SDK, to see status and
// headers.
func (n *node) message(credential, method, params string, headers ...string) *http.Request {
	headers = append(headers, "Content-Type", "application/json", "Accept", "application/json, text/event-stream")
	if field, value, ok := strings.Cut(credential, ": "); ok {
		headers = append(headers, field, value)
	}
	return n.request(http.MethodPost, "/mcp", `{"jsonrpc":"2.0","id":5,"method":"`+method+`","params":`+params+`}`, headers...)
}

func (n *node) toolCall(credential, name string, arguments any) *http.Request {
	encoded, ok := arguments.(string)
	if !ok {
		encoded = string(value(json.Marshal(arguments)))
	}
	return n.message(credential, "tools/call", `{"name":"`+name+`","arguments":`+encoded+`}`)
}

func (n *node) callTool(t testing.TB, client *http.Client, credential, name string, arguments any) reply {
	t.Helper()
	return n.do(t, client, n.toolCall(credential, name, arguments))
}

// want calls a tool, over a connection with the certificate, and checks the outcome.
func (n *node) want(t testing.TB, when, credential, name string, arguments any, want string) reply {
	t.Helper()
	r := n.callTool(t, n.client, credential, name, arguments)
	if r.outcome() != want {
		t.Errorf("%s: %s: %d %s, want %s", when, name, r.status, r.text, want)
	}
	return r
}

// outcome names what a call came to: "done", the code of the refusal, or the error of the
// result.
func (r reply) outcome() string {
	if failure, ok := r.body["error"].(object); ok {
		if data, ok := failure["data"].(object); ok {
			text, _ := data["error"].(string)
			return text
		}
		text, _ := failure["message"].(string)
		return text
	}
	result, _ := r.body["result"].(object)
	content, _ := result["structuredContent"].(object)
	if text, ok := content["error"].(string); ok {
		return text
	}
	if result == nil || result["isError"] == true {
		return r.text
	}
	return "done"
}

func (r reply) approval() string {
	result, _ := r.body["result"].(object)
	content, _ := result["structuredContent"].(object)
	id, _ := content["approval"].(string)
	return id
}

// assertion returns a client assertion of an agent, with changes.
func (w *world) assertion(id string, changes object) string {
	claims := object{
		"iss": id, "sub": id, "aud": w.origin, "jti": rand.Text(), "iat": time.Now().Unix(), "exp": time.Now().Add(50 * time.Second).Unix(),
	}
	maps.Copy(claims, changes)
	return value(sign(w.agents[id], claims))
}

// tokenRequest returns a request for a token of an agent.
func (n *node) tokenRequest(id string, parameters ...string) *http.Request {
	form := url.Values{
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {n.assertion(id, nil)},
		"grant_type": {"client_credentials"},
	}
	for i := 0; i < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	return n.request(http.MethodPost, "/token", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

func (n *node) mint(t testing.TB, client *http.Client, id string, parameters ...string) reply {
	t.Helper()
	return n.do(t, client, n.tokenRequest(id, parameters...))
}

// exchange returns the parameters of an exchange.
func exchange(subject string, parameters ...string) []string {
	return append([]string{
		"grant_type", "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token", subject,
		"subject_token_type", "urn:ietf:params:oauth:token-type:access_token",
	}, parameters...)
}

// own returns the credential of an agent's own token, delegated that of one for a
// person.
func (n *node) own(t testing.TB, client *http.Client, id string, parameters ...string) string {
	t.Helper()
	r := n.mint(t, client, id, parameters...)
	token, _ := r.body["access_token"].(string)
	if token == "" {
		t.Fatalf("POST /token of %s: %d %s, want a token", id, r.status, r.text)
	}
	return "Authorization: Bearer " + token
}

func (n *node) delegated(t testing.TB, client *http.Client, id, subject string, parameters ...string) string {
	t.Helper()
	return n.own(t, client, id, exchange(subject, parameters...)...)
}

// bare returns the token of a credential.
func bare(credential string) string { return strings.TrimPrefix(credential, "Authorization: Bearer ") }

// token returns an access token of the issuer of people, for a client of all scopes.
func (w *world) token(token jwtauth.AccessToken) string {
	token.Audience, token.Scopes = w.origin+"/mcp", value(gatehouse.NewScopes(allScopes...))
	if token.Client == "" {
		token.Client = "portal"
	}
	return string(value(w.people.Sign(token)).Token.Reveal())
}

// person returns an access token of a person.
func (w *world) person(name, tenant string, roles ...string) string {
	return w.token(jwtauth.AccessToken{Subject: name, Tenant: tenant, Roles: value(gatehouse.NewRoles(roles...))})
}

// decide decides on an approval as a person.
func (n *node) decide(t testing.TB, token, id, decision string) reply {
	t.Helper()
	return n.send(t, n.browser, http.MethodPost, "/approvals/"+id, `{"decision":"`+decision+`","reason":"as agreed"}`,
		"Content-Type", "application/json", "Accept", "application/json", "Authorization", "Bearer "+token)
}

// decommission decommissions helper-1 as a person.
func (n *node) decommission(t testing.TB, token string) reply {
	t.Helper()
	return n.send(t, n.browser, http.MethodPost, "/agents/helper-1/decommission", "", "Authorization", "Bearer "+token)
}

// decides decides on an approval as a person, and checks its status, or that of a refusal.
func (n *node) decides(t testing.TB, who, token, id, decision string, want ...any) {
	t.Helper()
	d := n.decide(t, token, id, decision)
	if !slices.Contains(want, any(d.status)) && !slices.Contains(want, d.body["status"]) {
		t.Errorf("%s: %s: %d %s, want %v", who, decision, d.status, d.text, want)
	}
}

// records returns the records of the audit log.
func (w *world) records(t testing.TB, path string) []object {
	t.Helper()
	var all []object
	for line := range bytes.Lines(value(os.ReadFile(path))) {
		var record object
		must(t, json.Unmarshal(line, &record))
		all = append(all, record)
	}
	return all
}

// wantRecord fails the test unless the log has a record with these members.
func (w *world) wantRecord(t testing.TB, path string, want object) {
	t.Helper()
	for _, record := range w.records(t, path) {
		matches := true
		for name, value := range want {
			if attrs, ok := record["attrs"].(object); ok && record[name] != value && attrs[name] == value {
				continue
			}
			matches = matches && record[name] == value
		}
		if matches {
			return
		}
	}
	t.Errorf("the audit log has no record with %v", want)
}
