// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
)

// refuse runs the program with a configuration that is bad, and returns what it
// says.
func refuse(t *testing.T, path string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out := new(webtest.Log)
	err := run(ctx, path, out, io.Discard)
	if err == nil || ctx.Err() != nil {
		t.Fatalf("it did not refuse: %v", err)
	}
	if out.String() != "" {
		t.Errorf("on standard output: %s", out)
	}
	return err.Error()
}

func TestBadConfiguration(t *testing.T) {
	const origin, issuer = "https://notes.example.com", "https://auth.example.com"
	open := filepath.Join(t.TempDir(), "open")
	if err := os.WriteFile(open, []byte(webtest.CookieKey), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	store := func(driver, dsn any) object {
		return object{"session_store": object{"driver": driver, "dsn": dsn}}
	}
	for _, test := range []struct {
		name    string
		changes object
		want    string
	}{
		{"unknown field", object{"debug": true}, `unknown field "debug"`},
		{"unknown field of the store", object{"session_store": object{"driver": "memory", "ttl": "1s"}}, `unknown field "ttl"`},
		{"in capitals", object{"ADDR": "127.0.0.1:0"}, `unknown field "ADDR"`},
		{"misspelt", object{"client_secert": "a"}, `unknown field "client_secert"`},
		{"misspelt in the store", object{"session_store": object{"driver": "sqlite", "dns": "a"}}, `unknown field "dns"`},
		{"scopes as one string", object{"scopes": "openid"}, "scopes: unexpected string"},
		{"keys as one string", object{"cookie_keys": "env:WEBTEST_KEY"}, "cookie_keys: unexpected string"},
		{"a key of another type", object{"cookie_keys": []int{1}}, "cookie_keys: unexpected number"},
		{"idle as a number", object{"idle": 15}, "idle: unexpected number"},
		{"absolute as a number", object{"absolute": 12}, "absolute: unexpected number"},
		{"store as a string", object{"session_store": "memory"}, "session_store: unexpected string"},
		{"client as a number", object{"client_id": 1}, "client_id: unexpected number"},

		{"addr missing", object{"addr": nil}, `addr: "" is not host:port`},
		{"addr without a port", object{"addr": "127.0.0.1"}, `addr: "127.0.0.1" is not host:port`},
		{"addr of another machine", object{"addr": "192.0.2.1:0"}, "addr: "},
		{"origin missing", object{"public_origin": nil}, "public_origin: required"},
		{"origin over plain http", object{"public_origin": "http://notes.example.com"}, "public_origin: plain http is for loopback addresses only"},
		{"origin with a slash", object{"public_origin": origin + "/"}, "public_origin: is not an origin"},
		{"origin with a path", object{"public_origin": origin + "/a"}, "public_origin: is not an origin"},
		{"origin with a wildcard", object{"public_origin": "https://*.example.com"}, "public_origin: is not an origin"},
		{"origin with the default port", object{"public_origin": origin + ":443"}, "public_origin: names the default port"},
		{"origin without a scheme", object{"public_origin": "localhost:8080"}, "public_origin: not an absolute URL"},
		{"origin is any", object{"public_origin": "*"}, "public_origin: not an absolute URL"},
		{"issuer without a scheme", object{"issuer": "auth.example.com"}, "issuer: not an absolute URL"},
		{"client empty", object{"client_id": ""}, "client_id: required"},
		{"issuer missing", object{"issuer": nil}, "issuer: required"},
		{"issuer over plain http", object{"issuer": "http://auth.example.com"}, "issuer: plain http"},
		{"issuer with a query", object{"issuer": issuer + "?a"}, "issuer: has a query"},
		{"client missing", object{"client_id": nil}, "client_id: required"},
		{"secret missing", object{"client_secret": nil}, "client_secret: gatehouse: a secret is given as"},
		{"literal secret", object{"client_secret": webtest.ClientSecret}, "client_secret: gatehouse: a secret is given as env:NAME or file:PATH"},
		{"secret not set", object{"client_secret": "env:NO_SUCH_SECRET"}, "client_secret: gatehouse: secret env:NO_SUCH_SECRET: not set"},
		{"secret in no file", object{"client_secret": "file:" + open + ".none"}, "client_secret: "},

		{"scopes missing", object{"scopes": nil}, "scopes: openid is required"},
		{"scopes without openid", object{"scopes": []string{"email"}}, "scopes: openid is required"},
		{"scopes with a space", object{"scopes": []string{"openid profile"}}, "scopes: "},
		{"scopes with an empty one", object{"scopes": []string{"openid", ""}}, "scopes: "},
		{"scopes with a quotation mark", object{"scopes": []string{"openid", `a"b`}}, "scopes: "},

		{"keys missing", object{"cookie_keys": nil}, "cookie_keys: cookie: NewRing: at least one secret is required"},
		{"literal key", object{"cookie_keys": []string{webtest.CookieKey}}, "cookie_keys[0]: gatehouse: a secret is given as"},
		{"short key", object{"cookie_keys": []string{"env:WEBTEST_KEY", "env:WEBTEST_SHORT"}}, "cookie_keys[1]: "},
		{"a key twice", object{"cookie_keys": []string{"env:WEBTEST_KEY", "env:WEBTEST_KEY"}}, "cookie_keys: cookie: NewRing: secret 1 occurs twice"},
		{"a key in a file that is open to all", object{"cookie_keys": []string{"file:" + open}}, "mode 0644"},

		{"store missing", object{"session_store": nil}, `session_store.driver: "" is none of`},
		{"driver unknown", store("mysql", "a"), `session_store.driver: "mysql" is none of`},
		{"memory with a dsn", store("memory", "a"), "session_store.dsn: the driver memory has none"},
		{"sqlite without a dsn", store("sqlite", ""), "session_store.dsn: required"},
		{"sqlite in no directory", store("sqlite", filepath.Join(t.TempDir(), "none", "a.db")), "session_store.dsn: "},
		{"postgres elsewhere", store("postgres", "mysql://a:password@b/c"), "session_store.dsn: not a PostgreSQL connection string"},
		{"redis elsewhere", store("redis", "http://a:password@b"), "session_store.dsn: not a Redis URL"},
		{"dsn not set", store("redis", "env:NO_SUCH_DSN"), "session_store.dsn: gatehouse: secret env:NO_SUCH_DSN: not set"},

		{"idle not a duration", object{"idle": "15"}, `idle: "15" is not a duration`},
		{"idle zero", object{"idle": "0s"}, `idle: "0s" is not a duration`},
		{"idle negative", object{"idle": "-1m"}, `idle: "-1m" is not a duration`},
		{"idle too short", object{"idle": "1ms"}, "idle: must be at least 1s"},
		{"absolute not a duration", object{"absolute": "a day"}, `absolute: "a day" is not a duration`},
		{"absolute for ever", object{"absolute": "10000h"}, "absolute: must be from 1s to 400 days"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := webtest.Configure(t, origin, issuer, test.changes)
			got := refuse(t, path)
			if !strings.HasPrefix(got, path+":\n") || !strings.Contains(got, test.want) {
				t.Errorf("it says:\n%s\nwant %q in it", got, test.want)
			}
			lines := strings.Split(got, "\n")[1:]
			field, _, _ := strings.Cut(lines[0], ": ")
			if !strings.HasPrefix(lines[len(lines)-1], field+": ") && len(lines) > 1 {
				t.Errorf("run = %s, want errors of one field", got)
			}
			for _, secret := range []string{webtest.CookieKey[:8], webtest.ClientSecret[:8], "password"} {
				if strings.Contains(got, secret) {
					t.Errorf("it shows a secret:\n%s", got)
				}
			}
		})
	}
	for text, want := range map[string]string{
		"": "not JSON", "{\n\"addr\": \"a\",\n}": "not JSON", `{"addr":"a","addr":"b"}`: `"addr" occurs twice`, "{} {}": "data after the JSON object",
	} {
		if got := refuse(t, webtest.Write(t, text)); !strings.Contains(got, want) {
			t.Errorf("run(%q) = %s, want %q in it", text, got, want)
		}
	}
	if got := refuse(t, filepath.Join(t.TempDir(), "none")); !strings.Contains(got, "no such file") {
		t.Errorf("it says:\n%s", got)
	}
}

