// SPDX-License-Identifier: Apache-2.0

package signin_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
)

// revocations records the subjects.
type revocations struct {
	revoked []gatehouse.Key
	err     error
	before  func() // nil for none
}

func (r *revocations) RevokeSubject(_ context.Context, subject gatehouse.Key) error {
	r.revoked = append(r.revoked, subject)
	if r.before != nil {
		r.before()
	}
	return r.err
}

// TestSignOutEverywhere: all sessions of the user end, with their refresh tokens and their
// access tokens, and those of another user do not.
func TestSignOutEverywhere(t *testing.T) {
	for name, test := range map[string]struct {
		all bool
		out func(s *site) error
	}{
		"query":             {true, func(s *site) error { s.do(http.MethodPost, "/auth/logout?everywhere=1"); return nil }},
		"field":             {true, func(s *site) error { s.do(http.MethodPost, "/auth/logout", form("everywhere=1")); return nil }},
		"operator":          {true, func(s *site) error { return s.EndUser(t.Context(), "alice") }},
		"another value":     {false, func(s *site) error { s.do(http.MethodPost, "/auth/logout?everywhere=0"); return nil }},
		"this browser only": {false, func(s *site) error { s.do(http.MethodPost, "/auth/logout"); return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			list := new(revocations)
			s := newSite(t, func(c *signin.Config) { c.Revocations = list })
			jars := make(map[string]map[string]string)
			for _, browser := range []string{"one", "two", "three", "grace"} {
				s.jar = make(map[string]string)
				s.Reply = object{"refresh_token": "refresh-" + browser}
				if browser == "grace" {
					s.Claims = func(claims object) { claims["sub"] = "grace" }
				}
				s.login("")
				jars[browser] = s.jar
			}
			s.jar = maps.Clone(jars["one"])
			if err := test.out(s); err != nil || name != "operator" && len(s.jar) != 0 {
				t.Errorf("error = %v, cookies %v", err, s.jar)
			}
			for browser, jar := range jars {
				s.jar = jar
				if _, err := s.principal(); (err == nil) != (browser == "grace" || !test.all && browser != "one") {
					t.Errorf("session of %s: error = %v", browser, err)
				}
			}
			want, keys := []string{"refresh-one"}, []gatehouse.Key(nil)
			if test.all {
				want, keys = []string{"refresh-one", "refresh-three", "refresh-two"}, []gatehouse.Key{{Issuer: s.Config().Issuer, Subject: "alice"}}
			}
			if got := s.revoked(); !slices.Equal(got, want) || !slices.Equal(list.revoked, keys) {
				t.Errorf("revoked %q and the access tokens of %v, want %q and %v", got, list.revoked, want, keys)
			}
		})
	}
}

