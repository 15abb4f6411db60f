// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

func chainOf(ids ...string) object {
	var act object
	for i := len(ids) - 1; i >= 0; i-- {
		next := object{"sub": ids[i]}
		if act != nil {
			next["act"] = act
		}
		act = next
	}
	return act
}

// forged returns a token that the signing key of the server has signed.
func forged(changes object) string {
	claims := object{"iss": origin, "sub": "helper-1", "client_id": "helper-1", "type": "agent", "generations": []int{1}, "roles": nil, "scope": "data:read", "exp": time.Now().Unix() + 900}
	maps.Copy(claims, changes)
	return tokenOf(ownKeys, claims)
}

func TestGuard(t *testing.T) {
	w := newWorld(t)
	w.register(t, agent.Agent{ID: "gone", Tenant: "acme", Roles: must(gatehouse.NewRoles("writer")), Keys: []string{stranger.jwk}})
	must(w.registry.Decommission(t.Context(), "acme", "gone"))
	own, delegated := w.token(t, tokenRequest("helper-2")), w.token(t, exchangeRequest("helper-2", person(nil)))
	for name, test := range map[string]struct {
		token  string
		want   gatehouse.Reason // "" if it is accepted
		kind   gatehouse.Kind
		scopes string
	}{
		"person":                       {person(nil), "", gatehouse.KindUser, "data:read data:write profile"},
		"own token":                    {own, "", gatehouse.KindAgent, "data:read data:write"},
		"delegated token":              {delegated, "", gatehouse.KindUser, "data:read data:write"},
		"delegated by its issuer":      {person(object{"act": chainOf("reader")}), "", gatehouse.KindUser, "data:read"},
		"a chain of its issuer":        {person(object{"act": chainOf("reader", "helper-1", "helper-2", "helper-1")}), "", gatehouse.KindUser, "data:read"},
		"five actors":                  {person(object{"act": chainOf("reader", "reader", "reader", "reader", "reader")}), "jwtauth_claims", "", ""},
		"unknown actor":                {person(object{"act": chainOf("mallory")}), agent.ReasonUnknown, "", ""},
		"unknown actor inside":         {person(object{"act": chainOf("reader", "mallory")}), "", gatehouse.KindUser, "data:read"},
		"decommissioned behind it":     {person(object{"act": chainOf("reader", "mallory", "gone")}), agent.ReasonDecommissioned, "", ""},
		"stated actor inside":          {person(object{"act": chainOf("reader", "mallory"), "generations": []int{1, 1}}), agent.ReasonUnknown, "", ""},
		"actor of another one inside":  {person(object{"act": object{"sub": "reader", "act": object{"sub": "gone", "iss": "https://evil.example"}}}), "", gatehouse.KindUser, "data:read"},
		"decommissioned actor":         {person(object{"act": chainOf("gone")}), agent.ReasonDecommissioned, "", ""},
		"decommissioned inside":        {person(object{"act": chainOf("reader", "helper-1", "gone")}), agent.ReasonDecommissioned, "", ""},
		"actor of another tenant":      {person(object{"act": chainOf("foreign")}), agent.ReasonTenant, "", ""},
		"another tenant inside":        {person(object{"act": chainOf("reader", "foreign")}), agent.ReasonTenant, "", ""},
		"actor without tenant":         {person(object{"act": chainOf("reader"), "tenant": nil}), agent.ReasonTenant, "", ""},
		"actor of the issuer":          {person(object{"act": object{"sub": "reader", "iss": idp}}), "", gatehouse.KindUser, "data:read"},
		"actor of this server":         {person(object{"act": object{"sub": "reader", "iss": origin}}), "", gatehouse.KindUser, "data:read"},
		"actor of a longer issuer":     {person(object{"act": object{"sub": "reader", "iss": idp + ".evil.example"}}), agent.ReasonUnknown, "", ""},
		"actor of a longer server":     {person(object{"act": object{"sub": "reader", "iss": origin + "0"}}), agent.ReasonUnknown, "", ""},
		"actor of another issuer":      {person(object{"act": object{"sub": "reader", "iss": "https://evil.example"}}), agent.ReasonUnknown, "", ""},
		"type of another issuer":       {person(object{"type": "agent", "sub": "helper-1"}), "", gatehouse.KindUser, "data:read data:write profile"},
		"service of another issuer":    {person(object{"type": "agent", "sub": "helper-1", "client_id": "helper-1"}), "", gatehouse.KindService, "data:read data:write profile"},
		"gone as a person":             {person(object{"sub": "gone"}), "", gatehouse.KindUser, "data:read data:write profile"},
		"generations of an issuer":     {person(object{"act": chainOf("reader"), "generations": []int{7}}), agent.ReasonGeneration, "", ""},
		"malformed generations":        {person(object{"act": chainOf("reader"), "generations": "x"}), agent.ReasonToken, "", ""},
		"malformed cap":                {person(object{"act": chainOf("reader"), "token_budget": -1}), agent.ReasonToken, "", ""},
		"huge cap":                     {person(object{"act": chainOf("reader"), "token_budget": json.Number("99999999999999999999")}), agent.ReasonToken, "", ""},
		"cap of nothing":               {person(object{"act": chainOf("reader"), "token_budget": 0}), agent.ReasonToken, "", ""},
		"own issuer":                   {forged(nil), "", gatehouse.KindAgent, "data:read"},
		"a long life":                  {forged(object{"exp": time.Now().Unix() + 1000}), "jwtauth_lifetime", "", ""},
		"more than the roles":          {forged(object{"scope": "data:read root"}), "", gatehouse.KindAgent, "data:read"},
		"roles in a token":             {forged(object{"roles": []string{"admin"}}), "", gatehouse.KindAgent, "data:read"},
		"without type":                 {forged(object{"type": nil}), agent.ReasonToken, "", ""},
		"of another client":            {forged(object{"client_id": "reader"}), agent.ReasonToken, "", ""},
		"of a shorter client":          {forged(object{"client_id": "helper"}), agent.ReasonToken, "", ""},
		"without generation":           {forged(object{"generations": nil}), agent.ReasonToken, "", ""},
		"of an earlier generation":     {forged(object{"generations": []int{2}}), agent.ReasonGeneration, "", ""},
		"agent and chain":              {forged(object{"act": chainOf("helper-1"), "subject_issuer": idp}), agent.ReasonToken, "", ""},
		"chain":                        {forged(object{"sub": "alice", "type": nil, "act": chainOf("helper-1"), "subject_issuer": idp}), "", gatehouse.KindUser, "data:read"},
		"chain of its namesake":        {forged(object{"type": nil, "act": chainOf("helper-1"), "subject_issuer": idp}), "", gatehouse.KindUser, "data:read"},
		"chain without issuer":         {forged(object{"sub": "alice", "type": nil, "act": chainOf("helper-1")}), agent.ReasonToken, "", ""},
		"chain of another client":      {forged(object{"sub": "alice", "type": nil, "act": chainOf("reader"), "subject_issuer": idp}), agent.ReasonToken, "", ""},
		"chain of a shorter client":    {forged(object{"sub": "alice", "type": nil, "act": chainOf("helper-1"), "client_id": "helper", "subject_issuer": idp}), agent.ReasonToken, "", ""},
		"chain without a generation":   {forged(object{"sub": "alice", "type": nil, "act": chainOf("helper-1", "reader"), "subject_issuer": idp}), agent.ReasonToken, "", ""},
		"an earlier generation inside": {forged(object{"sub": "alice", "type": nil, "act": chainOf("helper-1", "reader"), "client_id": "helper-1", "subject_issuer": idp, "generations": []int{1, 2}}), agent.ReasonGeneration, "", ""},
		"generation zero":              {forged(object{"generations": []int{0}}), agent.ReasonToken, "", ""},
		"own tenant changed":           {forged(object{"tenant": "globex"}), agent.ReasonTenant, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := w.admit(test.token)
			if reasonOf(err) != test.want || p.Kind != test.kind || p.Scopes.String() != test.scopes {
				t.Fatalf("Admit = %s %q, %v, want %s %q, reason %q", p.Kind, p.Scopes, err, test.kind, test.scopes, test.want)
			}
			if err != nil && test.want != "" && !errors.Is(err, gatehouse.ErrNoCredentials) {
				if e, _ := errors.AsType[*gatehouse.Error](err); e.Code != gatehouse.CodeInvalidToken {
					t.Errorf("code = %v, want invalid_token", e.Code)
				}
				e, claims := w.events.last(), claimsOf(test.token)
				if strings.HasPrefix(string(test.want), "agent_") && (e.Issuer != claims["iss"] || e.Credential != claims["jti"]) {
					t.Errorf("event = %+v, want issuer and jti of %v", e, claims)
				}
			}
			if hasChain := p.Actors.Len() > 0; (hasChain || p.Kind == gatehouse.KindAgent) && p.Roles.Len() > 0 {
				t.Errorf("roles = %v, want none", p.Roles)
			}
		})
	}
}

