// SPDX-License-Identifier: Apache-2.0

package refresh_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
)

func TestNewChecksConfig(t *testing.T) {
	list := must(revocation.New(revocation.Config{Store: revocation.NewMemory(0), Issuers: []string{issuer}}))
	for _, test := range []struct {
		name   string
		change func(*refresh.Config)
		want   string // "" for no error
	}{
		{"defaults", func(*refresh.Config) {}, ""},
		{"no store", func(c *refresh.Config) { c.Store = nil }, "Store: required"},
		{"nil store", func(c *refresh.Config) { c.Store = (*refresh.Memory)(nil) }, "Store: required"},
		{"nil observer", func(c *refresh.Config) { c.Observer = gatehouse.ObserverFunc(nil) }, "Observer: is a nil gatehouse.ObserverFunc"},
		{"nil revocations", func(c *refresh.Config) { c.Revocations, c.Issuer = (*revocation.List)(nil), issuer }, "Revocations: is a nil *revocation.List"},
		{"negative lifetime", func(c *refresh.Config) { c.Lifetime = -time.Second }, "Lifetime: -1s"},
		{"short lifetime", func(c *refresh.Config) { c.Lifetime = 999 * time.Millisecond }, "Lifetime: 999ms"},
		{"long lifetime", func(c *refresh.Config) { c.Lifetime = week + 1 }, "Lifetime: 168h0m0.000000001s"},
		{"lifetime limits", func(c *refresh.Config) { c.Lifetime = time.Second }, ""},
		{"lifetime and grace limits", func(c *refresh.Config) { c.Lifetime, c.Grace = week, time.Minute }, ""},
		{"negative grace", func(c *refresh.Config) { c.Grace = -1 }, "Grace: -1ns"},
		{"long grace", func(c *refresh.Config) { c.Grace = time.Minute + 1 }, "Grace: 1m0.000000001s"},
		{"short grace", func(c *refresh.Config) { c.Grace = 1 }, ""},
		{"grace and no grace", func(c *refresh.Config) { c.Grace, c.NoGrace = 1, true }, "Grace: must be zero with NoGrace"},
		{"no issuer", func(c *refresh.Config) { c.Revocations = list }, "Issuer: required with Revocations"},
		{"issuer alone", func(c *refresh.Config) { c.Issuer = issuer }, "Issuer: required with Revocations"},
		{"malformed issuer", func(c *refresh.Config) { c.Revocations, c.Issuer = list, "auth" }, "Issuer: not an absolute URL"},
		{"revocations", func(c *refresh.Config) { c.Revocations, c.Issuer = list, issuer }, ""},
	} {
		c := refresh.Config{Store: refresh.NewMemory(0)}
		test.change(&c)
		if _, err := refresh.New(c); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), "refresh: Config."+test.want) {
			t.Errorf("%s: New error = %v, want %q", test.name, err, test.want)
		}
	}
	_, err := refresh.New(refresh.Config{Lifetime: -1, Grace: -1})
	if n := strings.Count(fmt.Sprint(err), "Config."); n != 3 {
		t.Errorf("New reports %d of 3 mistakes: %v", n, err)
	}
}

// A memory store is visible at start.
func TestMemoryStoreIsReported(t *testing.T) {
	for _, fails := range []error{nil, errDown} {
		var events []gatehouse.Event
		_, err := refresh.New(refresh.Config{Store: refresh.NewMemory(0), Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
			events = append(events, e)
			return fails
		})})
		if !errors.Is(err, fails) || len(events) != 1 || events[0].Type != refresh.EventMemoryStore || events[0].Level != slog.LevelWarn {
			t.Errorf("New error = %v, events = %+v, want %v and EventMemoryStore", err, events, fails)
		}
	}
	for _, c := range []refresh.Config{{Store: refresh.NewMemory(0), Lifetime: -1}, {Store: &brokenStore{}}} {
		s := &server{t: t}
		c.Observer = gatehouse.ObserverFunc(s.observe)
		if _, err := refresh.New(c); (err == nil) != (c.Lifetime == 0) || len(s.events) != 0 {
			t.Errorf("New(%+v) error = %v, events = %+v, want none of a memory store", c, err, s.events)
		}
	}
}

