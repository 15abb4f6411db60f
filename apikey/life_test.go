// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

func claims(t testing.TB, text string) gatehouse.Claims {
	t.Helper()
	c, err := gatehouse.NewClaims(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCreate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t, nil)
		now := time.Now()
		key, text := b.issue(t, apikey.Request{
			Owner: "ci", Tenant: "t1", Environment: "test", Scopes: []string{"reports:write", "reports:read"}, Lifetime: 90 * day,
			Networks: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/8"), netip.MustParsePrefix("::ffff:192.0.2.9/120"), netip.MustParsePrefix("2001:db8::1/32")},
			Metadata: claims(t, "{ \"name\" : \"nightly\",\n\t\"n\": 1 }"),
		})
		if key.Owner != "ci" || key.Tenant != "t1" || key.Environment != "test" || key.Scopes.String() != "reports:read reports:write" ||
			key.Metadata.String() != `{"name":"nightly","n":1}` || key.Generation != 1 ||
			!key.Created.Equal(now) || !key.Rotated.Equal(now) || !key.Expires.Equal(now.Add(90*day)) || !key.GraceEnds.IsZero() {
			t.Errorf("key %+v", key)
		}
		if got := fmt.Sprint(key.Networks); got != "[10.0.0.0/8 192.0.2.0/24 2001:db8::/32]" {
			t.Errorf("networks %s", got)
		}
		if label, err := apikey.Parse(text); err != nil || label.String() != "acme_test_"+key.ID {
			t.Errorf("label %s, %v", label, err)
		}
		described, err := b.Describe(t.Context(), key.ID)
		if err != nil || fmt.Sprintf("%+v", described) != fmt.Sprintf("%+v", key) {
			t.Errorf("described as %+v, %v", described, err)
		}
		b.wantEvents(t, apikey.EventCreated)
		if _, err := b.Describe(t.Context(), "0123456789abcdef"); !errors.Is(err, apikey.ErrNotFound) {
			t.Errorf("an unknown key is described: %v", err)
		}
	})
}

func TestCreateReportsEveryMistake(t *testing.T) {
	b := setUp(t, nil)
	many := make([]netip.Prefix, 65)
	for i := range many {
		many[i] = netip.MustParsePrefix("10.0.0.0/8")
	}
	for want, alter := range map[string]func(*apikey.Request){
		"Request.Owner: required":                                                func(r *apikey.Request) { r.Owner = "" },
		"Request.Owner: must be at most 255 bytes of UTF-8":                      func(r *apikey.Request) { r.Owner = "a\x00" },
		"Request.Tenant: must be at most 255 bytes of UTF-8":                     func(r *apikey.Request) { r.Tenant = strings.Repeat("é", 128) },
		"Request.Environment: must be 1 to 16":                                   func(r *apikey.Request) { r.Environment = "a_b" },
		"Request.Lifetime: got 0s, must be greater than 0 and at most 2160h0m0s": func(r *apikey.Request) { r.Lifetime = 0 },
		`Request.Scopes: "*": wildcards are not supported`:                       func(r *apikey.Request) { r.Scopes = []string{"*"} },
		"Request.Scopes: all must be in Config.Scopes":                           func(r *apikey.Request) { r.Scopes = []string{"reports:read", "reports:delete"} },
		"Request.Scopes: gatehouse: malformed scope":                             func(r *apikey.Request) { r.Scopes = []string{"reports:read reports:write"} },
		"Request.Networks[0]: invalid network":                                   func(r *apikey.Request) { r.Networks = []netip.Prefix{{}} },
		"Request.Networks: got 65, at most 64 are allowed":                       func(r *apikey.Request) { r.Networks = many },
		"Request.Metadata: not valid UTF-8":                                      func(r *apikey.Request) { r.Metadata = gatehouse.VerifiedClaims("{\"a\":\"\xff\"}") },
		"Request.Metadata: not a JSON object":                                    func(r *apikey.Request) { r.Metadata = gatehouse.VerifiedClaims(`{"a":1`) },
		"Request.Metadata: got 4097 bytes, at most 4096 are":                     func(r *apikey.Request) { r.Metadata = claims(t, `{"a":"`+strings.Repeat("x", 4089)+`"}`) },
		"Request.Metadata: gatehouse: claims are not a JSON obje":                func(r *apikey.Request) { r.Metadata = gatehouse.VerifiedClaims(`[1]`) },
	} {
		r := order()
		alter(&r)
		issued, err := b.Create(t.Context(), r)
		if err == nil || issued.Secret.Len() > 0 || !strings.Contains(err.Error(), "apikey: "+want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s:\ngot %v", want, err)
		}
	}
	for _, lifetime := range []time.Duration{-day, 90*day + 1000, time.Nanosecond} {
		r := order()
		r.Lifetime = lifetime
		if _, err := b.Create(t.Context(), r); err == nil {
			t.Errorf("lifetime %v is accepted", lifetime)
		}
	}
	for _, owner := range []string{"a\nb", "\x7f", "\u0085", "\xff", strings.Repeat("x", 256)} {
		r := order()
		r.Owner = owner
		if _, err := b.Create(t.Context(), r); err == nil {
			t.Errorf("owner %q is accepted", owner)
		}
	}
	if _, err := b.Create(t.Context(), apikey.Request{}); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("not all mistakes are reported: %v", err)
	}
	if n := b.store.count("create"); n > 0 {
		t.Errorf("the store was called %d times", n)
	}
	b.wantEvents(t)
}

