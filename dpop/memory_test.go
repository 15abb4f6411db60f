// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/dpop/dpoptest"
)

func TestMemoryContract(t *testing.T) {
	dpoptest.TestStore(t, func(*testing.T) dpop.ReplayStore { return dpop.NewMemory(0) })
	if ok, err := dpop.NewMemory(1).Insert(t.Context(), [32]byte{}, time.Second); !ok || err != nil {
		t.Errorf("Insert into a store of one key = %t, %v, want true", ok, err)
	}
}

// Clients whose headers share a slot do not get the keys of each other.
func TestHeadersOfOneSlot(t *testing.T) {
	var all []string
	for n := range 3000 {
		all = append(all, strconv.Itoa(n))
	}
	if n := dpop.WrongHeaders(all); n > 0 {
		t.Errorf("%d of %d headers are those of others", n, len(all))
	}
}
