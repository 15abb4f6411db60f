// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"maps"
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

// TestColdOutage starts a server whose key sets are all broken in different ways.
func TestColdOutage(t *testing.T) {
	t.Parallel()
	enginetest.Slow(t)
	elsewhere := authtest.NewIssuer(t)
	faults := map[string]struct {
		fault  authtest.Fault
		reason string // in the log
	}{
		"down":       {authtest.Down, "EOF"},
		"hanging":    {authtest.Hanging, "deadline exceeded"},
		"trickling":  {authtest.Trickling(100 * time.Millisecond), "deadline exceeded"},
		"500":        {authtest.Status(http.StatusInternalServerError), "HTTP status 500"},
		"404":        {authtest.Status(http.StatusNotFound), "HTTP status 404"},
		"cut":        {authtest.Cut, "unexpected EOF"},
		"truncated":  {authtest.Truncated, "not a JWK Set"},
		"HTML":       {authtest.HTML, "Content-Type"},
		"empty":      {authtest.Document(`{"keys":[]}`), "no verification key"},
		"null":       {authtest.Document(`null`), "not a JWK Set"},
		"huge":       {authtest.Huge, "more than"},
		"many keys":  {authtest.ManyKeys, "more than"},
		"redirected": {authtest.Redirected(elsewhere.KeysURL), "redirect to another origin"},
	}
	var issuers []object
	broken := make(map[string]*authtest.Issuer)
	for name, fault := range faults {
		i := authtest.NewIssuer(t)
		i.Break(fault.fault)
		broken[name], issuers = i, append(issuers, trust(i, nil))
	}
	for name, fault := range map[string]authtest.Fault{"discovery down": authtest.Down, "discovery hanging": authtest.Hanging} {
		i := authtest.NewIssuer(t)
		i.BreakMetadata(fault)
		broken[name], issuers = i, append(issuers, trust(i, object{"jwks_url": nil}))
	}
	unreachable := authtest.NewIssuer(t)
	broken["unreachable"], issuers = unreachable, append(issuers, trust(unreachable, nil))
	unreachable.Close()

	p := start(t, configure(issuers, nil))
	quick := func(path string, status int) {
		t.Helper()
		began := time.Now()
		if a := p.do("GET", path); a.status != status || time.Since(began) > 2*time.Second {
			t.Errorf("GET %s: %v after %v, want %d", path, a, time.Since(began), status)
		}
	}
	quick("/healthz", http.StatusOK)
	quick("/readyz", http.StatusServiceUnavailable)

	var all sync.WaitGroup
	for name, issuer := range broken {
		all.Go(func() {
			began := time.Now()
			a := p.with(issuer.Token(reader), "GET", "/reports")
			took := time.Since(began)
			if a.String() != "503 temporarily_unavailable" || took > 6*time.Second {
				t.Errorf("%s: %v after %v, want 503 within 6s", name, a, took)
			}
			if wait, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || wait < 1 || wait > 15 {
				t.Errorf("%s: Retry-After %q", name, a.header.Get("Retry-After"))
			}
			if a.header.Get("WWW-Authenticate") != "" || strings.Contains(a.body, "jwks") || strings.Contains(a.body, "127.0.0.1") {
				t.Errorf("%s: response = %v %s, want no challenge and no address", name, a.header, a.body)
			}
			// An expired token is rejected without keys.
			if a := p.with(issuer.ExpiredToken(reader), "GET", "/reports"); a.String() != "401 invalid_token" {
				t.Errorf("%s: expired token = %v, want 401", name, a)
			}
		})
	}
	quick("/healthz", http.StatusOK) // while some of them hang
	all.Wait()
	quick("/healthz", http.StatusOK)
	quick("/readyz", http.StatusServiceUnavailable)
	if elsewhere.KeyFetches() != 0 {
		t.Error("the app has followed a redirect to another origin")
	}

	// The log has the issuer and the cause, for the fetch and for the requests.
	fetches, requests := make(map[string]string), make(map[string]string)
	for _, r := range p.records() {
		if r.Msg == "jwtauth_fetch_failed" || r.Msg == "gatehouse: jwtauth_fetch_failed" {
			fetches[r.Issuer] = r.Cause
		}
		if r.Reason == "jwtauth_keys_unavailable" {
			requests[r.Issuer] = r.Cause
		}
	}
	for name, issuer := range broken {
		for _, said := range []string{fetches[issuer.URL], requests[issuer.URL]} {
			if said == "" || !strings.Contains(said, faults[name].reason) {
				t.Errorf("%s: cause = %q, want %q", name, said, faults[name].reason)
			}
		}
	}

	// When the issuers work again, their tokens are accepted within 15 s.
	delete(broken, "unreachable")
	for _, issuer := range broken {
		issuer.Break(nil)
		issuer.BreakMetadata(nil)
	}
	for name, issuer := range broken {
		all.Go(func() {
			eventually(t, 15*time.Second, name+" works again", func() bool {
				return p.with(issuer.Token(reader), "GET", "/reports").status == http.StatusOK
			})
		})
	}
	all.Wait()
}

