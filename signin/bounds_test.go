// SPDX-License-Identifier: Apache-2.0

package signin_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/racetest"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/signin"
)

// large are requests for a login that an anonymous client can send, and the most
// allocations that they may cost.
var large = map[string]struct {
	cookies, query string
	allocs         float64
}{
	"nothing":              {"", "", 100},
	"15,000 short cookies": {strings.Repeat("a=; ", 15_000), "", 100},
	"20 long cookies":      {series("other-%08x=1"+strings.Repeat("A", 2900)+"; ", 20), "", 100},
	"2,000 transactions":   {series("__Host-Http-tx-%08x=1AAAA; ", 2000), "", 600},
	"20 long transactions": {series("__Host-Http-tx-%08x=1"+strings.Repeat("A", 2900)+"; ", 20), "", 300},
	"1,000 parameters":     {"", "?" + series("a%d=1&", 1000), 1150},
}

func series(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// TestLoginIsCheap: 60 KB of cookies or parameters cost a login little.
func TestLoginIsCheap(t *testing.T) {
	for name, test := range large {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			r := s.request(http.MethodGet, "/auth/login"+test.query, header("Cookie", test.cookies))
			w := httptest.NewRecorder()
			if s.ServeHTTP(w, r); w.Code != http.StatusSeeOther || len(w.Header()["Set-Cookie"]) > 25 {
				t.Errorf("login: status %d with %d cookies, want 303 with at most 25", w.Code, len(w.Header()["Set-Cookie"]))
			}
			got := testing.AllocsPerRun(50, func() { s.ServeHTTP(httptest.NewRecorder(), r) })
			if got > test.allocs && !racetest.Enabled {
				t.Errorf("%v allocations, want at most %v", got, test.allocs)
			}
		})
	}
}

// processes returns a login that has begun, and two processes with one store that can
// complete it.
func processes(t *testing.T, query string) (one, two *site, response url.Values) {
	one = newSite(t)
	two = newSite(t, func(c *signin.Config) { c.Session.Store, c.Client.Transport = one.store, one.Server })
	response = one.Authorize(one.start(query))
	two.jar = maps.Clone(one.jar)
	return one, two, response
}

// TestTransactionIsRedeemedOnce: of callbacks with one state and one code, at the same
// time and at two processes that share the store, one sends the code.
//
// Covers RFC 6749 §4.1.2 (once).
func TestTransactionIsRedeemedOnce(t *testing.T) {
	one, two, response := processes(t, "?return_to=/reports")
	var group sync.WaitGroup
	answers := make(chan *httptest.ResponseRecorder, 20)
	for i := range cap(answers) {
		handler := []http.Handler{one, two}[i%2]
		r := one.request(http.MethodGet, "/auth/callback?"+response.Encode())
		group.Go(func() {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			answers <- w
		})
	}
	group.Wait()
	count := make(map[int]int)
	for range cap(answers) {
		w := <-answers
		count[w.Code]++
		for _, c := range w.Result().Cookies() {
			if c.Name == sessionCookie {
				two.jar[c.Name] = c.Value
			}
		}
	}
	if one.Count("/token") != 1 || count[303] != 1 || count[400] != cap(answers)-1 {
		t.Errorf("%d token requests, statuses %v, want 1 with one 303, and 400 otherwise", one.Count("/token"), count)
	}
	// With the session, it is the back button.
	if w := two.callback(response); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/reports" {
		t.Errorf("callback with the session: %d to %q, want 303 to /reports", w.Code, w.Header().Get("Location"))
	}
}

// TestCodeIsRememberedAsLongAsTheLogin: a process that has not seen the callback does not
// send its code again, as long as the cookie of the login is accepted.
func TestCodeIsRememberedAsLongAsTheLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two, response := processes(t, "")
		one.callback(response)
		time.Sleep(10*time.Minute - time.Second)
		two.expect("callback of another process", two.callback(response), http.StatusBadRequest, oauth.ReasonTransaction)
		if n := one.Count("/token"); n != 1 {
			t.Errorf("%d token requests, want 1", n)
		}
		_ = errors.Join(one.Close(), two.Close())
	})
}

// TestLoginFlood: many anonymous requests for the login are few requests to the
// authorization server.
func TestLoginFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.Metadata["pushed_authorization_request_endpoint"] = s.Config().Issuer + "/par"
		s.Routes["/par"] = raw(201, `{"request_uri":"urn:x","expires_in":60}`)
		refused := 0
		for range 2000 {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, s.request(http.MethodGet, "/auth/login"))
			if w.Code == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "1" {
				refused++
			}
		}
		if n := s.Count("/par"); n != 100 || refused != 1900 {
			t.Errorf("%d pushed requests, %d answers of 503 with Retry-After; want 100 and 1,900", n, refused)
		}
		s.events.take()
		// While the authorization server is down, it gets no request either.
		time.Sleep(time.Minute)
		s.Routes["/par"] = raw(503, "")
		for range 20 {
			s.expect("login", s.do(http.MethodGet, "/auth/login"), http.StatusServiceUnavailable, signin.ReasonUnavailable)
		}
		if n := s.Count("/par"); n != 101 {
			t.Errorf("%d pushed requests, want one more", n)
		}
		_ = s.Close()
	})
}
