// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/gatehouse-go/gatehouse/apikey"
)

// pageSize is the number of keys that a command reads at once.
const pageSize = 500

// copyKeys copies all keys of the store, page by page, to another store. A key that
// the other store has revoked, suspended or rotated stays so.
func copyKeys(c *call) func() error {
	url := c.flags.String("to", "", "the store to copy to, like -store (required)")
	return func() error {
		target, err := openStore(*url, true)
		if err == nil {
			defer func() { _ = target.close() }()
			err = target.ready(c.ctx)
		}
		if err != nil {
			return fmt.Errorf("-to: %w", err)
		}
		copied, refused := 0, 0
		query := apikey.Query{Filter: apikey.Filter{AnyTenant: true}, Limit: pageSize}
		for more := true; more; {
			records, err := c.source.keys.List(c.ctx, query)
			if err != nil {
				return fmt.Errorf("%d keys are copied, the rest is not: run the command again: %w", copied, err)
			}
			for _, r := range records {
				_, err := target.keys.Import(c.ctx, r)
				switch {
				case err == nil:
					copied++
				case errors.Is(err, apikey.ErrConflict):
					refused++
					fmt.Fprintf(os.Stderr, "refused %s: the copy would make it more valid, or it is another key\n", r.ID)
				default:
					return fmt.Errorf("%d keys are copied, the rest is not: run the command again: %w", copied, err)
				}
				query.After = apikey.Position{Time: r.Created, ID: r.ID}
			}
			more = len(records) == pageSize
		}
		if c.json {
			err = c.printJSON(map[string]int{"copied": copied, "refused": refused})
		} else {
			_, err = fmt.Fprintf(c.out, "copied %d, refused %d\n", copied, refused)
		}
		if err == nil && refused > 0 {
			err = fmt.Errorf("not copied: %d", refused)
		}
		return err
	}
}

// deleteKey removes a revoked or expired key.
func deleteKey(c *call) func() error {
	id := c.flags.String("id", "", "the key to delete, which is revoked or expired (required)")
	return func() error {
		if *id == "" {
			return errors.New("-id: required")
		}
		return c.keys.Delete(c.ctx, *id)
	}
}

// ready prepares the store for use.
func (s *store) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	return s.prepare(ctx)
}