// A chain that another authenticator than jwtauth accepts is not longer either, and its
// Kind is not that of an agent.
func TestGuardOfOtherCredentials(t *testing.T) {
	w := newWorld(t)
	long := gatehouse.NewActors(make([]gatehouse.Actor, 5)...)
	for name, test := range map[string]struct {
		p    gatehouse.Principal
		want gatehouse.Reason
		kind gatehouse.Kind
	}{
		"long chain":                 {gatehouse.Principal{Method: "introspection", Tenant: "acme", Actors: long}, agent.ReasonChain, ""},
		"agent without token":        {gatehouse.Principal{Method: "mtls", Subject: "helper-1", Kind: gatehouse.KindAgent}, "", gatehouse.KindService},
		"agent of the own issuer":    {gatehouse.Principal{Method: "introspection", Issuer: origin, Subject: "helper-1", Client: "helper-1", Kind: gatehouse.KindAgent}, "", gatehouse.KindService},
		"delegated, Kind agent":      {gatehouse.Principal{Method: "introspection", Issuer: idp, Tenant: "acme", Kind: gatehouse.KindAgent, Actors: gatehouse.NewActors(gatehouse.Actor{Subject: "reader"}), Claims: gatehouse.VerifiedClaims(`{"attestation":"key"}`)}, "", gatehouse.KindService},
		"issuer of a longer name":    {gatehouse.Principal{Method: jwtauth.Method, Issuer: origin + "0", Tenant: "acme", Kind: gatehouse.KindUser, Subject: "alice"}, "", gatehouse.KindUser},
		"more scopes than the actor": {gatehouse.Principal{Method: "introspection", Tenant: "acme", Kind: gatehouse.KindUser, Scopes: must(gatehouse.NewScopes("data:read", "x")), Actors: gatehouse.NewActors(gatehouse.Actor{Subject: "reader"})}, "", gatehouse.KindUser},
		"no agent":                   {gatehouse.Principal{Method: "session", Kind: gatehouse.KindUser, Subject: "alice"}, "", gatehouse.KindUser},
		"metadata of no API key":     {gatehouse.Principal{Method: "session", Kind: gatehouse.KindUser, Claims: gatehouse.VerifiedClaims(`{"agent":"mallory"}`)}, "", gatehouse.KindUser},
		"API key of an agent":        {gatehouse.Principal{Method: apikey.Method, Kind: gatehouse.KindService, Tenant: "acme", Claims: gatehouse.VerifiedClaims(`{"agent":"reader"}`)}, "", gatehouse.KindService},
		"API key of another tenant":  {gatehouse.Principal{Method: apikey.Method, Tenant: "globex", Claims: gatehouse.VerifiedClaims(`{"agent":"reader"}`)}, agent.ReasonTenant, ""},
		"API key of two agents":      {gatehouse.Principal{Method: apikey.Method, Tenant: "acme", Claims: gatehouse.VerifiedClaims(`{"agent":["reader"]}`)}, agent.ReasonUnknown, ""},
		"API key of agent null":      {gatehouse.Principal{Method: apikey.Method, Tenant: "acme", Claims: gatehouse.VerifiedClaims(`{"agent":null}`)}, agent.ReasonUnknown, ""},
		"API key of no agent":        {gatehouse.Principal{Method: apikey.Method, Kind: gatehouse.KindService}, "", gatehouse.KindService},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("X-Other", "x")
		proof, err := w.registry.Guard(accepts(test.p)).Authenticate(r)
		if e, ok := errors.AsType[*gatehouse.Error](err); ok && e.Code != gatehouse.CodeInvalidToken {
			t.Errorf("%s: Authenticate error = %v, want invalid_token", name, err)
		}
		if got := proof.Principal(); reasonOf(err) != test.want || got.Kind != test.kind {
			t.Errorf("%s: Authenticate = %+v, %v, want kind %q and reason %q", name, got, err, test.kind, test.want)
		}
		if err == nil && (proof.Header.Get("X") != "y" || len(proof.Tenants) != 1 || proof.Principal().Scopes.Has("x")) {
			t.Errorf("%s: Authenticate = %+v, want header and tenants of the inner proof, and no more scopes than the actor has", name, proof)
		}
		if c, err := w.registry.Caller(t.Context(), proof.Principal()); err != nil || c.Own || c.Delegated != (test.p.Actors.Len() > 0 && test.want == "") || c.Attestation != "" {
			t.Errorf("%s: Caller = %+v, %v, want neither a token of its own nor an attestation", name, c, err)
		}
	}
	for header, want := range map[string]gatehouse.Code{"X-API-Key": apikey.CodeInvalidKey, "Authorization": apikey.CodeInvalidKeyScheme} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set(header, "ApiKey key")
		_, err := w.registry.Guard(accepts{Method: apikey.Method, Claims: gatehouse.VerifiedClaims(`{"agent":"mallory"}`)}).Authenticate(r)
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code != want {
			t.Errorf("%s of an unknown agent: Authenticate error = %v, want %v", header, err, want)
		}
	}
	w = newWorld(t, func(c *agent.Config, _ *agent.ServerConfig) { c.MaxAge = time.Nanosecond })
	w.store.fail(errors.New("down"))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-API-Key", "key")
	_, err := w.registry.Guard(accepts{Method: apikey.Method, Tenant: "acme", Claims: gatehouse.VerifiedClaims(`{"agent":"reader"}`)}).Authenticate(r)
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code != gatehouse.CodeTemporarilyUnavailable {
		t.Errorf("Authenticate(API key) with the store down: error = %v, want 503", err)
	}
	defer func() {
		if got := recover(); got != "agent: Guard: nil authenticator" {
			t.Errorf("Guard(nil) panics with %v", got)
		}
	}()
	w.registry.Guard(nil)
}

