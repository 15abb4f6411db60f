// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

// equal compares keys and principals, whose fields are comparable or have Equal.
var equal = cmp.Options{
	cmp.Comparer(func(a, b gatehouse.Scopes) bool { return a == b }),
	cmp.Comparer(func(a, b gatehouse.Claims) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

func TestCreate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newKeys(t, nil)
		now := time.Now()
		ada := gatehouse.Principal{Subject: "ada", Method: "jwt"}
		issued := must(f.Create(gatehouse.NewContext(t.Context(), ada), apikey.Request{
			Owner: "ci", Tenant: "t1", Environment: "test", Scopes: []string{"reports:write", "reports:read"}, Lifetime: 90 * day,
			Networks: prefixes("10.1.2.3/8", "::ffff:192.0.2.9/120", "2001:db8::1/32"),
			Metadata: claims(t, "{ \"name\" : \"nightly\",\n\t\"n\": 1 }"),
		}))(t)
		key := issued.Key
		want := apikey.Key{
			ID: key.ID, Owner: "ci", Tenant: "t1", Environment: "test", Scopes: must(gatehouse.ParseScopes("reports:read reports:write"))(t),
			Networks: prefixes("10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32"), Metadata: claims(t, `{"name":"nightly","n":1}`),
			Lifetime: 90 * day, Created: now, Rotated: now, Expires: now.Add(90 * day), Generation: 1,
		}
		if diff := cmp.Diff(want, key, equal); diff != "" {
			t.Errorf("Create (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(key, must(f.Describe(t.Context(), key.ID))(t), equal); diff != "" {
			t.Errorf("Describe (-want +got):\n%s", diff)
		}
		if label := must(apikey.Parse(string(issued.Secret.Reveal())))(t); label.String() != "acme_test_"+key.ID {
			t.Errorf("label of the secret = %s, want acme_test_%s", label, key.ID)
		}
		if e := f.wantEvents(t, apikey.EventCreated)[0]; e.Credential != key.ID || e.Issuer != issuer || e.Principal != ada {
			t.Errorf("event %+v, want key %s of acme, by %+v", e, key.ID, ada)
		}
	})
}

func TestCreateReportsEveryError(t *testing.T) {
	long := []string{strings.Repeat("a", 2000), strings.Repeat("b", 2000), strings.Repeat("c", 95), strings.Repeat("d", 94)}
	f := newKeys(t, func(c *apikey.Config) { c.Scopes = append(c.Scopes, long...) })
	const clean = "must be at most 255 bytes of UTF-8 without control characters"
	for want, alter := range map[string]func(*apikey.Request){
		"Owner: required":  func(r *apikey.Request) { r.Owner = "" },
		"Owner: " + clean:  func(r *apikey.Request) { r.Owner = "a\x00" },
		"Tenant: " + clean: func(r *apikey.Request) { r.Tenant = strings.Repeat("é", 128) },
		"Environment: must be 1 to 16 lower-case letters":           func(r *apikey.Request) { r.Environment = "a_b" },
		"Lifetime: got 0s, must be greater than 0 and at most 2160": func(r *apikey.Request) { r.Lifetime = 0 },
		`Scopes: "*": wildcards are not supported`:                  func(r *apikey.Request) { r.Scopes = []string{"*"} },
		`Scopes: "reports:delete" is not in Config.Scopes`:          func(r *apikey.Request) { r.Scopes = []string{"reports:read", "reports:delete"} },
		`Scopes: "reports:undo" is not in Config.Scopes`:            func(r *apikey.Request) { r.Scopes = []string{"reports:read", "reports:undo", "reports:zap"} },
		"Scopes: gatehouse: malformed scope":                        func(r *apikey.Request) { r.Scopes = []string{"reports:read reports:write"} },
		"Scopes: got 4097 bytes, at most 4096 are allowed":          func(r *apikey.Request) { r.Scopes = long[:3] },
		"Networks[1]: invalid network":                              func(r *apikey.Request) { r.Networks = append(prefixes("10.0.0.0/8"), netip.Prefix{}) },
		"Networks: got 65, at most 64 are allowed":                  func(r *apikey.Request) { r.Networks = slices.Repeat(prefixes("10.0.0.0/8"), 65) },
		"Metadata: not valid UTF-8":                                 func(r *apikey.Request) { r.Metadata = gatehouse.VerifiedClaims("{\"a\":\"\xff\"}") },
		"Metadata: not a JSON object":                               func(r *apikey.Request) { r.Metadata = gatehouse.VerifiedClaims(`{"a":1`) },
		"Metadata: got 4097 bytes, at most 4096 are allowed":        func(r *apikey.Request) { r.Metadata = claims(t, `{"a":"`+strings.Repeat("x", 4089)+`"}`) },
		"Metadata: gatehouse: claims: not a JSON object":            func(r *apikey.Request) { r.Metadata = gatehouse.VerifiedClaims(`[1]`) },
	} {
		r := request()
		alter(&r)
		issued, err := f.Create(t.Context(), r)
		if !errors.Is(err, apikey.ErrInvalid) || errors.Is(err, apikey.ErrConflict) || issued.Secret.Len() > 0 || !strings.HasPrefix(err.Error(), "apikey: Request."+want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("Create error = %v, want apikey: Request.%s", err, want)
		}
	}
	for _, lifetime := range []time.Duration{-day, 90*day + 1000, time.Nanosecond} {
		r := request()
		r.Lifetime = lifetime
		if _, err := f.Create(t.Context(), r); err == nil {
			t.Errorf("Create(Lifetime: %v) error = nil, want one", lifetime)
		}
	}
	for _, owner := range []string{"a\nb", "\x7f", "\u0085", "\xff", strings.Repeat("x", 256)} {
		r := request()
		r.Owner = owner
		if _, err := f.Create(t.Context(), r); err == nil {
			t.Errorf("Create(Owner: %q) error = nil, want one", owner)
		}
	}
	if _, err := f.Create(t.Context(), apikey.Request{}); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("Create(zero Request) error = %v, want two lines", err)
	}
	f.wantCalls(t, "Create", 0)
	f.wantEvents(t)
	r := request()
	r.Scopes, r.Networks = []string{long[0], long[1], long[3]}, slices.Repeat(prefixes("10.0.0.0/8"), 64) // 4096 bytes
	r.Metadata = claims(t, `{"a":"`+strings.Repeat("x", 4088)+`"}`)
	f.create(t, r)
}

func TestRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newKeys(t, nil)
		old, first := f.create(t, request())
		f.wantReason(t, first, "")
		f.events.take()
		advance(10 * day)
		key, second := f.rotate(t, old.ID, day)
		f.wantEvents(t, apikey.EventRotated)
		if first == second || !strings.HasPrefix(second, "acme_live_"+old.ID+"_") {
			t.Error("Rotate returned the old secret or another ID")
		}
		now := time.Now()
		want := must(f.Describe(t.Context(), old.ID))(t)
		want.Generation, want.Rotated, want.GraceEnds, want.Expires = 2, now, now.Add(day), now.Add(30*day)
		if diff := cmp.Diff(want, key, equal); diff != "" {
			t.Errorf("Rotate (-want +got):\n%s", diff)
		}
		// The principals of both secrets differ in Expires only.
		a, z := send(t, get(first), f.Keys).principal, send(t, get(second), f.Keys).principal
		if a.Expires != key.GraceEnds || z.Expires != key.Expires {
			t.Errorf("Expires of the principals = %v and %v, want %v and %v", a.Expires, z.Expires, key.GraceEnds, key.Expires)
		}
		if a.Expires = z.Expires; a != z || z.Credential != old.ID || z.Subject != "ci" {
			t.Errorf("principals = %+v and %+v, want the same", a, z)
		}
		advance(day - time.Microsecond)
		f.wantReason(t, first, "")
		advance(time.Microsecond)
		f.wantReason(t, first, apikey.ReasonRotated)
		f.wantReason(t, second, "")

		// A further rotation ends the older secret within its grace period.
		_, third := f.rotate(t, old.ID, day)
		_, fourth := f.rotate(t, old.ID, day)
		f.wantReason(t, first, apikey.ReasonSecret)
		f.wantReason(t, second, apikey.ReasonSecret)
		f.wantReason(t, third, "")
		f.wantReason(t, fourth, "")

		_, fifth := f.rotate(t, old.ID, 0)
		f.wantReason(t, fourth, apikey.ReasonRotated)
		f.wantReason(t, fifth, "")

		strict := newKeys(t, func(c *apikey.Config) { c.Store, c.MaxLifetime = f.store, 7*day })
		if key, _ = strict.rotate(t, old.ID, 0); key.Expires.Sub(key.Rotated) != 7*day {
			t.Errorf("Rotate with a shorter MaxLifetime: Expires = %v, want %v after %v", key.Expires, 7*day, key.Rotated)
		}
		f.wantReason(t, fifth, apikey.ReasonRotated)
		must(f.Suspend(t.Context(), old.ID))(t)
		f.wantReason(t, fifth, apikey.ReasonSuspended)
		must(f.Revoke(t.Context(), old.ID))(t)
		f.wantReason(t, fifth, apikey.ReasonRevoked)
	})
}

func TestRotateErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newKeys(t, nil)
		gone := errors.New("gone")
		key, text := f.create(t, request())
		revoked, _ := f.create(t, request())
		must(f.Revoke(t.Context(), revoked.ID))(t)
		f.events.take()
		rotate := func(name, id string, generation int64, want error) {
			t.Helper()
			issued, err := f.Rotate(t.Context(), id, time.Hour, generation)
			_, unavailable := errors.AsType[*gatehouse.Error](err)
			if !errors.Is(err, want) || err != nil && issued.Secret.Len() > 0 || unavailable != errors.Is(err, gone) {
				t.Errorf("%s: Rotate error = %v, want %v and no secret", name, err, want)
			}
		}
		rotate("later generation", key.ID, 2, apikey.ErrConflict)
		rotate("revoked key", revoked.ID, 0, apikey.ErrConflict)
		f.store.fail(gone, "Find")
		rotate("store fails", key.ID, 0, gone)
		f.store.fail(nil)
		f.wantCalls(t, "Rotate", 2)
		if _, err := f.Rotate(t.Context(), key.ID, -1, 0); !errors.Is(err, apikey.ErrInvalid) {
			t.Errorf("Rotate(grace -1) error = %v, want %v", err, apikey.ErrInvalid)
		}
		f.wantEvents(t)
		rotate("present generation", key.ID, 1, nil)
		rotate("earlier generation", key.ID, 1, apikey.ErrConflict)
		f.wantReason(t, text, "") // the second rotation did not end the grace period
		advance(31 * day)
		rotate("expired key", key.ID, 0, apikey.ErrConflict)
		f.wantEvents(t, apikey.EventRotated)
	})
}
