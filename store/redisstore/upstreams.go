// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	_ "embed" // for the scripts
	"fmt"
	"strconv"

	"github.com/gatehouse-go/gatehouse/agent/upstream"
)

//go:embed lua/upstreams_load.lua
var upstreamsLoad string

//go:embed lua/upstreams_swap.lua
var upstreamsSwap string

var (
	loadUpstreamScript = newQuery(upstreamsLoad)
	swapUpstreamScript = newReplacement(upstreamsSwap)
)

// Upstreams is an [upstream.Store]. Every method is one atomic script, and the clock
// is that of the server.
type Upstreams struct {
	store *Store
	base  string
}

var _ upstream.Store = (*Upstreams)(nil)

// Upstreams returns the store of the credentials of upstreams.
func (s *Store) Upstreams() *Upstreams {
	// The number is the version of the format.
	return &Upstreams{store: s, base: "{" + s.prefix + "}:upstreams:1:"}
}

// Load implements [upstream.Store].
func (u *Upstreams) Load(ctx context.Context, name string) (upstream.Record, error) {
	reply, err := u.store.run(ctx, loadUpstreamScript, u.base+name)
	if err != nil {
		return upstream.Record{}, fmt.Errorf("redisstore: load upstream: %w", err)
	}
	record, ok := parseUpstream(reply)
	if !ok {
		return upstream.Record{}, fmt.Errorf("redisstore: load upstream: %w", errReply)
	}
	return record, nil
}

func parseUpstream(reply []any) (r upstream.Record, ok bool) {
	var texts [3]string
	if len(reply) != len(texts) {
		return r, false
	}
	for i := range texts {
		if texts[i], ok = reply[i].(string); !ok {
			return r, false
		}
	}
	asOf, err1 := parseTime(texts[0])
	revision, err2 := parseInt(texts[1])
	return upstream.Record{Revision: revision, Data: []byte(texts[2]), AsOf: asOf}, err1 == nil && err2 == nil
}

// Swap implements [upstream.Store].
func (u *Upstreams) Swap(ctx context.Context, name string, revision int64, data []byte) error {
	reply, err := u.store.run(ctx, swapUpstreamScript, u.base+name,
		strconv.FormatInt(revision, 10), strconv.FormatInt(revision+1, 10), data)
	switch {
	case err != nil:
		return fmt.Errorf("redisstore: swap upstream: %w", err)
	case len(reply) == 1 && reply[0] == "conflict":
		return upstream.ErrConflict
	case len(reply) != 1 || reply[0] != "ok":
		return fmt.Errorf("redisstore: swap upstream: %w", errReply)
	}
	return nil
}
