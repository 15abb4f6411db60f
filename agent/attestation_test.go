// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

const profile = "https://example.com/sandbox/1"

// evidence returns evidence of the possession of a key, with changed claims; nil
// removes one.
func evidence(by party, typ, nonce string, changes object) gatehouse.Secret {
	claims := object{"iss": "boxed", "aud": origin, "nonce": nonce, "exp": time.Now().Unix() + 60}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return must(by.ring.SignJWT(typ, claims))
}

// eat returns an Entity Attestation Token of the attester stranger.
func eat(by party, typ, nonce string, changes object) gatehouse.Secret {
	now := time.Now().Unix()
	claims := object{
		"iss": "https://attester.example.com", "aud": origin, "iat": now, "exp": now + 900, "eat_nonce": nonce, "eat_profile": profile,
		"dbgstat": "disabled-since-boot", "cnf": object{"jwk": json.RawMessage(boxed.jwk)}, "swname": "sandbox",
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return must(by.ring.SignJWT(typ, claims))
}

var boxed = newParty()

// attestors returns a registry with attestations of each kind at registration and at
// issue, and the agent boxed.
func attestors(t *testing.T) (*world, agent.Agent) {
	t.Helper()
	sandbox := must(agent.NewEAT(agent.EATConfig{
		Issuer: "https://attester.example.com", Keys: stranger.ring, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Audience: origin, Profile: profile,
		Accept: func(_ context.Context, _ agent.Agent, claims gatehouse.Claims) error {
			var c struct {
				Swname string `json:"swname"`
			}
			if err := claims.Decode(&c); err != nil || c.Swname != "sandbox" {
				return errors.New("another program")
			}
			return nil
		},
	}))
	t.Cleanup(func() { _ = sandbox.Close() })
	w := newWorld(t, func(c *agent.Config, sc *agent.ServerConfig) {
		sc.SPIFFE = trustDomain(t)
		svids := agent.SVID(sc.SPIFFE)
		c.Attestations = map[string]agent.Attestation{
			"key":              {Attestor: agent.KeyPossession{}, Issue: true},
			"key-registration": {Attestor: agent.KeyPossession{}, Registration: true}, "key-both": {Attestor: agent.KeyPossession{}, Registration: true, Issue: true},
			"svid": {Attestor: svids, Registration: true}, "svid-issue": {Attestor: svids, Issue: true},
			"eat": {Attestor: sandbox, Registration: true}, "eat-issue": {Attestor: sandbox, Issue: true},
			"down": {Issue: true, Attestor: attestor(func(agent.Challenge, gatehouse.Secret) error {
				return &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: "agent_test_down"}
			})},
		}
	})
	agentKeys["boxed"] = boxed
	keys := []string{with(ownKeys.jwk, "kid", "k0"), with(boxed.jwk, "kid", "k1")}
	return w, agent.Agent{ID: "boxed", Tenant: "acme", Roles: must(gatehouse.NewRoles("executor")), Keys: keys, SPIFFEID: workload}
}