// accepts is an authenticator that accepts every request.
type accepts gatehouse.Principal

func (accepts) Reads() gatehouse.Reads {
	return gatehouse.Reads{
		Schemes: []gatehouse.Scheme{{Name: "Bearer"}, {Name: "ApiKey", Invalid: apikey.CodeInvalidKeyScheme}},
		Headers: []gatehouse.Header{{Name: "X-Other"}, {Name: "X-API-Key", Invalid: apikey.CodeInvalidKey}},
	}
}

func (a accepts) Authenticate(*http.Request) (gatehouse.Proof, error) {
	p := gatehouse.Principal(a)
	proof := gatehouse.NewProof(&p)
	proof.Header, proof.Tenants = http.Header{"X": {"y"}}, []string{"acme"}
	return proof, nil
}

func TestDecommissionRejectsEverything(t *testing.T) {
	w := newWorld(t)
	keys := must(apikey.New(apikey.Config{Store: apikey.NewMemory(0), Prefix: "acme", Scopes: []string{"data:read"}}))
	issued := must(keys.Create(t.Context(), apikey.Request{
		Owner: "reader", Tenant: "acme", Scopes: []string{"data:read"}, Lifetime: time.Hour, Metadata: must(gatehouse.NewClaims(`{"agent":"helper-2"}`)),
	}))
	people := jwtauth.Issuer{URL: idp, Audiences: []string{audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: people.ring, Header: "X-Token"}
	tokens := must(jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{people}}))
	defer func() { _ = tokens.Close() }()
	gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{w.registry.Guard(keys), w.registry.Guard(tokens)}, Realm: "tools"}))
	key, inHeader := string(issued.Secret.Reveal()), person(object{"act": chainOf("helper-2")})
	with := func(header, value string) (gatehouse.Code, gatehouse.Reason) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set(header, value)
		_, _, err := gate.Admit(r)
		if e, ok := errors.AsType[*gatehouse.Error](err); ok {
			return e.Code, e.Reason
		}
		return gatehouse.Code{}, ""
	}
	own := w.token(t, tokenRequest("helper-2"))
	delegated := w.token(t, exchangeRequest("helper-2", person(nil)))
	again := w.token(t, exchangeRequest("helper-1", delegated))
	assertionOf := tokenRequest("helper-2")
	for _, token := range []string{own, delegated, again} {
		if _, err := w.admit(token); err != nil {
			t.Fatalf("Admit before = %v", err)
		}
	}
	for header, value := range map[string]string{"X-API-Key": key, "X-Token": inHeader} {
		if code, _ := with(header, value); code != (gatehouse.Code{}) {
			t.Fatalf("%s before = %v", header, code)
		}
	}
	must(w.registry.Decommission(t.Context(), "acme", "helper-2"))
	if e := w.events.last(); e.Type != agent.EventDecommissioned || fmt.Sprint(e.Attrs) != "[agent=helper-2 agent_tenant=acme agent_generation=2]" {
		t.Errorf("event = %+v, want agent_decommissioned", e)
	}
	for name, token := range map[string]string{"own": own, "delegated": delegated, "nested": again} {
		if _, err := w.admit(token); reasonOf(err) != agent.ReasonDecommissioned || !strings.Contains(fmt.Sprint(w.events.last().Cause), `"helper-2"`) {
			t.Errorf("Admit(%s) error = %v with the event %+v, want %s of helper-2", name, err, w.events.last(), agent.ReasonDecommissioned)
		}
	}
	text := assertion("helper-2", nil)
	for name, r := range map[string]*http.Request{
		"with an assertion": assertionOf, "without one": tokenRequest("", "client_id", "helper-2"),
		"with a forged one": tokenRequest("", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", text[:len(text)-8]+"AAAAAAAA"),
	} {
		got := w.ask(r)
		if e := w.events.last(); got.Status != http.StatusUnauthorized || got.Error != "invalid_client" || e.Reason != agent.ReasonDecommissioned || e.Credential != "helper-2" {
			t.Errorf("token request %s = %d %s for %s of %q, want 401 invalid_client for %s of helper-2", name, got.Status, got.Error, e.Reason, e.Credential, agent.ReasonDecommissioned)
		}
	}
	if got := w.ask(exchangeRequest("helper-1", again)); got.Error != "invalid_request" {
		t.Errorf("exchange of a token with the agent = %d %s, want invalid_request", got.Status, got.Error)
	}
	for _, way := range []struct {
		header, value string
		code          gatehouse.Code
	}{
		{"X-API-Key", key, apikey.CodeInvalidKey},
		{"Authorization", "ApiKey " + key, apikey.CodeInvalidKeyScheme},
		{"Authorization", "Bearer " + key, gatehouse.CodeInvalidToken},
		{"X-Token", inHeader, jwtauth.CodeInvalidTokenHeader},
	} {
		if code, reason := with(way.header, way.value); code != way.code || reason != agent.ReasonDecommissioned {
			t.Errorf("%s: %s = %v %s, want %v", way.header, way.value, code, reason, way.code)
		}
	}
	if _, err := w.registry.Register(t.Context(), agent.Registration{Agent: newAgent("helper-2", "acme", "writer")}); !errors.Is(err, agent.ErrDecommissioned) || reasonOf(err) != "" {
		t.Errorf("Register(decommissioned) error = %v, want ErrDecommissioned and no 503", err)
	}
}

