// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/dpop/dpoptest"
)

func TestMemoryContract(t *testing.T) {
	dpoptest.TestStore(t, func(*testing.T) dpop.ReplayStore { return dpop.NewMemory(0) })
	synctest.Test(t, func(t *testing.T) { // a full store accepts keys again when others expire
		for _, size := range []int{1, 16} { // one key in each part
			m := dpop.NewMemory(size)
			for n, want := range []bool{true, false, true} {
				ok, err := m.Insert(t.Context(), [32]byte{31: byte(n)}, time.Second)
				if ok != want || (err == nil) != want {
					t.Errorf("Insert of key %d into a store of %d = %t, %v, want %t", n, size, ok, err, want)
				}
				time.Sleep(600 * time.Millisecond)
			}
		}
	})
}

// Clients whose headers share a slot do not get the keys of each other.
func TestHeadersOfOneSlot(t *testing.T) {
	var all []string
	for n := range 3000 {
		all = append(all, strconv.Itoa(n), strings.Repeat("a", n)) // some begin with others
	}
	if n := dpop.WrongHeaders(all); n > 0 {
		t.Errorf("%d of %d headers are those of others", n, len(all))
	}
}