func TestEvidenceAtRegistration(t *testing.T) {
	w, a := attestors(t)
	nonce := func() string { return w.registry.Nonce("boxed") }
	type text = func(nonce string) gatehouse.Secret
	by := func(p party, typ string, changes object) text {
		return func(nonce string) gatehouse.Secret { return evidence(p, typ, nonce, changes) }
	}
	box := func(p party, typ string, changes object) text {
		return func(nonce string) gatehouse.Secret { return eat(p, typ, nonce, changes) }
	}
	raw := func(s string) text { return func(string) gatehouse.Secret { return gatehouse.NewSecret([]byte(s)) } }
	now := time.Now().Unix()
	const typ = "agent-evidence+jwt"
	replaced := func(i int, part string) text { // a part of a JWT
		return func(nonce string) gatehouse.Secret {
			parts := strings.Split(string(evidence(boxed, typ, nonce, nil).Reveal()), ".")
			parts[i] = part
			return gatehouse.NewSecret([]byte(strings.Join(parts, ".")))
		}
	}
	headed := func(name string, value any) text { // with one more parameter
		return func(n string) gatehouse.Secret {
			token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": "boxed", "aud": origin, "nonce": n, "exp": now + 60})
			token.Header["typ"], token.Header[name] = typ, value
			return gatehouse.NewSecret([]byte(must(token.SignedString(boxed.private))))
		}
	}
	for name, test := range map[string]struct {
		attestation string
		evidence    text
		want        string // in the error
	}{
		"key":                   {"key-registration", by(boxed, typ, nil), ""},
		"none":                  {"key-registration", raw(""), "missing or too long"},
		"too long":              {"key-registration", raw(strings.Repeat("a", 20<<10)), "missing or too long"},
		"no JWT":                {"key-registration", raw("a.b"), "number of segments"},
		"header":                {"key-registration", replaced(0, "!"), "header: not canonical base64url"},
		"payload":               {"key-registration", replaced(1, "!"), "payload: not canonical base64url"},
		"signature":             {"key-registration", replaced(2, "!"), "signature: not canonical base64url"},
		"no signature":          {"key-registration", replaced(2, ""), "signature: not canonical base64url"},
		"no object":             {"key-registration", replaced(1, "W10"), "malformed claims"},
		"of another key":        {"key-registration", by(stranger, typ, nil), "no key of the agent verifies"},
		"with crit":             {"key-registration", headed("crit", []string{"x"}), "header: has a parameter"},
		"with jwk":              {"key-registration", headed("jwk", json.RawMessage(boxed.jwk)), "header: has a parameter"},
		"of another type":       {"key-registration", by(boxed, "JWT", nil), "header: typ"},
		"of no type":            {"key-registration", by(boxed, "", nil), "header: typ"},
		"of another agent":      {"key-registration", by(boxed, typ, object{"iss": "reader"}), "iss"},
		"for another server":    {"key-registration", by(boxed, typ, object{"aud": "https://evil.example"}), "aud"},
		"of a longer name":      {"key-registration", by(boxed, typ, object{"iss": "boxed-2"}), "iss"},
		"for a longer name":     {"key-registration", by(boxed, typ, object{"aud": origin + "0"}), "aud"},
		"longer nonce":          {"key-registration", func(n string) gatehouse.Secret { return evidence(boxed, typ, n+"A", nil) }, "nonce is not"},
		"another nonce":         {"key-registration", func(string) gatehouse.Secret { return evidence(boxed, typ, nonce(), nil) }, "nonce is not"},
		"no nonce":              {"key-registration", by(boxed, typ, object{"nonce": nil}), "nonce is not"},
		"without exp":           {"key-registration", by(boxed, typ, object{"exp": nil}), "exp"},
		"SVID":                  {"svid", by(boxed, typ, object{"svid": svid(people, nil)}), ""},
		"key instead of SVID":   {"svid", by(boxed, typ, nil), "spiffe"},
		"SVID without key":      {"svid", raw(svid(people, nil)), "header: typ"},
		"SVID with another key": {"svid", by(stranger, typ, object{"svid": svid(people, nil)}), "no key of the agent verifies"},
		"SVID of a stranger":    {"svid", by(boxed, typ, object{"svid": svid(stranger, nil)}), "spiffe"},
		"SVID of another":       {"svid", by(boxed, typ, object{"svid": svid(people, object{"sub": "spiffe://example.org/other"})}), "another workload"},
		"SVID of a longer name": {"svid", by(boxed, typ, object{"svid": svid(people, object{"sub": workload + "/a"})}), "another workload"},
		"EAT":                   {"eat", box(stranger, "eat+jwt", nil), ""},
		"EAT with media type":   {"eat", box(stranger, "application/EAT+JWT", nil), ""},
		"EAT with several nonces": {"eat", func(n string) gatehouse.Secret {
			return eat(stranger, "eat+jwt", "", object{"eat_nonce": []string{"aaaaaaaa", n}})
		}, ""},
		"EAT with the nonce before another": {"eat", func(n string) gatehouse.Secret {
			return eat(stranger, "eat+jwt", "", object{"eat_nonce": []string{n, "aaaaaaaa"}})
		}, ""},
		"EAT with the nonce before a number": {"eat", func(n string) gatehouse.Secret {
			return eat(stranger, "eat+jwt", "", object{"eat_nonce": []any{n, 1}})
		}, "eat_nonce"},
		"EAT with a longer nonce": {"eat", func(n string) gatehouse.Secret { return eat(stranger, "eat+jwt", n+"A", nil) }, "eat_nonce"},
		"EAT with longer nonces": {"eat", func(n string) gatehouse.Secret {
			return eat(stranger, "eat+jwt", "", object{"eat_nonce": []string{n + "A", n + "B"}})
		}, "eat_nonce"},
		"EAT with thumbprint": {"eat", func(n string) gatehouse.Secret {
			return eat(stranger, "eat+jwt", n, object{"cnf": object{"jkt": thumbprintOf(boxed)}})
		}, ""},
		"EAT of another attester": {"eat", box(people, "eat+jwt", nil), "signature"},
		"EAT of another type":     {"eat", box(stranger, "JWT", nil), "typ"},
		"EAT of a longer type":    {"eat", box(stranger, "xeat+jwt", nil), "typ"},
		"EAT for another server":  {"eat", box(stranger, "eat+jwt", object{"aud": "https://evil.example"}), "aud"},
		"EAT of a longer time":    {"eat", box(stranger, "eat+jwt", object{"iat": now - 1, "exp": now + 900}), "lifetime"},
		"EAT with another nonce":  {"eat", func(string) gatehouse.Secret { return eat(stranger, "eat+jwt", nonce(), nil) }, "eat_nonce"},
		"EAT with an empty nonce": {"eat", box(stranger, "eat+jwt", object{"eat_nonce": ""}), "eat_nonce"},
		"EAT without nonce":       {"eat", box(stranger, "eat+jwt", object{"eat_nonce": nil}), "eat_nonce"},
		"EAT with other nonces":   {"eat", box(stranger, "eat+jwt", object{"eat_nonce": []string{"aaaaaaaa"}}), "eat_nonce"},
		"EAT of another key":      {"eat", box(stranger, "eat+jwt", object{"cnf": object{"jwk": json.RawMessage(people.jwk)}}), "cnf"},
		"EAT of two keys":         {"eat", box(stranger, "eat+jwt", object{"cnf": object{"jkt": thumbprintOf(boxed), "jwk": json.RawMessage(people.jwk)}}), "cnf"},
		"EAT of no key":           {"eat", box(stranger, "eat+jwt", object{"cnf": object{}}), "cnf"},
		"EAT of an unknown form":  {"eat", box(stranger, "eat+jwt", object{"cnf": object{"kid": "k1"}}), "cnf"},
		"EAT of a malformed key":  {"eat", box(stranger, "eat+jwt", object{"cnf": object{"jwk": object{}}}), "cnf"},
		"EAT without cnf":         {"eat", box(stranger, "eat+jwt", object{"cnf": nil}), "cnf"},
		"EAT of another profile":  {"eat", box(stranger, "eat+jwt", object{"eat_profile": "x"}), "eat_profile"},
		"EAT of a longer profile": {"eat", box(stranger, "eat+jwt", object{"eat_profile": profile + "0"}), "eat_profile"},
		"EAT, debugging unknown":  {"eat", box(stranger, "eat+jwt", object{"dbgstat": "disabled-until-reset"}), "dbgstat"},
		"EAT with debugging":      {"eat", box(stranger, "eat+jwt", object{"dbgstat": "enabled"}), "dbgstat"},
		"EAT without dbgstat":     {"eat", box(stranger, "eat+jwt", object{"dbgstat": nil}), "dbgstat"},
		"EAT of another program":  {"eat", box(stranger, "eat+jwt", object{"swname": "shell"}), "another program"},
		"key instead of EAT":      {"eat", by(boxed, typ, nil), "iss"},
	} {
		t.Run(name, func(t *testing.T) {
			a := a
			a.Attestation = test.attestation
			n := nonce()
			_, err := w.registry.Register(t.Context(), agent.Registration{Agent: a, Nonce: n, Evidence: test.evidence(n)})
			if (err == nil) != (test.want == "") || err != nil && (!strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), `register "boxed"`)) {
				t.Errorf("Register error = %v, want %q", err, test.want)
			}
		})
	}
	a.Attestation, a.SPIFFEID = "svid", ""
	n := nonce()
	_, err := w.registry.Register(t.Context(), agent.Registration{Agent: a, Nonce: n, Evidence: evidence(boxed, typ, n, object{"svid": svid(people, nil)})})
	mistakes(t, "Register with the SVID of another workload than none", err, "another workload")
}

