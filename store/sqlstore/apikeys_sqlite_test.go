// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
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
	var done atomic.Int64
	waited := make([]int64, writers) // the most writes of others during one
	for i := range writers {
		all.Go(func() {
			for j := range writes {
				before := done.Load()
				id := fmt.Sprintf("%d-%d", i, j)
				if _, err := keys.Create(t.Context(), apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Lifetime: time.Hour}}); err != nil {
					t.Error(err)
				}
				waited[i] = max(waited[i], done.Add(1)-before)
			}
		})
	}
	all.Wait()
	if longest := slices.Max(waited); longest > writers*writes/2 {
		t.Errorf("%d of %d writes were made during one, want at most half", longest, writers*writes)
	}
}
