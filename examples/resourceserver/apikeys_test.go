// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"database/sql"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// minted returns the keys that a server has printed, by their names.
func (p *process) minted() map[string]string {
	p.t.Helper()
	keys := make(map[string]string)
	for line := range strings.Lines(p.stdout.String()) {
		if fields := strings.Fields(line); fields[0] == "api-key" && len(fields) == 3 {
			keys[fields[1]] = p.key(fields[2])
		}
	}
	return keys
}

// key says that the secret part of a key must not be seen. The rest may be.
func (p *process) key(text string) string {
	p.secret(text[strings.LastIndex(text, "_")+1:])
	return text
}

func TestMintedKeys(t *testing.T) {
	t.Parallel()
	issuer := authtest.NewIssuer(t)
	p := start(t, configure([]object{trust(issuer, nil)}, object{"api_keys": object{"driver": "memory", "mint": []object{
		{"name": "ci", "tenant": "acme", "scopes": []string{"reports:read"}},
		{"name": "writer", "tenant": "acme", "scopes": []string{"reports:write", "reports:read"}},
		{"name": "nothing"},
	}}}))
	keys := p.minted()
	if len(keys) != 3 || strings.Count(p.stdout.String(), "\n") != 4 {
		t.Fatalf("on standard output:\n%s", p.stdout)
	}
	ci := keys["ci"]

	t.Run("whoami", func(t *testing.T) {
		label, err := apikey.Parse(ci)
		if err != nil {
			t.Fatal(err)
		}
		for _, header := range [][]string{{"X-API-Key", ci}, {"Authorization", "ApiKey " + ci}, {"Authorization", "Bearer " + ci}} {
			a := p.do("GET", "/whoami", header...)
			var got object
			if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != http.StatusOK {
				t.Fatalf("%s: %v", header[0], a)
			}
			expires, err := time.Parse(time.RFC3339, got["expires"].(string))
			if left := time.Until(expires); err != nil || left < 89*24*time.Hour || left > 90*24*time.Hour || expires.Location() != time.UTC {
				t.Errorf("expires %v, want 90 days from now", got["expires"])
			}
			delete(got, "expires")
			want := object{
				"subject": "ci", "issuer": "gatehouse", "tenant": "acme", "client": "", "method": "api_key",
				"credential": label.ID, "scopes": []any{"reports:read"},
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %v\nwant %v", header[0], got, want)
			}
		}
	})

	last := ci[len(ci)-1]
	typo := ci[:len(ci)-1] + string('0'+('9'-last)%9)
	token := p.secret(issuer.Token(reader))
	for _, test := range []struct {
		name         string
		method, path string
		header       []string
		want         string
		reason       string
	}{
		{"a scope that it has", "GET", "/reports", []string{"X-API-Key", ci}, "200", ""},
		{"a scope that it lacks", "POST", "/reports", []string{"X-API-Key", ci}, "403 insufficient_scope", "scope_missing"},
		{"both scopes", "POST", "/reports", []string{"X-API-Key", keys["writer"]}, "200", ""},
		{"no scopes", "GET", "/reports", []string{"X-API-Key", keys["nothing"]}, "403 insufficient_scope", "scope_missing"},
		{"its tenant", "GET", "/tenants/acme/reports", []string{"X-API-Key", ci}, "200", ""},
		{"another tenant", "GET", "/tenants/globex/reports", []string{"X-API-Key", ci}, "403 access_denied", "tenant_mismatch"},
		{"no tenant", "GET", "/tenants/acme/reports", []string{"X-API-Key", keys["nothing"]}, "403 access_denied", "tenant_mismatch"},
		{"a token beside keys", "GET", "/reports", []string{"Authorization", "Bearer " + token}, "200", ""},

		{"a typing error", "GET", "/reports", []string{"X-API-Key", typo}, "403 invalid_api_key", "key_malformed"},
		{"a typing error, ApiKey", "GET", "/reports", []string{"Authorization", "ApiKey " + typo}, "401 invalid_api_key", "key_malformed"},
		{"a typing error, Bearer", "GET", "/reports", []string{"Authorization", "Bearer " + typo}, "401 invalid_token", "key_malformed"},
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
			if got := a.String(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if test.reason == "" {
				if records := p.records()[before:]; len(records) > 0 {
					t.Errorf("the log says %+v", records)
				}
			} else if r := p.lastRefusal(); r.Reason != test.reason || r.Error != a.code() {
				t.Errorf("the log says %+v, want the reason %s", r, test.reason)
			}
		})
	}
}

