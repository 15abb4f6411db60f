// SPDX-License-Identifier: Apache-2.0

package signin_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

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
	if r.err == nil && r.before != nil {
		r.before()
	}
	return r.err
}

// TestSignOutEverywhere: all sessions of the user end, with their refresh tokens and their
// access tokens, and those of another user do not.
func TestSignOutEverywhere(t *testing.T) {
	for name, out := range map[string]func(s *site) error{
		"query": func(s *site) error {
			if w := s.do(http.MethodPost, "/auth/logout?everywhere=1"); w.Code != 303 || len(s.jar) != 0 {
				t.Errorf("POST /auth/logout?everywhere=1 = %d with cookies %v", w.Code, s.jar)
			}
			return nil
		},
		"field": func(s *site) error {
			jar := maps.Clone(s.jar)
			w := s.do(http.MethodPost, "/auth/logout", form("everywhere=1"), func(r *http.Request) {
				r.Header.Set("Sec-Fetch-Site", "same-origin")
				r.Header.Set("Sec-Fetch-Mode", "navigate")
				r.AddCookie(&http.Cookie{Name: sessionCookie, Value: jar[sessionCookie]})
			})
			if w.Code != 303 {
				t.Errorf("POST /auth/logout with everywhere = %d", w.Code)
			}
			return nil
		},
		"operator": func(s *site) error { return s.EndUser(t.Context(), "alice") },
		"this browser only": func(s *site) error {
			s.do(http.MethodPost, "/auth/logout")
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			list := new(revocations)
			s := newSite(t, func(c *signin.Config) { c.Revocations = list })
			var mu sync.Mutex
			var revoked []string
			s.Routes["/revoke"] = func(_ http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				revoked = append(revoked, r.PostFormValue("token"))
			}
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
			if err := out(s); err != nil {
				t.Errorf("error = %v", err)
			}
			all := name != "this browser only"
			for browser, jar := range jars {
				s.jar = jar
				if _, err := s.principal(); (err == nil) != (browser == "grace" || !all && browser != "one") {
					t.Errorf("session of %s: error = %v", browser, err)
				}
			}
			want, keys := []string{"refresh-one"}, []gatehouse.Key(nil)
			if all {
				want, keys = []string{"refresh-one", "refresh-three", "refresh-two"}, []gatehouse.Key{{Issuer: s.Config().Issuer, Subject: "alice"}}
			}
			if slices.Sort(revoked); !slices.Equal(revoked, want) || !slices.Equal(list.revoked, keys) {
				t.Errorf("revoked %q and the access tokens of %v, want %q and %v", revoked, list.revoked, want, keys)
			}
		})
	}
}

// TestEndUserFails: what is not ended or not revoked is an error, and does not hinder the
// rest.
func TestEndUserFails(t *testing.T) {
	list := &revocations{err: errors.New("list down")}
	s := newSite(t, func(c *signin.Config) { c.Revocations = list })
	s.Routes["/revoke"] = raw(503, "")
	s.login("")
	if err := s.EndUser(t.Context(), "alice"); err == nil || !strings.Contains(err.Error(), "list down") || !strings.Contains(err.Error(), "revocation") {
		t.Errorf("EndUser error = %v, want both failures", err)
	}
	if _, err := s.principal(); err == nil {
		t.Error("the session is still valid")
	}
	s.login("")
	s.events.take()
	if w := s.do(http.MethodPost, "/auth/logout?everywhere=1"); w.Code != 303 || !slices.Contains(s.events.names(), string(signin.EventLogoutIncomplete)) {
		t.Errorf("logout: status %d, want 303 and the event %s", w.Code, signin.EventLogoutIncomplete)
	}
	broken := newSite(t, func(c *signin.Config) { c.Session.Store = listless{c.Session.Store} })
	if err := broken.EndUser(t.Context(), "alice"); !isUnavailable(err) {
		t.Errorf("EndUser without the store: error = %v, want 503", err)
	}
	undeleted := newSite(t, func(c *signin.Config) { c.Session.Store = undeletable{c.Session.Store} })
	if err := undeleted.EndUser(t.Context(), "alice"); !isUnavailable(err) {
		t.Errorf("EndUser with a store that ends not all sessions: error = %v, want 503", err)
	}
	without := newSite(t)
	delete(without.Metadata, "revocation_endpoint")
	without.login("")
	if err := without.EndUser(t.Context(), "alice"); err != nil {
		t.Errorf("EndUser without a revocation endpoint: error = %v, want none", err)
	}
}

// TestLogoutEverywhereReportsTheList: the refresh tokens are revoked, and the access
// tokens are not.
func TestLogoutEverywhereReportsTheList(t *testing.T) {
	s := newSite(t, func(c *signin.Config) { c.Revocations = &revocations{err: errors.New("list down")} })
	s.Routes["/revoke"] = func(http.ResponseWriter, *http.Request) {}
	s.login("")
	s.events.take()
	if w := s.do(http.MethodPost, "/auth/logout?everywhere=1"); w.Code != 303 || !slices.Contains(s.events.names(), string(signin.EventLogoutIncomplete)) {
		t.Errorf("logout: status %d, want 303 and the event %s", w.Code, signin.EventLogoutIncomplete)
	}
}