// What does not fit into the column of a store is refused before.
func TestCreateRefusesTooManyScopes(t *testing.T) {
	long := []string{strings.Repeat("a", 2000), strings.Repeat("b", 2000), strings.Repeat("c", 95)}
	b := setUp(t, func(c *apikey.Config) { c.Scopes = long })
	r := order()
	r.Scopes = long[:2]
	b.issue(t, r)
	r.Scopes = long
	if _, err := b.Create(t.Context(), r); err == nil || err.Error() != "apikey: Request.Scopes: got 4097 bytes, at most 4096 are allowed" {
		t.Errorf("%v", err)
	}
}

// Without a catalogue a key can be made that may do nothing.
func TestNoCatalogue(t *testing.T) {
	b := setUp(t, func(c *apikey.Config) { c.Scopes = nil })
	r := order()
	if _, err := b.Create(t.Context(), r); err == nil {
		t.Error("a key was made for a scope of no catalogue")
	}
	r.Scopes = nil
	if key, _ := b.issue(t, r); key.Scopes.Len() != 0 {
		t.Errorf("scopes %s", key.Scopes)
	}
}

func TestRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t, nil)
		old, first := b.issue(t, order())
		b.want(t, first, "")
		b.events.take()
		pass(10 * day)
		key, second := b.rotate(t, old.ID, day)
		b.wantEvents(t, apikey.EventRotated)
		if key.ID != old.ID || key.Generation != 2 || !key.GraceEnds.Equal(time.Now().Add(day)) || !key.Expires.Equal(time.Now().Add(30*day)) {
			t.Errorf("key %+v", key)
		}
		if first == second || !strings.HasPrefix(second, "acme_live_"+old.ID+"_") {
			t.Error("the secret or the id is wrong")
		}
		// One key with two secrets: the same principal but for the end.
		a, z := b.send(t, get(first)).principal, b.send(t, get(second)).principal
		if !a.Expires.Equal(key.GraceEnds) || !z.Expires.Equal(key.Expires) {
			t.Errorf("expires %v and %v", a.Expires, z.Expires)
		}
		if a.Expires = z.Expires; !reflect.DeepEqual(a, z) || z.Credential != old.ID || z.Subject != "ci" {
			t.Errorf("principals %+v and %+v", a, z)
		}
		pass(day - time.Microsecond)
		b.want(t, first, "")
		pass(time.Microsecond)
		b.want(t, first, apikey.ReasonRotated)
		b.want(t, second, "")

		// A further rotation during grace ends the older secret.
		_, third := b.rotate(t, old.ID, day)
		_, fourth := b.rotate(t, old.ID, day)
		b.want(t, first, apikey.ReasonSecret)
		b.want(t, second, apikey.ReasonSecret)
		b.want(t, third, "")
		b.want(t, fourth, "")

		// Without grace it is over at once.
		_, fifth := b.rotate(t, old.ID, 0)
		b.want(t, fourth, apikey.ReasonRotated)
		b.want(t, fifth, "")
	})
}

