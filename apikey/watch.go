// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// Watcher reports changes of keys by other processes, so that a cache can drop
// its entries. The implementations use publish and subscribe of Redis, and
// LISTEN and NOTIFY of PostgreSQL.
type Watcher interface {
	// Watch calls changed with the ID of every key that a process rotates, revokes,
	// suspends, resumes or changes by Import, after the change. When it begins to listen,
	// it calls changed with "", for all keys, because it may have missed changes before.
	//
	// Watch blocks until ctx is done or it cannot listen any more, such as when its
	// connection breaks or the server does not respond, and always returns a non-nil
	// error; [Keys.Watch] then calls it again. It does not call changed after it has
	// returned. changed returns quickly and is safe for concurrent use.
	Watch(ctx context.Context, changed func(id string)) error
}

// Events of [Keys.Watch].
const (
	// EventWatchFailed reports that the Watcher cannot listen: until
	// EventWatchRestored, a change by another process takes up to CacheTTL to take
	// effect in this process. The Cause is the error of the first attempt.
	EventWatchFailed gatehouse.EventType = "apikey_watch_failed"
	// EventWatchRestored reports that the Watcher listens again.
	EventWatchRestored gatehouse.EventType = "apikey_watch_restored"
)

// minPause and maxPause bound the time between two attempts to listen.
const minPause, maxPause = 50 * time.Millisecond, 2 * time.Second

// Watch listens to [Config].Watcher and deletes changed keys from the cache. It
// blocks until ctx is done, and always returns a non-nil error: run it in a
// goroutine. When the Watcher cannot listen, Watch reports [EventWatchFailed] and
// tries again with a backoff from 50 ms to 2 s. While it is not running or the
// Watcher does not listen, a revocation by another process takes up to CacheTTL to
// take effect in this process.
func (k *Keys) Watch(ctx context.Context) error {
	if k.watcher == nil {
		return errors.New("apikey: watch: Config.Watcher is not set")
	}
	var failed atomic.Bool
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		var listened atomic.Bool
		err := k.watcher.Watch(ctx, func(id string) {
			k.Invalidate(id)
			if id == "" {
				listened.Store(true)
				if failed.CompareAndSwap(true, false) {
					k.reportWatch(ctx, EventWatchRestored, slog.LevelInfo, nil)
				}
			}
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !failed.Swap(true) {
			k.reportWatch(ctx, EventWatchFailed, slog.LevelWarn, err)
		}
		if listened.Load() {
			pause = minPause
		}
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		}
	}
}

// reportWatch reports the state of the Watcher. It ignores errors of the observer,
// because no request depends on the event.
func (k *Keys) reportWatch(ctx context.Context, t gatehouse.EventType, level slog.Level, cause error) {
	ctx, cancel := detached(ctx)
	defer cancel()
	_ = gatehouse.Report(ctx, k.observer, gatehouse.Event{Type: t, Level: level, Issuer: k.issuer, Cause: cause})
}
