// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// heartbeat is how long nothing may come before the server is asked
	// whether it is there.
	heartbeat = 2 * time.Second
	// minPause and maxPause are between two attempts to connect.
	minPause, maxPause = 50 * time.Millisecond, 2 * time.Second
)

// Watch implements [apikey.Watcher]. It uses a connection of its own. Where
// that breaks, or the server is silent for 4 s, it connects anew, at first
// after 50 ms and then at longer intervals up to 2 s, for as long as ctx is not
// over.
func (a *APIKeys) Watch(ctx context.Context, changed func(id string)) error {
	pause := minPause
	for {
		listened := false
		err := a.listen(ctx, func(id string) {
			listened = true
			changed(id)
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, redis.ErrClosed) {
			return err // the application has closed its client
		}
		if listened {
			pause = minPause
		}
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		}
		pause = min(2*pause, maxPause)
	}
}

// listen hands on what comes over one connection, until it breaks.
func (a *APIKeys) listen(ctx context.Context, changed func(id string)) error {
	subscription := a.store.client.Subscribe(ctx)
	defer subscription.Close()
	// A read does not end with the context, but it does when the connection is
	// closed.
	defer context.AfterFunc(ctx, func() { _ = subscription.Close() })()

	if err := subscription.Subscribe(ctx, a.base+":changed"); err != nil {
		return err
	}
	asked := false
	for {
		message, err := subscription.ReceiveTimeout(ctx, heartbeat)
		if timeout, ok := errors.AsType[interface {
			error
			Timeout() bool
		}](err); ok && timeout.Timeout() && !asked && ctx.Err() == nil {
			if err := subscription.Ping(ctx); err != nil {
				return err
			}
			asked = true
			continue
		}
		if err != nil {
			return err
		}
		asked = false
		switch m := message.(type) {
		case *redis.Subscription:
			changed("") // what came before this is lost
		case *redis.Message:
			changed(m.Payload)
		}
	}
}