// An agent can sign assertions and evidence in the algorithms of its key, and in no other.
func TestKeysOfAgents(t *testing.T) {
	w, a := attestors(t)
	a.Attestation = "key-registration"
	p384, p521 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)), must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	_, edwards, _ := ed25519.GenerateKey(rand.Reader)
	large := must(rsa.GenerateKey(rand.Reader, 2048))
	for _, test := range []struct {
		by  party
		alg string // of the registered key
		ok  bool
	}{
		{partyOf(jwtauth.ES384, p384), "", true},
		{partyOf(jwtauth.ES512, p521), "", true},
		{partyOf(jwtauth.EdDSA, edwards), "", true},
		{partyOf(jwtauth.Ed25519, edwards), "", true},
		{partyOf(jwtauth.Ed25519, edwards), "Ed25519", true},
		{partyOf(jwtauth.EdDSA, edwards), "Ed25519", false},
		{partyOf(jwtauth.PS256, large), "PS256", true},
		{partyOf(jwtauth.RS256, large), "PS256", false},
	} {
		agentKeys["boxed"], a.Keys = test.by, []string{with(test.by.jwk, "kid", "a single key accepts any kid")}
		if test.alg != "" {
			a.Keys[0] = with(a.Keys[0], "alg", test.alg)
		}
		nonce := w.registry.Nonce("boxed")
		_, err := w.registry.Register(t.Context(), agent.Registration{Agent: a, Nonce: nonce, Evidence: evidence(test.by, "agent-evidence+jwt", nonce, nil)})
		if (err == nil) != test.ok {
			t.Errorf("Register(%s) error = %v, want accepted = %v", a.Keys, err, test.ok)
		}
		if got := w.ask(tokenRequest("boxed")); (got.Error == "") != test.ok {
			t.Errorf("response to an assertion of %s = %+v, want a token = %v", a.Keys, got, test.ok)
		}
		// The keyring of a server may have any of the algorithms, too.
		w := newWorld(t, func(_ *agent.Config, c *agent.ServerConfig) { c.Keys = test.by.ring })
		if _, err := w.admit(w.token(t, tokenRequest("reader"))); err != nil {
			t.Errorf("Admit(token that is signed with %s) error = %v", test.by.jwk, err)
		}
	}
	first := partyOf(jwtauth.ES384, p384) // of two algorithms
	agentKeys["boxed"], a.Keys, a.Attestation = first, []string{with(first.jwk, "kid", "k1"), with(stranger.jwk, "kid", "k2")}, ""
	w.register(t, a)
	w.token(t, tokenRequest("boxed"))
}

