// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/interop/provider"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

const firstLifetime = 2 * time.Second

// engines are those that several processes can share.
var engines = map[string]func(t *testing.T) map[string]any{
	"postgres": func(t *testing.T) map[string]any {
		return map[string]any{"driver": "postgres", "dsn": enginetest.StartPostgres(t).Database(t)}
	},
	"redis": func(t *testing.T) map[string]any {
		return map[string]any{"driver": "redis", "dsn": enginetest.StartRedis(t).URL()}
	},
}

// TestManyRequestsOneRefresh: fifty requests at two processes find the access
// token of one session over, at a server that ends the login when a refresh
// token is used twice.
func TestManyRequestsOneRefresh(t *testing.T) {
	t.Parallel()
	for name, engine := range engines {
		t.Run(name, func(t *testing.T) {
			s := newSignin(t, provider.Options{FirstLifetime: firstLifetime, RefreshDelay: 200 * time.Millisecond}, engine(t))
			processes := []*server{s.start(t, strings.TrimPrefix(s.origin, "http://")), s.start(t, "127.0.0.1:0")}
			ada := newVisitor(t, "ada")
			ada.login(t, s, processes[0])
			s.expire(t)

			const requests = 50
			var group sync.WaitGroup
			subjects := make([]string, requests)
			for n := range requests {
				group.Go(func() {
					response, body := ada.get(t, processes[n%2].address+"/api/upstream")
					subjects[n] = http.StatusText(response.StatusCode) + " " + body
				})
			}
			group.Wait()
			for n, said := range subjects {
				if !strings.HasPrefix(said, "OK ") || !strings.Contains(said, `"ada"`) {
					t.Errorf("request %d: %s", n, said)
				}
			}
			if good, refused := s.provider.Refreshes(t); good != 1 || refused != 0 {
				t.Errorf("%d refreshes and %d refused, want 1 and 0", good, refused)
			}
			for _, p := range processes {
				if got := ada.subject(t, p, "/api/me"); got != "ada" {
					t.Errorf("signed in as %q", got)
				}
			}
		})
	}
}

// TestKilledInTheMiddleOfARefresh: the process that renews the tokens is killed
// after the server has taken the refresh token and before it has answered.
// That one person has to sign in again, and nobody else notices.
func TestKilledInTheMiddleOfARefresh(t *testing.T) {
	t.Parallel()
	s := newSignin(t, provider.Options{FirstLifetime: firstLifetime, RefreshDelay: 5 * time.Second}, engines["postgres"](t))
	doomed, stays := s.start(t, "127.0.0.1:0"), s.start(t, strings.TrimPrefix(s.origin, "http://"))
	ada, grace := newVisitor(t, "ada"), newVisitor(t, "grace")
	ada.login(t, s, stays)
	grace.login(t, s, stays)
	s.expire(t)

	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r, err := http.NewRequest(http.MethodGet, doomed.address+"/api/upstream", http.NoBody)
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.AddCookie(&http.Cookie{Name: "__Host-Http-signin", Value: ada.cookies["__Host-Http-signin"]})
		if response, err := http.DefaultClient.Do(r); err == nil {
			response.Body.Close()
			t.Errorf("the doomed process has answered %d", response.StatusCode)
		}
	}()
	enginetest.Eventually(t, 30*time.Second, "a refresh", func() bool {
		good, _ := s.provider.Refreshes(t)
		return good == 1
	})
	if err := doomed.process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended

	// Grace is not concerned, in this process or in a new one.
	if got := grace.subject(t, stays, "/api/upstream"); got != "grace" {
		t.Errorf("grace is %q", got)
	}
	// Ada still is who she is, until her token is needed.
	if got := ada.subject(t, stays, "/api/me"); got != "ada" {
		t.Errorf("ada is %q", got)
	}
	if got := ada.subject(t, stays, "/api/upstream"); got != "" {
		t.Errorf("the upstream call of ada is answered for %q", got)
	}
	if got := ada.subject(t, stays, "/api/me"); got != "" {
		t.Errorf("ada is still signed in, as %q, at a server that has ended the login", got)
	}
	ada.login(t, s, stays)
	if got := ada.subject(t, s.start(t, "127.0.0.1:0"), "/api/upstream"); got != "ada" {
		t.Errorf("after she has signed in again, ada is %q", got)
	}
}
