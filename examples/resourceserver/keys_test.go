// SPDX-License-Identifier: Apache-2.0

package main

import (
	"database/sql"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/store"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// minted returns the keys that the app has printed, by name.
func (s *server) minted() map[string]string {
	s.t.Helper()
	keys := make(map[string]string)
	for line := range strings.Lines(s.stdout.String()) {
		if fields := strings.Fields(line); fields[0] == "api-key" && len(fields) == 3 {
			keys[fields[1]] = s.key(fields[2])
		}
	}
	return keys
}

// key marks the secret part of an API key as a secret.
func (s *server) key(text string) string {
	s.secret(text[strings.LastIndex(text, "_")+1:])
	return text
}

var ciKey = object{"name": "ci", "tenant": "acme", "scopes": []string{"reports:read"}}

func TestMintedKeys(t *testing.T) {
	t.Parallel()
	p, issuer := serve(t, object{"api_keys": object{"driver": "memory", "mint": []object{
		ciKey, {"name": "writer", "tenant": "acme", "scopes": []string{"reports:write", "reports:read"}}, {"name": "nothing"},
	}}})
	keys := p.minted()
	if len(keys) != 3 || strings.Count(p.stdout.String(), "\n") != 4 {
		t.Fatalf("stdout = %s, want 3 keys", &p.stdout)
	}
	ci := keys["ci"]

	t.Run("whoami", func(t *testing.T) {
		label := must(apikey.Parse(ci))
		for _, header := range [][]string{{"X-API-Key", ci}, {"Authorization", "ApiKey " + ci}, {"Authorization", "Bearer " + ci}} {
			a := p.do("GET", "/whoami", header...)
			var got struct{ Expires string }
			_ = json.Unmarshal([]byte(a.body), &got)
			expires, err := time.Parse(time.RFC3339, got.Expires)
			if left := time.Until(expires); err != nil || left < 89*24*time.Hour || left > 90*24*time.Hour || expires.Location() != time.UTC {
				t.Errorf("%s: expires = %q, want 90 days from now, in UTC", header[0], got.Expires)
			}
			a.wantJSON(t, object{
				"subject": "ci", "issuer": "gatehouse", "tenant": "acme", "client": "", "method": "api_key",
				"credential": label.ID, "binding": "", "scopes": []any{"reports:read"}, "expires": got.Expires,
			})
		}
	})

	typo := ci[:len(ci)-1] + "0"
	if typo == ci {
		typo = ci[:len(ci)-1] + "1"
	}
	token := p.secret(issuer.Token(reader))
	for _, test := range []struct {
		name, method, path string
		header             []string
		want, reason       string
	}{
		{"a scope that it has", "GET", "/reports", []string{"X-API-Key", ci}, "200", ""},
		{"a scope that it lacks", "POST", "/reports", []string{"X-API-Key", ci}, "403 insufficient_scope", "scopes_missing"},
		{"both scopes", "POST", "/reports", []string{"X-API-Key", keys["writer"]}, "200", ""},
		{"no scopes", "GET", "/reports", []string{"X-API-Key", keys["nothing"]}, "403 insufficient_scope", "scopes_missing"},
		{"its tenant", "GET", "/tenants/acme/reports", []string{"X-API-Key", ci}, "200", ""},
		{"another tenant", "GET", "/tenants/globex/reports", []string{"X-API-Key", ci}, "403 access_denied", "tenant_mismatch"},
		{"no tenant", "GET", "/tenants/acme/reports", []string{"X-API-Key", keys["nothing"]}, "403 access_denied", "tenant_mismatch"},
		{"a token beside keys", "GET", "/reports", []string{"Authorization", "Bearer " + token}, "200", ""},

		{"a typing error", "GET", "/reports", []string{"X-API-Key", typo}, "403 invalid_api_key", "apikey_malformed"},
		{"a typing error, ApiKey", "GET", "/reports", []string{"Authorization", "ApiKey " + typo}, "401 invalid_api_key", "apikey_malformed"},
		{"a typing error, Bearer", "GET", "/reports", []string{"Authorization", "Bearer " + typo}, "401 invalid_token", "apikey_malformed"},
		{"something else", "GET", "/reports", []string{"X-API-Key", p.secret("an-apple-a-day")}, "403 invalid_api_key", "credential_unclaimed"},
		{"something else, Bearer", "GET", "/reports", []string{"Authorization", "Bearer " + p.secret("an-apple-a-day")}, "401 invalid_token", "credential_unclaimed"},
		{"nothing", "GET", "/reports", nil, "401 missing_credentials", "no_credentials"},
		{"in a cookie", "GET", "/reports", []string{"Cookie", "key=" + ci}, "401 missing_credentials", "no_credentials"},
		{"in the query", "GET", "/reports?key=" + ci, nil, "401 missing_credentials", "credential_in_url"},
		{"in the path", "GET", "/reports/" + ci, nil, "401 missing_credentials", "credential_in_url"},
		{"in the query, beside a token", "GET", "/reports?key=" + ci, []string{"Authorization", "Bearer " + token}, "400 invalid_request", "credential_in_url"},
		{"two keys", "GET", "/reports", []string{"X-API-Key", ci, "X-API-Key", ci}, "400 invalid_request", "several_credentials"},
		{"a key and a token", "GET", "/reports", []string{"X-API-Key", ci, "Authorization", "Bearer " + token}, "400 invalid_request", "several_credentials"},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := len(p.records())
			a := p.do(test.method, test.path, test.header...)
			a.want(t, test.method+" "+test.path, test.want)
			if test.reason == "" {
				if records := p.records()[before:]; len(records) > 0 {
					t.Errorf("log = %+v, want no records", records)
				}
			} else if r := p.lastRejection(); r.Reason != test.reason || r.Error != a.code() {
				t.Errorf("log = %+v, want the reason %s", r, test.reason)
			}
		})
	}
}

