// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// heartbeat is the time without a message after which Watch pings the server.
	heartbeat = 2 * time.Second
	// minBackoff and maxBackoff bound the time between two attempts to connect.
	minBackoff, maxBackoff = 50 * time.Millisecond, 2 * time.Second
)

// Watch implements [apikey.Watcher]. It uses its own connection. When the
// connection breaks, or the server does not respond for 4 s, it reconnects with
// a backoff from 50 ms to 2 s until ctx is canceled.
func (a *APIKeys) Watch(ctx context.Context, changed func(id string)) error {
	backoff := minBackoff
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
			return err // the application has closed the client
		}
		if listened {
			backoff = minBackoff
		}
		wait := time.NewTimer(backoff)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// listen passes on the messages of one connection until it breaks.
func (a *APIKeys) listen(ctx context.Context, changed func(id string)) error {
	subscription := a.store.client.Subscribe(ctx)
	defer subscription.Close()
	// A read does not end with the context, but with the connection.
	defer context.AfterFunc(ctx, func() { _ = subscription.Close() })()

	if err := subscription.Subscribe(ctx, a.channel()); err != nil {
		return err
	}
	pinged := false
	for {
		message, err := subscription.ReceiveTimeout(ctx, heartbeat)
		if timeout, ok := errors.AsType[interface {
			error
			Timeout() bool
		}](err); ok && timeout.Timeout() && !pinged && ctx.Err() == nil {
			if err := subscription.Ping(ctx); err != nil {
				return err
			}
			pinged = true
			continue
		}
		if err != nil {
			return err
		}
		pinged = false
		switch m := message.(type) {
		case *redis.Subscription:
			changed("") // messages before this one are lost
		case *redis.Message:
			changed(m.Payload)
		}
	}
}
