// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/revocation"
)

// TestLoginAfterRevokeSubject: the token of a login that follows RevokeSubject is
// accepted, although its iat has whole seconds.
func TestLoginAfterRevokeSubject(t *testing.T) {
	const issuer = "https://auth.example.com"
	list := must(revocation.New(revocation.Config{Store: newStore(t, startServer(t)).Revocations(), Issuers: []string{issuer}}))(t)
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
}
