// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
)

// The memory of a logout token lies among the sessions. Nobody who knows the token
// can make a cookie that names it, to have it forgotten by a logout.
func TestLogoutMemoryIsNoSession(t *testing.T) {
	a := newApp(t, session.Config{})
	// With these two words in front, 32 bytes: as long as a secret.
	l := session.Logout{Issuer: "https://a.example", Subject: "ada", ID: "1"}
	if err := a.Logout(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	forged := base64.RawURLEncoding.EncodeToString([]byte("logout token\x00" + l.Issuer + "\x00" + l.ID))
	a.status(t, forged, http.StatusUnauthorized)
}

// A logout token is remembered for as long as one is accepted, with the clocks of
// two machines as far apart as they may be.
func TestLogoutTokenLateReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, session.Config{})
		l := session.Logout{Issuer: issuer, Subject: "ada", ID: "1"}
		if err := a.Logout(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24*time.Hour + 10*time.Minute)
		secret := a.login(t, person("ada"))
		if err := a.Logout(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		a.status(t, secret, http.StatusOK)
	})
}

// A browser that is closed right after the click on "Sign out" is signed out.
func TestEndOfSomebodyInAHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &issuerServer{delay: time.Second}
		a := newApp(t, session.Config{Refresh: server.refresh})
		secret := a.login(t, withTokens(person("ada"), 1, 0))
		go a.do(http.MethodGet, "/token", with(secret))
		synctest.Wait() // the logout has to wait for the renewal
		ctx, hangUp := context.WithTimeout(t.Context(), time.Second/2)
		defer hangUp()
		tokens, err := a.End(httptest.NewRecorder(), request(http.MethodPost, "/logout", with(secret)).WithContext(ctx))
		if err != nil || string(tokens.Refresh.Reveal()) != "refresh-2" {
			t.Errorf("%q, %v", tokens.Refresh.Reveal(), err)
		}
		a.status(t, secret, http.StatusUnauthorized)
	})
}

// What a session of one manager is good for, it is not good for at another one,
// though they share the store: people log in to one of them in another way, say,
// or its sessions are shorter.
func TestTwoManagersOnOneStore(t *testing.T) {
	store := session.NewMemory(0)
	public := newApp(t, session.Config{Store: store})
	admin, err := session.New(session.Config{Store: store, Keys: ring(t), Name: "admin", Idle: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	secret := public.login(t, person("mallory"))
	moved := request(http.MethodGet, "/", header("Cookie", "__Host-Http-admin="+secret))
	if proof, err := admin.Authenticate(moved); err == nil {
		t.Errorf("the session of one manager is one of another: %+v", proof.Principal())
	}
	same, err := session.New(session.Config{Store: store, Keys: ring(t)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := same.Authenticate(request(http.MethodGet, "/", with(secret))); err != nil {
		t.Errorf("another process: %v", err)
	}
}

// What the authorization server takes back of what was granted, the session does
// not go on with; what the application has granted by itself stays.
func TestScopesThatAreTakenBack(t *testing.T) {
	scopes := func(text string) gatehouse.Scopes {
		s, err := gatehouse.ParseScopes(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	granted := scopes("openid notes:read notes:write")
	a := newApp(t, session.Config{Refresh: func(context.Context, session.Tokens) (session.Tokens, error) {
		renewed := tokens(2, time.Hour)
		renewed.Scopes = granted
		return renewed, nil
	}})
	for text, want := range map[string]string{
		"openid notes:read notes:write":       "notes:read notes:write admin",
		"openid notes:read":                   "notes:read admin",
		"":                                    "admin",
		"openid notes:read notes:write admin": "notes:read notes:write admin",
	} {
		l := withTokens(person("ada"), 1, 0)
		l.Principal.Scopes, l.Tokens.Scopes = scopes("notes:read notes:write admin"), scopes("openid notes:read notes:write")
		granted = scopes(text)
		secret := a.login(t, l)
		before := a.principal(t, secret)
		if w := a.do(http.MethodGet, "/token", with(secret)); w.Code != http.StatusOK {
			t.Fatal(w.Code)
		}
		after := a.principal(t, secret)
		if after.Scopes != scopes(want) || after.Subject != before.Subject || after.Tenant != before.Tenant ||
			after.Claims.String() != before.Claims.String() || !after.AuthTime.Equal(before.AuthTime) {
			t.Errorf("%q: %+v", text, after)
		}
	}
}

// A principal that somebody has damaged in the store does not become one of more
// scopes, nor one of none.
func TestScopesOfADamagedPrincipal(t *testing.T) {
	a := newApp(t, session.Config{Refresh: func(context.Context, session.Tokens) (session.Tokens, error) {
		return tokens(2, time.Hour), nil // without scopes
	}})
	l := withTokens(person("ada"), 1, 0)
	l.Tokens.Scopes, _ = gatehouse.NewScopes("notes:read")
	p := a.principal(t, a.login(t, l))
	for n, text := range []string{"{", `{"scope":"a  b","claims":{}}`} {
		record, err := a.store.Get(t.Context(), p.Credential)
		if err != nil {
			t.Fatal(err)
		}
		change := session.Change{ID: record.ID, Principal: text, Tokens: record.Tokens}
		if _, err := a.store.Swap(t.Context(), record.ID, record.Version, change); err != nil {
			t.Fatal(err)
		}
		if got, err := a.Tokens(gatehouse.NewContext(t.Context(), p)); err == nil {
			t.Errorf("%d: tokens %v", n, got)
		}
		// The claim of the renewal that has failed is over at some time.
		if record, err = a.store.Get(t.Context(), p.Credential); err != nil || record.Principal != text {
			t.Errorf("%d: the principal became %q, %v", n, record.Principal, err)
		}
	}
}
