// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

const (
	maxQueuedEvents = 256             // of one issuer; later ones are dropped
	closeWait       = 5 * time.Second // for the observer, in Close
)

// keyEvents reports the events of the key set of one issuer, in order and in the
// background, so that a slow observer does not delay requests and fetches. It ignores
// errors of the observer, because no decision depends on these events.
type keyEvents struct {
	issuer   string
	observer gatehouse.Observer
	ctx      context.Context // canceled when Close has waited for closeWait
	cancel   context.CancelFunc

	mu      sync.Mutex
	queue   []gatehouse.Event
	running bool
	work    sync.WaitGroup
}

func newKeyEvents(i Issuer, c Config) *keyEvents {
	e := &keyEvents{issuer: i.URL, observer: c.Observer}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e
}

func (e *keyEvents) report(t gatehouse.EventType, cause error) {
	if e.observer == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) == maxQueuedEvents || e.ctx.Err() != nil {
		return
	}
	e.queue = append(e.queue, gatehouse.Event{Type: t, Level: slog.LevelWarn, Issuer: e.issuer, Cause: cause})
	if !e.running {
		e.running = true
		e.work.Go(e.drain)
	}
}

func (e *keyEvents) drain() {
	for {
		e.mu.Lock()
		if len(e.queue) == 0 {
			e.running = false
			e.mu.Unlock()
			return
		}
		next := e.queue[0]
		e.queue = e.queue[1:]
		e.mu.Unlock()
		_ = gatehouse.Report(e.ctx, e.observer, next)
	}
}

var errAllWithdrawn = errors.New("the new key set has no key for Issuer.Algorithms: all tokens of the issuer are answered with 503")

// withdrawn reports EventKeysWithdrawn if set has no key, and old is nil or has one.
func (e *keyEvents) withdrawn(old, set *keySet) {
	if len(set.keys) == 0 && (old == nil || len(old.keys) > 0) {
		e.report(EventKeysWithdrawn, errAllWithdrawn)
	}
}

// close waits for the queued events, and after closeWait cancels the context of the
// observer.
func (e *keyEvents) close() {
	timer := time.AfterFunc(closeWait, e.cancel)
	e.work.Wait()
	timer.Stop()
	e.cancel()
}
