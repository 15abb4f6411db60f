// SPDX-License-Identifier: Apache-2.0

package pgnotify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-go/gatehouse/apikey"
)

const (
	// heartbeat is the time without notifications after which the server is
	// pinged, and the timeout of the ping.
	heartbeat = 2 * time.Second
	// connecting is the timeout of a connection attempt.
	connecting = 5 * time.Second
	// closing is the timeout of closing the connection.
	closing = time.Second
)

// Config configures a [Listener].
type Config struct {
	// Conn is the configuration of the connection: see [pgx.ParseConfig].
	// Required. It must connect to the database of the store, on the primary
	// server itself: a pooler in transaction mode does not forward
	// notifications.
	Conn *pgx.ConnConfig
}

// Listener receives the notifications of the database. It connects when Watch is
// called. It is safe for concurrent use.
type Listener struct{ conn *pgx.ConnConfig }

// New returns a listener. It does not connect to the server.
func New(config Config) (*Listener, error) {
	if config.Conn == nil {
		return nil, errors.New("pgnotify: Config.Conn: required")
	}
	l := &Listener{conn: config.Conn.Copy()}
	// Without a handler, pgx queues the notifications that arrive between two
	// calls of WaitForNotification.
	l.conn.OnNotification = nil
	return l, nil
}

// Channel is one notification channel of a [Listener]. It is safe for concurrent
// use. Each call of Watch opens its own connection.
type Channel struct {
	listener *Listener
	name     string
}

var _ apikey.Watcher = (*Channel)(nil)

// APIKeys returns the watcher of the API keys of package sqlstore.
func (l *Listener) APIKeys() *Channel { return &Channel{l, "gatehouse_apikeys"} }

// Watch implements [apikey.Watcher]. It returns when the connection breaks or the
// server does not respond for 4 s. The error can name the server, the user and the
// database, but not the password.
func (c *Channel) Watch(ctx context.Context, changed func(id string)) error {
	err := c.listen(ctx, changed)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("pgnotify: watch: %w", err)
}

func (c *Channel) listen(ctx context.Context, changed func(id string)) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
		defer cancel()
		_ = conn.Close(end)
	}()
	changed("") // earlier notifications are lost
	for {
		wait, cancel := context.WithTimeout(ctx, heartbeat)
		notification, err := conn.WaitForNotification(wait)
		silent := wait.Err() != nil
		cancel()
		switch {
		case err == nil:
			changed(notification.Payload)
		case ctx.Err() != nil || conn.IsClosed() || !silent:
			return err
		default:
			if err := c.ping(ctx, conn); err != nil {
				return err
			}
		}
	}
}

func (c *Channel) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connecting)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, c.listener.conn.Copy())
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{c.name}.Sanitize()); err != nil {
		_ = conn.Close(ctx)
		return nil, err
	}
	return conn, nil
}

// ping checks the connection. Notifications that arrive meanwhile are queued.
func (c *Channel) ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, heartbeat)
	defer cancel()
	return conn.Ping(ctx)
}
