// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

func TestRevokeEndsBothSecrets(t *testing.T) {
	f := newKeys(t, nil)
	key, first := f.create(t, request())
	_, second := f.rotate(t, key.ID, day)
	_, other := f.create(t, request())
	f.events.take()
	got := must(f.Revoke(t.Context(), key.ID))(t)
	f.wantEvents(t, apikey.EventRevoked)
	f.wantReason(t, first, apikey.ReasonRevoked)
	f.wantReason(t, second, apikey.ReasonRevoked)
	f.wantReason(t, other, "")
	if again := must(f.Revoke(t.Context(), key.ID))(t); got.Revoked.IsZero() || !again.Revoked.Equal(got.Revoked) {
		t.Errorf("Revoked = %v, again = %v, want the same time", got.Revoked, again.Revoked)
	}
	if _, err := f.Revoke(t.Context(), unknownID); !errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("Revoke(unknown ID) error = %v, want ErrNotFound", err)
	}
}

func TestRevokeAllRevokesWhatMatches(t *testing.T) {
	f := newKeys(t, nil)
	texts := make(map[[2]string][]string) // of the valid keys, by tenant and owner
	for _, of := range [][2]string{{"t1", "ada"}, {"t1", "bob"}, {"t2", "ada"}, {"", "ada"}, {"", "eve"}} {
		for range 3 {
			r := request()
			r.Tenant, r.Owner = of[0], of[1]
			_, text := f.create(t, r)
			texts[of] = append(texts[of], text)
		}
	}
	f.events.take()
	revoke := func(filter apikey.Filter, revoked ...[2]string) {
		t.Helper()
		n := must(f.RevokeAll(t.Context(), filter))(t)
		if events := f.events.take(); n != 3*len(revoked) || len(events) != n {
			t.Errorf("RevokeAll(%+v) = %d with %d events, want %d", filter, n, len(events), 3*len(revoked))
		}
		for _, of := range revoked {
			for _, text := range texts[of] {
				f.wantReason(t, text, apikey.ReasonRevoked)
			}
			delete(texts, of)
		}
		for _, valid := range texts {
			for _, text := range valid {
				f.wantReason(t, text, "")
			}
		}
	}
	for _, filter := range []apikey.Filter{{AnyTenant: true}, {AnyTenant: true, Tenant: "t1"}, {AnyTenant: true, Tenant: "t1", Owner: "ada"}} {
		if n, err := f.RevokeAll(t.Context(), filter); err == nil || n > 0 {
			t.Errorf("RevokeAll(%+v) = %d, %v, want an error", filter, n, err)
		}
	}
	revoke(apikey.Filter{Tenant: "t9"})
	revoke(apikey.Filter{Tenant: "t1", Owner: "ada"}, [2]string{"t1", "ada"})
	revoke(apikey.Filter{Owner: "ada"}, [2]string{"", "ada"})
	revoke(apikey.Filter{AnyTenant: true, Owner: "ada"}, [2]string{"t2", "ada"})
	revoke(apikey.Filter{Tenant: "t1"}, [2]string{"t1", "bob"})
	revoke(apikey.Filter{}, [2]string{"", "eve"})
}

// RevokeAll returns the number of revoked keys with an error, and can be repeated.
func TestRevokeAllInBatches(t *testing.T) {
	f := newKeys(t, nil)
	for range 1100 {
		f.create(t, request())
	}
	f.store.before = func(_ context.Context, verb string) {
		if verb == "revoke all" {
			f.store.fail(errors.New("gone"), verb) // from the next call on
		}
	}
	if n, err := f.RevokeAll(t.Context(), apikey.Filter{Tenant: "t1"}); err == nil || n != 500 {
		t.Fatalf("RevokeAll, failing after a batch = %d, %v, want 500 and an error", n, err)
	}
	f.store.before = nil
	f.store.fail(nil)
	if n, err := f.RevokeAll(t.Context(), apikey.Filter{Tenant: "t1"}); err != nil || n != 600 {
		t.Errorf("RevokeAll, repeated = %d, %v, want 600", n, err)
	}
}

func TestRevokeLeaked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newKeys(t, nil)
		leak := func(name, text string, events ...gatehouse.EventType) {
			t.Helper()
			f.events.take()
			key := must(f.RevokeLeaked(t.Context(), text))(t)
			f.wantEvents(t, events...)
			if key.Revoked.IsZero() != (name == "rotated, grace period ended") {
				t.Errorf("%s: Revoked = %v", name, key.Revoked)
			}
		}
		_, text := f.create(t, request())
		leak("newest secret", "  "+text+"\r\n", apikey.EventRevoked, apikey.EventLeaked)
		f.wantReason(t, text, apikey.ReasonRevoked)
		leak("second report", text, apikey.EventLeaked)

		key, text := f.create(t, request())
		_, newest := f.rotate(t, key.ID, day)
		leak("rotated, in its grace period", text, apikey.EventRevoked, apikey.EventLeaked)
		f.wantReason(t, newest, apikey.ReasonRevoked)

		key, text = f.create(t, request())
		_, newest = f.rotate(t, key.ID, day)
		advance(day)
		leak("rotated, grace period ended", text, apikey.EventLeaked)
		f.wantReason(t, newest, "")

		r := request()
		r.Environment = "test"
		_, text = f.create(t, r)
		leak("other environment", text, apikey.EventRevoked, apikey.EventLeaked)
	})
}

