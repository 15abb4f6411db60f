// SPDX-License-Identifier: Apache-2.0

package revocation_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
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
				succeeds(t, list.RevokeSubject(t.Context(), gatehouse.Key{Issuer: issuer, Subject: subject}))
			}
		}
		token := alice()
		revokeAll("a", "b", "c", "a", "b")
		check(t, list, "store not full", token, false)
		succeeds(t, list.RevokeToken(t.Context(), gatehouse.Key{Issuer: issuer, Subject: "bob"}, "another token", time.Now().Add(time.Minute)))
		check(t, list, "store full", token, true)
		pass(time.Second)
		later := alice()
		check(t, list, "issued 1 s after", later, false)
		revokeAll("alice")
		check(t, list, "another subject of a full store", later, true)

		pass(25 * time.Minute) // all revocations have expired
		check(t, list, "expired", token, false)
		token.Subject, token.IssuedAt = "d", time.Now()
		other := alice()
		revokeAll("d", "e", "f")
		check(t, list, "store not full again", other, false)
		check(t, list, "revoked again", token, true)

		m := revocation.NewMemory(1)
		for _, lifetime := range []time.Duration{time.Hour, 3 * time.Hour, time.Minute} {
			target := revocation.Target{Kind: revocation.Subject, Issuer: issuer, Value: lifetime.String()}
			succeeds(t, m.Revoke(t.Context(), target, lifetime))
		}
		token = alice()
		pass(3*time.Hour - 1)
		check(t, newList(m), "store full, to the end of the longest revocation", token, true)
		pass(1)
		check(t, newList(m), "store full, after the end", token, false)
	})
}

func TestFullMemoryRevokesKnownTargetAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := newList(revocation.NewMemory(1))
		for _, subject := range []string{"alice", "bob", "alice"} {
			pass(2 * time.Second)
			token := alice()
			check(t, list, "issued after the other revocations", token, false)
			succeeds(t, list.RevokeSubject(t.Context(), gatehouse.Key{Issuer: issuer, Subject: subject}))
			check(t, list, "revoked, or in a full store", token, true)
		}
	})
}

// A subject with many revoked families or tokens is revoked as a whole, so that one
// user who logs in and out does not fill the store of all others.
func TestOneSubjectDoesNotFillStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := newList(revocation.NewMemory(1010))
		mallory := gatehouse.Key{Issuer: issuer, Subject: "mallory"}
		for i := range 2000 {
			revoke := list.RevokeFamily(t.Context(), mallory, fmt.Sprint("family ", i))
			if i%2 == 0 {
				revoke = list.RevokeToken(t.Context(), mallory, fmt.Sprint("token ", i), time.Now().Add(time.Minute))
			}
			succeeds(t, revoke)
		}
		check(t, list, "another subject", alice(), false)
		token := alice()
		token.Subject, token.Family = "mallory", "a family that was not revoked"
		check(t, list, "the subject", token, true)
		pass(time.Second)
		token.IssuedAt = time.Now()
		check(t, list, "a later token of the subject", token, false)
		token.Family = "family 3"
		check(t, list, "a later token of a revoked family", token, true)

		pass(25 * time.Minute) // all revocations have expired
		succeeds(t, list.RevokeFamily(t.Context(), mallory, "next family"))
		token.IssuedAt, token.Family = time.Now(), "f1"
		check(t, list, "the subject after all have expired", token, false)
	})
	if err := newList(revocation.NewMemory(0)).RevokeFamily(t.Context(), gatehouse.Key{Issuer: issuer}, "f1"); err == nil {
		t.Error("RevokeFamily without a subject error = nil, want one")
	}
}
