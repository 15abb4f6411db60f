// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/apikey/apikeytest"
)

func TestAPIKeysContract(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		apikeytest.TestStore(t, func(t *testing.T) apikey.Store {
			driver, dsn := database(t)
			s := newStore(t, open(t, driver, dsn))
			if err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			return s.APIKeys()
		})
	})
}