func thumbprintOf(p party) string { return must(jwtauth.Thumbprint(p.private.Public())) }

func TestNonces(t *testing.T) {
	w, a := attestors(t)
	a.Attestation = "key-registration"
	register := func(r *agent.Registry, nonce string) error {
		_, err := r.Register(t.Context(), agent.Registration{Agent: a, Nonce: nonce, Evidence: evidence(boxed, "agent-evidence+jwt", nonce, nil)})
		return err
	}
	once := w.registry.Nonce("boxed")
	if len(once) < 43 || len(once) > 88 {
		t.Errorf("Nonce = %q with %d characters, want 43 to 88", once, len(once))
	}
	if err := register(w.registry, once); err != nil {
		t.Fatalf("Register error = %v", err)
	}
	a.Owner = "bob" // so that it is no repetition
	other, _ := attestors(t)
	nonces := map[string]string{
		"used before": once, "of another agent": w.registry.Nonce("reader"), "of another process": other.registry.Nonce("boxed"),
		"cut": once[:40], "long": strings.Repeat("A", 100), "empty": "",
	}
	for _, i := range []int{7, 8, 23, 24, 55} { // time, random number, MAC
		changed := must(base64.RawURLEncoding.DecodeString(once))
		changed[i] ^= 1
		nonces[fmt.Sprint("changed at ", i)] = base64.RawURLEncoding.EncodeToString(changed)
	}
	for name, nonce := range nonces {
		if err := register(w.registry, nonce); err == nil {
			t.Errorf("Register with a nonce that is %s: error = nil", name)
		}
	}
	key, old := gatehouse.NewSecret([]byte(strings.Repeat("k", 32))), gatehouse.NewSecret([]byte(strings.Repeat("o", 32)))
	config := func(keys ...gatehouse.Secret) agent.Config {
		c := registryConfig(agent.NewMemory(0), nil)
		c.NonceKeys, c.Attestations = keys, map[string]agent.Attestation{"key-registration": {Attestor: agent.KeyPossession{}, Registration: true}}
		return c
	}
	process := func(keys ...gatehouse.Secret) *agent.Registry { return must(agent.New(config(keys...))) }
	for name, test := range map[string]struct {
		by, of *agent.Registry
		ok     bool
	}{
		"with the old key":                 {process(key, old), process(old), true},
		"without the old key":              {process(key, old), process(key), true},
		"that still verifies with the old": {process(key), process(key, old), true},
		"with a removed key":               {process(key), process(old), false},
	} {
		if err := register(test.by, test.of.Nonce("boxed")); (err == nil) != test.ok {
			t.Errorf("Register with a nonce of a process %s: error = %v, want accepted = %v", name, err, test.ok)
		}
	}
	down := config(key)
	down.Replays = brokenReplays{}
	if err := register(must(agent.New(down)), process(key).Nonce("boxed")); reasonOf(err) != agent.ReasonStoreUnavailable {
		t.Errorf("Register with the replay store down: error = %v, want %s", err, agent.ReasonStoreUnavailable)
	}
	for n, ok := range map[int]bool{8: true, 9: false} {
		c := config(slices.Repeat([]gatehouse.Secret{key}, n)...)
		c.MaxAge = time.Second
		if _, err := agent.New(c); (err == nil) != ok {
			t.Errorf("New with %d keys of nonces error = %v, want accepted = %v", n, err, ok)
		}
	}
	ahead := make(map[time.Duration]string) // by the clock of another process
	synctest.Test(t, func(*testing.T) {
		for _, d := range []time.Duration{10 * time.Second, time.Second} {
			time.Sleep(d)
			ahead[d] = process(key).Nonce("boxed")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := process(key)
		if err := register(r, ahead[10*time.Second]); err != nil {
			t.Errorf("Register with a nonce of in 10 s: error = %v", err)
		}
		if err := register(r, ahead[time.Second]); err == nil {
			t.Error("Register with a nonce of in 11 s: error = nil")
		}
		early := r.Nonce("boxed")
		time.Sleep(5*time.Minute - time.Second)
		if err := register(process(key), early); err != nil {
			t.Errorf("Register with a nonce of 4:59 error = %v", err)
		}
		time.Sleep(time.Second)
		if err := register(r, early); err == nil {
			t.Error("Register with a nonce of 5:00: error = nil")
		}
		time.Sleep(5 * time.Second)
		if err := register(r, ahead[10*time.Second]); err == nil {
			t.Error("Register with a nonce of in 10 s that was used 5:05 ago: error = nil")
		}
		again := r.Nonce("boxed")
		if err := register(r, again); err != nil {
			t.Errorf("Register error = %v", err)
		}
		time.Sleep(5*time.Minute - time.Second)
		if err := register(r, again); err == nil {
			t.Error("Register with a nonce that was used almost five minutes ago: error = nil")
		}
		for seconds, ok := range map[int64]bool{0: false, 1: true, 310: true, 311: false} { // of the claim exp
			nonce := r.Nonce("boxed")
			text := evidence(boxed, "agent-evidence+jwt", nonce, object{"exp": time.Now().Unix() + seconds})
			if _, err := r.Register(t.Context(), agent.Registration{Agent: a, Nonce: nonce, Evidence: text}); (err == nil) != ok {
				t.Errorf("Register with evidence that ends in %d s: error = %v, want accepted = %v", seconds, err, ok)
			}
		}
	})
}

// attestor is one of the application.
type attestor func(agent.Challenge, gatehouse.Secret) error

func (f attestor) Attest(_ context.Context, c agent.Challenge, evidence gatehouse.Secret) error {
	return f(c, evidence)
}

// An attestor gets evidence of a bounded size, and a copy of the agent.
func TestAttestorOfTheApplication(t *testing.T) {
	asked := 0
	c := registryConfig(agent.NewMemory(0), nil)
	c.Attestations = map[string]agent.Attestation{"own": {Registration: true, Attestor: attestor(func(c agent.Challenge, _ gatehouse.Secret) error {
		asked++
		c.Agent.Keys[0] = "changed"
		return nil
	})}}
	r := must(agent.New(c))
	delete(c.Attestations, "own") // has no effect
	a := agent.Agent{ID: "boxed", Tenant: "acme", Roles: must(gatehouse.NewRoles("reader")), Keys: []string{boxed.jwk}, Attestation: "own"}
	for size, want := range map[int]int{0: 0, 1: 1, 16 << 10: 1, 16<<10 + 1: 0} {
		asked = 0
		got, err := r.Register(t.Context(), agent.Registration{Agent: a, Nonce: r.Nonce("boxed"), Evidence: gatehouse.NewSecret(make([]byte, size))})
		if asked != want || (err == nil) != (want == 1) || err == nil && got.Keys[0] != boxed.jwk {
			t.Errorf("Register with evidence of %d bytes = %q, %v after %d calls of the attestor, want %d", size, got.Keys, err, asked, want)
		}
	}
}

type brokenReplays struct{ dpop.ReplayStore }

func (brokenReplays) Insert(context.Context, [32]byte, time.Duration) (bool, error) {
	return false, errors.New("down")
}

func TestEvidenceAtIssue(t *testing.T) {
	w, a := attestors(t)
	register := func(attestation string) {
		t.Helper()
		a.Attestation = attestation
		nonce := w.registry.Nonce("boxed")
		text := evidence(boxed, "agent-evidence+jwt", nonce, object{"svid": svid(people, nil)})
		if strings.HasPrefix(attestation, "eat") {
			text = eat(stranger, "eat+jwt", nonce, nil)
		}
		must(w.registry.Register(t.Context(), agent.Registration{Agent: a, Nonce: nonce, Evidence: text}))
	}
	with := func(nonce string, text gatehouse.Secret) *http.Request {
		return tokenRequest("boxed", "attestation", string(text.Reveal()), "attestation_nonce", nonce)
	}
	nonce := func() string { return w.registry.Nonce("boxed") }
	for attestation, issued := range map[string]bool{"key": true, "key-both": true, "key-registration": true, "svid": true, "eat": true, "svid-issue": false, "eat-issue": false} {
		register(attestation)
		got := w.ask(tokenRequest("boxed"))
		if issued != (got.AccessToken != "") || issued && claimsOf(got.AccessToken)["attestation"] != attestation || !issued && (got.Error != "invalid_client" || w.events.last().Reason != agent.ReasonAttestation) {
			t.Errorf("%s: response without evidence = %+v, want a token = %v", attestation, got, issued)
		}
	}
	register("eat-issue")
	n := nonce()
	r := with(n, eat(stranger, "eat+jwt", n, nil))
	p, err := w.admit(w.token(t, r))
	c, callerErr := w.registry.Caller(t.Context(), p)
	if err != nil || callerErr != nil || c.Attestation != "eat-issue" {
		t.Errorf("Caller = %+v, %v, %v, want the attestation", c, err, callerErr)
	}
	if got := w.ask(with(n, eat(stranger, "eat+jwt", n, nil))); got.Error != "invalid_client" {
		t.Errorf("response to a used nonce = %d %q, want invalid_client", got.Status, got.Error)
	}
	n = nonce()
	if got := w.ask(with(n, eat(people, "eat+jwt", n, nil))); got.Error != "invalid_client" || w.events.last().Reason != agent.ReasonAttestation {
		t.Errorf("response to the evidence of another attester = %d %q, want invalid_client", got.Status, got.Error)
	}
	if got := w.events.last().Credential; got != "boxed" {
		t.Errorf("credential of the refusal = %q, want boxed", got)
	}
	w.token(t, with(n, eat(stranger, "eat+jwt", n, nil))) // rejected evidence does not use the nonce
	// A client that has not authenticated with its key needs evidence of it.
	register("key")
	bySVID := func(params ...string) *http.Request {
		return tokenRequest("", append([]string{"client_id", "boxed", "client_assertion_type", typeSPIFFE, "client_assertion", svid(people, nil)}, params...)...)
	}
	if got := w.ask(bySVID()); got.Error != "invalid_client" || w.events.last().Reason != agent.ReasonAttestation {
		t.Errorf("response to an SVID without evidence = %+v, want invalid_client", got)
	}
	n = nonce()
	w.token(t, bySVID("attestation_nonce", n, "attestation", string(evidence(boxed, "agent-evidence+jwt", n, nil).Reveal())))
	register("down")
	if got := w.ask(with(nonce(), evidence(boxed, "agent-evidence+jwt", n, nil))); got.Status != http.StatusServiceUnavailable {
		t.Errorf("response while the attestor is unavailable = %d %s, want 503", got.Status, got.Error)
	}
	// Delegated tokens say nothing about the agent.
	token := w.token(t, exchangeRequest("boxed", person(nil)))
	if claimsOf(token)["attestation"] != nil {
		t.Errorf("attestation of a delegated token = %v, want none", claimsOf(token)["attestation"])
	}
}

func TestNewAttestorsReportMistakes(t *testing.T) {
	_, err := agent.NewEAT(agent.EATConfig{})
	mistakes(t, "NewEAT(zero)", err, "EATConfig.Profile", "EATConfig.Accept", "Audiences", "Algorithms", "Keys", "URL")
	config := agent.EATConfig{Issuer: idp, Keys: jwtauth.Discover(), Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Audience: origin, Accept: func(context.Context, agent.Agent, gatehouse.Claims) error { return nil }}
	_, err = agent.NewEAT(config)
	mistakes(t, "NewEAT", err, "EATConfig.Profile")
	config.Profile = profile
	closed := must(agent.NewEAT(config))
	must(0, closed.Close())
	mistakes(t, "Attest after Close", causeOf(closed.Attest(t.Context(), agent.Challenge{}, eat(stranger, "eat+jwt", "", object{"iss": idp}))), "is closed")
	defer func() {
		if recover() == nil {
			t.Error("SVID(nil) does not panic")
		}
	}()
	agent.SVID(nil)
}

func TestChallenge(t *testing.T) {
	w, a := attestors(t)
	a.Attestation = "key-both"
	ask := func(method, body string) (int, string) {
		t.Helper()
		r := httptest.NewRequest(method, "/challenge", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		recorder := httptest.NewRecorder()
		w.server.Challenge().ServeHTTP(recorder, r)
		var answer struct {
			Nonce string `json:"attestation_challenge"`
		}
		_ = json.Unmarshal(recorder.Body.Bytes(), &answer)
		if diff := cmp.Diff(recorder.Header(), recorder.Result().Header); diff != "" {
			t.Errorf("header after WriteHeader: %s", diff)
		}
		if got := recorder.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control = %q, want no-store", got)
		}
		if got := recorder.Header().Get("Allow"); (got == "POST") != (recorder.Code == http.StatusMethodNotAllowed) {
			t.Errorf("Allow = %q with the status %d", got, recorder.Code)
		}
		return recorder.Code, answer.Nonce
	}
	for _, test := range []struct {
		method, body string
		want         int
	}{{"GET", "", 405}, {"POST", "", 400}, {"POST", "client_id=%zz", 400}, {"POST", "client_id=a%0A", 400}, {"POST", "client_id=a&client_id=a", 400}} {
		if status, nonce := ask(test.method, test.body); status != test.want || nonce != "" {
			t.Errorf("%s %q = %d %q, want %d", test.method, test.body, status, nonce, test.want)
		}
	}
	status, nonce := ask("POST", "client_id=boxed")
	if _, err := w.registry.Register(t.Context(), agent.Registration{Agent: a, Nonce: nonce, Evidence: evidence(boxed, "agent-evidence+jwt", nonce, nil)}); status != http.StatusOK || err != nil {
		t.Errorf("Register with the nonce of %d error = %v", status, err)
	}
}
