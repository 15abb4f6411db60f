// SPDX-License-Identifier: Apache-2.0

package authtest_test

import (
	"net/http"
	"testing"

	"github.com/gatehouse-go/gatehouse/authtest"
)

// TestMyAPI is all that a user of the kit writes.
func TestMyAPI(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	if err := issuer.PublishOddKeys(); err != nil {
		t.Fatal(err)
	}
	handler, err := protect(issuer.URL, issuer.Audience, http.HandlerFunc(greet))
	if err != nil {
		t.Fatal(err)
	}
	authtest.Attack(t, handler, issuer)
}
