// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/authtest"
)

// TestColdOutage starts a server all of whose key sets are broken, each in a
// way of its own.
func TestColdOutage(t *testing.T) {
	t.Parallel()
	elsewhere := authtest.NewIssuer(t)
	faults := map[string]struct {
		fault  authtest.Fault
		reason string // what the log says
	}{
		"down":       {authtest.Down, "EOF"},
		"hanging":    {authtest.Hanging, "deadline exceeded"},
		"trickling":  {authtest.Trickling(100 * time.Millisecond), "deadline exceeded"},
		"500":        {authtest.Status(http.StatusInternalServerError), "HTTP status 500"},
		"404":        {authtest.Status(http.StatusNotFound), "HTTP status 404"},
		"cut":        {authtest.Cut, "unexpected EOF"},
		"truncated":  {authtest.Truncated, "not a JWK Set"},
		"HTML":       {authtest.HTML, "not a JWK Set"},
		"empty":      {authtest.Document(`{"keys":[]}`), "no key that may verify"},
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
				t.Errorf("%s: the answer says more than it should: %v %s", name, a.header, a.body)
			}
			// What is bad in itself needs no keys to be refused.
			if a := p.with(issuer.ExpiredToken(reader), "GET", "/reports"); a.String() != "401 invalid_token" {
				t.Errorf("%s, an expired token: %v", name, a)
			}
		})
	}
	quick("/healthz", http.StatusOK) // while some of them hang
	all.Wait()
	quick("/healthz", http.StatusOK)
	quick("/readyz", http.StatusServiceUnavailable)
	if elsewhere.KeyFetches() != 0 {
		t.Error("a redirect to another origin was followed")
	}

	// The log says which issuer and what is wrong, for the fetch and for the
	// requests.
	fetches, requests := make(map[string]string), make(map[string]string)
	for _, r := range p.records() {
		if r.Problem != "" {
			fetches[r.Issuer] = r.Problem
		}
		if r.Reason == "keys_unavailable" {
			requests[r.Issuer] = r.Cause
		}
	}
	for name, issuer := range broken {
		for _, said := range []string{fetches[issuer.URL], requests[issuer.URL]} {
			if said == "" || !strings.Contains(said, faults[name].reason) {
				t.Errorf("%s: the log says %q, want %q", name, said, faults[name].reason)
			}
		}
	}

	// Once mended, and without a restart, all is well within 15 s.
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

// TestWarmOutage holds that keys at hand stay good while their issuer is down.
func TestWarmOutage(t *testing.T) {
	t.Parallel()
	issuer := authtest.NewIssuer(t)
	p := start(t, configure([]object{trust(issuer, nil)}, nil))
	eventually(t, deadline, "ready", func() bool { return p.do("GET", "/readyz").status == http.StatusOK })
	issuer.Break(authtest.Hanging)
	for range 3 { // new ones each time: the cache does not answer
		if a := p.with(issuer.Token(reader), "GET", "/reports"); a.status != http.StatusOK {
			t.Errorf("a good token in an outage: %v", a)
		}
	}
	if a := p.with(issuer.ForeignToken(reader), "GET", "/reports"); a.String() != "401 invalid_token" {
		t.Errorf("a forged token in an outage: %v", a)
	}
	if a := p.do("GET", "/readyz"); a.status != http.StatusOK {
		t.Errorf("readyz in an outage with keys at hand: %v", a)
	}
}

// TestRotation holds that the tokens of a new key are good after at most 15 s,
// and those of the old one meanwhile.
func TestRotation(t *testing.T) {
	t.Parallel()
	issuer := authtest.NewIssuer(t)
	p := start(t, configure([]object{trust(issuer, nil)}, nil))
	old := issuer.Token(reader)
	if a := p.with(old, "GET", "/reports"); a.status != http.StatusOK {
		t.Fatalf("before: %v", a)
	}
	issuer.Rotate()
	eventually(t, 15*time.Second, "a token of the new key", func() bool {
		if a := p.with(old, "GET", "/reports"); a.status != http.StatusOK {
			t.Errorf("a token of the old key: %v", a)
		}
		return p.with(issuer.Token(reader), "GET", "/reports").status == http.StatusOK
	})
	if n := issuer.KeyFetches(); n > 3 {
		t.Errorf("%d fetches of the key set, want two or three", n)
	}
}

// TestShutdown holds that a request that is under way gets its answer.
func TestShutdown(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			issuer := authtest.NewIssuer(t)
			issuer.Break(authtest.Hanging)
			p := start(t, configure([]object{trust(issuer, nil)}, nil))
			type result struct {
				answer
				err error
			}
			answered := make(chan result, 1)
			token := p.secret(issuer.Token(reader))
			go func() {
				a, err := p.try("GET", "/reports", "Authorization", "Bearer "+token)
				answered <- result{a, err}
			}()
			eventually(t, deadline, "a request waits for keys", func() bool { return issuer.KeyFetches() > 0 })
			if err := p.command.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			eventually(t, deadline, "no more requests are taken", func() bool {
				_, err := p.try("GET", "/healthz")
				return err != nil
			})
			issuer.Break(nil)
			if r := <-answered; r.err != nil || r.String() != "503 temporarily_unavailable" {
				t.Errorf("the request under way: %v, %v", r.answer, r.err)
			}
			select {
			case <-p.ended:
			case <-time.NewTimer(deadline).C:
				t.Error("the process goes on")
			}
		})
	}
}
