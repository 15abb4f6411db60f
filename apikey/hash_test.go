// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/apikey"
)

// The store gets the SHA-256 or the HMAC of the text before the checksum.
func TestStoredHash(t *testing.T) {
	for version, alter := range map[uint32]func(*apikey.Config){
		0: nil,
		7: func(c *apikey.Config) { c.Peppers = []apikey.Pepper{pepper(7, 'a')} },
	} {
		f := newKeys(t, alter)
		key, text := f.create(t, request())
		body := []byte(text[:len(text)-6])
		want := apikey.Hash{Sum: sha256.Sum256(body), Pepper: version}
		if version > 0 {
			mac := hmac.New(sha256.New, []byte(strings.Repeat("a", 32)))
			mac.Write(body)
			copy(want.Sum[:], mac.Sum(nil))
		}
		if got := must(f.store.Find(t.Context(), key.ID))(t).Current; got != want {
			t.Errorf("pepper %d: stored hash = %x, want %x", version, got, want)
		}
	}
}

// Keys move to a new pepper by rotation, while the old one is still accepted.
func TestPepperRotation(t *testing.T) {
	store := newFaultStore(apikey.NewMemory(0))
	with := func(allowPlain bool, peppers ...apikey.Pepper) fixture {
		return newKeys(t, func(c *apikey.Config) { c.Store, c.Peppers, c.AllowUnpeppered = store, peppers, allowPlain })
	}
	wantVersion := func(id string, want uint32) {
		t.Helper()
		if got := must(store.Find(t.Context(), id))(t).Current.Pepper; got != want {
			t.Errorf("pepper of the newest secret = %d, want %d", got, want)
		}
	}
	a, z := pepper(1, 'a'), pepper(2, 'z')
	none, first, both, second, moving := with(false), with(false, a), with(false, z, a), with(false, z), with(true, a)

	// From no pepper to the first one.
	key, plain := none.create(t, request())
	none.wantReason(t, plain, "")
	first.wantReason(t, plain, apikey.ReasonSecret)
	moving.wantReason(t, plain, "")
	_, rotated := moving.rotate(t, key.ID, day)
	wantVersion(key.ID, 1)
	moving.wantReason(t, plain, "") // in its grace period
	moving.wantReason(t, rotated, "")
	first.wantReason(t, rotated, "")
	first.wantReason(t, plain, apikey.ReasonSecret)
	none.wantReason(t, rotated, apikey.ReasonSecret)

	// From the first pepper to the second one.
	key, text := first.create(t, request())
	both.wantReason(t, text, "")
	wantVersion(key.ID, 1)
	second.wantReason(t, text, apikey.ReasonSecret)
	_, rotated = both.rotate(t, key.ID, day)
	wantVersion(key.ID, 2)
	both.wantReason(t, text, "")
	both.wantReason(t, rotated, "")
	second.wantReason(t, rotated, "")
	second.wantReason(t, text, apikey.ReasonSecret)

	with(false, pepper(3, 'z')).wantReason(t, rotated, apikey.ReasonSecret) // the version counts, not the bytes
	must(both.RevokeLeaked(t.Context(), text))(t)
	both.wantReason(t, rotated, apikey.ReasonRevoked)
}

// An attacker with write access to the store cannot create a key without the
// pepper, or with an empty hash.
func TestForgedRecordRejected(t *testing.T) {
	sum := sha256.Sum256([]byte(golden[:len(golden)-6]))
	for _, hash := range []apikey.Hash{{}, {Sum: sum}, {Sum: sum, Pepper: 1}, {Sum: sum, Pepper: 2}} {
		f := newKeys(t, func(c *apikey.Config) { c.Peppers = []apikey.Pepper{pepper(1, 'a')} })
		record := apikey.Record{Key: apikey.Key{ID: "0123456789ABCDEF", Owner: "eve", Environment: "live", Lifetime: day}, Current: hash}
		must(f.store.Create(t.Context(), record))(t)
		f.wantReason(t, golden, apikey.ReasonSecret)
	}
}
