// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/dpop/dpoptest"
)

func TestMemoryContract(t *testing.T) {
	dpoptest.TestStore(t, func(*testing.T) dpop.ReplayStore { return dpop.NewMemory(0) })
}
