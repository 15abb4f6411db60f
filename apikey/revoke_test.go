// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
}

func TestRevokeAllRevokesWhatMatches(t *testing.T) {
	f := newKeys(t, nil)
	r := request()
	r.Tenant = "t2"
	_, text := f.create(t, request())
	_, other := f.create(t, r)
	f.events.take()
	for _, invalid := range []apikey.Filter{{AnyTenant: true}, {AnyTenant: true, Tenant: "t1"}, {AnyTenant: true, Tenant: "t1", Owner: "ci"}} {
		if n, err := f.RevokeAll(t.Context(), invalid); n != 0 || !errors.Is(err, apikey.ErrInvalid) {
			t.Errorf("RevokeAll(%+v) = %d, %v, want %v", invalid, n, err, apikey.ErrInvalid)
		}
	}
	if n, err := f.RevokeAll(t.Context(), apikey.Filter{Tenant: "t1", Owner: "ci"}); n != 1 || err != nil {
		t.Errorf("RevokeAll(t1, ci) = %d, %v, want 1, nil", n, err)
	}
	f.wantEvents(t, apikey.EventRevoked)
	f.wantReason(t, text, apikey.ReasonRevoked)
	f.wantReason(t, other, "")
	if n, err := f.RevokeAll(t.Context(), apikey.Filter{AnyTenant: true, Owner: "ci"}); n != 1 || err != nil {
		t.Errorf("RevokeAll(ci of any tenant) = %d, %v, want 1, nil", n, err)
	}
}

// RevokeAll returns the number of revoked keys with an error, and can be repeated.
func TestRevokeAllInBatches(t *testing.T) {
	f := newKeys(t, nil)
	for range 1100 {
		f.create(t, request())
	}
	f.store.before["RevokeAll"] = func(context.Context) { f.store.fail(errors.New("gone"), "RevokeAll") } // from the next call on
	if n, err := f.RevokeAll(t.Context(), apikey.Filter{Tenant: "t1"}); err == nil || n != 500 {
		t.Fatalf("RevokeAll, failing after a batch = %d, %v, want 500 and an error", n, err)
	}
	clear(f.store.before)
	f.store.fail(nil)
	f.events.take()
	if n, err := f.RevokeAll(t.Context(), apikey.Filter{Tenant: "t1"}); err != nil || n != 600 {
		t.Errorf("RevokeAll, repeated = %d, %v, want 600", n, err)
	}
	if n := len(f.events.take()); n != 600 {
		t.Errorf("RevokeAll reported %d events, want one for each of 600 keys", n)
	}
}

// All keys are invalid when the first of them is reported.
func TestRevokeAllInvalidatesFirst(t *testing.T) {
	var f fixture
	var texts []string
	f = newKeys(t, func(c *apikey.Config) {
		c.CacheTTL = 5 * time.Second
		c.Observer = gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
			for _, text := range texts {
				if e.Type == apikey.EventRevoked {
					f.wantReason(t, text, apikey.ReasonRevoked)
				}
			}
			return nil
		})
	})
	for range 2 {
		_, text := f.create(t, request())
		f.wantReason(t, text, "")
		texts = append(texts, text)
	}
	if n, err := f.RevokeAll(t.Context(), apikey.Filter{Tenant: "t1"}); n != 2 || err != nil {
		t.Errorf("RevokeAll = %d, %v, want 2, nil", n, err)
	}
}

// A revocation that is not reported is made and returned, and the leak is reported.
func TestRevokeLeakedReturnsError(t *testing.T) {
	lost := errors.New("no observer")
	var seen []gatehouse.EventType
	f := newKeys(t, func(c *apikey.Config) {
		c.Observer = gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
			if seen = append(seen, e.Type); e.Type == apikey.EventRevoked {
				return lost
			}
			return nil
		})
	})
	_, text := f.create(t, request())
	seen = nil
	key, err := f.RevokeLeaked(t.Context(), text)
	if !errors.Is(err, lost) || key.Revoked.IsZero() || !slices.Equal(seen, []gatehouse.EventType{apikey.EventRevoked, apikey.EventLeaked}) {
		t.Errorf("RevokeLeaked = %+v, %v and the events %q, want a revoked key, %v and both events", key, err, seen, lost)
	}
}

