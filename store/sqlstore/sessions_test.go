// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/session/sessiontest"
)

func TestSessionsContract(t *testing.T) {
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		sessiontest.TestStore(t, func(t *testing.T) session.Store {
			driver, dsn := database(t)
			s := newStore(t, open(t, driver, dsn))
			if err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			return s.Sessions()
		})
	})
}