// The old secret never outlives its own expiry.
func TestGraceIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t, nil)
		old, first := b.issue(t, order())
		pass(29 * day)
		key, second := b.rotate(t, old.ID, 20*day)
		if !key.GraceEnds.Equal(old.Expires) {
			t.Errorf("grace ends %v, the secret %v", key.GraceEnds, old.Expires)
		}
		pass(day - time.Microsecond)
		b.want(t, first, "")
		pass(time.Microsecond)
		b.want(t, first, apikey.ReasonRotated)
		b.want(t, second, "")
		pass(29 * day)
		b.want(t, second, apikey.ReasonExpired)
	})
}

// A policy that has become stricter holds for the next secret.
func TestRotateObeysPolicy(t *testing.T) {
	store := apikey.NewMemory(0)
	with := func(max time.Duration) bench {
		return setUp(t, func(c *apikey.Config) { c.Store, c.MaxLifetime = store, max })
	}
	old, _ := with(30*day).issue(t, order())
	key, _ := with(7*day).rotate(t, old.ID, 0)
	if got := key.Expires.Sub(key.Rotated); got != 7*day {
		t.Errorf("the new secret is good for %v", got)
	}
}

func TestRotateRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t, nil)
		rotate := func(id string, generation int64) error {
			issued, err := b.Rotate(t.Context(), id, time.Hour, generation)
			if err != nil && issued.Secret.Len() > 0 {
				t.Error("a refusal comes with a secret")
			}
			return err
		}
		if err := rotate("0123456789abcdef", 0); !errors.Is(err, apikey.ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
		key, text := b.issue(t, order())
		if _, err := b.Rotate(t.Context(), key.ID, -1, 0); err == nil {
			t.Error("negative grace is accepted")
		}
		if err := rotate(key.ID, 2); !errors.Is(err, apikey.ErrConflict) {
			t.Errorf("another generation: %v", err)
		}
		b.store.broken["find"] = errors.New("gone")
		if err := rotate(key.ID, 0); err == nil || b.store.count("rotate") != 1 {
			t.Errorf("a key that cannot be read: %v", err)
		}
		b.store.broken["find"] = nil
		if err := rotate(key.ID, 1); err != nil {
			t.Errorf("its generation: %v", err)
		}
		if err := rotate(key.ID, 1); !errors.Is(err, apikey.ErrConflict) {
			t.Errorf("rotated meanwhile: %v", err)
		}
		b.want(t, text, "") // the second did not end its grace
		pass(31 * day)
		if err := rotate(key.ID, 0); !errors.Is(err, apikey.ErrConflict) {
			t.Errorf("expired: %v", err)
		}
		key, _ = b.issue(t, order())
		if _, err := b.Revoke(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
		b.events.take()
		if err := rotate(key.ID, 0); !errors.Is(err, apikey.ErrConflict) {
			t.Errorf("revoked: %v", err)
		}
		b.wantEvents(t)
	})
}

func TestRevoke(t *testing.T) {
	b := setUp(t, nil)
	key, first := b.issue(t, order())
	_, second := b.rotate(t, key.ID, day)
	_, other := b.issue(t, order())
	b.events.take()
	got, err := b.Revoke(t.Context(), key.ID)
	if err != nil || got.Revoked.IsZero() {
		t.Fatalf("%+v, %v", got, err)
	}
	b.wantEvents(t, apikey.EventRevoked)
	b.want(t, first, apikey.ReasonRevoked)
	b.want(t, second, apikey.ReasonRevoked)
	b.want(t, other, "")
	again, err := b.Revoke(t.Context(), key.ID)
	if err != nil || !again.Revoked.Equal(got.Revoked) {
		t.Errorf("again: %+v, %v", again, err)
	}
	if _, err := b.Revoke(t.Context(), "0123456789abcdef"); !errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("unknown: %v", err)
	}
}