func TestDelete(t *testing.T) {
	f := newKeys(t, withCache(5*time.Second))
	key, text := f.create(t, request())
	if err := f.Delete(t.Context(), key.ID); !errors.Is(err, apikey.ErrConflict) {
		t.Errorf("Delete(valid key) error = %v, want ErrConflict", err)
	}
	must(f.Revoke(t.Context(), key.ID))(t)
	f.wantReason(t, text, apikey.ReasonRevoked)
	f.events.take()
	if err := f.Delete(t.Context(), key.ID); err != nil {
		t.Errorf("Delete(revoked key) error = %v, want nil", err)
	}
	if e := f.wantEvents(t, apikey.EventDeleted)[0]; e.Credential != key.ID {
		t.Errorf("event of key %q, want %q", e.Credential, key.ID)
	}
	f.wantReason(t, text, apikey.ReasonUnknown)
	if err := f.Delete(t.Context(), key.ID); !errors.Is(err, apikey.ErrNotFound) || err.Error() != "apikey: delete: store: API key not found" {
		t.Errorf("Delete, again: error = %v, want ErrNotFound", err)
	}
}

func TestRevokeLeaked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newKeys(t, nil)
		leak := func(name, text string, events ...gatehouse.EventType) {
			t.Helper()
			f.events.take()
			key := must(f.RevokeLeaked(t.Context(), text))(t)
			got := f.wantEvents(t, events...)
			if last := got[len(got)-1]; last.Level != slog.LevelWarn || last.Credential != key.ID || got[0].Level != last.Level && got[0].Level != slog.LevelInfo {
				t.Errorf("%s: levels of the events = %v and %v, want INFO for a revocation, WARN for a leak", name, got[0].Level, last.Level)
			}
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
		"long prefix":  resum("acme2" + golden[4:]),
		"empty":        "",
	} {
		if key, err := f.RevokeLeaked(t.Context(), leaked); !errors.Is(err, apikey.ErrNotFound) || key.ID != "" {
			t.Errorf("RevokeLeaked(%s) = %v, %v, want ErrNotFound", name, key, err)
		}
	}
	f.wantCalls(t, "Find", 2) // for the two well-formed keys of this prefix
	f.wantReason(t, text, "")
	gone := errors.New("gone")
	for _, verb := range []string{"Find", "Revoke"} {
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
	must(f.Suspend(t.Context(), key.ID))(t)
	f.wantReason(t, text, apikey.ReasonSuspended)
	must(f.Resume(t.Context(), key.ID))(t)
	f.wantReason(t, text, "")
	for _, e := range f.wantEvents(t, apikey.EventSuspended, apikey.EventResumed) {
		if e.Credential != key.ID {
			t.Errorf("%s of key %q, want %q", e.Type, e.Credential, key.ID)
		}
	}
	// Resume does not undo a revocation.
	for _, call := range []func(context.Context, string) (apikey.Key, error){f.Revoke, f.Suspend, f.Resume} {
		must(call(t.Context(), key.ID))(t)
		f.wantReason(t, text, apikey.ReasonRevoked)
	}
}

// When the observer fails, the method returns its error, the change is kept, and no
// secret is returned.
func TestObserverErrors(t *testing.T) {
	f := newKeys(t, nil)
	key, _ := f.create(t, request())
	_, text := f.create(t, request())
	f.create(t, request())
	f.events.err = errFull
	for _, c := range f.calls(t.Context(), key.ID, text) {
		want := errFull
		if c.name == "Describe" || c.name == "List" {
			want = nil
		}
		result, err := c.call()
		changed := true
		switch r := result.(type) {
		case apikey.Issued:
			changed = r.Secret.Len() == 0
		case apikey.Key:
			changed = r.ID != "" && r.Suspended.IsZero() == (c.name != "Suspend") && r.Revoked.IsZero() == !strings.HasPrefix(c.name, "Revoke")
		case int:
			changed = r > 0
		}
		if !errors.Is(err, want) || !changed {
			t.Errorf("%s = %v, %v, want a change without a secret and %v", c.name, result, err, want)
		}
	}
	f.wantReason(t, text, apikey.ReasonRevoked)
}