// TestSignOutEverywhereFails: what is not ended or not revoked is an error of EndUser, and
// hinders neither the rest nor a user who signs out. That user learns it if sessions may be
// left.
func TestSignOutEverywhereFails(t *testing.T) {
	for name, test := range map[string]struct {
		method   string // of the store, which fails; Get only for one session
		list     error
		observer error
		endpoint int // status of the revocation endpoint, 0 if there is none
		revoked  int // refresh tokens
		err      string
	}{
		"no session is listed":    {method: "List", endpoint: 200, err: "session_store_unavailable"},
		"one is unreadable":       {method: "Get", endpoint: 200, revoked: 1, err: "session_store_unavailable"},
		"one ends meanwhile":      {method: "found no more", endpoint: 200, revoked: 1},
		"the last step":           {method: "DeleteAll", endpoint: 200, revoked: 2, err: "session_store_unavailable"},
		"the observer":            {observer: errors.New("disk full"), endpoint: 200, revoked: 2, err: "observer_failed"},
		"the list":                {list: errors.New("list down"), endpoint: 200, revoked: 2, err: "list down"},
		"the endpoint":            {endpoint: 400, revoked: 2, err: "revocation"},
		"both":                    {list: errors.New("list down"), endpoint: 400, revoked: 2, err: "list down"},
		"there is no endpoint":    {},
		"no endpoint and no list": {list: errors.New("list down"), err: "list down"},
	} {
		for _, operator := range []bool{true, false} {
			list := &revocations{err: test.list}
			s := newSite(t, func(c *signin.Config) { c.Revocations = list })
			if s.revoking = test.endpoint; s.revoking == 0 {
				delete(s.Metadata, "revocation_endpoint")
			}
			s.login("")
			first := must(s.principal()).Credential
			s.jar = make(map[string]string)
			s.login("")
			s.events.take()
			s.events.err = test.observer
			s.fault = func(method, id string) error {
				switch {
				case method == "Get" && id == first && test.method == "found no more":
					return session.ErrNotFound
				case method == test.method && (method != "Get" || id == first):
					return errors.New("down")
				}
				return nil
			}
			want, left := test.revoked, 0
			if test.method == "List" {
				left = 2
			}
			if operator {
				err := s.EndUser(t.Context(), "alice")
				if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
					t.Errorf("%s: EndUser error = %v, want %q", name, err, test.err)
				}
				if e, ok := errors.AsType[*gatehouse.Error](err); test.method != "" && ok != (test.err != "") || ok && e.Code.Status() != 503 {
					t.Errorf("%s: EndUser error = %v, want 503 if sessions may be left", name, err)
				}
			} else {
				status := 303
				if test.method != "" && test.err != "" || test.observer != nil {
					status = 503
				}
				if left == 2 {
					want, left = 1, 1 // the session of the request
				}
				w := s.do(http.MethodPost, "/auth/logout?everywhere=1")
				incomplete := slices.Contains(s.events.names(), string(signin.EventLogoutIncomplete))
				if w.Code != status || incomplete != (test.err != "" && status == 303) {
					t.Errorf("%s: logout: status %d, reported as incomplete: %t, want %d", name, w.Code, incomplete, status)
				}
			}
			records := must(s.store.List(t.Context(), session.Selector{Issuer: s.Config().Issuer, Subject: "alice"}, 9))
			if got := s.revoked(); len(got) != want || len(records) != left || (len(list.revoked) == 1) != (test.method != "List") {
				t.Errorf("%s: %d refresh tokens and subjects %v revoked, %d sessions left; want %d, %d", name, len(got), list.revoked, len(records), want, left)
			}
		}
	}
}

// TestRefreshTokensAreRevokedFirst: one of them could get an access token after the access
// tokens of the user were revoked. Eight are revoked at a time.
func TestRefreshTokensAreRevokedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *site
		revoked := 0 // when the access tokens are revoked
		s = newSite(t, func(c *signin.Config) { c.Revocations = &revocations{before: func() { revoked = len(s.revoked()) }} })
		var running, most atomic.Int32
		s.Routes["/revoke"] = func(w http.ResponseWriter, r *http.Request) {
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Second)
			running.Add(-1)
			s.serveRevoke(w, r)
		}
		for range 20 {
			s.jar = make(map[string]string)
			s.login("")
		}
		if err := s.EndUser(t.Context(), "alice"); err != nil || revoked != 20 || most.Load() != 8 {
			t.Errorf("EndUser error = %v, %d refresh tokens revoked before the access tokens, %d at a time; want 20, 8", err, revoked, most.Load())
		}
		_ = s.Close()
	})
}

// TestSignOutEverywhereWithoutSession: whom to sign out is not known, which is no success.
func TestSignOutEverywhereWithoutSession(t *testing.T) {
	s := newSite(t)
	for name, test := range map[string]struct {
		query  string
		before func()
		status int
		text   string
	}{
		"no session":    {"?everywhere=1", func() { clear(s.jar) }, 401, "Sign in again to sign out everywhere"},
		"ended session": {"?everywhere=1", func() { _ = s.EndUser(t.Context(), "alice") }, 401, "Sign in again to sign out everywhere"},
		"no store":      {"?everywhere=1", func() { s.down("Get") }, 503, "You may still be signed in"},
		"here only":     {"", func() { s.down("Get") }, 503, "You are signed out of this browser"},
	} {
		s.fault = nil
		s.login("")
		test.before()
		w := s.do(http.MethodPost, "/auth/logout"+test.query)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.text) {
			t.Errorf("%s: logout = %d %s, want %d with %q", name, w.Code, w.Body, test.status, test.text)
		}
	}
}