// TestRefreshTokensAreRevokedFirst: one of them could get an access token after the access
// tokens of the user were revoked.
func TestRefreshTokensAreRevokedFirst(t *testing.T) {
	refresh, left := 0, 0
	s := newSite(t, func(c *signin.Config) {
		c.Revocations = &revocations{before: func() { left = 2 - refresh }}
	})
	var mu sync.Mutex
	s.Routes["/revoke"] = func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		refresh++
	}
	for range 2 {
		s.jar = make(map[string]string)
		s.login("")
	}
	if err := s.EndUser(t.Context(), "alice"); err != nil || left != 0 || refresh != 2 {
		t.Errorf("EndUser error = %v with %d of 2 refresh tokens left when the access tokens were revoked", err, left)
	}
}

// TestSignOutEverywhereWithoutSession: whom to sign out is not known, which is no success.
func TestSignOutEverywhereWithoutSession(t *testing.T) {
	var down bool
	s := newSite(t, func(c *signin.Config) {
		c.Session.Store = unreadable{c.Session.Store, func(string) bool { return down }}
	})
	if w := s.do(http.MethodPost, "/auth/logout?everywhere=1"); w.Code != 401 {
		t.Errorf("logout without a session = %d, want 401", w.Code)
	}
	s.login("")
	down = true
	if w := s.do(http.MethodPost, "/auth/logout?everywhere=1"); w.Code != 503 {
		t.Errorf("logout without the store = %d, want 503", w.Code)
	}
}

// TestEndUserGoesOn: a session that cannot be read does not save those after it.
func TestEndUserGoesOn(t *testing.T) {
	list := new(revocations)
	ending, unread, revoked := false, "", 0
	s := newSite(t, func(c *signin.Config) {
		c.Revocations = list
		c.Session.Store = unreadable{c.Session.Store, func(id string) bool {
			if ending && unread == "" {
				unread = id
			}
			return id == unread
		}}
	})
	s.Routes["/revoke"] = func(http.ResponseWriter, *http.Request) { revoked++ }
	for range 2 {
		s.jar = make(map[string]string)
		s.Reply = object{"refresh_token": "refresh"}
		s.login("")
	}
	ending, revoked = true, 0
	if err := s.EndUser(t.Context(), "alice"); !isUnavailable(err) {
		t.Errorf("EndUser error = %v, want 503", err)
	}
	if _, err := s.principal(); err == nil || revoked != 1 || len(list.revoked) != 1 {
		t.Errorf("the session is valid: %t, %d refresh tokens revoked, subjects %v; want none, one and alice", err == nil, revoked, list.revoked)
	}
}

// unreadable is a store whose Get fails where failed returns true.
type unreadable struct {
	session.Store
	failed func(id string) bool
}

func (u unreadable) Get(ctx context.Context, id string) (session.Record, error) {
	if u.failed(id) {
		return session.Record{}, errors.New("down")
	}
	return u.Store.Get(ctx, id)
}

type listless struct{ session.Store }

func (listless) List(context.Context, session.Selector, int) ([]session.Record, error) {
	return nil, errors.New("down")
}

type undeletable struct{ session.Store }

func (undeletable) DeleteAll(context.Context, session.Selector) (int, error) {
	return 0, errors.New("down")
}

func isUnavailable(err error) bool {
	e, ok := errors.AsType[*gatehouse.Error](err)
	return ok && e.Code.Status() == 503
}

// TestLogoutOnPageOfAnotherUser: a tab that still shows another user signs no user out.
func TestLogoutOnPageOfAnotherUser(t *testing.T) {
	s := newSite(t)
	s.login("")
	p := must(s.principal())
	other := p
	other.Subject = "grace"
	for name, change := range map[string]func(*http.Request){
		"header": header(session.UserHeader, session.UserTag(other)),
		"field": func(r *http.Request) {
			r.URL.RawQuery = url.Values{session.UserField: {session.UserTag(other)}}.Encode()
		},
	} {
		s.events.take()
		w := s.do(http.MethodPost, "/auth/logout", change)
		s.expect(name, w, 409, session.ReasonOtherUser)
		if !strings.Contains(w.Body.String(), "Another user") {
			t.Errorf("%s: page %s, want words about another user", name, w.Body)
		}
	}
	if _, err := s.principal(); err != nil {
		t.Errorf("session error = %v, want none", err)
	}
	if w := s.do(http.MethodPost, "/auth/logout", header(session.UserHeader, session.UserTag(p))); w.Code != 303 {
		t.Errorf("logout of the own page: status %d, want 303", w.Code)
	}
}

// TestLogoutEverywhereReportsTheStore: the user has not been signed out everywhere.
func TestLogoutEverywhereReportsTheStore(t *testing.T) {
	s := newSite(t, func(c *signin.Config) { c.Session.Store = undeletable{c.Session.Store} })
	s.Routes["/revoke"] = func(http.ResponseWriter, *http.Request) {}
	s.login("")
	if w := s.do(http.MethodPost, "/auth/logout?everywhere=1"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("logout: status %d, want 503", w.Code)
	}
}
