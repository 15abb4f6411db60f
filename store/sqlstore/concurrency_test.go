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
	s, db := migrated(t, "sqlite", sqlstore.SQLiteDSN(filepath.Join(t.TempDir(), "keys.db")))
	db.SetMaxOpenConns(64)
	db.SetMaxIdleConns(64)
	const writers, writes = 16, 16 // few enough that none waits for the timeout of the store
	var all sync.WaitGroup
	var done atomic.Int64
	waited := make([]int64, writers) // the most writes of others during one
	for i := range writers {
		all.Go(func() {
			for j := range writes {
				before := done.Load()
				id := fmt.Sprintf("%d-%d", i, j)
				if _, err := s.APIKeys().Create(t.Context(), apikey.Record{Key: apikey.Key{ID: id, Owner: "o", Lifetime: time.Hour}}); err != nil {
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

// A proof that was used on one server is refused by another one, also when both get
// it at the same time: see the rule "race" of the contract, here with two pools of
// connections.
func TestReplaysOfTwoServers(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driver, dsn := database(t)
		one, _ := migrated(t, driver, dsn)
		other := newStore(t, open(t, driver, dsn))
		for n := range 20 {
			results := make(chan bool, 2)
			for _, s := range []*sqlstore.Store{one, other} {
				go func() {
					inserted, err := s.Replays().Insert(t.Context(), replayKey(n), time.Minute)
					if err != nil {
						t.Errorf("Insert error = %v", err)
					}
					results <- inserted
				}()
			}
			if a, b := <-results, <-results; a == b {
				t.Fatalf("Insert of one key on two servers = %v and %v, want one true", a, b)
			}
		}
	})
}
