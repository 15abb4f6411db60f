// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// heartbeat is the time without a message after which Watch pings the server.
const heartbeat = 2 * time.Second

// Watch implements [apikey.Watcher]. It uses its own connection, and returns when the
// connection breaks or the server does not respond for 4 s.
func (a *APIKeys) Watch(ctx context.Context, changed func(id string)) error {
	err := a.listen(ctx, changed)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("redisstore: watch API keys: %w", err)
}

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
