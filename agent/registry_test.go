// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/mtls"
)

// mistakes checks that an error names each of the wanted texts.
func mistakes(t *testing.T, what string, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("%s: error = nil", what)
	}
	for _, text := range want {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: error = %v, want one with %q", what, err, text)
		}
	}
}

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := agent.New(agent.Config{})
	mistakes(t, "New(zero)", err, "Config.Issuer", "Config.Store", "Config.Replays", "Config.Roles")
	_, err = agent.New(agent.Config{
		Issuer: "a\nb", Store: (*agent.Memory)(nil), Replays: (*dpop.Memory)(nil), Observer: (*events)(nil), MaxAge: 2 * time.Second,
		Roles: map[string]agent.Role{
			"empty": {}, "wild": {Scopes: []string{"data:*"}}, "wild within": {Scopes: []string{"*:read"}}, "bad": {Scopes: []string{"a b"}}, "": {Scopes: []string{"a"}},
			"negative": {Scopes: []string{"a"}, Limits: agent.Limits{PerDay: -1}},
		},
		Attestations: map[string]agent.Attestation{
			"none": {}, "never": {Attestor: agent.KeyPossession{}}, "": {Attestor: agent.KeyPossession{}, Issue: true}, "nil": {Attestor: (*agent.EAT)(nil), Issue: true},
		},
		NonceKeys: []gatehouse.Secret{gatehouse.NewSecret([]byte("short"))},
	})
	mistakes(t, "New", err, "Config.Issuer", "Config.Store", "Config.Replays", "Config.Observer", "Config.MaxAge: got 2s, want 0 to 1s", `Roles["empty"]`, `Roles["wild"]`, `Roles["wild within"]`, `Roles["bad"]: Scopes: gatehouse`, `Roles[""]`,
		`Roles["negative"]`, `Attestations["none"]`, `Attestations["never"]`, `Attestations[""]`, `Attestations["nil"]`, "Config.NonceKeys")
	c := registryConfig(agent.NewMemory(0), nil)
	c.NonceKeys = make([]gatehouse.Secret, 9)
	c.MaxAge = -1
	_, err = agent.New(c)
	mistakes(t, "New(9 nonce keys)", err, "at most 8", "Config.MaxAge: got -1ns")
}

