// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// refusal returns the error of a server that does not start.
func refusal(t *testing.T, path string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return run(ctx, path, io.Discard, io.Discard)
}

func TestValidConfigServes(t *testing.T) {
	w := newWorld(t)
	for name, changes := range map[string]object{
		"full":       {},
		"least":      {"tls": nil, "api_keys": nil, "approvals": nil, "issuers": []object{}, "agents": nil},
		"no issuers": {"issuers": nil},
	} {
		changes["audit"] = object{"path": filepath.Join(t.TempDir(), "audit.jsonl"), "signing_key": "file:" + filepath.Join(w.dir, "audit.key")}
		if err := w.start(t, changes).end(syscall.SIGTERM); err != nil {
			t.Errorf("%s: the server ended with %v, want nil", name, err)
		}
	}
}

// A wrong or unknown setting ends the process with the name of the field.
func TestConfigRefuses(t *testing.T) {
	w := newWorld(t)
	agent := func(changes object) object {
		a := object{"id": "a", "tenant": "acme", "roles": []string{"reader"}, "jwk": jwk(w.agents["helper-1"])}
		for name, value := range changes {
			if a[name] = value; value == nil {
				delete(a, name)
			}
		}
		return object{"agents": []object{a}, "api_keys": nil}
	}
	private := jwk(w.agents["helper-1"])
	private["d"] = base64.RawURLEncoding.EncodeToString(value(w.agents["helper-1"].Bytes()))
	missing := "file:" + filepath.Join(w.dir, "missing")
	issuer := func(url string) object { return object{"issuers": []object{{"issuer": url, "audience": "a"}}} }
	for want, changes := range map[string]object{
		`unknown field "more"`:         {"more": 1},
		"addr:":                        {"addr": "here"},
		"public_origin: \"\"":          {"public_origin": nil},
		"public_origin: \"https://a/":  {"public_origin": "https://a/b"},
		"public_origin: \"http://a.ex": {"public_origin": "http://a.example"},
		"public_origin: \"HTTPS":       {"public_origin": "HTTPS://A.example"},
		"tls.cert":                     {"tls": object{"cert": missing, "key": missing}},
		"tls.client_ca":                {"tls": object{"cert": w.settings()["tls"].(object)["cert"], "key": w.settings()["tls"].(object)["key"], "client_ca": "/missing"}},
		"is public_origin":             issuer(w.origin),
		"is public_origin, ":           issuer(w.origin + "/"),
		"is public_origin, which":      issuer(strings.ToUpper(w.origin)),
		"issuers[0]":                   {"issuers": []object{{"issuer": "https://a.example"}}},
		"store.driver":                 {"store": nil},
		"store.dsn":                    {"store": object{"driver": "redis"}},
		"signing_key: must":            {"signing_key": nil},
		"signing_key:":                 {"signing_key": missing},
		"agents[0].id: required":       agent(object{"id": nil}),
		"agents[0].tenant":             agent(object{"tenant": nil}),
		"agents[0].roles: at least":    agent(object{"roles": nil}),
		`unknown role "boss"`:          agent(object{"roles": []string{"boss"}}),
		"agents[0].jwk: required":      agent(object{"jwk": nil}),
		"agents[0]: ":                  agent(object{"jwk": object{}}),
		"agents[0]: agent":             agent(object{"jwk": private}),
		"agents[0]: agent: register":   {"store": object{"driver": "redis", "dsn": "redis://127.0.0.1:1"}, "agents": agent(object{"jwk": private})["agents"], "api_keys": nil},
		"agents[0].attestation":        agent(object{"attestation": "tpm"}),
		"agents[1].id: \"a\" occurs":   {"agents": append(agent(nil)["agents"].([]object), agent(nil)["agents"].([]object)...), "api_keys": nil},
		"roles.reader: a scope":        {"roles": object{"reader": []string{"data:*"}, "executor": allScopes}},
		"roles.reader: at least":       {"roles": object{"reader": []string{}, "executor": allScopes}},
		"roles.reader:":                {"roles": object{"reader": []string{"a b"}, "executor": allScopes}},
		"approvals.ttl":                {"approvals": object{"ttl": "soon"}},
		"approvals.ttl: \"25h\"":       {"approvals": object{"ttl": "25h"}},
		"approvals.admins_for_exec":    {"approvals": object{"admins_for_exec": 0}},
		"audit: required":              {"audit": nil},
		"audit.path":                   {"audit": object{"signing_key": "file:" + filepath.Join(w.dir, "audit.key")}},
		"audit.signing_key":            {"audit": object{"path": filepath.Join(w.dir, "a"), "signing_key": missing}},
		"audit.signing_key: must":      {"audit": object{"path": filepath.Join(w.dir, "a"), "signing_key": "env:HOME"}},
		"audit: open":                  {"audit": object{"path": filepath.Join(w.dir, "missing", "a"), "signing_key": "file:" + filepath.Join(w.dir, "audit.key")}},
		"mint[0].agent":                {"api_keys": object{"driver": "memory", "mint": []object{{"name": "a", "tenant": "globex", "scopes": []string{"data:read"}, "agent": "helper-1"}}}},
		"signin.issuer":                {"signin": object{"issuer": "https://other.example", "client_id": "a", "client_secret": "env:HOME", "scopes": []string{"openid"}, "cookie_keys": []string{"env:HOME"}}},
		"signin.client_secret":         {"signin": object{"issuer": w.issuer.URL, "client_id": "a", "client_secret": missing, "scopes": []string{"openid"}, "cookie_keys": []string{missing}}},
		"signin.scopes":                {"signin": object{"issuer": w.issuer.URL, "client_id": "a", "client_secret": missing, "scopes": []string{"profile"}}},
	} {
		err := refusal(t, w.write(t, changes))
		if want = strings.TrimRight(want, " ,"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("run(%v) error = %v, want %q", changes, err, want)
		}
	}
	for want, text := range map[string]string{
		`"addr" occurs twice`:   `{"addr": "127.0.0.1:0", "addr": "127.0.0.1:1"}`,
		`"reader" occurs twice`: `{"roles": {"reader": ["a"], "reader": ["b"]}}`,
		`unknown field "Addr"`:  `{"Addr": "127.0.0.1:0"}`,
		"data after":            `{} {}`,
		"agents: unexpected":    `{"agents": {}}`,
	} {
		if err := refusal(t, writeText(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("run(%s) error = %v, want %q", text, err, want)
		}
	}
	if err := refusal(t, "/missing"); err == nil {
		t.Error("run(/missing) error = nil, want one")
	}
}

// The README has a row for every field, and the story as it is printed.
func TestReadme(t *testing.T) {
	readme := value(os.ReadFile("README.md"))
	checkFields(t, string(readme), "", config{})
	var printed bytes.Buffer
	must(t, story(t.Context(), &printed))
	if !strings.Contains(string(readme), strings.TrimSpace(normalized(printed.String()))) {
		t.Errorf("README.md does not have the story as it is printed:\n%s", normalized(printed.String()))
	}
}
