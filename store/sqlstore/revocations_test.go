// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// TestLoginAfterRevokeSubject: the token of a login that follows RevokeSubject is
// accepted, although its iat has whole seconds.
func TestLoginAfterRevokeSubject(t *testing.T) {
	eachStore(t, func(t *testing.T, _ string, s *sqlstore.Store, _ *sql.DB) {
		const issuer = "https://auth.example.com"
		list := must(revocation.New(revocation.Config{Store: s.Revocations(), Issuers: []string{issuer}}))(t)
		token := func() jwtauth.Token {
			return jwtauth.Token{Issuer: issuer, Subject: "alice", IssuedAt: time.Now().Truncate(time.Second)}
		}
		before := token()
		if err := list.RevokeSubject(t.Context(), gatehouse.Key{Issuer: issuer, Subject: "alice"}); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			name  string
			token jwtauth.Token
			want  bool
		}{{"before", before, true}, {"after", token(), false}} {
			if got, err := list.Revoked(t.Context(), test.token); got != test.want || err != nil {
				t.Errorf("Revoked(token issued %s RevokeSubject) = %t, %v, want %t", test.name, got, err, test.want)
			}
		}
	})
}

// TestRevocationTimeNeverGoesBack covers a clock that was set back, and a
// concurrent call that has read it later.
func TestRevocationTimeNeverGoesBack(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, driver string, s *sqlstore.Store, db *sql.DB) {
		target := revocation.Target{Kind: revocation.Subject, Issuer: "i", Value: "a"}
		const find = "SELECT CAST(revoked AS text) FROM gatehouse_revocations"
		revoke := func() {
			t.Helper()
			if err := s.Revocations().Revoke(t.Context(), target, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		revoke()
		execute(t, db, "UPDATE gatehouse_revocations SET revoked = "+ago(driver, -30*time.Minute))
		before := query[string](t, db, find)
		revoke()
		if after := query[string](t, db, find); after != before {
			t.Errorf("revoked = %v, want %v as before", after, before)
		}
	})
}
