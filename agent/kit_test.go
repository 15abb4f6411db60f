// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

const (
	origin   = "https://tools.example.com:8443"
	audience = origin + "/mcp"
	idp      = "https://idp.example.com"
)

type object = map[string]any

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// party is an issuer, a person or an agent with a key.
type party struct {
	ring    *jwtauth.KeyRing
	private crypto.Signer
	jwk     string // without kid and alg
}

func newParty() party {
	return partyOf(jwtauth.ES256, must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)))
}

func partyOf(algorithm jwtauth.Algorithm, private crypto.Signer) party {
	ring := must(jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "k1", Algorithm: algorithm, Private: private}))
	recorder := httptest.NewRecorder()
	ring.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/jwks", nil))
	var set struct{ Keys []object }
	must(0, json.Unmarshal(recorder.Body.Bytes(), &set))
	for _, name := range []string{"kid", "alg", "use"} {
		delete(set.Keys[0], name)
	}
	return party{ring, private, string(must(json.Marshal(set.Keys[0])))}
}

// with returns a JWK with one more member.
func with(jwk, name, value string) string {
	return strings.Replace(jwk, "{", `{"`+name+`":"`+value+`",`, 1)
}

var (
	people    = newParty() // the issuer of persons
	stranger  = newParty()
	ownKeys   = newParty()
	agentKeys = map[string]party{"helper-1": newParty(), "helper-2": newParty(), "reader": newParty(), "foreign": newParty()}
)

// events records events.
type events struct {
	mu  sync.Mutex
	all []gatehouse.Event
	err error
}

func (e *events) Observe(_ context.Context, event gatehouse.Event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
	return e.err
}

func (e *events) last() gatehouse.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.all) == 0 {
		return gatehouse.Event{}
	}
	return e.all[len(e.all)-1]
}

// store is a store whose calls can fail, wait and panic. Its errors have others as their
// cause.
type store struct {
	agent.Store
	mu     sync.Mutex
	before func(ctx context.Context, method string) error
	after  func(method string, r *agent.Record)
	finds  int // calls of Find
}

// late returns a store whose method makes its change 200 ms after the call, and answers
// 200 ms later.
func late(method string) *store {
	wait := func(called string) {
		if called == method {
			time.Sleep(200 * time.Millisecond)
		}
	}
	return &store{
		Store: agent.NewMemory(0), before: func(_ context.Context, called string) error { wait(called); return nil },
		after: func(called string, _ *agent.Record) { wait(called) },
	}
}

func (s *store) fail(err error) { s.on(func(context.Context, string) error { return err }) }

