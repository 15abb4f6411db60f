// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
)

// TestInvalidConfigIsRefused covers the fields of the page; examples/signin tests
// the others.
func TestInvalidConfigIsRefused(t *testing.T) {
	const backend = "https://api.example.com"
	for _, test := range []struct {
		name    string
		changes object
		want    string
	}{
		{"unknown field", object{"app_url": "a"}, `json: unknown field "app_url"`},
		{"app_addr is a number", object{"app_addr": 8081}, "app_addr: unexpected number"},
		{"app_addr missing", object{"app_addr": nil}, `app_addr: "" is not host:port`},
		{"app_addr without port", object{"app_addr": "127.0.0.1"}, `app_addr: "127.0.0.1" is not host:port`},
		{"app_addr of another host", object{"app_addr": "192.0.2.1:0"}, "app_addr: "},
		{"addr missing", object{"addr": nil}, `addr: "" is not host:port`},
		{"app_origin missing", object{"app_origin": nil}, "app_origin: required"},
		{"app_origin with slash", object{"app_origin": "https://app.example.com/"}, "app_origin: not an origin"},
		{"app_origin with wildcard", object{"app_origin": "https://*.example.com"}, "app_origin: not an origin"},
		{"app_origin any", object{"app_origin": "*"}, "app_origin: not an absolute URL"},
		{"app_origin without scheme", object{"app_origin": "localhost:8081"}, "app_origin: not an absolute URL"},
		{"app_origin plain http", object{"app_origin": "http://app.example.com", "public_origin": "http://api.example.com"}, "app_origin: plain http is for loopback addresses only"},
		{"app_origin http, backend https", object{"app_origin": "http://127.0.0.1:8081", "public_origin": "https://localhost:8080"}, "app_origin: scheme http differs from https"},
		{"app_origin https, backend http", object{"app_origin": "https://localhost:8081", "public_origin": "http://localhost:8080"}, "app_origin: scheme https differs from http"},
		{"app_origin equals public_origin", object{"app_origin": backend}, "app_origin: equals public_origin"},
		{"app_origin of another site", object{"app_origin": "https://app.example.org"}, "app_origin: another site"},
		{"app_origin of another address", object{"app_origin": "http://127.0.0.1:8081", "public_origin": "http://127.1.0.1:8080"}, "app_origin: another site"},
		{"address and name", object{"app_origin": "http://127.0.0.1:8081", "public_origin": "http://localhost:8080"}, "app_origin: another site"},
		{"public_origin without scheme", object{"public_origin": "localhost:8080"}, "public_origin: not an absolute URL"},
		{"public_origin any", object{"public_origin": "*"}, "public_origin: not an absolute URL"},
		{"public_origin missing", object{"public_origin": nil}, "public_origin: required"},
	} {
		t.Run(test.name, func(t *testing.T) {
			changes := object{"app_addr": "127.0.0.1:0", "app_origin": "https://app.example.com"}
			maps.Copy(changes, test.changes)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			out := new(webtest.Log)
			err := run(ctx, webtest.Configure(t, backend, "https://auth.example.com", changes), out, io.Discard)
			if err == nil || ctx.Err() != nil || out.String() != "" || !strings.Contains(err.Error(), "\n"+test.want) {
				t.Errorf("run = %v, stdout %q, want error with a line %q", err, out, test.want)
			}
		})
	}
}

// TestExampleConfig starts the program with config.example.json, without a provider.
func TestExampleConfig(t *testing.T) {
	text, err := os.ReadFile("config.example.json")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SPA_CLIENT_SECRET", webtest.ClientSecret)
	t.Setenv("SPA_COOKIE_KEY", webtest.CookieKey)
	config := strings.NewReplacer(
		`"127.0.0.1:8080"`, `"127.0.0.1:0"`, `"127.0.0.1:8081"`, `"127.0.0.1:0"`,
		"https://auth.example.com", "http://"+webtest.Closed(t),
	).Replace(string(text))
	out, stdout := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, webtest.Write(t, config), stdout, io.Discard) }()
	var backend, page string
	if _, err := fmt.Fscanf(bufio.NewReader(out), "listening %s\npage %s\n", &backend, &page); err != nil {
		t.Fatal(err)
	}
	const origin = "http://127.0.0.1:8081"
	b := webtest.NewBrowser(t)
	for address, want := range map[string]int{page + "/": 200, backend + "/healthz": 200, backend + "/api/me": 401} {
		if a := b.Fetch("GET", address, origin); a.Status != want || strings.HasPrefix(address, backend) && a.Header.Get("Access-Control-Allow-Origin") != origin {
			t.Errorf("GET %s = %v %v, want %d and CORS headers", address, a, a.Header, want)
		}
	}
	login := b.Do(webtest.Request{Method: "GET", URL: backend + "/login", Navigation: true, From: origin})
	if login.Status != 303 || login.Header.Get("Location") != origin+"/?problem=unavailable" {
		t.Errorf("GET /login = %v, want a redirect to the page", login)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("run = %v, want nil", err)
	}
}

func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	webtest.CheckReadme(t, string(text), config{})
}
