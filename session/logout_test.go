// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/session"
)

// Covers ASVS 5.0 §7.6.1; OIDC Back-Channel Logout §2.6 (jti), §2.7.
func TestLogout(t *testing.T) {
	a := newApp(t, session.Config{})
	logout := func(l session.Logout) error { l.Issuer = issuer; return a.Logout(t.Context(), l) }
	ends := func(l session.Logout) {
		t.Helper()
		if err := logout(l); err != nil {
			t.Fatalf("Logout(%+v) error = %v", l, err)
		}
	}
	bySID, bySubject, stays := a.login(t, person("ada")), a.login(t, person("grace")), a.login(t, person("joan"))
	ends(session.Logout{SID: "sid-ada", ID: "1"})
	ends(session.Logout{Subject: "grace", ID: "2"})
	a.status(t, bySID, 401)
	a.status(t, bySubject, 401)
	a.status(t, stays, 200)

	again := a.login(t, person("grace"))
	ends(session.Logout{Subject: "grace", ID: "2"}) // a replay
	a.status(t, again, 200)
	ends(session.Logout{Subject: "joan", SID: "sid-grace", ID: "3"}) // both have to match
	foreign := person("grace")
	foreign.Principal.Issuer = "https://other.example"
	abroad := a.login(t, foreign)
	succeeds(t, a.Logout(t.Context(), session.Logout{Issuer: "https://other.example", Subject: "grace", ID: "2"})) // no replay
	a.status(t, abroad, 401)
	a.status(t, stays, 200)
	for _, l := range []session.Logout{{Subject: "joan"}, {ID: "4"}} {
		if err := logout(l); err == nil {
			t.Errorf("Logout(%+v) error = nil", l)
		}
	}

	// A session without a SID may be the one that is meant.
	unnamed, named := person("joan"), person("joan")
	unnamed.SID, named.SID = "", "another"
	may, too, not := a.login(t, unnamed), a.login(t, unnamed), a.login(t, named)
	for _, method := range []string{"List", "Delete"} {
		a.store.down(method)
		if err := logout(session.Logout{Subject: "joan", SID: "unknown", ID: "6"}); err == nil {
			t.Errorf("Logout error = nil while %s fails", method)
		}
		a.store.up()
	}
	ends(session.Logout{Subject: "joan", SID: "unknown", ID: "6"})
	a.status(t, may, 401)
	a.status(t, too, 401)
	a.status(t, not, 200)
	a.status(t, stays, 200)

	// A session that ends concurrently is no error.
	gone := a.login(t, unnamed)
	lists := a.store.count("List")
	a.store.set(func(method string, _ int) error {
		if method == "Get" && a.store.count("List") > lists {
			return session.ErrNotFound
		}
		return nil
	})
	ends(session.Logout{Subject: "joan", SID: "unknown", ID: "7"})
	a.store.up()
	a.status(t, gone, 200)

	// Without Subject or SID, one query is enough.
	lists = a.store.count("List")
	if err := errors.Join(logout(session.Logout{Subject: "unknown", ID: "8"}), logout(session.Logout{SID: "none", ID: "9"})); err != nil || a.store.count("List") != lists {
		t.Errorf("Logout error = %v with %d calls of List, want none with 0", err, a.store.count("List")-lists)
	}

	// A failed logout is not recorded, so that a retry ends the sessions.
	for _, method := range []string{"Get", "DeleteAll", "Create"} {
		a.store.down(method)
		expectError(t, method, logout(session.Logout{Subject: "joan", ID: "5"}), 503, session.ReasonStoreUnavailable)
		a.store.up()
	}
	a.store.once("Create", a.store.count("Create")+1, session.ErrConflict) // another process has the same token
	ends(session.Logout{Subject: "joan", ID: "5"})
	a.store.up()
	a.status(t, stays, 401)
}

// TestLogoutMemory: the jti is stored for as long as a logout token is accepted, and
// no cookie names the record, whose content is 32 bytes here, the length of a
// secret.
func TestLogoutMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, session.Config{})
		l := session.Logout{Issuer: "https://a.example", Subject: "ada", ID: "1"}
		succeeds(t, a.Logout(t.Context(), l))
		forged := base64.RawURLEncoding.EncodeToString([]byte("logout token\x00" + l.Issuer + "\x00" + l.ID))
		a.status(t, forged, http.StatusUnauthorized)

		time.Sleep(24*time.Hour + 10*time.Minute)
		p := person("ada")
		p.Principal.Issuer = l.Issuer
		secret := a.login(t, p)
		succeeds(t, a.Logout(t.Context(), l))
		a.status(t, secret, http.StatusOK)
	})
}

func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, session.Config{})
		check := func(issuer, name string, want bool) {
			t.Helper()
			if first, err := a.Once(t.Context(), issuer, name, time.Minute); first != want || err != nil {
				t.Errorf("Once(%q, %q) = %t, %v, want %t", issuer, name, first, err, want)
			}
		}
		if err := a.Logout(t.Context(), session.Logout{Issuer: "i", Subject: "ada", ID: "a"}); err != nil { // another memory
			t.Fatal(err)
		}
		check("i", "a", true)
		check("i", "a", false)
		check("i", "b", true)
		check("other", "a", true)
		check("ia", "", true)
		time.Sleep(time.Minute - 1)
		check("i", "a", false)
		time.Sleep(time.Nanosecond)
		check("i", "a", true)
		a.store.down("Create")
		_, err := a.Once(t.Context(), "i", "c", time.Minute)
		expectError(t, "Create", err, 503, session.ReasonStoreUnavailable)
	})
}