// openStore makes a store of an engine that several servers can share. It
// returns what the configuration says of it, the same store for the hands of an
// operator, and how to stop and start the engine, nil if there is none.
func openStore(t *testing.T, driver string) (dsn string, store apikey.Store, down, up func()) {
	t.Helper()
	switch driver {
	case "sqlite":
		path := filepath.Join(t.TempDir(), "keys.db")
		return path, sqlStore(t, "sqlite", sqlstore.SQLiteDSN(path)), nil, nil
	case "postgres":
		engine := enginetest.StartPostgres(t)
		dsn := engine.Database(t)
		return dsn, sqlStore(t, "pgx", dsn), func() { engine.Kill(t) }, func() { engine.Start(t) }
	case "redis":
		engine := enginetest.StartRedis(t)
		options, err := redis.ParseURL(engine.URL())
		if err != nil {
			t.Fatal(err)
		}
		options.ContextTimeoutEnabled = true
		client := redis.NewClient(options)
		t.Cleanup(func() { client.Close() })
		store, err := redisstore.New(redisstore.Config{Client: client})
		if err != nil {
			t.Fatal(err)
		}
		return engine.URL(), store.APIKeys(), func() { engine.Kill(t) }, func() { engine.Start(t) }
	}
	t.Fatalf("no engine is called %s", driver)
	return
}