func TestRevokeAll(t *testing.T) {
	b := setUp(t, nil)
	make3 := func(tenant, owner string) []string {
		var texts []string
		for range 3 {
			r := order()
			r.Tenant, r.Owner = tenant, owner
			_, text := b.issue(t, r)
			texts = append(texts, text)
		}
		return texts
	}
	groups := map[string][]string{
		"t1 ada": make3("t1", "ada"), "t1 bob": make3("t1", "bob"), "t2 ada": make3("t2", "ada"), " ada": make3("", "ada"), " eve": make3("", "eve"),
	}
	b.events.take()
	revoke := func(f apikey.Filter, groupsGone ...string) {
		t.Helper()
		n, err := b.RevokeAll(t.Context(), f)
		if err != nil || n != 3*len(groupsGone) {
			t.Errorf("%+v has revoked %d, %v", f, n, err)
		}
		if got := b.events.take(); len(got) != n {
			t.Errorf("%d events for %d keys", len(got), n)
		}
		for _, name := range groupsGone {
			for _, text := range groups[name] {
				b.want(t, text, apikey.ReasonRevoked)
			}
			delete(groups, name)
		}
		for _, texts := range groups {
			for _, text := range texts {
				b.want(t, text, "")
			}
		}
	}
	for _, f := range []apikey.Filter{{AnyTenant: true}, {AnyTenant: true, Tenant: "t1"}, {AnyTenant: true, Tenant: "t1", Owner: "ada"}} {
		if n, err := b.RevokeAll(t.Context(), f); err == nil || n > 0 {
			t.Errorf("%+v is accepted", f)
		}
	}
	revoke(apikey.Filter{Tenant: "t9"})
	revoke(apikey.Filter{Tenant: "t1", Owner: "ada"}, "t1 ada")
	revoke(apikey.Filter{Owner: "ada"}, " ada") // of no tenant
	revoke(apikey.Filter{AnyTenant: true, Owner: "ada"}, "t2 ada")
	revoke(apikey.Filter{Tenant: "t1"}, "t1 bob")
	revoke(apikey.Filter{}, " eve")
}

// What fails half-way is done again.
func TestRevokeAllInBatches(t *testing.T) {
	b := setUp(t, nil)
	for range 1100 {
		b.issue(t, order())
	}
	b.store.before = func(verb string) {
		b.store.mu.Lock()
		defer b.store.mu.Unlock()
		if verb == "revoke all" {
			b.store.broken[verb] = errors.New("gone") // from the next call on
		}
	}
	n, err := b.RevokeAll(t.Context(), apikey.Filter{Tenant: "t1"})
	if err == nil || n != 500 {
		t.Fatalf("half-way: %d, %v", n, err)
	}
	b.store.before = nil
	b.store.breakAll(nil)
	if n, err = b.RevokeAll(t.Context(), apikey.Filter{Tenant: "t1"}); err != nil || n != 600 {
		t.Errorf("again: %d, %v", n, err)
	}
}

func TestRevokeLeaked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t, nil)
		leak := func(text string, revoked bool, events ...gatehouse.EventType) {
			t.Helper()
			key, err := b.RevokeLeaked(t.Context(), text)
			if err != nil || key.Revoked.IsZero() == revoked {
				t.Errorf("%+v, %v", key, err)
			}
			b.wantEvents(t, events...)
		}
		key, text := b.issue(t, order())
		b.events.take()
		leak("  "+text+"\r\n", true, apikey.EventRevoked, apikey.EventLeaked)
		b.want(t, text, apikey.ReasonRevoked)
		leak(text, true, apikey.EventLeaked) // a second report
		described, err := b.Describe(t.Context(), key.ID)
		if err != nil || described.Revoked.IsZero() {
			t.Errorf("%+v, %v", described, err)
		}

		// The secret before, in its grace.
		key, text = b.issue(t, order())
		_, second := b.rotate(t, key.ID, day)
		b.events.take()
		leak(text, true, apikey.EventRevoked, apikey.EventLeaked)
		b.want(t, second, apikey.ReasonRevoked)

		// After its grace nothing has leaked that is good for anything.
		key, text = b.issue(t, order())
		_, second = b.rotate(t, key.ID, day)
		pass(day)
		b.events.take()
		leak(text, false, apikey.EventLeaked)
		b.want(t, second, "")

		// A key for another environment, reported to this server.
		r := order()
		r.Environment = "test"
		_, text = b.issue(t, r)
		b.events.take()
		leak(text, true, apikey.EventRevoked, apikey.EventLeaked)
	})
}

