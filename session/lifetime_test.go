// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/session"
)

// TestLifetimeOfLogin: a login can have another lifetime than the others ("remember me").
//
// Covers ASVS 5.0 §7.3.1, §7.3.2.
func TestLifetimeOfLogin(t *testing.T) {
	const day = 24 * time.Hour
	for name, test := range map[string]struct {
		config     session.Config
		login      session.Lifetime
		cookie     string // its Max-Age
		idle       time.Duration
		absolute   time.Duration
		secondIdle time.Duration // a second session without Lifetime
	}{
		"remembered":     {session.Config{}, session.Lifetime{Idle: 10 * day, Absolute: 30 * day, Persistent: true}, "Max-Age=2592000", 10 * day, 30 * day, 30 * time.Minute},
		"shorter":        {session.Config{Persistent: true}, session.Lifetime{Idle: 10 * time.Second}, "", 10 * time.Second, 12 * time.Hour, 30 * time.Minute},
		"only absolute":  {session.Config{}, session.Lifetime{Absolute: 10 * time.Minute, Persistent: true}, "Max-Age=600", 10 * time.Minute, 10 * time.Minute, 30 * time.Minute},
		"that of config": {session.Config{Persistent: true, Absolute: time.Hour}, session.Lifetime{}, "Max-Age=3600", 30 * time.Minute, time.Hour, 30 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newApp(t, test.config)
				l := withTokens(person("ada"), 1, 60*day)
				l.Lifetime = test.login
				w := httptest.NewRecorder()
				succeeds(t, a.Start(w, request(http.MethodPost, "/login"), l))
				set, secret := w.Header().Get("Set-Cookie"), cookieOf(t, w.Header())
				if strings.Contains(set, "Max-Age") != (test.cookie != "") || !strings.HasSuffix(set, test.cookie) {
					t.Errorf("Set-Cookie = %s, want %q", set, test.cookie)
				}
				if list, err := a.List(t.Context(), issuer, "ada"); err != nil || list[0].Idle != test.idle {
					t.Errorf("List = %+v, %v, want the idle timeout %v", list, err, test.idle)
				}
				other := a.login(t, person("grace"))
				time.Sleep(test.secondIdle)
				a.status(t, other, 401)
				if test.idle > test.secondIdle {
					a.token(t, secret, 200, "access-1")
				}
				// A new ID keeps the lifetime, and the cookie as long as the session.
				idle := a.login(t, l)
				time.Sleep(time.Second)
				a.store.set(func(method string, _ int) error {
					if method == "Swap" {
						time.Sleep(time.Second)
					}
					return nil
				})
				w = a.do(http.MethodPost, "/admin", with(idle))
				a.store.up()
				if c, err := http.ParseSetCookie(w.Header().Get("Set-Cookie")); err != nil || (c.MaxAge > 0) != (test.cookie != "") || c.MaxAge > 0 && c.MaxAge != int(test.absolute.Seconds())-2 {
					t.Errorf("Renew: Set-Cookie = %v, %v, want the Max-Age two seconds less than %q", c, err, test.cookie)
				}
				idle = cookieOf(t, w.Header())
				time.Sleep(test.idle - 3*time.Second)
				a.status(t, idle, 200)
				time.Sleep(test.idle)
				a.status(t, idle, 401)
				// The absolute timeout, with the tokens until then.
				busy := a.login(t, l)
				for left := test.absolute - time.Second; left > 0; left -= test.idle / 2 {
					time.Sleep(min(left, test.idle/2))
					a.token(t, busy, 200, "access-1")
				}
				time.Sleep(time.Second)
				a.status(t, busy, 401)
			})
		})
	}
	a := newApp(t, session.Config{})
	for _, wrong := range []session.Lifetime{{Idle: time.Millisecond}, {Absolute: 401 * day}, {Absolute: -1}, {Idle: -1}} {
		l := person("ada")
		l.Lifetime = wrong
		if err := a.Start(httptest.NewRecorder(), request(http.MethodPost, "/login"), l); err == nil || !strings.Contains(err.Error(), "Login.Lifetime") {
			t.Errorf("Start(%+v) error = %v, want one that names Login.Lifetime", wrong, err)
		}
		if err := wrong.Check(); err == nil {
			t.Errorf("Check of %+v error = nil, want one", wrong)
		}
	}
}

// TestPartitioned: the cookie of an application in a frame of other sites.
func TestPartitioned(t *testing.T) {
	a := newApp(t, session.Config{Partitioned: true, AllowFraming: true})
	w := httptest.NewRecorder()
	succeeds(t, a.Start(w, request(http.MethodPost, "/login"), person("ada")))
	if set := w.Header().Get("Set-Cookie"); !strings.Contains(set, "SameSite=None; Partitioned") || !strings.Contains(set, "Secure") {
		t.Errorf("Set-Cookie = %s, want SameSite=None; Partitioned", set)
	}
	secret := cookieOf(t, w.Header())
	if w := a.do(http.MethodPost, "/logout", with(secret)); !strings.Contains(w.Header().Get("Set-Cookie"), "Partitioned; Expires=Thu, 01 Jan 1970") {
		t.Errorf("Set-Cookie of the logout = %s, want that of the same partition", w.Header().Get("Set-Cookie"))
	}
	secret = a.login(t, person("ada"))
	if w := a.do(http.MethodPost, "/", with(secret), header("Sec-Fetch-Site", "cross-site")); w.Code != 403 {
		t.Errorf("POST of another site = %d, want 403", w.Code)
	}
	w = httptest.NewRecorder()
	succeeds(t, newApp(t, session.Config{AllowFraming: true}).Start(w, request(http.MethodPost, "/login"), person("ada")))
	if set := w.Header().Get("Set-Cookie"); !strings.Contains(set, "SameSite=Lax") || strings.Contains(set, "Partitioned") {
		t.Errorf("Set-Cookie with AllowFraming only = %s, want SameSite=Lax", set)
	}
	if _, err := session.New(session.Config{Store: session.NewMemory(0), Partitioned: true}); err == nil || !strings.Contains(err.Error(), "AllowFraming") {
		t.Errorf("New without AllowFraming: error = %v", err)
	}
}