// A second node sees a decommission, and a change of the roles, when its record is
// older than MaxAge, and answers 503 when it cannot read the store.
func TestOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &store{Store: agent.NewMemory(0)}
		first, second := must(agent.New(registryConfig(store, nil))), must(agent.New(registryConfig(store, nil)))
		for _, id := range []string{"helper-1", "helper-2"} {
			register(t, first, newAgent(id, "acme", "writer"))
		}
		caller := func(id string, want gatehouse.Reason) {
			t.Helper()
			p := own(id)
			p.Claims = gatehouse.VerifiedClaims(`{"generations":[1]}`)
			if _, err := second.Caller(t.Context(), p); reasonOf(err) != want {
				t.Errorf("Caller(%s) error = %v, want %q", id, err, want)
			}
		}
		for range 100 {
			caller("helper-1", "")
			caller("helper-2", "")
			caller("missing", agent.ReasonUnknown)
		}
		if store.finds > 5 { // 2 of Register
			t.Errorf("%d queries for 300 callers, want one for each agent", store.finds-2)
		}
		must(first.Decommission(t.Context(), "acme", "helper-1"))
		store.fail(errors.New("down"))
		if _, err := first.Caller(t.Context(), own("helper-1")); reasonOf(err) != agent.ReasonDecommissioned {
			t.Errorf("Caller of the node that has decommissioned the agent: error = %v, want %s without a query", err, agent.ReasonDecommissioned)
		}
		store.fail(nil)
		register(t, first, newAgent("helper-2", "acme", "reader"))
		time.Sleep(499 * time.Millisecond)
		caller("helper-1", "")
		if a, err := second.Find(t.Context(), "helper-1"); err != nil || a.Active() {
			t.Errorf("Find = %+v, %v, want what the store has", a, err)
		}
		time.Sleep(time.Millisecond)
		caller("helper-1", agent.ReasonDecommissioned)
		caller("helper-2", agent.ReasonGeneration)
		register(t, first, newAgent("reader", "acme", "reader"))
		caller("reader", "")
		store.fail(errors.New("down"))
		caller("reader", "")
		time.Sleep(500 * time.Millisecond)
		caller("reader", agent.ReasonStoreUnavailable)
		caller("helper-1", agent.ReasonStoreUnavailable)
		_, _ = first.Close(), second.Close()
	})
}

