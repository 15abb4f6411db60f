// SPDX-License-Identifier: Apache-2.0

package pgnotify_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// TestExample runs the example with a server.
func TestExample(t *testing.T) {
	t.Setenv("DATABASE_URL", enginetest.StartPostgres(t).Database(t))
	if got, want := enginetest.Output(t, Example), "ci revoked: true\n"; got != want {
		t.Errorf("Example printed %q, want %q", got, want)
	}
}