// openShared returns the dsn of a store that processes can share, the same store
// for an operator, and functions that stop and start its engine, nil for SQLite.
func openShared(t *testing.T, driver string) (dsn string, keys *apikey.Keys, down, up func()) {
	t.Helper()
	switch driver {
	case "sqlite":
		dsn = filepath.Join(t.TempDir(), "keys.db")
	case "postgres":
		engine := enginetest.StartPostgres(t)
		dsn, down, up = engine.Database(t), func() { engine.Kill(t) }, func() { engine.Start(t) }
	case "redis":
		engine := enginetest.StartRedis(t)
		dsn, down, up = engine.URL(), func() { engine.Kill(t) }, func() { engine.Start(t) }
	}
	db := must(store.Open(store.Config{Driver: driver, DSN: dsn}))
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	enginetest.Eventually(t, deadline, "the store is prepared", db.Ready)
	return dsn, operator(t, db.APIKeys), down, up
}

// operator returns the API keys as another program manages them.
func operator(t *testing.T, store apikey.Store) *apikey.Keys {
	t.Helper()
	return must(apikey.New(apikey.Config{Store: store, Prefix: keyPrefix, Scopes: []string{"reports:read"}}))
}

func create(t *testing.T, keys *apikey.Keys) (text, id string) {
	t.Helper()
	issued := must(keys.Create(t.Context(), apikey.Request{Owner: "ci", Tenant: "acme", Scopes: []string{"reports:read"}, Lifetime: time.Hour}))
	return string(issued.Secret.Reveal()), issued.Key.ID
}

// TestSharedStore runs servers without a cache and with one, and an operator, on
// one store. Creation and revocation take effect in all servers, and an engine that
// is down is 503.
func TestSharedStore(t *testing.T) {
	for _, driver := range []string{"sqlite", "postgres", "redis"} {
		t.Run(driver, func(t *testing.T) {
			if driver != "sqlite" {
				enginetest.Slow(t)
			}
			dsn, keys, down, up := openShared(t, driver)
			t.Setenv("KEYS_DSN", dsn)
			issuer := authtest.NewIssuer(t)
			open := func(dsn, ttl string) *server {
				return start(t, configure([]object{trust(issuer, nil)}, object{"api_keys": object{"driver": driver, "dsn": dsn, "cache_ttl": ttl}}))
			}
			uncached := []*server{open(dsn, "0s"), open("env:KEYS_DSN", "")}
			cached := open("file:"+writeFile(t, "dsn", dsn+"\n"), "1s")
			get := func(s *server, text string) answer {
				return s.do("GET", "/tenants/acme/reports", "X-API-Key", s.key(text))
			}
			waitFor := func(s *server, text, want string) {
				t.Helper()
				enginetest.Eventually(t, deadline, want, func() bool { return get(s, text).String() == want })
			}

			text, id := create(t, keys)
			for _, s := range append(uncached, cached) {
				for range 2 {
					get(s, text).want(t, "new key", "200")
				}
			}
			if _, err := keys.Revoke(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			for n, s := range uncached {
				get(s, text).want(t, "revoked key", "403 invalid_api_key")
				if r := s.lastRejection(); r.Reason != "apikey_revoked" {
					t.Errorf("server %d: the log has %+v, want apikey_revoked", n, r)
				}
			}
			waitFor(cached, text, "403 invalid_api_key")

			if down == nil {
				return
			}
			valid, _ := create(t, keys)
			down()
			all := append(uncached, open(dsn, "")) // which starts without its engine
			for n, s := range all {
				a, r := get(s, valid), s.lastRejection()
				if a.String() != "503 temporarily_unavailable" || a.header.Get("Retry-After") == "" || r.Reason != "apikey_store_unavailable" || r.Cause == "" {
					t.Errorf("server %d: engine down = %v %v, %+v, want 503", n, a, a.header, r)
				}
				s.with(issuer.Token(reader), "GET", "/reports").want(t, "token while the engine is down", "200")
				s.do("GET", "/healthz").want(t, "GET /healthz while the engine is down", "200")
			}
			up()
			for _, s := range append(all, cached) {
				waitFor(s, valid, "200")
				get(s, text).want(t, "revoked key after a restart of the engine", "403 invalid_api_key")
			}
		})
	}
}

// TestUnsuitableStoreIsRefused: the app does not start on a database that has other tables
// than this program knows.
func TestUnsuitableStoreIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.db")
	db := must(sql.Open("sqlite", sqlstore.SQLiteDSN(path)))
	defer db.Close()
	if err := must(sqlstore.New(sqlstore.Config{DB: db})).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "INSERT INTO gatehouse_migrations (package, version) VALUES ('apikey', 99)"); err != nil {
		t.Fatal(err)
	}
	store := object{"driver": "sqlite", "dsn": path}
	for field, changes := range map[string]object{
		"api_keys.dsn: ": {"api_keys": store}, "dpop.replay.dsn: ": {"public_origin": publicOrigin, "dpop": object{"replay": store}},
	} {
		if got := refuse(t, configure([]object{good(nil)}, changes)); !strings.HasPrefix(got, field) || !strings.Contains(got, "version 99") {
			t.Errorf("run = %s, want %q and the version 99", got, field)
		}
	}
}