// A registration is known when it returns, and what others change after it MaxAge later.
// An answer that is late does not hide a decommission that followed the change.
func TestSlowRegistration(t *testing.T) {
	for _, elsewhere := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			store := late("Register")
			r := must(agent.New(registryConfig(store, nil)))
			caller := func(when string, want gatehouse.Reason) {
				t.Helper()
				if _, err := r.Caller(t.Context(), own("helper-1")); reasonOf(err) != want {
					t.Errorf("Caller %s: error = %v, want %q", when, err, want)
				}
			}
			time.AfterFunc(100*time.Millisecond, func() { caller("before the registration", agent.ReasonUnknown) })
			time.AfterFunc(210*time.Millisecond, func() {
				if elsewhere {
					must(store.Decommission(t.Context(), "acme", "helper-1"))
				} else {
					must(r.Decommission(t.Context(), "acme", "helper-1"))
				}
			})
			if a := register(t, r, newAgent("helper-1", "acme", "writer")); a.ID != "helper-1" {
				t.Errorf("Register = %+v, want helper-1", a)
			}
			if elsewhere {
				caller("after the registration", "")
				time.Sleep(310 * time.Millisecond)
			}
			caller("after the decommission", agent.ReasonDecommissioned)
			_ = r.Close()
		})
	}
}