func TestBegin(t *testing.T) {
	s := newServer(t)
	for name, change := range map[string]func(*refresh.Grant){
		"Subject": func(g *refresh.Grant) { g.Subject = "" },
		"Client":  func(g *refresh.Grant) { g.Client = strings.Repeat("c", 256) },
		"Tenant":  func(g *refresh.Grant) { g.Tenant = "a\nb" },
	} {
		g := grant()
		change(&g)
		if _, err := s.Begin(t.Context(), g); err == nil || !strings.Contains(err.Error(), "Grant."+name+":") {
			t.Errorf("Begin with an invalid %s: error = %v", name, err)
		}
	}
	g := refresh.Grant{Subject: "alice", Client: "web"}
	issued, err := s.Begin(t.Context(), g)
	if err != nil || issued.Family.Grant != g || issued.Family.Generation != 1 || issued.Family.ID == "" {
		t.Errorf("Begin = %+v, %v", issued, err)
	}
	if text := string(issued.Token.Reveal()); !strings.HasPrefix(text, prefix+issued.Family.ID[:21]) {
		t.Errorf("token does not begin with %s and the family ID", prefix)
	}
}

func TestStoreFailureIsUnavailable(t *testing.T) {
	b := &brokenStore{Store: refresh.NewMemory(0)}
	s := newServer(t, func(c *refresh.Config) { c.Store = b })
	family := s.begin()
	token, id := family.Token, family.Family.ID
	rotate := func(scope string) error {
		_, err := s.Rotate(t.Context(), refresh.Request{Token: token, Client: "web", Scope: scope})
		return err
	}
	for _, test := range []struct {
		name, broken string
		call         func() error
		events       int
	}{
		{"Begin", "Create", func() error { _, err := s.Begin(t.Context(), grant()); return err }, 0},
		{"Rotate", "Rotate", func() error { return rotate("") }, 1},
		{"Rotate with a scope", "Find", func() error { return rotate("reports:read") }, 1},
		{"Rotate, unknown outcome", "outcome", func() error { return rotate("") }, 1},
		{"Revoke", "Revoke", func() error { return s.Revoke(t.Context(), token, "web") }, 0},
		{"Revoke, find", "Find", func() error { return s.Revoke(t.Context(), token, "web") }, 0},
		{"RevokeFamily", "Revoke", func() error { return s.RevokeFamily(t.Context(), "alice", id) }, 0},
		{"RevokeFamily, find", "Find", func() error { return s.RevokeFamily(t.Context(), "alice", id) }, 0},
		{"RevokeAll", "All", func() error { _, err := s.RevokeAll(t.Context(), refresh.Filter{Subject: "alice"}); return err }, 0},
		{"List", "List", func() error { _, err := s.List(t.Context(), refresh.Filter{Subject: "alice"}); return err }, 0},
		{"Rotate, canceled", "", func() error {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := s.Rotate(ctx, refresh.Request{Token: token, Client: "web"})
			return err
		}, 1},
	} {
		b.broken = test.broken
		err := test.call()
		b.broken = ""
		e, ok := errors.AsType[*gatehouse.Error](err)
		if !ok || e.Code != gatehouse.CodeTemporarilyUnavailable || errors.Is(err, refresh.ErrInvalidGrant) || errors.Is(err, refresh.ErrInvalidScope) || errors.Is(err, refresh.ErrNotFound) {
			t.Errorf("%s: error = %v, want a 503", test.name, err)
		}
		for _, e := range s.events {
			if e.Decision != gatehouse.Unavailable || e.Reason != refresh.ReasonUnavailable || e.Status != 503 || e.Cause == nil {
				t.Errorf("%s: event = %+v, want unavailable", test.name, e)
			}
		}
		if len(s.events) != test.events {
			t.Errorf("%s: %d events, want %d", test.name, len(s.events), test.events)
		}
		s.recorded()
	}
	first := s.begin()
	second := s.accepted("first token after the failures", first.Token)
	b.broken = "successor"
	if _, err := s.rotate(first.Token); err == nil || errors.Is(err, refresh.ErrInvalidGrant) {
		t.Errorf("Rotate with a damaged successor: error = %v", err)
	}
	b.broken = ""
	s.recorded()
	if again := s.accepted("first token again", first.Token); !again.Token.Equal(second.Token) {
		t.Error("Rotate in the grace period: got another successor")
	}
}