// on sets what happens before each call.
func (s *store) on(before func(ctx context.Context, method string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

func call[R any](ctx context.Context, s *store, method string, f func() (R, error)) (result R, err error) {
	s.mu.Lock()
	before := s.before
	if method == "Find" {
		s.finds++
	}
	s.mu.Unlock()
	if before != nil {
		err = before(ctx, method)
	}
	if err == nil {
		result, err = f()
	}
	if r, ok := any(&result).(*agent.Record); ok && s.after != nil {
		s.after(method, r)
	}
	if err != nil {
		err = fmt.Errorf("store: %w", err)
	}
	return result, err
}

func (s *store) Register(ctx context.Context, id, tenant string, details []byte) (agent.Record, error) {
	return call(ctx, s, "Register", func() (agent.Record, error) { return s.Store.Register(ctx, id, tenant, details) })
}

func (s *store) Find(ctx context.Context, id string) (agent.Record, error) {
	return call(ctx, s, "Find", func() (agent.Record, error) { return s.Store.Find(ctx, id) })
}

func (s *store) Decommission(ctx context.Context, tenant, id string) (agent.Record, error) {
	return call(ctx, s, "Decommission", func() (agent.Record, error) { return s.Store.Decommission(ctx, tenant, id) })
}

func (s *store) List(ctx context.Context, tenant, after string, limit int) ([]agent.Record, error) {
	return call(ctx, s, "List", func() ([]agent.Record, error) { return s.Store.List(ctx, tenant, after, limit) })
}

// world is a server with its agents, and an API that accepts its tokens.
type world struct {
	store    *store
	registry *agent.Registry
	server   *agent.Server
	gate     *gatehouse.Gate
	events   *events
	dpop     *dpop.Verifier
}

var roles = map[string]agent.Role{
	"reader":   {Scopes: []string{"data:read"}, Limits: agent.Limits{PerRequest: 1000}},
	"writer":   {Scopes: []string{"data:read", "data:write"}},
	"executor": {Scopes: []string{"data:read", "data:write", "external:invoke", "exec:sandbox"}, Limits: agent.Limits{PerDay: 50_000, Total: 9000}},
}

func registryConfig(store agent.Store, observer gatehouse.Observer) agent.Config {
	return agent.Config{
		Issuer: origin, Store: store, Replays: dpop.NewMemory(0), Roles: roles, Observer: observer,
		Attestations: map[string]agent.Attestation{"key": {Attestor: agent.KeyPossession{}, Issue: true}},
	}
}

func newAgent(id, tenant string, role string) agent.Agent {
	return agent.Agent{ID: id, Tenant: tenant, Owner: "alice", Roles: must(gatehouse.NewRoles(role)), Keys: []string{agentKeys[id].jwk}}
}

func (w *world) register(t testing.TB, a agent.Agent) agent.Agent {
	t.Helper()
	return register(t, w.registry, a)
}

// register registers an agent that needs no evidence.
func register(t testing.TB, r *agent.Registry, a agent.Agent) agent.Agent {
	t.Helper()
	return must(r.Register(t.Context(), agent.Registration{Agent: a}))
}

// own is the principal of an agent's own token, of any generation.
func own(id string) gatehouse.Principal {
	return gatehouse.Principal{Method: jwtauth.Method, Kind: gatehouse.KindAgent, Subject: id, Tenant: "acme", Issuer: origin, Credential: "jti-1"}
}

func newWorld(t testing.TB, changes ...func(*agent.Config, *agent.ServerConfig)) *world {
	t.Helper()
	w := &world{store: &store{Store: agent.NewMemory(0)}, events: &events{}}
	c := registryConfig(w.store, w.events)
	w.dpop = must(dpop.New(dpop.Config{PublicOrigin: origin, Replays: c.Replays}))
	person := jwtauth.Issuer{URL: idp, Audiences: []string{audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: people.ring}
	other := person
	other.URL, person.AnyTenant, other.Tenants = "https://other.example.com", true, []string{"acme"}
	sc := agent.ServerConfig{
		Keys: ownKeys.ring, Audience: audience, TokenEndpoint: origin + "/token", JWKS: origin + "/jwks",
		Subjects: jwtauth.Config{Issuers: []jwtauth.Issuer{person, other}}, DPoP: w.dpop,
	}
	for _, change := range changes {
		change(&c, &sc)
	}
	w.registry = must(agent.New(c))
	for _, a := range []agent.Agent{newAgent("helper-1", "acme", "executor"), newAgent("helper-2", "acme", "writer"), newAgent("reader", "acme", "reader"), newAgent("foreign", "globex", "executor")} {
		if a.ID == "helper-1" {
			a.Attestation = "key"
		}
		w.register(t, a)
	}
	sc.Registry = w.registry
	w.server = must(agent.NewServer(sc))
	tokens := must(jwtauth.New(w.server.Trust(jwtauth.Config{Issuers: sc.Subjects.Issuers, Confirmers: []gatehouse.Confirmer{w.dpop}})))
	w.gate = must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{w.registry.Guard(tokens)}, Realm: "tools", Observer: w.events}))
	t.Cleanup(func() { _, _, _ = w.server.Close(), tokens.Close(), w.registry.Close() })
	return w
}

// assertion returns a client assertion with changed claims; nil removes one.
func assertion(id string, changes object) string {
	now := time.Now().Unix()
	claims := object{"iss": id, "sub": id, "aud": origin, "jti": rand.Text(), "iat": now, "exp": now + 60}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return string(must(agentKeys[id].ring.SignJWT("JWT", claims)).Reveal())
}