// A query that has read the store before a decommission does not hide it, whether it
// began before the decommission or after.
func TestSlowQueryDoesNotHideDecommission(t *testing.T) {
	for _, after := range []time.Duration{-time.Millisecond, 100 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			store := late("Decommission")
			r := must(agent.New(registryConfig(store, nil)))
			register(t, r, newAgent("helper-1", "acme", "writer"))
			decommission := store.after
			store.after = func(method string, record *agent.Record) {
				if decommission(method, record); method == "Find" {
					time.Sleep(time.Second)
				}
			}
			caller := func(want gatehouse.Reason) {
				t.Helper()
				if _, err := r.Caller(t.Context(), own("helper-1")); reasonOf(err) != want {
					t.Errorf("Caller error = %v, want %s", err, want)
				}
			}
			time.Sleep(time.Second)
			time.AfterFunc(time.Millisecond, func() { must(r.Decommission(t.Context(), "acme", "helper-1")) })
			time.Sleep(time.Millisecond + after)
			caller(agent.ReasonDecommissioned) // ends long after the decommission
			store.after = decommission
			caller(agent.ReasonDecommissioned)
			store.Store = agent.NewMemory(0) // as if the agent were removed from the store
			time.Sleep(time.Second)
			caller(agent.ReasonUnknown)
			_ = r.Close()
		})
	}
}