func TestInvalidKeysConfigIsRefused(t *testing.T) {
	mint := func(mints ...object) object { return object{"driver": "memory", "mint": mints} }
	tests := []refusal{
		{"no driver", object{}, `api_keys.driver: "" is none of`},
		{"unknown driver", object{"driver": "mysql", "dsn": "a"}, `api_keys.driver: "mysql" is none of`},
		{"unknown field", object{"driver": "memory", "prefix": "acme"}, `…unknown field "prefix"`},
		{"a list", []object{}, "api_keys"},
		{"memory with dsn", object{"driver": "memory", "dsn": "keys.db"}, "api_keys.dsn: the driver memory has none"},
		{"sqlite without dsn", object{"driver": "sqlite"}, "api_keys.dsn: required"},
		{"postgres without dsn", object{"driver": "postgres", "dsn": ""}, "api_keys.dsn: required"},
		{"sqlite in no directory", object{"driver": "sqlite", "dsn": "/nonexistent/keys.db"}, "api_keys.dsn: "},
		{"dsn not set", object{"driver": "postgres", "dsn": "env:NO_SUCH_DSN"}, "api_keys.dsn: gatehouse: secret env:NO_SUCH_DSN: not set"},
		{"dsn of something else", object{"driver": "postgres", "dsn": "https://u:" + secret + "@127.0.0.1/db?port=x"}, "api_keys.dsn: not a PostgreSQL connection string"},
		{"dsn of Redis, malformed", object{"driver": "redis", "dsn": "redis://:" + secret + "@127.0.0.1:port/db"}, "api_keys.dsn: not a Redis URL"},
		{"cache_ttl not a duration", object{"driver": "memory", "cache_ttl": "5"}, `api_keys.cache_ttl: "5" is not a duration`},
		{"cache_ttl too long", object{"driver": "memory", "cache_ttl": "6s"}, "api_keys.cache_ttl: got "},
		{"mint with another driver", object{"driver": "sqlite", "dsn": filepath.Join(t.TempDir(), "keys.db"), "mint": []object{{"name": "ci"}}}, "api_keys.mint: for the driver memory only"},
		{"mint without a name", mint(object{"tenant": "acme"}), "api_keys.mint[0].name: required"},
		{"mint with a name of two words", mint(object{"name": "c i"}), "api_keys.mint[0].name: contains a space"},
		{"mint with a name of control characters", mint(object{"name": "ci\x00"}), "api_keys.mint[0].name: "},
		{"mint twice", mint(object{"name": "ci"}, object{"name": "ci"}), "api_keys.mint[1].name: occurs twice"},
		{"mint with a bad tenant", mint(object{"name": "ci"}, object{"name": "cd", "tenant": "a\nb"}), "api_keys.mint[1].tenant: "},
		{"mint with a wildcard", mint(object{"name": "ci", "scopes": []string{"reports:*"}}), "…wildcards are not supported"},
		{"mint with two scopes in one", mint(object{"name": "ci", "scopes": []string{"reports:read reports:write"}}), "api_keys.mint: scopes: "},
		{"mint with an unknown field", mint(object{"name": "ci", "scope": "reports:read"}), `…unknown field "scope"`},
	}
	for n, test := range tests {
		tests[n].config = configure([]object{good(nil)}, object{"api_keys": test.config})
	}
	checkRefused(t, tests)
}