// person returns an access token of a person.
func person(changes object) string { return tokenOf(people, changes) }

func tokenOf(by party, changes object) string {
	now := time.Now().Unix()
	claims := object{
		"iss": idp, "sub": "alice", "aud": audience, "client_id": "app", "jti": rand.Text(), "iat": now, "exp": now + 3600,
		"scope": "data:read data:write profile", "tenant": "acme", "roles": []string{"admin"},
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return string(must(by.ring.SignJWT("at+jwt", claims)).Reveal())
}

// tokenRequest returns a token request of an agent; an empty value removes a
// parameter.
func tokenRequest(id string, params ...string) *http.Request {
	form := url.Values{"grant_type": {"client_credentials"}}
	if id != "" {
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", assertion(id, nil))
	}
	for i := 0; i < len(params); i += 2 {
		if params[i+1] == "" {
			form.Del(params[i])
		} else {
			form.Add(params[i], params[i+1])
		}
	}
	if values := form["grant_type"]; len(values) > 1 {
		form["grant_type"] = values[1:]
	}
	r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

const exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"

func exchangeRequest(id, subject string, params ...string) *http.Request {
	return tokenRequest(id, append([]string{
		"grant_type", exchangeGrant, "subject_token", subject, "subject_token_type", "urn:ietf:params:oauth:token-type:access_token",
	}, params...)...)
}

// answer is the response of the token endpoint.
type answer struct {
	Status      int    `json:"-"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	Issued      string `json:"issued_token_type"`
	Scope       string `json:"scope"`
	ExpiresIn   int    `json:"expires_in"`
	Nonce       string `json:"-"` // the header DPoP-Nonce
}

func (w *world) ask(r *http.Request) answer {
	recorder := httptest.NewRecorder()
	w.server.ServeHTTP(recorder, r)
	h := recorder.Result().Header
	if h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache" || (h.Get("Allow") == "POST") != (recorder.Code == http.StatusMethodNotAllowed) {
		panic(fmt.Sprint("header of a response of the token endpoint: ", h))
	}
	if (h.Get("Retry-After") == "5") != (recorder.Code == http.StatusServiceUnavailable) || (h.Get("WWW-Authenticate") == `Bearer realm="token endpoint"`) != (recorder.Code == http.StatusUnauthorized) {
		panic(fmt.Sprint("header of a refusal with the status ", recorder.Code, ": ", h))
	}
	a := answer{Nonce: h.Get("DPoP-Nonce")}
	if recorder.Body.Len() > 0 {
		if h.Get("Content-Type") != "application/json" {
			panic(fmt.Sprint("header of a response with a body: ", h))
		}
		must(0, json.Unmarshal(recorder.Body.Bytes(), &a))
	}
	a.Status = recorder.Code
	if (a.Issued == "urn:ietf:params:oauth:token-type:access_token") != (claimsOf(a.AccessToken)["act"] != nil) {
		panic(fmt.Sprintf("issued_token_type %q of a token with the claims %v", a.Issued, claimsOf(a.AccessToken)))
	}
	return a
}

// token returns the access token for a request that must succeed.
func (w *world) token(t testing.TB, r *http.Request) string {
	t.Helper()
	a := w.ask(r)
	if a.Status != http.StatusOK {
		t.Fatalf("token request = %d %s, want 200: %v", a.Status, a.Error, w.events.last().Cause)
	}
	return a.AccessToken
}

func claimsOf(token string) object {
	var claims object
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	_ = json.Unmarshal(must(base64.RawURLEncoding.DecodeString(parts[1])), &claims)
	return claims
}

// admit returns the caller for a request with a token, or why it is refused.
func (w *world) admit(token string) (gatehouse.Principal, error) {
	r := httptest.NewRequest(http.MethodGet, "/mcp", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	inner, _, err := w.gate.Admit(r)
	if err != nil {
		return gatehouse.Principal{}, err
	}
	p, _ := gatehouse.FromContext(inner.Context())
	return p, nil
}

func causeOf(err error) error {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e.Cause
	}
	return nil
}

func reasonOf(err error) gatehouse.Reason {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e.Reason
	}
	return ""
}
