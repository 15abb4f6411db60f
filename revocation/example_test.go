// SPDX-License-Identifier: Apache-2.0

package revocation_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/revocation"
)

// Set the list as jwtauth.Config.Revocations of every verifier.
func Example() {
	ctx := context.Background()
	list, err := revocation.New(revocation.Config{Store: revocation.NewMemory(0), Issuers: []string{"https://auth.example.com"}})
	if err != nil {
		log.Fatal(err)
	}
	if err := list.RevokeSubject(ctx, gatehouse.Key{Issuer: "https://auth.example.com", Subject: "alice"}); err != nil {
		log.Fatal(err)
	}
	revoked, err := list.Revoked(ctx, jwtauth.Token{Issuer: "https://auth.example.com", Subject: "alice", Client: "web"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(revoked)
	// Output: true
}
