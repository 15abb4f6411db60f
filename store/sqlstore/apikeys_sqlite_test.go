// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// SQLite has one writer at a time. The writers of a process are served in order, so
// that none starves.
func TestWritersAreServedInOrder(t *testing.T) {
	db := open(t, "sqlite", sqlstore.SQLiteDSN(filepath.Join(t.TempDir(), "keys.db")))
	db.SetMaxOpenConns(64)
	db.SetMaxIdleConns(64)
	s := newStore(t, db)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys := s.APIKeys()
	const writers, writes = 16, 16 // few enough that none waits for the timeout of the store
	var all sync.WaitGroup
	waited := make([]time.Duration, writers)
	start := time.Now()
	for i := range writers {
		all.Go(func() {
			for j := range writes {
				begin := time.Now()
				id := fmt.Sprintf("%d-%d", i, j)
				if _, err := keys.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Lifetime: time.Hour}}); err != nil {
					t.Error(err)
				}
				waited[i] = max(waited[i], time.Since(begin))
			}
		})
	}
	all.Wait()
	total, longest := time.Since(start), slices.Max(waited)
	t.Logf("%d writes took %v, the longest one %v", writers*writes, total, longest)
	if longest > total/2 {
		t.Errorf("the longest write took %v, want at most half of the %v of all", longest, total)
	}
}