// stream handles a request of p that ends with the agents of p.
func stream(r *agent.Registry, p gatehouse.Principal, handle func(context.Context)) {
	r.EndWithAgent(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) { handle(request.Context()) })).
		ServeHTTP(nil, httptest.NewRequestWithContext(gatehouse.NewContext(context.Background(), p), http.MethodGet, "/", nil))
}

func TestEndWithAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &store{Store: agent.NewMemory(0)}
		r, other := must(agent.New(registryConfig(store, nil))), must(agent.New(registryConfig(store, nil)))
		for _, id := range []string{"helper-1", "helper-2"} {
			register(t, r, newAgent(id, "acme", "writer"))
		}
		person := gatehouse.Principal{Method: jwtauth.Method, Kind: gatehouse.KindUser, Subject: "alice", Tenant: "acme"}
		chain := person
		chain.Actors = gatehouse.NewActors(gatehouse.Actor{Subject: "helper-2"}, gatehouse.Actor{Subject: "helper-1"})
		key := gatehouse.Principal{Method: apikey.Method, Tenant: "acme", Claims: gatehouse.VerifiedClaims(`{"agent":"helper-1"}`)}
		// check begins streams and checks when they end after an event.
		check := func(what string, begun time.Duration, event func(), most time.Duration) {
			var streams sync.WaitGroup
			var at time.Time
			for name, p := range map[string]gatehouse.Principal{"own": own("helper-1"), "chain": chain, "key": key, "person": person} {
				streams.Go(func() {
					stream(other, p, func(ctx context.Context) {
						select {
						case <-ctx.Done():
							if after := time.Since(at); name == "person" || at.IsZero() || after > most {
								t.Errorf("%s: the stream of %s ended %v later, want at most %v", what, name, after, most)
							}
						case <-time.After(time.Minute):
							if name != "person" {
								t.Errorf("%s: the stream of %s did not end", what, name)
							}
						}
					})
				})
			}
			time.Sleep(begun)
			at = time.Now()
			event()
			streams.Wait()
		}
		check("store down", 2100*time.Millisecond, func() { store.fail(errors.New("down")) }, time.Second)
		store.fail(nil)
		check("decommission", time.Millisecond, func() {
			must(other.Caller(t.Context(), own("helper-1"))) // so that the record is as young as can be
			must(r.Decommission(t.Context(), "acme", "helper-1"))
		}, 750*time.Millisecond)

		person.Expires = time.Now().Add(time.Second)
		stream(other, person, func(ctx context.Context) { <-ctx.Done() })
		if time.Now().Before(person.Expires) {
			t.Error("the stream ended before the credential expired")
		}
		_, _ = r.Close(), other.Close()
	})
}