func TestRevokeLeakedRefuses(t *testing.T) {
	b := setUp(t, nil)
	key, text := b.issue(t, order())
	_, other := b.issue(t, order())
	unknown := strings.Replace(golden, "_0123456789ABCDEF_", "_"+"abcdefghijklmnop"+"_", 1)
	unknown = unknown[:len(unknown)-6] + checksum(unknown[:len(unknown)-6])
	b.events.take()
	for name, leaked := range map[string]string{
		"a wrong secret": withSecret(t, text, other),
		"the id alone":   key.ID,
		"the label":      "acme_live_" + key.ID,
		"a typing error": text[:len(text)-1],
		"an unknown key": unknown,
		"another prefix": golden[:0] + "other" + strings.TrimSuffix(golden[4:], goldenSum) + checksum("other"+strings.TrimSuffix(golden[4:], goldenSum)),
		"nothing":        "",
	} {
		if key, err := b.RevokeLeaked(t.Context(), leaked); !errors.Is(err, apikey.ErrNotFound) || key.ID != "" {
			t.Errorf("%s: %+v, %v", name, key, err)
		}
	}
	b.wantEvents(t)
	if n := b.store.count("find"); n != 2 {
		t.Errorf("the store was asked %d times", n) // for the two that are well-formed and ours
	}
	b.want(t, text, "")
	b.store.breakAll(errors.New("gone"))
	if _, err := b.RevokeLeaked(t.Context(), text); err == nil || errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("a broken store: %v", err)
	}
	b.store.breakAll(nil)
	b.store.broken["revoke"] = errors.New("gone")
	if key, err := b.RevokeLeaked(t.Context(), text); err == nil || key.ID != "" {
		t.Errorf("a broken store: %+v, %v", key, err)
	}
	b.wantEvents(t)
}

func TestSuspend(t *testing.T) {
	b := setUp(t, nil)
	key, text := b.issue(t, order())
	b.events.take()
	got, err := b.Suspend(t.Context(), key.ID)
	if err != nil || got.Suspended.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	b.want(t, text, apikey.ReasonSuspended)
	got, err = b.Resume(t.Context(), key.ID)
	if err != nil || !got.Suspended.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	b.want(t, text, "")
	b.wantEvents(t, apikey.EventSuspended, apikey.EventResumed)
	if _, err := b.Suspend(t.Context(), "0123456789abcdef"); !errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("unknown: %v", err)
	}
	// Resume does not undo more than Suspend.
	for _, call := range []func(context.Context, string) (apikey.Key, error){b.Revoke, b.Suspend, b.Resume} {
		if _, err := call(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
	}
	b.want(t, text, apikey.ReasonRevoked)
}

func TestList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t, nil)
		var ids []string
		for i := range 120 {
			r := order()
			r.Lifetime = time.Duration(120-i) * time.Hour
			if i%3 == 0 {
				r.Tenant = "t2"
			}
			key, _ := b.issue(t, r)
			if i%3 != 0 {
				ids = append(ids, key.ID)
			}
			pass(time.Second)
		}
		pages := func(q apikey.Query) (ids []string, n int) {
			t.Helper()
			for cursor := ""; ; {
				page, err := b.List(t.Context(), q, cursor)
				if err != nil {
					t.Fatal(err)
				}
				n++
				for _, key := range page.Keys {
					ids = append(ids, key.ID)
				}
				if cursor = page.Next; cursor == "" {
					return ids, n
				}
			}
		}
		t1 := apikey.Filter{Tenant: "t1"}
		for limit, want := range map[int]int{0: 2, 1: 80, 7: 12, 79: 2, 80: 1, 81: 1, 1000: 1} {
			got, n := pages(apikey.Query{Filter: t1, Limit: limit})
			if !slices.Equal(got, ids) || n != want {
				t.Errorf("limit %d: %d keys on %d pages, want %d on %d", limit, len(got), n, len(ids), want)
			}
		}
		due, _ := pages(apikey.Query{Filter: t1, ExpiresWithin: 10 * time.Hour, Limit: 3})
		want := slices.Clone(ids[len(ids)-7:])
		if slices.Reverse(want); !slices.Equal(due, want) {
			t.Errorf("due: %q, want %q", due, want)
		}
		none, n := pages(apikey.Query{})
		if len(none) > 0 || n != 1 {
			t.Errorf("of no tenant: %q", none)
		}

		page, err := b.List(t.Context(), apikey.Query{Filter: t1}, "")
		if err != nil || len(page.Keys) != 50 {
			t.Fatal(err)
		}
		cursor := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
		id := ids[0]
		twin := []byte(cursor("12 " + id))
		twin[len(twin)-1]++ // bits that carry nothing
		if _, err := b.List(t.Context(), apikey.Query{Filter: t1}, cursor("0 "+id)); err != nil {
			t.Error(err)
		}
		for name, forged := range map[string]string{
			"junk behind":    page.Next + "!",
			"junk after all": cursor("0 "+id) + "!",
			"not canonical":  string(twin),
			"no number":      cursor("x " + id),
			"no time":        cursor(id),
			"no id":          cursor("0 "),
			"short id":       cursor("0 " + id[1:]),
			"odd id":         cursor("0 " + id[1:] + "'"),
			"longer":         page.Next + "AAAA",
			"a hundred more": cursor(strings.Repeat("0", 100) + " " + id),
		} {
			if _, err := b.List(t.Context(), apikey.Query{Filter: t1}, forged); err == nil {
				t.Errorf("cursor, %s: accepted", name)
			}
		}
		for name, call := range map[string]func() error{
			"limit":    func() error { _, err := b.List(t.Context(), apikey.Query{Limit: 1001}, ""); return err },
			"negative": func() error { _, err := b.List(t.Context(), apikey.Query{Limit: -1}, ""); return err },
			"within":   func() error { _, err := b.List(t.Context(), apikey.Query{ExpiresWithin: -1}, ""); return err },
			"filter": func() error {
				_, err := b.List(t.Context(), apikey.Query{Filter: apikey.Filter{Tenant: "a", AnyTenant: true}}, "")
				return err
			},
		} {
			if call() == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	})
}

