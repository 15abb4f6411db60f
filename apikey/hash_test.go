// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/apikey"
)

// What is stored is the hash of the text before the checksum, and nothing that
// can be turned back.
func TestHash(t *testing.T) {
	plain := setUp(t, nil)
	key, text := plain.issue(t, order())
	record, err := plain.store.Find(t.Context(), key.ID)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(text[:len(text)-6])
	if record.Current != (apikey.Hash{Sum: sha256.Sum256(body)}) {
		t.Error("not the SHA-256 of the key")
	}
	peppered := setUp(t, func(c *apikey.Config) { c.Peppers = []apikey.Pepper{pepper(7, 'a')} })
	key, text = peppered.issue(t, order())
	if record, err = peppered.store.Find(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte(strings.Repeat("a", 32)))
	mac.Write([]byte(text[:len(text)-6]))
	if record.Current.Pepper != 7 || !hmac.Equal(mac.Sum(nil), record.Current.Sum[:]) {
		t.Error("not the HMAC of the key")
	}
}

// A pepper is changed while keys are in use.
func TestPepperRotation(t *testing.T) {
	store := newCounting()
	with := func(allowPlain bool, peppers ...apikey.Pepper) bench {
		b := setUp(t, func(c *apikey.Config) { c.Store, c.Peppers, c.AllowUnpeppered = store, peppers, allowPlain })
		b.store = store
		return b
	}
	version := func(id string) uint32 {
		r, err := store.Find(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return r.Current.Pepper
	}
	a, z := pepper(1, 'a'), pepper(2, 'z')
	none, first, both, second := with(false), with(false, a), with(false, z, a), with(false, z)

	// From no pepper to the first.
	plain, plainText := none.issue(t, order())
	none.want(t, plainText, "")
	first.want(t, plainText, apikey.ReasonSecret)
	moving := with(true, a)
	moving.want(t, plainText, "")
	_, rehashed := moving.rotate(t, plain.ID, day)
	if version(plain.ID) != 1 {
		t.Errorf("version %d after rotation", version(plain.ID))
	}
	moving.want(t, plainText, "") // in its grace, of another kind than the newest
	moving.want(t, rehashed, "")
	first.want(t, rehashed, "")
	first.want(t, plainText, apikey.ReasonSecret)
	none.want(t, rehashed, apikey.ReasonSecret)

	// From the first pepper to the second.
	key, text := first.issue(t, order())
	both.want(t, text, "")
	if version(key.ID) != 1 {
		t.Error("a use has changed the hash")
	}
	second.want(t, text, apikey.ReasonSecret)
	_, newer := both.rotate(t, key.ID, day)
	if version(key.ID) != 2 {
		t.Errorf("version %d after rotation", version(key.ID))
	}
	both.want(t, text, "")
	both.want(t, newer, "")
	second.want(t, newer, "")
	second.want(t, text, apikey.ReasonSecret)

	// The same bytes under another version are another pepper.
	if third := with(false, pepper(3, 'z')); third.reason(t, newer) != apikey.ReasonSecret {
		t.Error("the version of the pepper does not matter")
	}
	if _, err := both.RevokeLeaked(t.Context(), text); err != nil {
		t.Error(err)
	}
	both.want(t, newer, apikey.ReasonRevoked)
}

// Who can write to the store cannot make keys without the pepper.
func TestForgedRecord(t *testing.T) {
	b := setUp(t, func(c *apikey.Config) { c.Peppers = []apikey.Pepper{pepper(1, 'a')} })
	body := golden[:len(golden)-6]
	for version := range uint32(3) {
		record := apikey.Record{
			Key:     apikey.Key{ID: "0123456789ABCDEF", Owner: "eve", Environment: "live", Lifetime: day},
			Current: apikey.Hash{Sum: sha256.Sum256([]byte(body)), Pepper: version},
		}
		forged := setUp(t, func(c *apikey.Config) { c.Peppers = []apikey.Pepper{pepper(1, 'a')} })
		if _, err := forged.store.Create(t.Context(), record); err != nil {
			t.Fatal(err)
		}
		forged.want(t, golden, apikey.ReasonSecret)
	}
	// A record without a hash is good for nothing.
	empty := apikey.Record{Key: apikey.Key{ID: "0123456789ABCDEF", Owner: "eve", Environment: "live", Lifetime: day}}
	if _, err := b.store.Create(t.Context(), empty); err != nil {
		t.Fatal(err)
	}
	b.want(t, golden, apikey.ReasonSecret)
}