// TestConfigErrorsAreJoined: all errors of the values are reported at once, then
// all errors of the library.
func TestConfigErrorsAreJoined(t *testing.T) {
	for _, test := range []struct {
		changes object
		want    []string // the fields
	}{
		{object{"addr": "a", "client_secret": "a", "scopes": nil, "idle": "a"}, []string{"addr", "client_secret", "scopes", "idle"}},
		{object{"cookie_keys": []string{"env:NONE", "env:WEBTEST_SHORT"}}, []string{"cookie_keys[0]", "cookie_keys[1]"}},
		{object{"issuer": "http://auth.example.com", "client_id": ""}, []string{"issuer", "client_id"}},
		{object{"public_origin": "http://notes.example.com", "idle": "1ms"}, []string{"idle", "public_origin"}},
	} {
		got := refuse(t, webtest.Configure(t, "https://notes.example.com", "https://auth.example.com", test.changes))
		var fields []string
		for _, line := range strings.Split(got, "\n")[1:] {
			field, _, _ := strings.Cut(line, ": ")
			fields = append(fields, field)
		}
		if !slices.Equal(slices.Compact(fields), test.want) {
			t.Errorf("run = %s, want lines for %q", got, test.want)
		}
	}
}

// TestExample holds that the configuration in the README starts a server, though
// nobody answers at the issuer, and that the server ends when it is told to.
func TestExample(t *testing.T) {
	text, err := os.ReadFile("config.example.json")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SIGNIN_CLIENT_SECRET", webtest.ClientSecret)
	t.Setenv("SIGNIN_COOKIE_KEY", webtest.CookieKey)
	config := strings.Replace(string(text), "127.0.0.1:8080", "127.0.0.1:0", 1)
	config = strings.Replace(config, "https://auth.example.com", "http://"+webtest.Closed(t), 1)
	out, ready := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, webtest.Write(t, config), ready, io.Discard) }()
	line := make([]byte, 200)
	n, err := out.Read(line)
	address, ok := strings.CutPrefix(strings.TrimSuffix(string(line[:n]), "\n"), "listening ")
	if err != nil || !ok {
		t.Fatalf("it says %q: %v", line[:n], err)
	}
	b := webtest.NewBrowser(t)
	for path, status := range map[string]int{"/": 200, "/healthz": 200, "/api/me": 503, "/login": 503} {
		if page := b.Go(address + path); page.Status != status {
			t.Errorf("%s: %v", path, page)
		}
	}
	if a := b.Fetch(http.MethodGet, address+"/api/me", address); a.Status != 401 {
		t.Errorf("signed out: %v", a)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v", err)
	}
}

// TestReadme holds that the README names every field, and that the stores in it
// are taken.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	webtest.CheckReadme(t, string(text), config{})
	t.Setenv("NOTES_REDIS", "redis://:password@redis.example.com:6379/0")
	stores := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, `{"driver"`) {
			continue
		}
		stores++
		path := webtest.Configure(t, "https://notes.example.com", "https://auth.example.com", object{"session_store": json.RawMessage(line)})
		config, err := readConfig(path)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		app, err := newApp(config, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		app.close()
	}
	if stores != 4 {
		t.Errorf("%d stores", stores)
	}
}