// An application that does not take an event gets its error back; what has
// been done stays done, and no secret is given out that nobody has recorded.
func TestEventErrors(t *testing.T) {
	b := setUp(t, nil)
	key, _ := b.issue(t, order())
	b.rotate(t, key.ID, day)
	b.events.take()
	lost := errors.New("audit is full")
	b.events.fail(lost)
	if issued, err := b.Create(t.Context(), order()); !errors.Is(err, lost) || issued.Secret.Len() > 0 {
		t.Errorf("create: %v", err)
	}
	if issued, err := b.Rotate(t.Context(), key.ID, day, 0); !errors.Is(err, lost) || issued.Secret.Len() > 0 {
		t.Errorf("rotate: %v", err)
	}
	if got, err := b.Suspend(t.Context(), key.ID); !errors.Is(err, lost) || got.Suspended.IsZero() {
		t.Errorf("suspend: %v", err)
	}
	if got, err := b.Resume(t.Context(), key.ID); !errors.Is(err, lost) || !got.Suspended.IsZero() {
		t.Errorf("resume: %v", err)
	}
	if got, err := b.Revoke(t.Context(), key.ID); !errors.Is(err, lost) || got.Revoked.IsZero() {
		t.Errorf("revoke: %v", err)
	}
	other, text := b.issueQuietly(t)
	if got, err := b.RevokeLeaked(t.Context(), text); !errors.Is(err, lost) || got.ID != other.ID || got.Revoked.IsZero() {
		t.Errorf("leaked: %+v, %v", got, err)
	}
	b.issueQuietly(t)
	if n, err := b.RevokeAll(t.Context(), apikey.Filter{Tenant: "t1"}); !errors.Is(err, lost) || n < 1 {
		t.Errorf("revoke all: %d, %v", n, err)
	}
	b.want(t, text, apikey.ReasonRevoked)
}

// issueQuietly makes a key while events fail.
func (b bench) issueQuietly(t testing.TB) (apikey.Key, string) {
	t.Helper()
	b.events.mu.Lock()
	err := b.events.err
	b.events.mu.Unlock()
	b.events.fail(nil)
	defer b.events.fail(err)
	return b.issue(t, order())
}

// The handler of an event knows who made the change, and shares nothing with
// the store.
func TestEventContext(t *testing.T) {
	var who string
	b := setUp(t, func(c *apikey.Config) {
		c.CacheTTL = time.Second
		c.Observer = gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
			who = e.Principal.Subject
			return nil
		})
	})
	r := order()
	r.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	ctx := gatehouse.NewContext(t.Context(), gatehouse.Principal{Subject: "ada", Method: "jwt"})
	issued, err := b.Create(ctx, r)
	if err != nil || who != "ada" {
		t.Errorf("who %q, %v", who, err)
	}
	if fmt.Sprint(issued.Key.Networks) != "[192.0.2.0/24]" {
		t.Errorf("networks %v", issued.Key.Networks)
	}
}
