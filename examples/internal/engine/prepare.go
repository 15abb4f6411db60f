// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"log/slog"
	"time"
)

// Prepare makes the tables, where there are any to make, and checks the settings.
func (e *Engine) Prepare(ctx context.Context) error {
	if e.prepare == nil {
		return nil
	}
	return e.prepare(ctx)
}

// Start prepares the engine now or, where it is down, as soon as it is up. A file
// that cannot be opened stays so, and is an error. What it begins ends with
// Close.
func (e *Engine) Start(ctx context.Context, logger *slog.Logger) error {
	ctx, e.stop = context.WithCancel(ctx)
	attempt := func(limit time.Duration) error {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return e.Prepare(ctx)
	}
	if e.driver == "sqlite" {
		return attempt(10 * time.Second)
	}
	err := attempt(2 * time.Second) // longer than it takes, and not too long for a start
	if err == nil {
		return nil
	}
	e.work.Go(func() {
		pause := time.NewTicker(5 * time.Second)
		defer pause.Stop()
		for said := ""; err != nil; {
			if problem := err.Error(); problem != said {
				logger.Warn("store", "driver", e.driver, "problem", problem)
				said = problem
			}
			select {
			case <-pause.C:
				err = attempt(10 * time.Second)
			case <-ctx.Done():
				return
			}
		}
		logger.Info("the store is at hand", "driver", e.driver)
	})
	return nil
}

// Close ends what Start has begun, and closes the connections.
func (e *Engine) Close() error {
	if e.stop != nil {
		e.stop()
	}
	e.work.Wait()
	if e.release == nil {
		return nil
	}
	return e.release()
}
