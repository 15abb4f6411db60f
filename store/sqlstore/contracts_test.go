// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/refresh/refreshtest"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/revocation/revocationtest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// newDatabase makes a store on a database of its own.
func newDatabase(t *testing.T, database func(testing.TB) (string, string)) *sqlstore.Store {
	t.Helper()
	driver, dsn := database(t)
	s := newStore(t, open(t, driver, dsn))
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFamiliesContract(t *testing.T) {
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		refreshtest.TestStore(t, func(t *testing.T) refresh.Store { return newDatabase(t, database).Families() })
	})
}

func TestRevocationsContract(t *testing.T) {
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		revocationtest.TestStore(t, func(t *testing.T) revocation.Store { return newDatabase(t, database).Revocations() })
	})
}
