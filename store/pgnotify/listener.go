// SPDX-License-Identifier: Apache-2.0

package pgnotify

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-go/gatehouse/apikey"
)

const (
	// heartbeat is how long nothing may come before the server is asked
	// whether it is there, and how long it has to answer.
	heartbeat = 2 * time.Second
	// connecting is how long an attempt to connect may take.
	connecting = 5 * time.Second
	// closing is how long the server has to take note of the end.
	closing = time.Second
	// minPause and maxPause are between two attempts to connect.
	minPause, maxPause = 50 * time.Millisecond, 2 * time.Second
)

// Config configures a [Listener].
type Config struct {
	// Conn says how to connect: see [pgx.ParseConfig]. Required. It must lead
	// to the database of the store, and to the primary server itself: a pooler
	// that lends out connections by the transaction hands on no notifications.
	Conn *pgx.ConnConfig

	// Failed is told why a connection could not be made, or has broken. What
	// is told names the server, the user and the database, and no password.
	// Optional. It must be quick.
	Failed func(error)
}

// Listener hears what the database tells of changes. It has no connection until
// somebody watches. It is safe for concurrent use.
type Listener struct {
	conn   *pgx.ConnConfig
	failed func(error)
}

// New makes a listener. All mistakes in the configuration are reported at once.
// It does not call the server.
func New(config Config) (*Listener, error) {
	if config.Conn == nil {
		return nil, errors.New("pgnotify: Config.Conn: required")
	}
	l := &Listener{conn: config.Conn.Copy(), failed: config.Failed}
	// What comes between two waits must be kept for the next one, which is
	// what pgx does where nobody else wants it.
	l.conn.OnNotification = nil
	if l.failed == nil {
		l.failed = func(error) {}
	}
	return l, nil
}

// Channel is what a [Listener] hears of one kind of thing. It is safe for
// concurrent use; each call of Watch has a connection of its own.
type Channel struct {
	listener *Listener
	name     string
}

var _ apikey.Watcher = (*Channel)(nil)

// APIKeys returns the watcher of the API keys that sqlstore keeps.
func (l *Listener) APIKeys() *Channel { return &Channel{l, "gatehouse_apikeys"} }

// Watch implements [apikey.Watcher]. Where the connection breaks, or the server
// is silent for 4 s, it connects anew, at first after 50 ms and then at longer
// intervals up to 2 s, for as long as ctx is not over.
func (c *Channel) Watch(ctx context.Context, changed func(id string)) error {
	pause := minPause
	for {
		listened, err := c.listen(ctx, changed)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.listener.failed(err)
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

// listen hands on what comes over one connection, until it breaks, and reports
// whether it came to listen at all.
func (c *Channel) listen(ctx context.Context, changed func(id string)) (listened bool, err error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return false, err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
		defer cancel()
		_ = conn.Close(end)
	}()
	changed("") // what came before this is lost
	for {
		wait, cancel := context.WithTimeout(ctx, heartbeat)
		notification, err := conn.WaitForNotification(wait)
		silent := wait.Err() != nil
		cancel()
		switch {
		case err == nil:
			changed(notification.Payload)
		case ctx.Err() != nil || conn.IsClosed() || !silent:
			return true, err
		default:
			if err := c.ask(ctx, conn); err != nil {
				return true, err
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

// ask finds out whether the server is still there. What it tells meanwhile is
// kept for the next wait.
func (c *Channel) ask(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, heartbeat)
	defer cancel()
	return conn.Ping(ctx)
}
