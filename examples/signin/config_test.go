// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
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
		{"of another type", object{"scopes": "openid"}, "scopes"},

		{"addr missing", object{"addr": nil}, "addr: required"},
		{"addr without a port", object{"addr": "127.0.0.1"}, "addr: "},
		{"origin missing", object{"public_origin": nil}, "public_origin: required"},
		{"origin over plain http", object{"public_origin": "http://notes.example.com"}, "public_origin: plain http is for loopback addresses only"},
		{"origin with a slash", object{"public_origin": origin + "/"}, "public_origin: is not an origin"},
		{"origin with a path", object{"public_origin": origin + "/a"}, "public_origin: is not an origin"},
		{"origin with a wildcard", object{"public_origin": "https://*.example.com"}, "public_origin: is not an origin"},
		{"origin with the default port", object{"public_origin": origin + ":443"}, "public_origin: names the default port"},
		{"issuer missing", object{"issuer": nil}, "issuer: required"},
		{"issuer over plain http", object{"issuer": "http://auth.example.com"}, "issuer: plain http"},
		{"issuer with a query", object{"issuer": issuer + "?a"}, "issuer: has a query"},
		{"client missing", object{"client_id": nil}, "client_id: required"},
		{"secret missing", object{"client_secret": nil}, "client_secret: required"},
		{"literal secret", object{"client_secret": webtest.ClientSecret}, "client_secret: gatehouse: a secret is given as env:NAME or file:PATH"},
		{"secret not set", object{"client_secret": "env:NO_SUCH_SECRET"}, "client_secret: gatehouse: secret env:NO_SUCH_SECRET: not set"},
		{"secret in no file", object{"client_secret": "file:" + open + ".none"}, "client_secret: "},

		{"scopes missing", object{"scopes": nil}, "scopes: openid has to be among them"},
		{"scopes without openid", object{"scopes": []string{"email"}}, "scopes: openid has to be among them"},
		{"scopes with a space", object{"scopes": []string{"openid email"}}, "scopes: "},

		{"keys missing", object{"cookie_keys": nil}, "cookie_keys: at least one secret is required"},
		{"literal key", object{"cookie_keys": []string{webtest.CookieKey}}, "cookie_keys: [0]: gatehouse: a secret is given as"},
		{"short key", object{"cookie_keys": []string{"env:WEBTEST_KEY", "env:WEBTEST_SHORT"}}, "cookie_keys: [1]: "},
		{"a key twice", object{"cookie_keys": []string{"env:WEBTEST_KEY", "env:WEBTEST_KEY"}}, "cookie_keys: secret 1 occurs twice"},
		{"a key in a file that is open to all", object{"cookie_keys": []string{"file:" + open}}, "mode 0644"},

		{"store missing", object{"session_store": nil}, `session_store.driver: "" is none of`},
		{"driver unknown", store("mysql", "a"), `session_store.driver: "mysql" is none of`},
		{"memory with a dsn", store("memory", "a"), "session_store.dsn: there is none for the driver memory"},
		{"sqlite without a dsn", store("sqlite", ""), "session_store.dsn: required"},
		{"sqlite in no directory", store("sqlite", filepath.Join(t.TempDir(), "none", "a.db")), "session_store.dsn: "},
		{"postgres elsewhere", store("postgres", "mysql://a:password@b/c"), "session_store.dsn: not a connection string of PostgreSQL"},
		{"redis elsewhere", store("redis", "http://a:password@b"), "session_store.dsn: not a URL of Redis"},
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
			for _, secret := range []string{webtest.CookieKey[:8], webtest.ClientSecret[:8], "password"} {
				if strings.Contains(got, secret) {
					t.Errorf("it shows a secret:\n%s", got)
				}
			}
		})
	}
	for what, text := range map[string]string{"EOF": "", "is there twice": `{"addr":"a","addr":"b"}`, "behind the end": "{} {}"} {
		if got := refuse(t, webtest.Write(t, text)); !strings.Contains(got, what) {
			t.Errorf("%q: it says:\n%s", text, got)
		}
	}
	if got := refuse(t, filepath.Join(t.TempDir(), "none")); !strings.Contains(got, "no such file") {
		t.Errorf("it says:\n%s", got)
	}
}

// TestSeveralMistakes holds that all mistakes are said at once.
func TestSeveralMistakes(t *testing.T) {
	for _, changes := range []object{
		{"client_secret": "a", "scopes": nil, "session_store": nil, "idle": "a"},
		{"issuer": "http://auth.example.com", "client_id": ""},
		{"public_origin": "http://notes.example.com", "idle": "1ms"},
	} {
		got := refuse(t, webtest.Configure(t, "https://notes.example.com", "https://auth.example.com", changes))
		for name := range changes {
			if !strings.Contains(got, "\n"+name) {
				t.Errorf("it says:\n%s\nwant %s in it", got, name)
			}
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