func sqlStore(t *testing.T, driver, dsn string) apikey.Store {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	store, err := sqlstore.New(sqlstore.Config{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	return store.APIKeys()
}

// operator returns what another program does with keys in the same store.
func operator(t *testing.T, store apikey.Store) *apikey.Keys {
	t.Helper()
	keys, err := apikey.New(apikey.Config{Store: store, Prefix: "gatehouse", Scopes: []string{"reports:read"}})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func create(t *testing.T, keys *apikey.Keys) apikey.Issued {
	t.Helper()
	issued, err := keys.Create(t.Context(), apikey.Request{
		Owner: "ci", Tenant: "acme", Scopes: []string{"reports:read"}, Lifetime: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

// TestSharedStore holds that two servers and an operator can share a store: a
// key made or revoked by one is a key, or is none, for all.
func TestSharedStore(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sqlite", "postgres", "redis"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn, store, down, up := openStore(t, name)
			issuer := authtest.NewIssuer(t)
			file := filepath.Join(t.TempDir(), "dsn")
			if err := os.WriteFile(file, []byte(dsn+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			config := func(dsn, ttl string) object {
				return configure([]object{trust(issuer, nil)}, object{"api_keys": object{"driver": name, "dsn": dsn, "cache_ttl": ttl}})
			}
			// One with the address as it is and no cache, one with the address
			// in a file and a cache.
			first := start(t, config(dsn, "0s"))
			second := start(t, config("file:"+file, "5s"))
			third := start(t, config("env:KEYS_DSN", ""), "KEYS_DSN="+dsn)
			servers := []*process{first, second, third}

			keys := operator(t, store)
			issued := create(t, keys)
			text := string(issued.Secret.Reveal())
			for n, p := range servers {
				for range 2 {
					if a := p.do("GET", "/tenants/acme/reports", "X-API-Key", p.key(text)); a.status != http.StatusOK {
						t.Errorf("server %d: %v", n, a)
					}
				}
			}
			if _, err := keys.Revoke(t.Context(), issued.Key.ID); err != nil {
				t.Fatal(err)
			}
			for _, p := range []*process{first, third} {
				if a := p.do("GET", "/reports", "X-API-Key", text); a.String() != "403 invalid_api_key" || p.lastRefusal().Reason != "key_revoked" {
					t.Errorf("revoked, and no cache: %v, %+v", a, p.lastRefusal())
				}
			}
			// SQLite tells nobody, so that is the bound of the cache.
			within := map[string]time.Duration{"sqlite": 6 * time.Second}[name]
			eventually(t, max(within, 2*time.Second), "revoked, and a cache", func() bool {
				return second.do("GET", "/reports", "X-API-Key", text).String() == "403 invalid_api_key"
			})

			if down == nil {
				return
			}
			live := string(create(t, keys).Secret.Reveal())
			down()
			for _, p := range []*process{first, third} {
				a := p.do("GET", "/reports", "X-API-Key", p.key(live))
				if a.String() != "503 temporarily_unavailable" || a.header.Get("Retry-After") == "" {
					t.Errorf("engine down: %v %v", a, a.header)
				}
				if r := p.lastRefusal(); r.Reason != "key_store_unavailable" || r.Cause == "" {
					t.Errorf("engine down: the log says %+v", r)
				}
				if a := p.with(issuer.Token(reader), "GET", "/reports"); a.status != http.StatusOK {
					t.Errorf("engine down: a token: %v", a)
				}
				if a := p.do("GET", "/healthz"); a.status != http.StatusOK {
					t.Errorf("engine down: healthz: %v", a)
				}
			}
			up()
			for n, p := range servers {
				eventually(t, deadline, "a key is good again", func() bool {
					return p.do("GET", "/reports", "X-API-Key", p.key(live)).status == http.StatusOK
				})
				if a := p.do("GET", "/reports", "X-API-Key", text); a.String() != "403 invalid_api_key" {
					t.Errorf("server %d: a revoked key after the engine came back: %v", n, a)
				}
			}
		})
	}
}

// TestEngineDownAtStart holds that a server starts without its engine, and
// makes its tables once that is there.
func TestEngineDownAtStart(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"postgres", "redis"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn, store, down, up := openStore(t, name)
			down()
			issuer := authtest.NewIssuer(t)
			began := time.Now()
			p := start(t, configure([]object{trust(issuer, nil)}, object{"api_keys": object{"driver": name, "dsn": dsn}}))
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v to start", took)
			}
			stray := newText(t)
			if a := p.do("GET", "/reports", "X-API-Key", p.key(stray)); a.String() != "503 temporarily_unavailable" {
				t.Errorf("engine down: %v", a)
			}
			up()
			eventually(t, deadline, "the tables are there", func() bool {
				return p.do("GET", "/reports", "X-API-Key", stray).String() == "403 invalid_api_key"
			})
			text := string(create(t, operator(t, store)).Secret.Reveal())
			if a := p.do("GET", "/reports", "X-API-Key", p.key(text)); a.status != http.StatusOK {
				t.Errorf("a key afterwards: %v", a)
			}
		})
	}
}

// newText returns a well-formed key that is in no store.
func newText(t *testing.T) string {
	t.Helper()
	return string(create(t, operator(t, apikey.NewMemory(0))).Secret.Reveal())
}

func TestBadAPIKeysConfiguration(t *testing.T) {
	t.Parallel()
	const password = "open-sesame"
	mint := func(mints ...object) object { return object{"driver": "memory", "mint": mints} }
	for _, test := range []struct {
		name string
		keys any
		want string
	}{
		{"no driver", object{}, `api_keys.driver: "" is none of`},
		{"unknown driver", object{"driver": "mysql", "dsn": "a"}, `api_keys.driver: "mysql" is none of`},
		{"unknown field", object{"driver": "memory", "prefix": "acme"}, `unknown field "prefix"`},
		{"a list", []object{}, "api_keys"},
		{"memory with dsn", object{"driver": "memory", "dsn": "keys.db"}, "api_keys.dsn: the driver memory has none"},
		{"sqlite without dsn", object{"driver": "sqlite"}, "api_keys.dsn: required"},
		{"postgres without dsn", object{"driver": "postgres", "dsn": ""}, "api_keys.dsn: required"},
		{"redis without dsn", object{"driver": "redis"}, "api_keys.dsn: required"},
		{"sqlite in no directory", object{"driver": "sqlite", "dsn": "/nonexistent/keys.db"}, "api_keys.dsn: "},
		{"dsn not set", object{"driver": "postgres", "dsn": "env:NO_SUCH_DSN"}, "api_keys.dsn: gatehouse: secret env:NO_SUCH_DSN: not set"},
		{"dsn in no file", object{"driver": "postgres", "dsn": "file:/nonexistent"}, "api_keys.dsn: "},
		{"dsn of something else", object{"driver": "postgres", "dsn": "https://u:" + password + "@127.0.0.1/db?port=x"}, "api_keys.dsn: not a PostgreSQL connection string"},
		{"dsn of PostgreSQL, malformed", object{"driver": "postgres", "dsn": "postgres://u:" + password + "@127.0.0.1:port/db"}, "api_keys.dsn: not a PostgreSQL connection string"},
		{"dsn of Redis, malformed", object{"driver": "redis", "dsn": "redis://:" + password + "@127.0.0.1:port/db"}, "api_keys.dsn: not a Redis URL"},
		{"dsn of PostgreSQL for Redis", object{"driver": "redis", "dsn": "postgres://u:" + password + "@127.0.0.1/db"}, "api_keys.dsn: not a Redis URL"},
		{"cache_ttl not a duration", object{"driver": "memory", "cache_ttl": "5"}, `api_keys.cache_ttl: "5" is not a duration`},
		{"cache_ttl too long", object{"driver": "memory", "cache_ttl": "6s"}, "api_keys.cache_ttl: must be at most 5s"},
		{"cache_ttl negative", object{"driver": "memory", "cache_ttl": "-1s"}, "api_keys.cache_ttl: must be at most 5s"},
		{"mint with another driver", object{"driver": "sqlite", "dsn": filepath.Join(t.TempDir(), "keys.db"), "mint": []object{{"name": "ci"}}}, "api_keys.mint: for the driver memory only"},
		{"mint without a name", mint(object{"tenant": "acme"}), "api_keys.mint[0].name: required"},
		{"mint with a name of two words", mint(object{"name": "c i"}), "api_keys.mint[0].name: contains a space"},
		{"mint with a name of two lines", mint(object{"name": "ci\nlistening"}), "api_keys.mint[0].name: contains a space"},
		{"mint with a name of control characters", mint(object{"name": "ci\x00"}), "api_keys.mint[0].name: "},
		{"mint twice", mint(object{"name": "ci"}, object{"name": "ci"}), "api_keys.mint[1].name: occurs twice"},
		{"mint with a bad tenant", mint(object{"name": "ci"}, object{"name": "cd", "tenant": "a\nb"}), "api_keys.mint[1].tenant: "},
		{"mint with a wildcard", mint(object{"name": "ci", "scopes": []string{"reports:*"}}), "wildcards are not supported"},
		{"mint with *", mint(object{"name": "ci", "scopes": []string{"*"}}), "wildcards are not supported"},
		{"mint with two scopes in one", mint(object{"name": "ci", "scopes": []string{"reports:read reports:write"}}), "api_keys.mint: scopes: "},
		{"mint with an empty scope", mint(object{"name": "ci", "scopes": []string{""}}), "api_keys.mint: scopes: "},
		{"mint with an unknown field", mint(object{"name": "ci", "scope": "reports:read"}), `unknown field "scope"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := refuse(t, writeConfig(t, configure([]object{good(nil)}, object{"api_keys": test.keys})))
			if !strings.HasPrefix(got, "resourceserver: ") || !strings.Contains(got, test.want) {
				t.Errorf("it says:\n%s\nwant %q in it", got, test.want)
			}
			if strings.Contains(got, password) || strings.Contains(got, "goroutine ") {
				t.Errorf("it says too much:\n%s", got)
			}
		})
	}
}
