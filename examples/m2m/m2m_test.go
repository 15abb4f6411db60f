// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// npm returns the directory with the npm packages, or skips the test.
func npm(t *testing.T) string {
	t.Helper()
	directory, err := findNPM("")
	if err != nil {
		enginetest.Missing(t, "Node or npm oidc-provider", "install Node 20 or newer and run `npm ci` in interop")
	}
	return directory
}

// TestStory prints what the README says.
func TestStory(t *testing.T) {
	npm(t)
	_, rest, _ := strings.Cut(string(must(os.ReadFile("README.md"))), "<!-- story -->\n```\n")
	want, _, ok := strings.Cut(rest, "```\n<!-- end of story -->")
	if !ok {
		t.Fatal("README.md has no story between its marks")
	}
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), nil, "", "", &stdout, &stderr); err != nil || stderr.Len() > 0 {
		t.Errorf("run = %v, standard error %q", err, &stderr)
	}
	if diff := cmp.Diff(want, stdout.String()); diff != "" {
		t.Errorf("the story is not that of README.md (-want +got):\n%s", diff)
	}
}

func TestStoryWithoutProvider(t *testing.T) {
	var stdout, stderr bytes.Buffer
	for _, what := range []string{"the package", "Node"} {
		directory := t.TempDir()
		if what == "Node" {
			t.Setenv("PATH", directory)
			directory = ""
		}
		if err := run(t.Context(), nil, "", directory, &stdout, &stderr); !errors.Is(err, errNoProvider) || stdout.Len() > 0 {
			t.Errorf("run without %s = %v, %q, want %v", what, err, &stdout, errNoProvider)
		}
	}
}

// TestServices runs both services as commands with a configuration file.
func TestServices(t *testing.T) {
	directory := npm(t)
	listener := must(new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0"))
	addr := listener.Addr().String()
	_ = listener.Close() // reports listens there
	_, port, _ := net.SplitHostPort(addr)
	c := must(prepare(t.TempDir(), "https://localhost:"+port))
	issuer, stop, err := startProvider(t.Context(), c, directory)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	c.Issuer, c.Reports.Addr = issuer, addr
	path := write(t, c.dir, c)

	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"reports"}, path, "", in, io.Discard) }()
	line := make([]byte, 64)
	if n := must(out.Read(line)); !strings.HasPrefix(string(line[:n]), "listening "+addr) {
		t.Errorf("reports printed %q, want listening %s", line, addr)
	}
	var stdout bytes.Buffer
	if err := run(t.Context(), []string{"billing"}, path, "", &stdout, io.Discard); err != nil {
		t.Error(err)
	}
	want := "mtls: the reports of billing-mtls, bound by mtls\ndpop: the reports of billing-dpop, bound by dpop\n"
	if diff := cmp.Diff(want, stdout.String()); diff != "" {
		t.Errorf("billing printed (-want +got):\n%s", diff)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: must(c.client()), DisableKeepAlives: true}, Timeout: timeout}
	for route, want := range map[string]int{"/healthz": http.StatusOK, "/reports": http.StatusUnauthorized} {
		if status, _, err := get(t.Context(), client, c.Reports.Origin+route, nil); err != nil || status != want {
			t.Errorf("GET %s without a credential = %d, %v, want %d", route, status, err, want)
		}
	}

	// A client that the authorization server does not know.
	c.Billing.Clients = map[string]string{bindingDPoP: "unknown"}
	if err := run(t.Context(), []string{"billing"}, write(t, c.dir, c), "", io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("billing with an unknown client = %v, want invalid_client", err)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("reports ended with %v", err)
		}
	case <-time.After(timeout):
		t.Error("reports did not end with its context")
	}
}

// write writes a configuration and returns its path.
func write(t *testing.T, dir string, c config) string {
	t.Helper()
	path := filepath.Join(dir, "config.json")
	if err := os.WriteFile(path, must(json.Marshal(c)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestErrors(t *testing.T) {
	must(readConfig("config.example.json"))
	assertion := func(key string) func(*config) {
		return func(c *config) { c.Billing.Clients, c.Billing.AssertionKey = map[string]string{bindingDPoP: "x"}, key }
	}
	for _, test := range []struct {
		name, service, want string
		change              func(*config)
	}{
		{"unknown service", "invoices", "no service", func(*config) {}},
		{"unknown binding", "billing", "no binding", func(c *config) { c.Billing.Clients = map[string]string{"bearer": "x"} }},
		{"no address", "reports", "listen", func(c *config) { c.Reports.Addr = "nowhere" }},
		{"no CA", "reports", "ca: ", func(c *config) { c.CA = "missing.pem" }},
		{"no CA for the client", "billing", "ca: ", func(c *config) { c.CA = "missing.pem" }},
		{"CA without a certificate", "billing", "ca: has no certificate", func(c *config) { c.CA = "as-key.pem" }},
		{"no certificate", "reports", "reports: ", func(c *config) { c.Reports.Cert = "missing.pem" }},
		{"key of another certificate", "reports", "reports: ", func(c *config) { c.Reports.Key = "as-key.pem" }},
		{"no nonce key", "reports", "nonce-key", func(c *config) { c.Reports.NonceKey = "file:missing-nonce-key" }},
		{"an origin with a path", "reports", "PublicOrigin", func(c *config) { c.Reports.Origin += "/v1" }},
		{"no issuer", "reports", "Issuers[0].URL", func(c *config) { c.Issuer = "" }},
		{"no issuer for the client", "billing", "Issuer", func(c *config) { c.Issuer = "" }},
		{"no client certificate", "billing", "billing: ", func(c *config) { c.Billing.Cert = "missing.pem" }},
		{"no assertion key", "billing", "assertion_key: ", assertion("missing.pem")},
		{"a certificate as the assertion key", "billing", "assertion_key: ", assertion("ca.pem")},
		{"no PEM as the assertion key", "billing", "is not PEM", assertion("nonce-key")},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := must(prepare(t.TempDir(), "https://localhost"))
			c.Issuer, c.Reports.Addr = "https://as.example.com", "127.0.0.1:0"
			test.change(&c)
			err := run(t.Context(), []string{test.service}, write(t, c.dir, c), "", io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("run(%s) = %v, want an error with %q", test.service, err, test.want)
			}
		})
	}
	unknown := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(unknown, []byte(`{"issuers": []}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, services := range map[string][][]string{"": {{"reports"}}, unknown: {nil, {"reports"}}, "missing.json": {{"reports"}}} {
		for _, args := range services {
			if err := run(t.Context(), args, path, "", io.Discard, io.Discard); err == nil {
				t.Errorf("run(%q, %q) = nil, want an error", args, path)
			}
		}
	}
}

// An unexpected outcome is marked, and makes the story fail.
func TestUnexpectedOutcome(t *testing.T) {
	var out strings.Builder
	s := &stage{out: &out}
	s.row(true, "expected", "200", "", "")
	s.row(false, "unexpected", "200", "", "")
	if lines := strings.Split(out.String(), "\n"); s.wrong != 1 || !strings.HasPrefix(lines[0], "✓") || !strings.HasPrefix(lines[1], "✗") {
		t.Errorf("rows with %d unexpected outcomes:\n%s", s.wrong, &out)
	}
}