// TestWarmOutage: loaded keys stay in use while their issuer is down.
func TestWarmOutage(t *testing.T) {
	t.Parallel()
	issuer := authtest.NewIssuer(t)
	p := start(t, configure([]object{trust(issuer, nil)}, nil))
	eventually(t, deadline, "ready", func() bool { return p.do("GET", "/readyz").status == http.StatusOK })
	issuer.Break(authtest.Hanging)
	for range 3 { // new tokens, which are not in the cache
		if a := p.with(issuer.Token(reader), "GET", "/reports"); a.status != http.StatusOK {
			t.Errorf("valid token = %v, want 200", a)
		}
	}
	if a := p.with(issuer.ForeignToken(reader), "GET", "/reports"); a.String() != "401 invalid_token" {
		t.Errorf("forged token = %v, want 401", a)
	}
	if a := p.do("GET", "/readyz"); a.status != http.StatusOK {
		t.Errorf("GET /readyz = %v, want 200", a)
	}
}

// TestRotation: tokens of a new key are accepted within 15 s, and those of the old
// key all the time.
func TestRotation(t *testing.T) {
	t.Parallel()
	enginetest.Slow(t)
	issuer := authtest.NewIssuer(t)
	p := start(t, configure([]object{trust(issuer, nil)}, nil))
	old := issuer.Token(reader)
	if a := p.with(old, "GET", "/reports"); a.status != http.StatusOK {
		t.Fatalf("before: %v", a)
	}
	issuer.Rotate()
	eventually(t, 15*time.Second, "a token of the new key", func() bool {
		if a := p.with(old, "GET", "/reports"); a.status != http.StatusOK {
			t.Errorf("token of the old key = %v, want 200", a)
		}
		return p.with(issuer.Token(reader), "GET", "/reports").status == http.StatusOK
	})
	if n := issuer.KeyFetches(); n > 3 {
		t.Errorf("key set fetches = %d, want at most 3", n)
	}
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
			app := exec.CommandContext(t.Context(), os.Args[0], "-config", writeConfig(t, configure([]object{trust(issuer, nil)}, nil)))
			app.Env = append(os.Environ(), appBinary+"=1")
			stdout, err := app.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := app.Start(); err != nil {
				t.Fatal(err)
			}
			s := &server{t: t}
			if _, err := fmt.Fscanf(stdout, "listening %s\n", &s.URL); err != nil {
				t.Fatal(err)
			}
			answered := make(chan string, 1)
			go func() {
				a, err := s.try("GET", "/reports", "Authorization", "Bearer "+issuer.Token(reader))
				answered <- fmt.Sprint(a, err)
			}()
			eventually(t, deadline, "the request waits for keys", func() bool { return issuer.KeyFetches() > 0 })
			if err := app.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			eventually(t, deadline, "the listener is closed", func() bool {
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

// TestAttack runs the attack kit against a running server that accepts API keys
// too.
func TestAttack(t *testing.T) {
	t.Parallel()
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{
		Algorithms: []string{"RS256", "PS256", "ES256", "EdDSA"}, Scope: "reports:read", Target: "/reports",
	})
	if err := issuer.PublishOddKeys(); err != nil {
		t.Fatal(err)
	}
	p := start(t, configure([]object{trust(issuer, nil)}, object{"api_keys": object{"driver": "memory"}}))
	good := func() {
		t.Helper()
		if a := p.with(issuer.Token(nil), "GET", "/reports"); a.status != http.StatusOK {
			t.Errorf("valid token = %v, want 200", a)
		}
	}
	good()
	sent := 0
	for attempt := range authtest.Attacks(issuer) {
		wire := &wire{server: p}
		findings := attempt.Try(wire)
		if !wire.carried {
			continue
		}
		sent++
		for _, f := range findings {
			t.Errorf("%s", f)
		}
	}
	good()
	if names := issuer.AttackerURLFetches(); len(names) > 0 {
		t.Errorf("requests to URLs in tokens: %q", names)
	}
	if sent < 500 {
		t.Errorf("attacks that reached the server = %d, want at least 500", sent)
	}
}

// wire is a handler that forwards requests to a server.
type wire struct {
	server  *server
	carried bool // the request reached the gate unchanged
}

func (c *wire) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, values := range r.Header {
		for _, value := range values {
			if strings.TrimSpace(value) != value {
				return // RFC 9110 §5.5: not part of the value
			}
		}
	}
	next, err := http.NewRequestWithContext(r.Context(), r.Method, c.server.URL+r.URL.RequestURI(), r.Body)
	if err != nil {
		return
	}
	next.Header = r.Header
	response, err := client.Do(next)
	if err != nil {
		return // such as a line break in a header
	}
	defer response.Body.Close()
	// net/http rejects larger headers before the gate.
	c.carried = response.StatusCode != http.StatusRequestHeaderFieldsTooLarge
	maps.Copy(w.Header(), response.Header)
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, response.Body)
}
