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

// refuse runs the program with an invalid configuration and returns the lines of
// its error.
func refuse(t *testing.T, path string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := new(webtest.Log)
	err := run(ctx, path, out, io.Discard)
	if err == nil || ctx.Err() != nil || out.String() != "" || !strings.HasPrefix(err.Error(), path+":\n") {
		t.Fatalf("run = %v, stdout %q, want an error that begins with the path", err, out)
	}
	return strings.Split(err.Error(), "\n")[1:]
}

func TestInvalidConfigIsRefused(t *testing.T) {
	const origin, issuer = "https://notes.example.com", "https://auth.example.com"
	open := filepath.Join(t.TempDir(), "open")
	if err := os.WriteFile(open, []byte(webtest.CookieKey), 0o644); err != nil {
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
		{"scopes as one string", object{"scopes": "openid"}, "scopes: unexpected string"},
		{"a key of another type", object{"cookie_keys": []int{1}}, "cookie_keys: unexpected number"},
		{"idle as a number", object{"idle": 15}, "idle: unexpected number"},
		{"store as a string", object{"session_store": "memory"}, "session_store: unexpected string"},

		{"addr missing", object{"addr": nil}, `addr: "" is not host:port`},
		{"addr of another machine", object{"addr": "192.0.2.1:0"}, "addr: "},
		{"origin missing", object{"public_origin": nil}, "public_origin: required"},
		{"origin over plain http", object{"public_origin": "http://notes.example.com"}, "public_origin: plain http is for loopback addresses only"},
		{"origin with a slash", object{"public_origin": origin + "/"}, "public_origin: not an origin"},
		{"origin with a path", object{"public_origin": origin + "/a"}, "public_origin: not an origin"},
		{"origin with a wildcard", object{"public_origin": "https://*.example.com"}, "public_origin: not an origin"},
		{"origin with the default port", object{"public_origin": origin + ":443"}, "public_origin: leave out the default port"},
		{"origin without a scheme", object{"public_origin": "localhost:8080"}, "public_origin: not an absolute URL"},
		{"issuer missing", object{"issuer": nil}, "issuer: required"},
		{"issuer over plain http", object{"issuer": "http://auth.example.com"}, "issuer: plain http"},
		{"client missing", object{"client_id": nil}, "client_id: required"},
		{"secret missing", object{"client_secret": nil}, "client_secret: gatehouse: secret: must be env:NAME"},
		{"literal secret", object{"client_secret": webtest.ClientSecret}, "client_secret: gatehouse: secret: must be env:NAME or file:PATH"},
		{"secret not set", object{"client_secret": "env:NO_SUCH_SECRET"}, "client_secret: gatehouse: secret env:NO_SUCH_SECRET: not set"},

		{"scopes missing", object{"scopes": nil}, "scopes: openid is required"},
		{"scopes without openid", object{"scopes": []string{"email"}}, "scopes: openid is required"},
		{"scopes with a quotation mark", object{"scopes": []string{"openid", `a"b`}}, "scopes: "},

		{"keys missing", object{"cookie_keys": nil}, "cookie_keys: cookie: NewKeyring: at least one secret is required"},
		{"literal key", object{"cookie_keys": []string{webtest.CookieKey}}, "cookie_keys[0]: gatehouse: secret: must be env:NAME"},
		{"short key", object{"cookie_keys": []string{"env:WEBTEST_KEY", "env:WEBTEST_SHORT"}}, "cookie_keys[1]: "},
		{"a key twice", object{"cookie_keys": []string{"env:WEBTEST_KEY", "env:WEBTEST_KEY"}}, "cookie_keys: cookie: NewKeyring: secret 1 occurs twice"},
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
		{"idle too short", object{"idle": "1ms"}, "idle: must be at least 1s"},
		{"absolute for ever", object{"absolute": "10000h"}, "absolute: must be from 1s to 400 days"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := refuse(t, webtest.Configure(t, origin, issuer, test.changes))
			field, _, _ := strings.Cut(got[0], ": ")
			for _, line := range got {
				if !strings.HasPrefix(line, field) {
					t.Errorf("run = %q, want errors of one field", got)
				}
			}
			text := strings.Join(got, "\n")
			if !strings.Contains(text, test.want) {
				t.Errorf("run = %q, want %q", got, test.want)
			}
			for _, secret := range []string{webtest.CookieKey[:8], webtest.ClientSecret[:8], "password"} {
				if strings.Contains(text, secret) {
					t.Errorf("run = %q, want no secret", got)
				}
			}
		})
	}
	for text, want := range map[string]string{
		"": "byte 0: ", "{\n\"addr\": \"a\",\n}": "byte 15: ", `{"addr":"a","addr":"b"}`: `"addr" occurs twice`, "{} {}": "data after the JSON object",
	} {
		if got := refuse(t, webtest.Write(t, text)); !strings.Contains(got[0], want) {
			t.Errorf("run(%q) = %q, want %q", text, got, want)
		}
	}
	if got := refuse(t, filepath.Join(t.TempDir(), "none")); got[0] != "no such file or directory" {
		t.Errorf("run without a file = %q", got)
	}
}

// TestConfigErrorsAreJoined: all errors of the values are reported at once, then
// all errors of the library.
func TestConfigErrorsAreJoined(t *testing.T) {
	for _, test := range []struct {
		changes object
		want    []string // the fields
	}{
		{object{"addr": "a", "client_secret": "a", "scopes": nil, "idle": "a"}, []string{"addr", "client_secret", "idle", "scopes"}},
		{object{"cookie_keys": []string{"env:NONE", "env:WEBTEST_SHORT"}}, []string{"cookie_keys[0]", "cookie_keys[1]"}},
		{object{"issuer": "http://auth.example.com", "client_id": ""}, []string{"client_id", "issuer"}},
		{object{"public_origin": "http://notes.example.com", "idle": "1ms"}, []string{"idle", "public_origin"}},
	} {
		got := refuse(t, webtest.Configure(t, "https://notes.example.com", "https://auth.example.com", test.changes))
		var fields []string
		for _, line := range got {
			field, _, _ := strings.Cut(line, ": ")
			fields = append(fields, field)
		}
		slices.Sort(fields)
		if !slices.Equal(slices.Compact(fields), test.want) {
			t.Errorf("run = %q, want lines for %q", got, test.want)
		}
	}
}

// TestExampleConfig starts the program with config.example.json, without a provider.
func TestExampleConfig(t *testing.T) {
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
		t.Fatalf("stdout = %q, %v, want listening URL", line[:n], err)
	}
	b := webtest.NewBrowser(t)
	for path, status := range map[string]int{"/": 200, "/healthz": 200, "/api/me": 503, "/login": 503} {
		if page := b.Go(address + path); page.Status != status {
			t.Errorf("GET %s = %v, want %d", path, page, status)
		}
	}
	if a := b.Fetch(http.MethodGet, address+"/api/me", address); a.Status != 401 {
		t.Errorf("GET /api/me by a script = %v, want 401", a)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("run = %v, want nil", err)
	}
}

// TestReadme: the README has every field, and its stores are valid.
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
		t.Errorf("README has %d stores, want 4", stores)
	}
}
