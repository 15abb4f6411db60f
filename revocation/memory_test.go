// SPDX-License-Identifier: Apache-2.0

package revocation_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/revocation/revocationtest"
)

func TestMemoryContract(t *testing.T) {
	revocationtest.TestStore(t, func(*testing.T) revocation.Store { return revocation.NewMemory(0) })
}