// One query that fails ends no stream, nor does a check of a request that was served. An
// outage and a defect of the store end it, with an event.
func TestEndWithAgentOfFailingStore(t *testing.T) {
	down := errors.New("down")
	once := func(s *store) {
		fails := true
		s.on(func(context.Context, string) (err error) {
			if fails {
				err = down
			}
			fails = false
			return err
		})
	}
	for name, test := range map[string]struct {
		change func(*store)
		rounds int
		reason gatehouse.Reason // "" if the stream goes on
	}{
		"now and then one query fails": {once, 3, ""},
		"store down":                   {func(s *store) { s.fail(down) }, 3, agent.ReasonStoreUnavailable},
		"store panics":                 {func(s *store) { s.on(func(context.Context, string) error { panic("defect") }) }, 3, agent.ReasonStoreUnavailable},
		"served while a query hangs": {func(s *store) {
			fails := true
			s.on(func(ctx context.Context, _ string) error {
				if !fails {
					<-ctx.Done()
				}
				fails = false
				return down
			})
		}, 1, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			store, seen := &store{Store: agent.NewMemory(0)}, &events{}
			r := must(agent.New(registryConfig(store, gatehouse.ObserverFunc(func(ctx context.Context, e gatehouse.Event) error {
				if time.Sleep(time.Minute); ctx.Err() != nil { // the request has ended meanwhile
					return ctx.Err()
				}
				return seen.Observe(ctx, e)
			}))))
			register(t, r, newAgent("helper-1", "acme", "writer"))
			p, ended := own("helper-1"), false
			stream(r, p, func(ctx context.Context) {
				for range test.rounds {
					test.change(store)
					time.Sleep(1100 * time.Millisecond)
				}
				ended = ctx.Err() != nil
			})
			time.Sleep(2 * time.Minute)
			synctest.Wait() // for the event
			var got []gatehouse.Event
			for _, e := range seen.all {
				if e.Type == gatehouse.EventStreamEnded {
					got = append(got, gatehouse.Event{Type: e.Type, Reason: e.Reason, Decision: e.Decision, Duration: e.Duration, Principal: e.Principal, Issuer: e.Issuer, Credential: e.Credential})
				}
			}
			want := []gatehouse.Event{{Type: gatehouse.EventStreamEnded, Reason: test.reason, Principal: p, Issuer: p.Issuer, Credential: p.Credential}}
			if test.reason == "" {
				want = nil
			}
			if ended != (test.reason != "") || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: ended %t with the events %+v, want %+v", name, ended, got, want)
			}
			_ = r.Close()
		})
	}
}

func TestDecommissionEndpoint(t *testing.T) {
	w := newWorld(t)
	mux := http.NewServeMux()
	mux.Handle("POST /agents/{id}/decommission", w.registry.DecommissionEndpoint("admin"))
	// post sends a request of an admin, with changes.
	post := func(id string, change func(*gatehouse.Principal), header ...string) int {
		p := gatehouse.Principal{Method: "session", Kind: gatehouse.KindUser, Subject: "root", Issuer: idp, Tenant: "acme", Roles: must(gatehouse.NewRoles("admin"))}
		change(&p)
		r := httptest.NewRequestWithContext(gatehouse.NewContext(t.Context(), p), http.MethodPost, "/agents/"+id+"/decommission", nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		recorder := httptest.NewRecorder()
		mux.ServeHTTP(recorder, r)
		if got := recorder.Result().Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control of %d = %q, want no-store", recorder.Code, got)
		}
		return recorder.Code
	}
	admin := func(*gatehouse.Principal) {}
	for name, test := range map[string]struct {
		change func(*gatehouse.Principal)
		id     string
		header []string
		want   int
	}{
		"operator":                {func(p *gatehouse.Principal) { p.Roles = must(gatehouse.NewRoles("operator")) }, "reader", nil, 403},
		"without tenant":          {func(p *gatehouse.Principal) { p.Tenant = "" }, "reader", nil, 403},
		"service":                 {func(p *gatehouse.Principal) { p.Kind = gatehouse.KindService }, "reader", nil, 403},
		"through an agent":        {func(p *gatehouse.Principal) { p.Actors = gatehouse.NewActors(gatehouse.Actor{Subject: "helper-1"}) }, "reader", nil, 403},
		"from another site":       {admin, "reader", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"from another origin":     {admin, "reader", []string{"Origin", "https://evil.example"}, 403},
		"agent of another tenant": {admin, "foreign", nil, 404},
		"unknown agent":           {admin, "missing", nil, 404},
	} {
		if got := post(test.id, test.change, test.header...); got != test.want {
			t.Errorf("%s: status = %d, want %d", name, got, test.want)
		}
	}
	if a := must(w.registry.Find(t.Context(), "reader")); !a.Active() {
		t.Error("a refused request has decommissioned the agent")
	}
	for _, header := range [][]string{nil, {"Origin", origin}} { // behind a proxy, Host is another one
		if got := post("reader", admin, header...); got != http.StatusNoContent {
			t.Errorf("status = %d, want 204", got)
		}
	}
	if a := must(w.registry.Find(t.Context(), "reader")); a.Active() || a.Generation != 2 {
		t.Errorf("agent = %+v, want decommissioned", a)
	}
	w.events.err = errors.New("full")
	if got := post("helper-2", admin); got != http.StatusServiceUnavailable {
		t.Errorf("status with a failing observer = %d, want 503", got)
	}
}
