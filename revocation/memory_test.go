// SPDX-License-Identifier: Apache-2.0

package revocation_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/revocation/revocationtest"
)

func TestMemoryContract(t *testing.T) {
	revocationtest.TestStore(t, func(*testing.T) revocation.Store { return revocation.NewMemory(0) })
}

func TestFullMemoryRevokesAllSubjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := revocation.NewMemory(3)
		list := newList(store)
		v := newVerifier(t, list)
		revoke := func(subjects ...string) {
			t.Helper()
			for _, subject := range subjects {
				if err := list.RevokeSubject(t.Context(), issuer, subject); err != nil {
					t.Fatal(err)
				}
			}
		}
		token := mint(nil)
		revoke("a", "b", "c", "a", "b")
		v.check("store not full", token, "")
		if err := list.RevokeToken(t.Context(), issuer, "another token", time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		v.check("store full", token, jwtauth.ReasonRevoked)
		pass(time.Second)
		v.check("issued 1 s after", mint(nil), "")

		pass(25 * time.Minute) // all revocations have expired
		revoke("d", "e", "f")
		pass(time.Second)
		v.check("store not full again", mint(nil), "")
		v.check("revoked again", mint(claims{"sub": "d", "iat": time.Now().Unix() - 1}), jwtauth.ReasonRevoked)
		if times := must(store.Find(t.Context(), []revocation.Target{{Kind: revocation.Subject, Issuer: issuer, Value: "a"}})); !times[0].IsZero() {
			t.Errorf("Find(expired) = %v, want zero", times)
		}
	})
}

func TestFullMemoryRevokesKnownTargetAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := newList(revocation.NewMemory(1))
		v := newVerifier(t, list)
		for _, subject := range []string{"alice", "bob"} {
			if err := list.RevokeSubject(t.Context(), issuer, subject); err != nil {
				t.Fatal(err)
			}
		}
		pass(2 * time.Second)
		token := mint(nil)
		v.check("issued after both", token, "")
		if err := list.RevokeSubject(t.Context(), issuer, "alice"); err != nil {
			t.Fatal(err)
		}
		v.check("revoked again", token, jwtauth.ReasonRevoked)
	})
}