func TestObserverFailureFailsRotate(t *testing.T) {
	s := newServer(t)
	first := s.begin()
	s.fails = true
	if _, err := s.Begin(t.Context(), grant()); !errors.Is(err, errDown) {
		t.Errorf("Begin error = %v, want the error of the observer", err)
	}
	for name, token := range map[string]gatehouse.Secret{"valid": first.Token, "unknown": changed(first.Token, inKey), "malformed": secret("")} {
		if got, err := s.rotate(token); !errors.Is(err, errDown) || errors.Is(err, refresh.ErrInvalidGrant) || got.Token.Len() > 0 {
			t.Errorf("Rotate(%s) = %+v, %v, want the error of the observer", name, got, err)
		}
	}
	s.fails = false
	second := s.accepted("first token again", first.Token)
	s.fails = true
	for _, client := range []string{"web", "other"} {
		if err := s.Revoke(t.Context(), second.Token, client); !errors.Is(err, errDown) {
			t.Errorf("Revoke by client %s: error = %v, want the error of the observer", client, err)
		}
	}
	if err := s.RevokeFamily(t.Context(), "alice", second.Family.ID); !errors.Is(err, errDown) {
		t.Errorf("RevokeFamily error = %v, want the error of the observer", err)
	}
	if n, err := s.RevokeAll(t.Context(), refresh.Filter{Subject: "alice"}); n != 1 || !errors.Is(err, errDown) {
		t.Errorf("RevokeAll = %d, %v, want 1 and the error of the observer", n, err)
	}
}

