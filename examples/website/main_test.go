// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
)

// TestREADME runs the program as README.md prints it: in a module of its own, with
// another port. A browser signs in and out.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, ok := strings.Cut(string(readme), "<!-- snippet: examples/website/main.go -->\n```go\n")
	program, _, ok2 := strings.Cut(program, "```\n")
	if !ok || !ok2 || strings.Count(program, "127.0.0.1:8080") != 2 {
		t.Fatal("README.md has no program with the address 127.0.0.1:8080")
	}
	address, dir := webtest.Closed(t), t.TempDir()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"main.go": strings.ReplaceAll(program, "127.0.0.1:8080", address),
		"go.mod":  strings.NewReplacer("module github.com/gatehouse-go/gatehouse/examples", "module example.com/website", "=> ../", "=> "+root+"/").Replace(string(module)),
		"go.sum":  string(sums),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(dir, "website")
	build := exec.CommandContext(t.Context(), "go", "build", "-mod=mod", "-o", binary, ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOFLAGS="+os.Getenv("GOFLAGS")+" -buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}

	p := webtest.NewProvider(t)
	output := new(webtest.Log)
	website := exec.CommandContext(t.Context(), binary)
	website.Stderr = output
	website.Env = []string{"ISSUER=" + p.URL, "CLIENT_ID=" + webtest.ClientID, "CLIENT_SECRET=" + webtest.ClientSecret, "COOKIE_KEY=" + webtest.CookieKey}
	if err := website.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- website.Wait() }()
	t.Cleanup(func() {
		_ = website.Process.Kill()
		if err := <-ended; err == nil {
			t.Error("the program ended by itself")
		}
		p.CheckLog(t, output)
	})
	webtest.Listens(t, address, ended)

	b := webtest.NewBrowser(t)
	home := "http://" + address + "/report?a=b"
	if page := b.Go(home); page.Status != 200 || page.URL != home || !strings.Contains(page.Body, "Hello, u1.") {
		t.Fatalf("GET %s = %v at %s, want a login and Hello", home, page, page.URL)
	}
	b.Do(webtest.Request{Method: "POST", URL: "http://" + address + "/auth/logout", From: "http://" + address, Navigation: true, Type: "application/x-www-form-urlencoded"})
	if page := b.Fetch("GET", home, "http://"+address); page.Status != 401 || len(b.Cookies()) != 0 {
		t.Errorf("GET %s after the logout = %v, want 401", home, page)
	}
}