func TestNewServerReportsEveryMistake(t *testing.T) {
	for what, config := range map[string]agent.ServerConfig{"Registry": {}, "Keys": {Registry: must(agent.New(registryConfig(agent.NewMemory(0), nil)))}} {
		_, err := agent.NewServer(config)
		mistakes(t, "NewServer", err, "ServerConfig."+what)
	}
	r := must(agent.New(registryConfig(agent.NewMemory(0), nil)))
	_, err := agent.NewServer(agent.ServerConfig{
		Registry: r, Keys: ownKeys.ring, TokenEndpoint: "x", Challenge: "y", Lifetime: time.Hour, Certificates: &mtls.Config{Issuer: "\n"},
		Subjects: jwtauth.Config{Issuers: []jwtauth.Issuer{{URL: idp}, {URL: origin, Audiences: []string{audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: people.ring}}},
	})
	mistakes(t, "NewServer", err, "ServerConfig.Audience", "ServerConfig.TokenEndpoint", "ServerConfig.JWKS", "ServerConfig.Challenge", "ServerConfig.Lifetime: got 1h0m0s, want 0 to 15m0s",
		"ServerConfig.Subjects.Issuers[1].URL", "ServerConfig.Subjects: ", "ServerConfig.Certificates: ")
	if n := strings.Count(err.Error(), "Lifetime"); n != 1 {
		t.Errorf("NewServer error = %v, which names Lifetime %d times, want once", err, n)
	}
	good := agent.ServerConfig{
		Registry: r, Keys: ownKeys.ring, Audience: audience, TokenEndpoint: origin + "/token", JWKS: origin + "/jwks", Lifetime: 15 * time.Minute,
		Subjects: jwtauth.Config{Issuers: []jwtauth.Issuer{{URL: origin + "/people", Audiences: []string{audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: people.ring}}},
	}
	if s, err := agent.NewServer(good); err != nil || s.Close() != nil {
		t.Errorf("NewServer error = %v, want nil", err)
	}
	good.TokenEndpoint, good.Challenge, good.Lifetime = "x", "y", -1
	_, err = agent.NewServer(good)
	mistakes(t, "NewServer", err, "ServerConfig.TokenEndpoint", "ServerConfig.Challenge", "ServerConfig.Lifetime: got -1ns")
	for _, tenants := range [][]string{nil, {"acme"}} {
		issuers := []jwtauth.Issuer{{URL: idp, Tenants: tenants}}
		got := newWorld(t).server.Trust(jwtauth.Config{Issuers: issuers})
		if got.Issuers[0].AnyTenant != (tenants == nil) || issuers[0].AnyTenant {
			t.Errorf("Trust of an issuer with the tenants %q = %+v, want AnyTenant without tenants only, and the argument unchanged", tenants, got)
		}
	}
	if got := newWorld(t).server.Trust(jwtauth.Config{Issuers: make([]jwtauth.Issuer, 2)}); got.Issuers[0].AnyTenant || got.Issuers[1].AnyTenant {
		t.Errorf("Trust of two issuers without tenants = %+v, want no AnyTenant", got)
	}
	c := registryConfig(agent.NewMemory(0), nil)
	c.Issuer = "http://tools.example.com"
	_, err = agent.NewServer(agent.ServerConfig{Registry: must(agent.New(c)), Keys: ownKeys.ring, Audience: audience, TokenEndpoint: origin + "/token", JWKS: origin + "/jwks"})
	mistakes(t, "NewServer with plain http", err, "Issuer")
}

func TestMemoryStoreIsReported(t *testing.T) {
	e := &events{}
	must(agent.New(registryConfig(agent.NewMemory(0), e)))
	if got := e.last().Type; got != agent.EventMemoryStore {
		t.Errorf("event = %q, want %q", got, agent.EventMemoryStore)
	}
}

func TestRegisterReportsEveryMistake(t *testing.T) {
	w := newWorld(t)
	rsa := `{"kty":"RSA","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}`
	good := newAgent("helper-1", "acme", "reader")
	for name, test := range map[string]struct {
		change func(*agent.Agent)
		want   string
	}{
		"no ID":                {func(a *agent.Agent) { a.ID = "" }, "ID: must"},
		"no tenant":            {func(a *agent.Agent) { a.Tenant = "" }, "Tenant: must"},
		"control character":    {func(a *agent.Agent) { a.Owner = "a\nb" }, "Owner: must"},
		"no role":              {func(a *agent.Agent) { a.Roles = gatehouse.Roles{} }, "Roles: at least one"},
		"unknown role":         {func(a *agent.Agent) { a.Roles = must(gatehouse.NewRoles("reader", "root")) }, `Roles: "root"`},
		"no key":               {func(a *agent.Agent) { a.Keys = nil }, "Keys: at least one"},
		"malformed keys":       {func(a *agent.Agent) { a.Keys = []string{"{}", "{}"} }, "Keys[1]: is not a JWK"},
		"long key":             {func(a *agent.Agent) { a.Keys = []string{strings.Repeat(" ", 5000) + stranger.jwk} }, "Keys[0]: more than"},
		"RSA key without alg":  {func(a *agent.Agent) { a.Keys = []string{rsa} }, "Keys[0]: alg: required"},
		"alg of another key":   {func(a *agent.Agent) { a.Keys = []string{with(stranger.jwk, "alg", "ES384")} }, "Keys[0]: alg does not fit"},
		"private key":          {func(a *agent.Agent) { a.Keys = []string{with(stranger.jwk, "d", "AA")} }, "Keys[0]"},
		"two keys without kid": {func(a *agent.Agent) { a.Keys = []string{with(stranger.jwk, "kid", "a"), people.jwk} }, "Keys[1]: kid"},
		"two keys with one kid": {func(a *agent.Agent) {
			a.Keys = []string{with(stranger.jwk, "kid", "a"), with(stranger.jwk, "kid", "a")}
		}, "Keys[1]: kid"},
		"two types of keys with one kid": {func(a *agent.Agent) {
			a.Keys = []string{with(with(rsa, "alg", "RS256"), "kid", "a"), with(stranger.jwk, "kid", "a")}
		}, "Keys[1]: kid"},
		"nine keys":              {func(a *agent.Agent) { a.Keys = make([]string, 9) }, "Keys: at most"},
		"malformed SPIFFE ID":    {func(a *agent.Agent) { a.SPIFFEID = "https://example.org/a" }, "SPIFFEID"},
		"SPIFFE ID of a domain":  {func(a *agent.Agent) { a.SPIFFEID = "spiffe://example.org" }, "SPIFFEID"},
		"certificate of no kind": {func(a *agent.Agent) { a.Certificates = []string{"example.org"} }, "Certificates[0]"},
		"second of no kind":      {func(a *agent.Agent) { a.Certificates = []string{"dns:example.org", "example.org"} }, "Certificates[1]"},
		"address as certificate": {func(a *agent.Agent) { a.Certificates = []string{"ip:192.0.2.1"} }, "Certificates[0]"},
		"long certificate":       {func(a *agent.Agent) { a.Certificates = []string{"dns:" + strings.Repeat("a", 2049)} }, "Certificates[0]"},
		"empty certificate":      {func(a *agent.Agent) { a.Certificates = []string{"dns:"} }, "Certificates[0]"},
		"nine certificates":      {func(a *agent.Agent) { a.Certificates = make([]string, 9) }, "Certificates: at most"},
		"negative day limit":     {func(a *agent.Agent) { a.Limits.PerDay = -1 }, "Limits"},
		"negative request limit": {func(a *agent.Agent) { a.Limits.PerRequest = -1 }, "Limits"},
		"negative limit":         {func(a *agent.Agent) { a.Limits.Total = -1 }, "Limits"},
		"unknown attestation":    {func(a *agent.Agent) { a.Attestation = "tpm" }, `Attestation: "tpm"`},
		"ID of another tenant":   {func(a *agent.Agent) { a.Tenant = "globex" }, "another tenant"},
	} {
		a := good
		test.change(&a)
		_, err := w.registry.Register(t.Context(), agent.Registration{Agent: a})
		mistakes(t, name, err, test.want, fmt.Sprintf("register %q", a.ID))
	}
	a := must(w.registry.Find(t.Context(), "helper-1"))
	if a.Generation != 1 || a.Tenant != "acme" {
		t.Errorf("agent after refused registrations = %+v, want it unchanged", a)
	}
	most := good // of everything
	most.Keys = []string{with(with(rsa, "alg", "RS256"), "kid", "b")}
	for n := range 7 {
		jwk := with(stranger.jwk, "kid", strings.Repeat("k", 7-n))
		most.Keys = append(most.Keys, strings.Repeat(" ", 4<<10-len(jwk))+jwk)
	}
	most.Certificates = slices.Repeat([]string{"dns:" + strings.Repeat("a", 2048)}, 8)
	if a, err := w.registry.Register(t.Context(), agent.Registration{Agent: most}); err != nil || !a.Active() || good.Active() {
		t.Errorf("Register(largest agent) = %+v, %v, want that one active, and not the argument", a, err)
	}
}

func TestRegisterAgainChangesOnlyWhatDiffers(t *testing.T) {
	w := newWorld(t)
	before, token := len(w.events.all), w.token(t, tokenRequest("reader"))
	a := newAgent("reader", "acme", "reader")
	again := w.register(t, a)
	if again.Generation != 1 || len(w.events.all) != before+1 { // the token
		t.Errorf("Register(same) = %+v with %d events, want no change and no event", again, len(w.events.all)-before-1)
	}
	if _, err := w.admit(token); err != nil {
		t.Errorf("Admit after the same registration error = %v", err)
	}
	a.Owner = "bob"
	changed := w.register(t, a)
	if e := w.events.last(); changed.Generation != 2 || e.Type != agent.EventRegistered {
		t.Errorf("Register(changed) = %+v, event %q, want generation 2 and %q", changed, e.Type, agent.EventRegistered)
	}
	if _, err := w.admit(token); reasonOf(err) != agent.ReasonGeneration {
		t.Errorf("Admit after a change error = %v, want %s", err, agent.ReasonGeneration)
	}
	record := must(w.store.Find(t.Context(), "reader"))
	a.Generation, a.Created, a.Changed = 2, record.Created, record.Changed
	if diff := cmp.Diff(a, must(w.registry.Find(t.Context(), "reader")), cmp.AllowUnexported(gatehouse.Roles{})); diff != "" {
		t.Errorf("Find (-want +got):\n%s", diff)
	}
	list := must(w.registry.List(t.Context(), "acme", "helper-1", 1))
	if len(list) != 1 || list[0].ID != "helper-2" {
		t.Errorf("List = %+v, want helper-2", list)
	}
}

// A caller that changes an agent which the registry returned does not change the
// registry, whose records are cached.
func TestAgentsAreCopies(t *testing.T) {
	w := newWorld(t)
	a, certificate := newAgent("helper-1", "acme", "writer"), "dns:helper.example.com"
	key := a.Keys[0]
	a.Certificates = []string{certificate}
	caller := func() (agent.Agent, error) {
		c, err := w.registry.Caller(t.Context(), own("helper-1"))
		return c.Agent, err
	}
	for _, call := range []func() (agent.Agent, error){
		func() (agent.Agent, error) { return w.register(t, a), nil }, // a change
		func() (agent.Agent, error) { return w.register(t, a), nil }, // no change
		func() (agent.Agent, error) { return w.registry.Find(t.Context(), "helper-1") }, caller,
	} {
		got := must(call())
		got.Keys[0], got.Certificates[0] = "changed", "changed"
		if again, err := caller(); err != nil || again.Keys[0] != key || again.Certificates[0] != certificate || a.Keys[0] != key {
			t.Errorf("after a change of %s: Caller() = %+v, %v, want it unchanged", got.ID, again, err)
		}
	}
}

// Errors of the store are 503 and never a rejection.
func TestStoreFailures(t *testing.T) {
	ctx := context.Background()
	for name, call := range map[string]func(*world) error{
		"admit":  func(w *world) error { _, err := w.admit(person(object{"act": chainOf("helper-1")})); return err },
		"token":  func(w *world) error { return refusal(w, tokenRequest("helper-1")) },
		"client": func(w *world) error { return refusal(w, tokenRequest("", "client_id", "helper-1")) },
	} {
		w := newWorld(t, func(c *agent.Config, _ *agent.ServerConfig) { c.MaxAge = time.Nanosecond })
		w.store.fail(errors.New("down"))
		err := call(w)
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code.Status() != http.StatusServiceUnavailable {
			t.Errorf("%s with the store down: error = %v, want 503", name, err)
		}
		if cause := w.events.last().Cause; !strings.HasSuffix(fmt.Sprint(cause), "down") {
			t.Errorf("%s with the store down: cause = %v, want that of the store", name, cause)
		}
		if _, err := w.admit(person(nil)); err != nil {
			t.Errorf("Admit(person) with the store down: error = %v", err)
		}
	}
	for name, details := range map[string]string{
		"no JSON": "x", "a malformed key": `{"roles":["reader"],"keys":["{}"]}`, "an unknown role": `{"roles":["root"]}`,
	} {
		w := newWorld(t)
		must(w.store.Register(ctx, "odd", "acme", []byte(details)))
		if err := refusal(w, tokenRequest("", "client_id", "odd")); err == nil || w.events.last().Status != http.StatusServiceUnavailable || !strings.Contains(fmt.Sprint(w.events.last().Cause), `"odd"`) {
			t.Errorf("record with %s: %v with the event %+v, want 503 and a cause that names it", name, err, w.events.last())
		}
		if _, err := w.registry.List(ctx, "acme", "", 10); err == nil {
			t.Errorf("List of a record with %s: error = nil", name)
		}
		if _, err := w.registry.Find(ctx, "odd"); err == nil {
			t.Errorf("Find of a record with %s: error = nil", name)
		}
		role := name == "an unknown role" // which only an active agent needs
		if got := w.events.last().Reason; (got == agent.ReasonRole) != role {
			t.Errorf("record with %s: reason = %s", name, got)
		}
		if _, err := w.registry.Decommission(ctx, "acme", "odd"); (err == nil) != role {
			t.Errorf("Decommission of a record with %s: error = %v, want none = %v", name, err, role)
		}
	}
	w := newWorld(t, func(c *agent.Config, _ *agent.ServerConfig) { c.MaxAge = time.Nanosecond })
	delegated, failed := w.token(t, exchangeRequest("helper-2", person(nil))), 0
	for n := range 10 { // each query of an exchange
		w.store.on(func(context.Context, string) error {
			if n--; n < 0 {
				return errors.New("down")
			}
			return nil
		})
		got := w.ask(exchangeRequest("helper-1", delegated))
		if got.Status == http.StatusServiceUnavailable {
			failed++
		} else if got.Status != http.StatusOK || failed == 0 {
			t.Errorf("response while query %d fails = %+v, want a token or 503", n, got)
		}
	}
	w.store.fail(nil)
	must(w.store.Register(ctx, "odd", "acme", []byte(must(json.Marshal(object{"roles": []string{"reader"}, "keys": []string{stranger.jwk}, "attestation": "tpm"})))))
	agentKeys["odd"] = stranger
	if got, cause := w.ask(tokenRequest("odd")), w.events.last().Cause; got.Status != http.StatusServiceUnavailable || !strings.Contains(fmt.Sprint(cause), `"odd" has the attestation "tpm"`) {
		t.Errorf("agent with an unknown attestation: status = %d with the cause %v, want 503 and one that names both", got.Status, cause)
	}
}

// The caller's mistakes are no 503, and errors of the store are one, with their cause.
func TestErrInvalid(t *testing.T) {
	w, down := newWorld(t), errors.New("down")
	register := func(a agent.Agent) error {
		_, err := w.registry.Register(t.Context(), agent.Registration{Agent: a})
		return err
	}
	find := func() error { _, err := w.registry.Find(t.Context(), "none"); return err }
	decommission := func(id string) error { _, err := w.registry.Decommission(t.Context(), "acme", id); return err }
	for name, test := range map[string]struct{ got, want error }{
		"Register, a role that Config lacks": {register(newAgent("reader", "acme", "root")), agent.ErrInvalid},
		"Register, another tenant":           {register(newAgent("helper-1", "other", "writer")), agent.ErrConflict},
		"Find":                               {find(), agent.ErrNotFound},
		"Decommission":                       {decommission("none"), agent.ErrNotFound},
	} {
		if _, refusal := errors.AsType[*gatehouse.Error](test.got); !errors.Is(test.got, test.want) || refusal || errors.Is(test.got, agent.ErrDecommissioned) {
			t.Errorf("%s error = %v, want %v and no other", name, test.got, test.want)
		}
	}
	mistakes(t, "Decommission", decommission("none"), `decommission "none"`)
	garbled := &store{Store: agent.NewMemory(0), after: func(_ string, r *agent.Record) { r.Details = []byte("x") }}
	_, err := must(agent.New(registryConfig(garbled, nil))).Register(t.Context(), agent.Registration{Agent: newAgent("reader", "acme", "reader")})
	if reasonOf(err) != agent.ReasonStoreUnavailable {
		t.Errorf("Register with a malformed answer of the store: error = %v, want %s", err, agent.ReasonStoreUnavailable)
	}
	w.store.fail(down)
	for name, err := range map[string]error{
		"Register": register(newAgent("reader", "acme", "writer")), "Find": find(), "Decommission": decommission("helper-1"),
		"List": func() error { _, err := w.registry.List(t.Context(), "acme", "", 1); return err }(),
	} {
		e, ok := errors.AsType[*gatehouse.Error](err)
		if !ok || e.Code != gatehouse.CodeTemporarilyUnavailable || e.Reason != agent.ReasonStoreUnavailable || !errors.Is(err, down) || !strings.HasSuffix(err.Error(), "down") || errors.Is(err, agent.ErrInvalid) {
			t.Errorf("%s with the store down: error = %v, want a 503 with the cause", name, err)
		}
	}
}

// refusal returns the refusal of a token request.
func refusal(w *world, r *http.Request) error {
	if got := w.ask(r); got.Status == http.StatusServiceUnavailable && got.Error == "temporarily_unavailable" {
		return &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable}
	} else if got.Status != http.StatusOK {
		return errors.New(got.Error)
	}
	return nil
}

// A token that the observer cannot record is not issued.
func TestObserverFailure(t *testing.T) {
	w := newWorld(t)
	w.events.err = errors.New("full")
	for name, r := range map[string]*http.Request{"mint": tokenRequest("helper-1"), "exchange": exchangeRequest("helper-1", person(nil)), "refusal": tokenRequest("")} {
		if got := w.ask(r); got.Status != http.StatusServiceUnavailable || got.AccessToken != "" {
			t.Errorf("%s with a failing observer = %d %q, want 503", name, got.Status, got.AccessToken)
		}
	}
	if _, err := w.registry.Register(t.Context(), agent.Registration{Agent: newAgent("reader", "acme", "writer")}); reasonOf(err) != gatehouse.ReasonObserverFailed {
		t.Errorf("Register with a failing observer: error = %v", err)
	}
}