func TestEvents(t *testing.T) {
	s := newServer(t, func(c *refresh.Config) {
		c.NoGrace, c.Issuer = true, issuer
		c.Revocations = must(revocation.New(revocation.Config{Store: revocation.NewMemory(0), Issuers: []string{issuer}}))
	})
	first := s.begin()
	other := s.begin()
	family := func(i refresh.Issued) gatehouse.Principal { return principal(i, issuer) }
	for _, test := range []struct {
		name    string
		request refresh.Request
		want    gatehouse.Event
		cause   string
	}{
		{"rotated", refresh.Request{Token: first.Token, Client: "web"}, gatehouse.Event{Decision: gatehouse.Allowed, Level: -4, Principal: family(first)}, ""},
		{"unknown", refresh.Request{Token: changed(first.Token, inKey), Client: "web"}, gatehouse.Event{Reason: refresh.ReasonUnknown}, ""},
		{"malformed", refresh.Request{Client: "web"}, gatehouse.Event{Reason: refresh.ReasonMalformed}, ""},
		{"reused", refresh.Request{Token: first.Token, Client: "web"}, gatehouse.Event{Reason: refresh.ReasonReused, Principal: family(first)}, "reuse of a rotated token: its family is revoked"},
		{"revoked", refresh.Request{Token: first.Token, Client: "web"}, gatehouse.Event{Reason: refresh.ReasonRevoked, Principal: family(first)}, ""},
		{"scope", refresh.Request{Token: other.Token, Client: "web", Scope: "admin"}, gatehouse.Event{Reason: refresh.ReasonScope, Code: "invalid_scope"}, ""},
		{"other client", refresh.Request{Token: other.Token, Client: "tv"}, gatehouse.Event{Reason: refresh.ReasonClient, Principal: family(other)}, "presented by another client than its own: its family is revoked"},
	} {
		_, _ = s.Rotate(t.Context(), test.request)
		if len(s.events) != 1 {
			t.Fatalf("%s: %d events, want 1", test.name, len(s.events))
		}
		got, want := s.events[0], test.want
		s.recorded()
		want.Type, want.Issuer, want.Duration, want.Credential = refresh.EventRotation, issuer, got.Duration, want.Principal.Credential
		if want.Reason != "" {
			want.Decision, want.Level, want.Status = gatehouse.Rejected, 4, 400
		}
		if want.Reason != "" && want.Code == "" {
			want.Code = "invalid_grant"
		}
		if cause := fmt.Sprint(got.Cause); (got.Cause != nil) != (test.cause != "") || !strings.Contains(cause, test.cause) && got.Cause != nil {
			t.Errorf("%s: cause = %v, want %q", test.name, got.Cause, test.cause)
		}
		got.Cause = nil
		if diff := cmp.Diff(fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got)); diff != "" {
			t.Errorf("%s: event (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestChangeEvents(t *testing.T) {
	s := newServer(t)
	admin := gatehouse.Principal{Kind: gatehouse.KindUser, Subject: "admin", Issuer: issuer}
	ctx := gatehouse.NewContext(t.Context(), admin)
	first := must(s.Begin(ctx, grant()))
	second := s.begin()
	s.begin()
	attrs := func(client string, count int) []slog.Attr {
		return []slog.Attr{slog.String(refresh.AttrSubject, "alice"), slog.String(refresh.AttrClient, client), slog.Int(refresh.AttrCount, count)}
	}
	for _, test := range []struct {
		name string
		call func() error
		want gatehouse.Event // zero for none
	}{
		{"Begin", func() (err error) { _, err = s.Begin(ctx, grant()); return err }, gatehouse.Event{Type: refresh.EventBegun}},
		{
			"Revoke", func() error { return s.Revoke(ctx, first.Token, "web") },
			gatehouse.Event{Type: refresh.EventRevocation, Principal: principal(first, ""), Credential: first.Family.ID, Attrs: attrs("web", 1)},
		},
		{
			"RevokeFamily", func() error { return s.RevokeFamily(ctx, "alice", second.Family.ID) },
			gatehouse.Event{Type: refresh.EventRevocation, Principal: admin, Credential: second.Family.ID, Attrs: attrs("web", 1)},
		},
		{"RevokeFamily of another", func() error { _ = s.RevokeFamily(ctx, "bob", second.Family.ID); return nil }, gatehouse.Event{}},
		{
			"RevokeAll", func() (err error) { _, err = s.RevokeAll(ctx, refresh.Filter{Subject: "alice"}); return err },
			gatehouse.Event{Type: refresh.EventRevocation, Principal: admin, Attrs: attrs("", 2)},
		},
		{"RevokeAll of none", func() (err error) { _, err = s.RevokeAll(ctx, refresh.Filter{Subject: "alice"}); return err }, gatehouse.Event{}},
	} {
		s.recorded()
		if err := test.call(); err != nil {
			t.Fatalf("%s: error = %v", test.name, err)
		}
		want := []gatehouse.Event{test.want}
		if test.want.Type == "" {
			want = nil
		}
		if test.want.Type == refresh.EventBegun && len(s.events) == 1 { // its ID is not known before
			want[0].Principal, want[0].Credential = s.events[0].Principal, s.events[0].Principal.Credential
		}
		if diff := cmp.Diff(fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", s.events)); diff != "" && (len(want) > 0 || len(s.events) > 0) {
			t.Errorf("%s: events (-want +got):\n%s", test.name, diff)
		}
	}
}

// TestSecretsAreNotDisclosed prints everything that is stored, observed or
// returned, and searches it for the secrets of tokens.
//
// Covers RFC 6749 §1.5 (opaque).
func TestSecretsAreNotDisclosed(t *testing.T) {
	s := newServer(t)
	first := s.begin()
	second := s.accepted("first token", first.Token)
	third := s.accepted("second token", second.Token)
	var printed strings.Builder
	dump := func(values ...any) {
		for _, v := range values {
			fmt.Fprintf(&printed, "%v %+v %#v %s %q %x\n", v, v, v, v, v, v)
		}
	}
	dump(first, second, third, s.Tokens, s.find(first.Family.ID), must(s.List(t.Context(), refresh.Filter{Subject: "alice"})))
	for _, token := range []gatehouse.Secret{changed(third.Token, inKey), second.Token, first.Token, third.Token} {
		_, err := s.rotate(token)
		dump(err)
	}
	_, err := s.Rotate(t.Context(), refresh.Request{Token: third.Token, Client: "other", Scope: "x"})
	dump(err, s.Revoke(t.Context(), third.Token, "other"), s.find(first.Family.ID))
	for _, e := range s.events {
		dump(e)
		if e.Credential != "" && e.Credential != first.Family.ID {
			t.Errorf("Event.Credential = %q, want the family ID", e.Credential)
		}
	}
	if len(s.events) < 5 {
		t.Errorf("%d events, want at least 5", len(s.events))
	}
	for _, issued := range []refresh.Issued{first, second, third} {
		text, b := string(issued.Token.Reveal()), raw(issued.Token)
		forms := []string{text, strings.TrimPrefix(text, prefix)[23:]}
		for _, part := range [][]byte{b[16:48], b[48:]} {
			forms = append(forms, string(part), hex.EncodeToString(part), strings.ToUpper(hex.EncodeToString(part)), fmt.Sprint(part),
				base64.RawURLEncoding.EncodeToString(part), base64.RawStdEncoding.EncodeToString(part))
		}
		for i, form := range forms {
			if strings.Contains(printed.String(), form) {
				t.Errorf("a secret is printed, in form %d", i)
			}
		}
	}
	if !strings.Contains(printed.String(), first.Family.ID) {
		t.Error("the family ID is not printed, so that the search proves nothing")
	}
}
