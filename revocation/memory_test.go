// SPDX-License-Identifier: Apache-2.0

package revocation_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/revocation/revocationtest"
)

func TestMemoryContract(t *testing.T) {
	revocationtest.TestStore(t, func(*testing.T) revocation.Store { return revocation.NewMemory(0) })
}

func TestFullMemoryRevokesAllSubjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := newList(revocation.NewMemory(3))
		revokeAll := func(subjects ...string) {
			t.Helper()
			for _, subject := range subjects {
				if err := list.RevokeSubject(t.Context(), issuer, subject); err != nil {
					t.Fatal(err)
				}
			}
		}
		token := alice()
		revokeAll("a", "b", "c", "a", "b")
		check(t, list, "store not full", token, false)
		if err := list.RevokeToken(t.Context(), issuer, "another token", time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		check(t, list, "store full", token, true)
		pass(time.Second)
		later := alice()
		check(t, list, "issued 1 s after", later, false)
		revokeAll("alice")
		check(t, list, "another subject of a full store", later, true)

		pass(25 * time.Minute) // all revocations have expired
		check(t, list, "expired", token, false)
		revokeAll("d", "e", "f")
		check(t, list, "store not full again", alice(), false)
		token.Subject, token.IssuedAt = "d", time.Now()
		check(t, list, "revoked again", token, true)
	})
}

func TestFullMemoryRevokesKnownTargetAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := newList(revocation.NewMemory(1))
		for _, subject := range []string{"alice", "bob", "alice"} {
			pass(2 * time.Second)
			token := alice()
			check(t, list, "issued after the other revocations", token, false)
			if err := list.RevokeSubject(t.Context(), issuer, subject); err != nil {
				t.Fatal(err)
			}
			check(t, list, "revoked, or in a full store", token, true)
		}
	})
}
