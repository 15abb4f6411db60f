// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// TestColdOutage starts a server whose key sets are all broken in different ways. It
// starts, responds with 503, and accepts tokens when the issuers work again. How long
// that takes is tested in package jwtauth, with a clock that does not depend on load.
func TestColdOutage(t *testing.T) {
	t.Parallel()
	enginetest.Slow(t)
	elsewhere := authtest.NewIssuer(t)
	faults := map[string]struct {
		fault authtest.Fault
		cause string // in the log
	}{
		"down":       {authtest.Down, "EOF"},
		"hanging":    {authtest.Hanging, "deadline exceeded"},
		"trickling":  {authtest.Trickling(100 * time.Millisecond), "deadline exceeded"},
		"500":        {authtest.Status(http.StatusInternalServerError), "HTTP status 500"},
		"truncated":  {authtest.Truncated, "not a JWK Set"},
		"HTML":       {authtest.HTML, "Content-Type"},
		"empty":      {authtest.Document(`{"keys":[]}`), "no key for Issuer.Algorithms"},
		"huge":       {authtest.Huge, "more than"},
		"redirected": {authtest.Redirected(elsewhere.KeysURL), "redirect to another origin"},
		"discovery":  {authtest.Down, ""},
	}
	var configs []object
	broken := make(map[string]*authtest.Issuer)
	for name, fault := range faults {
		i := authtest.NewIssuer(t)
		changes := object{}
		if name == "discovery" {
			i.BreakMetadata(fault.fault)
			changes["jwks_url"] = nil
		} else {
			i.Break(fault.fault)
		}
		broken[name], configs = i, append(configs, trust(i, changes))
	}

	p := start(t, configure(configs, nil))
	p.do("GET", "/healthz").want(t, "GET /healthz", "200")
	p.do("GET", "/readyz").want(t, "GET /readyz", "503")
	var all sync.WaitGroup
	for name, issuer := range broken {
		all.Go(func() {
			a := p.with(issuer.Token(reader), "GET", "/reports")
			wait, err := strconv.Atoi(a.header.Get("Retry-After"))
			if a.String() != "503 temporarily_unavailable" || err != nil || wait < 1 || wait > 15 {
				t.Errorf("%s: valid token = %v, Retry-After %d, want 503 and 1 to 15", name, a, wait)
			}
			if a.header.Get("WWW-Authenticate") != "" || strings.Contains(a.body, "jwks") || strings.Contains(a.body, "127.0.0.1") {
				t.Errorf("%s: response = %v %s, want no challenge and no address", name, a.header, a.body)
			}
			p.with(issuer.ExpiredToken(reader), "GET", "/reports").want(t, name+", expired token", "401 invalid_token")
		})
	}
	p.do("GET", "/healthz").want(t, "GET /healthz, while some of them hang", "200")
	all.Wait()
	if elsewhere.KeyFetches() != 0 {
		t.Error("the app has followed a redirect to another origin")
	}

	// The log has the issuer and the cause, for the fetch and for the requests.
	fetches, requests := make(map[string]string), make(map[string]string)
	for _, r := range p.records() {
		switch {
		case strings.HasSuffix(r.Msg, "jwtauth_fetch_failed"), strings.HasSuffix(r.Msg, "jwtauth_keys_withdrawn"):
			fetches[r.Issuer] = r.Cause
		case r.Reason == "jwtauth_keys_unavailable":
			requests[r.Issuer] = r.Cause
		}
	}
	for name, issuer := range broken {
		for _, cause := range []string{fetches[issuer.URL], requests[issuer.URL]} {
			if cause == "" || !strings.Contains(cause, faults[name].cause) {
				t.Errorf("%s: cause = %q, want %q", name, cause, faults[name].cause)
			}
		}
		issuer.Break(nil)
		issuer.BreakMetadata(nil)
	}
	for name, issuer := range broken {
		enginetest.Eventually(t, time.Minute, name+" works again", func() bool {
			return p.with(issuer.Token(reader), "GET", "/reports").status == http.StatusOK
		})
	}
}

// TestWarmOutage: loaded keys stay in use while their issuer is down.
func TestWarmOutage(t *testing.T) {
	t.Parallel()
	p, issuer := serve(t, nil)
	enginetest.Eventually(t, deadline, "ready", func() bool { return p.do("GET", "/readyz").status == http.StatusOK })
	issuer.Break(authtest.Hanging)
	for range 3 { // new tokens, which are not in the cache
		p.with(issuer.Token(reader), "GET", "/reports").want(t, "valid token", "200")
	}
	p.with(issuer.ForeignToken(reader), "GET", "/reports").want(t, "forged token", "401 invalid_token")
	p.do("GET", "/readyz").want(t, "GET /readyz", "200")
}

// TestShutdown: SIGTERM and SIGINT stop the listener, a request in progress gets its
// response, and the exit status is 0.
func TestShutdown(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			issuer := authtest.NewIssuer(t)
			issuer.Break(authtest.Hanging)
			app := exec.CommandContext(t.Context(), os.Args[0], "-config", writeConfig(t, configure([]object{trust(issuer, nil)}, nil))) //nolint:gosec // this binary
			app.Env = append(os.Environ(), appBinary+"=1")
			stdout := must(app.StdoutPipe())
			if err := app.Start(); err != nil {
				t.Fatal(err)
			}
			s := &server{t: t, client: client}
			if _, err := fmt.Fscanf(stdout, "listening %s\n", &s.URL); err != nil {
				t.Fatal(err)
			}
			answered := make(chan string, 1)
			go func() {
				a, err := s.try("GET", "/reports", "Authorization", "Bearer "+issuer.Token(reader))
				answered <- fmt.Sprint(a, err)
			}()
			enginetest.Eventually(t, deadline, "the request waits for keys", func() bool { return issuer.KeyFetches() > 0 })
			if err := app.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			enginetest.Eventually(t, deadline, "the listener is closed", func() bool {
				_, err := s.try("GET", "/healthz")
				return err != nil
			})
			issuer.Break(nil)
			if got, want := <-answered, "503 temporarily_unavailable <nil>"; got != want {
				t.Errorf("request in progress = %s, want %s", got, want)
			}
			if err := app.Wait(); err != nil {
				t.Errorf("resourceserver after %v: %v, want exit status 0", signal, err)
			}
		})
	}
}

// TestAttack runs the attack kit against the app, which accepts API keys too.
func TestAttack(t *testing.T) {
	t.Parallel()
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{
		Algorithms: []string{"RS256", "PS256", "ES256", "EdDSA"}, Scope: "reports:read", Target: "/reports",
	})
	if err := issuer.PublishOddKeys(); err != nil {
		t.Fatal(err)
	}
	config := must(readConfig(writeConfig(t, configure([]object{trust(issuer, nil)}, object{"api_keys": object{"driver": "memory"}}))))
	app := must(newApp(config, slog.New(slog.DiscardHandler)))
	defer app.close()
	authtest.Attack(t, app.handler, issuer)
}