func TestRevokeLeakedRejects(t *testing.T) {
	f := newKeys(t, nil)
	key, text := f.create(t, request())
	_, other := f.create(t, request())
	f.events.take()
	resum := func(body string) string { return body[:len(body)-6] + checksum(body[:len(body)-6]) }
	for name, leaked := range map[string]string{
		"wrong secret": withSecret(text, other),
		"ID":           key.ID,
		"label":        "acme_live_" + key.ID,
		"truncated":    text[:len(text)-1],
		"unknown key":  resum(strings.Replace(golden, "0123456789ABCDEF", unknownID, 1)),
		"other prefix": resum("other" + golden[4:]),
		"empty":        "",
	} {
		if key, err := f.RevokeLeaked(t.Context(), leaked); !errors.Is(err, apikey.ErrNotFound) || key.ID != "" {
			t.Errorf("RevokeLeaked(%s) = %v, %v, want ErrNotFound", name, key, err)
		}
	}
	f.wantCalls(t, "find", 2) // for the two well-formed keys of this prefix
	f.wantReason(t, text, "")
	gone := errors.New("gone")
	for _, verb := range []string{"find", "revoke"} {
		f.store.fail(gone, verb)
		if key, err := f.RevokeLeaked(t.Context(), text); !errors.Is(err, gone) || key.ID != "" {
			t.Errorf("RevokeLeaked with a failing %s = %v, %v, want %v", verb, key, err, gone)
		}
		f.store.fail(nil)
	}
	f.wantEvents(t)
}

func TestSuspendAndResume(t *testing.T) {
	f := newKeys(t, nil)
	key, text := f.create(t, request())
	f.events.take()
	if got := must(f.Suspend(t.Context(), key.ID))(t); got.Suspended.IsZero() {
		t.Errorf("Suspend: Suspended = %v, want a time", got.Suspended)
	}
	f.wantReason(t, text, apikey.ReasonSuspended)
	if got := must(f.Resume(t.Context(), key.ID))(t); !got.Suspended.IsZero() {
		t.Errorf("Resume: Suspended = %v, want zero", got.Suspended)
	}
	f.wantReason(t, text, "")
	f.wantEvents(t, apikey.EventSuspended, apikey.EventResumed)
	if _, err := f.Suspend(t.Context(), unknownID); !errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("Suspend(unknown ID) error = %v, want ErrNotFound", err)
	}
	// Resume does not undo a revocation.
	for _, call := range []func(context.Context, string) (apikey.Key, error){f.Revoke, f.Suspend, f.Resume} {
		must(call(t.Context(), key.ID))(t)
	}
	f.wantReason(t, text, apikey.ReasonRevoked)
}

// When the observer fails, the method returns its error, the change is kept, and no
// secret is returned.
func TestObserverErrors(t *testing.T) {
	f := newKeys(t, nil)
	key, _ := f.create(t, request())
	f.rotate(t, key.ID, day)
	leaked, text := f.create(t, request())
	f.create(t, request())
	f.events.fail(errFull)
	ctx := t.Context()
	for _, step := range []struct {
		name string
		call func() (kept bool, err error)
	}{
		{"Create", func() (bool, error) {
			issued, err := f.Create(ctx, request())
			return issued.Secret.Len() == 0, err
		}},
		{"Rotate", func() (bool, error) {
			issued, err := f.Rotate(ctx, key.ID, day, 0)
			return issued.Secret.Len() == 0, err
		}},
		{"Suspend", func() (bool, error) { k, err := f.Suspend(ctx, key.ID); return !k.Suspended.IsZero(), err }},
		{"Resume", func() (bool, error) { k, err := f.Resume(ctx, key.ID); return k.ID != "" && k.Suspended.IsZero(), err }},
		{"Revoke", func() (bool, error) { k, err := f.Revoke(ctx, key.ID); return !k.Revoked.IsZero(), err }},
		{"RevokeLeaked", func() (bool, error) {
			k, err := f.RevokeLeaked(ctx, text)
			return k.ID == leaked.ID && !k.Revoked.IsZero(), err
		}},
		{"RevokeAll", func() (bool, error) { n, err := f.RevokeAll(ctx, apikey.Filter{Tenant: "t1"}); return n > 0, err }},
	} {
		if kept, err := step.call(); !errors.Is(err, errFull) || !kept {
			t.Errorf("%s: error = %v, kept = %t, want %v and a kept change", step.name, err, kept, errFull)
		}
	}
	f.wantReason(t, text, apikey.ReasonRevoked)
}

// The Principal of an event is the caller of the change.
func TestEventPrincipal(t *testing.T) {
	f := newKeys(t, nil)
	ada := gatehouse.Principal{Subject: "ada", Method: "jwt"}
	must(f.Create(gatehouse.NewContext(t.Context(), ada), request()))(t)
	if e := f.wantEvents(t, apikey.EventCreated)[0]; e.Principal != ada {
		t.Errorf("Principal = %+v, want %+v", e.Principal, ada)
	}
}
