// SPDX-License-Identifier: Apache-2.0

package pgnotify_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// The example needs a server, so the test that runs it starts one.
func TestExample(t *testing.T) {
	t.Setenv("DATABASE_URL", enginetest.StartPostgres(t).Database(t))
	if got, want := enginetest.Output(t, Example), "ci revoked: true\n"; got != want {
		t.Errorf("the example prints %q, want %q", got, want)
	}
}
