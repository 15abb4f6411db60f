// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
)

func TestEnd(t *testing.T) {
	a := newApp(t, session.Config{})
	secret, other := a.login(t, withTokens(person("ada"), 1, time.Hour)), a.login(t, person("ada"))
	w := httptest.NewRecorder()
	tokens, err := a.End(w, request(http.MethodPost, "/logout", with(secret)))
	if err != nil || string(tokens.Refresh.Reveal()) != "refresh-1" || string(tokens.ID.Reveal()) != "header.id.signature" {
		t.Errorf("%v, %v", tokens, err)
	}
	if got := a.store.count("Get"); got != 1 {
		t.Errorf("the store was asked %d times", got)
	}
	a.status(t, secret, 401)
	a.status(t, other, 200)
	if cookieOf(t, w.Header()) != "" || w.Header().Get("Clear-Site-Data") != `"cache", "storage"` || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%v", w.Header())
	}
	asked := a.store.count("Get")
	if _, err := a.End(httptest.NewRecorder(), request(http.MethodPost, "/logout", with(secret))); err != nil || a.store.count("Get") != asked+1 {
		t.Errorf("once more: %v, asked %d times", err, a.store.count("Get")-asked)
	}
	// Without a session, and with a cookie that is none, there is no need to ask.
	a.store.down()
	for _, change := range []func(*http.Request){func(*http.Request) {}, with("?")} {
		w := httptest.NewRecorder()
		if tokens, err := a.End(w, request(http.MethodPost, "/logout", change)); err != nil || tokens.Access.Len() != 0 || cookieOf(t, w.Header()) != "" {
			t.Errorf("%v, %v, %v", tokens, err, w.Header())
		}
	}
}

// The credential of another kind, which a gate has found, is not the session.
func TestEndOfAnotherKind(t *testing.T) {
	a := newApp(t, session.Config{})
	secret := a.login(t, person("ada"))
	key := a.principal(t, secret)
	key.Method = "api_key"
	r := request(http.MethodPost, "/logout")
	if _, err := a.End(httptest.NewRecorder(), r.WithContext(gatehouse.NewContext(r.Context(), key))); err != nil {
		t.Fatal(err)
	}
	a.status(t, secret, 200)
}

func TestEndCrossSite(t *testing.T) {
	a := newApp(t, session.Config{})
	secret := a.login(t, person("ada"))
	w := a.do(http.MethodPost, "/logout", with(secret), header("Sec-Fetch-Site", "cross-site"))
	if w.Code != 403 || len(w.Header()["Set-Cookie"]) != 0 {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	a.status(t, secret, 200)
}

func TestEndStoreDown(t *testing.T) {
	for _, method := range []string{"Get", "Delete"} {
		a := newApp(t, session.Config{})
		secret := a.login(t, person("ada"))
		a.store.down(method)
		w := a.do(http.MethodPost, "/logout", with(secret))
		if w.Code != 503 || cookieOf(t, w.Header()) != "" {
			t.Errorf("%s: %d %v", method, w.Code, w.Header())
		}
	}
}

// A logout while the tokens are renewed waits for them, since the old refresh
// token cannot be revoked any more; but not for long.
func TestEndDuringRefresh(t *testing.T) {
	for name, c := range map[string]struct {
		after time.Duration
		want  string
	}{
		"quick": {time.Second, "refresh-2"},
		"slow":  {5 * time.Second, "refresh-1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &issuerServer{delay: c.after}
				a := newApp(t, session.Config{Refresh: server.refresh})
				secret := a.login(t, withTokens(person("ada"), 1, 0))
				go a.do(http.MethodGet, "/token", with(secret))
				synctest.Wait()
				tokens, err := a.End(httptest.NewRecorder(), request(http.MethodPost, "/logout", with(secret)))
				if err != nil || string(tokens.Refresh.Reveal()) != c.want {
					t.Errorf("%q, %v", tokens.Refresh.Reveal(), err)
				}
				a.status(t, secret, 401)
				synctest.Wait()
			})
		})
	}
}

func TestListAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, session.Config{})
		first := a.login(t, person("ada"))
		time.Sleep(time.Minute)
		second := a.login(t, withTokens(person("ada"), 1, time.Hour))
		foreign := a.login(t, person("grace"))
		time.Sleep(time.Minute)
		a.status(t, first, 200)

		list, err := a.List(t.Context(), issuer, "ada")
		if err != nil || len(list) != 2 || list[0].ID != a.principal(t, first).Credential || list[0].Label != "Firefox on Linux" ||
			list[0].LastSeen.Sub(list[0].Created) != 2*time.Minute {
			t.Fatalf("%+v, %v", list, err)
		}
		id := a.principal(t, foreign).Credential
		if _, err := a.EndOne(t.Context(), issuer, "ada", id); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("ending the session of somebody else: %v", err)
		}
		if _, err := a.EndOne(t.Context(), "https://other.example", "grace", id); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("of another issuer: %v", err)
		}
		a.status(t, foreign, 200)
		nobody, err := a.store.Create(t.Context(), session.Record{Session: session.Session{ID: "nobody's", Issuer: issuer, Idle: time.Hour}}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{nobody.ID, "not there"} {
			_, err := a.EndOne(t.Context(), issuer, "", id)
			if _, refused := errors.AsType[*gatehouse.Error](err); refused || !errors.Is(err, session.ErrNotFound) {
				t.Errorf("ending %s: %v", id, err)
			}
		}
		if tokens, err := a.EndOne(t.Context(), issuer, "ada", list[1].ID); err != nil || string(tokens.Refresh.Reveal()) != "refresh-1" {
			t.Errorf("%v, %v", tokens, err)
		}
		a.status(t, second, 401)

		third := a.login(t, person("ada"))
		count, err := a.EndAll(t.Context(), session.Selector{Issuer: issuer, Subject: "ada", Except: a.principal(t, third).Credential})
		if err != nil || count != 1 {
			t.Errorf("%d, %v", count, err)
		}
		a.status(t, first, 401)
		a.status(t, third, 200)
		for _, s := range []session.Selector{{}, {Issuer: issuer}, {Subject: "ada"}, {SID: "sid-ada"}} {
			if _, err := a.EndAll(t.Context(), s); err == nil {
				t.Errorf("accepted %+v", s)
			}
		}

		a.store.down()
		for name, err := range map[string]error{
			"list": func() error { _, err := a.List(t.Context(), issuer, "ada"); return err }(),
			"one":  func() error { _, err := a.EndOne(t.Context(), issuer, "ada", list[0].ID); return err }(),
			"all": func() error {
				_, err := a.EndAll(t.Context(), session.Selector{Issuer: issuer, Subject: "ada"})
				return err
			}(),
		} {
			if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code.Status() != 503 {
				t.Errorf("%s, while the store is down: %v", name, err)
			}
		}
	})
}

func TestLogout(t *testing.T) {
	a := newApp(t, session.Config{})
	bySID, bySubject, stays := a.login(t, person("ada")), a.login(t, person("grace")), a.login(t, person("joan"))
	logout := func(l session.Logout) error { l.Issuer = issuer; return a.Logout(t.Context(), l) }

	if err := logout(session.Logout{SID: "sid-ada", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	if err := logout(session.Logout{Subject: "grace", ID: "2"}); err != nil {
		t.Fatal(err)
	}
	a.status(t, bySID, 401)
	a.status(t, bySubject, 401)
	a.status(t, stays, 200)

	// A token that comes again does not end what has begun since.
	again := a.login(t, person("grace"))
	if err := logout(session.Logout{Subject: "grace", ID: "2"}); err != nil {
		t.Fatal(err)
	}
	a.status(t, again, 200)

	// Both have to match.
	if err := logout(session.Logout{Subject: "joan", SID: "sid-grace", ID: "3"}); err != nil {
		t.Fatal(err)
	}
	a.status(t, stays, 200)
	for _, l := range []session.Logout{{Subject: "joan"}, {ID: "4"}} {
		if err := logout(l); err == nil {
			t.Errorf("accepted %+v", l)
		}
	}
	// A session whose SID is not known may be the one that is meant.
	unnamed, named := person("joan"), person("joan")
	unnamed.SID, named.SID = "", "another"
	may, too, not := a.login(t, unnamed), a.login(t, unnamed), a.login(t, named)
	for _, method := range []string{"List", "Delete"} {
		a.store.down(method)
		if err := logout(session.Logout{Subject: "joan", SID: "unknown", ID: "6"}); err == nil {
			t.Errorf("%s failed, and the logout did not", method)
		}
		a.store.up()
	}
	if err := logout(session.Logout{Subject: "joan", SID: "unknown", ID: "6"}); err != nil {
		t.Fatal(err)
	}
	a.status(t, may, 401)
	a.status(t, too, 401)
	a.status(t, not, 200)
	a.status(t, stays, 200)

	// One that ends in the same moment is no failure.
	gone := a.login(t, unnamed)
	lists := a.store.count("List")
	a.store.fail = func(method string, _ int) error {
		if method == "Get" && a.store.calls["List"] > lists {
			return session.ErrNotFound
		}
		return nil
	}
	if err := logout(session.Logout{Subject: "joan", SID: "unknown", ID: "7"}); err != nil {
		t.Errorf("a session that had ended by itself: %v", err)
	}
	a.store.up()
	a.status(t, gone, 200)

	// Without one of the two there is nothing more to look for.
	lists = a.store.count("List")
	if err := errors.Join(logout(session.Logout{Subject: "nobody", ID: "8"}), logout(session.Logout{SID: "none", ID: "9"})); err != nil || a.store.count("List") != lists {
		t.Errorf("%v, %d lists", err, a.store.count("List")-lists)
	}

	// What fails is not remembered: the issuer's next try has to work.
	for _, method := range []string{"Get", "DeleteAll", "Create"} {
		a.store.down(method)
		if e, ok := errors.AsType[*gatehouse.Error](logout(session.Logout{Subject: "joan", ID: "5"})); !ok || e.Code.Status() != 503 {
			t.Errorf("%s failed, and the logout did not", method)
		}
		a.store.up()
	}
	// The same token at two processes at once.
	a.store.fail = func(method string, _ int) error {
		if method == "Create" {
			return session.ErrConflict
		}
		return nil
	}
	if err := logout(session.Logout{Subject: "joan", ID: "5"}); err != nil {
		t.Fatal(err)
	}
	a.store.up()
	a.status(t, stays, 401)
}
