// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/upstream"
)

// No call fails because of a rotation: 1,000 calls a second on two nodes, one in ten
// of them a stream, with a rotation every 50 ms and a provider that revokes at once.
// GATEHOUSE_ROTATION_LOAD is how long it goes on, such as 60s.
func TestRotationUnderLoad(t *testing.T) {
	lasts := time.Second
	if text := os.Getenv("GATEHOUSE_ROTATION_LOAD"); text != "" {
		var err error
		lasts, err = time.ParseDuration(text)
		noError(t, err)
	}
	p, s := newProvider(), newStore()
	var refused atomic.Int64
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		check := func() bool {
			p.vendor.mu.Lock()
			defer p.vendor.mu.Unlock()
			live := slices.Contains(slices.Collect(maps.Values(p.live)), key)
			if !live {
				refused.Add(1)
			}
			return live
		}
		if !check() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path == "/stream" { // a provider may check at any time
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for range 5 {
				_, _ = io.WriteString(w, "data: {}\n\n")
				_ = http.NewResponseController(w).Flush()
				select {
				case <-tick.C:
				case <-r.Context().Done():
				}
				if !check() {
					panic(http.ErrAbortHandler)
				}
			}
		}
	})
	var nodes []*upstream.Transport
	var rotators []*upstream.Rotator
	for range 2 {
		r := newRotator(t, p, s, func(c *upstream.RotatorConfig) { c.Refresh = time.Second })
		run(t, r)
		rotators = append(rotators, r)
		nodes = append(nodes, newTransport(t, origin, func(c *upstream.Config) { c.Source = r }))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var work sync.WaitGroup
	rotations := 0
	work.Go(func() {
		defer cancel()
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for start := time.Now(); rotations < 3 || time.Since(start) < lasts; rotations++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if err := rotators[rotations%2].Rotate(t.Context()); err != nil {
				t.Errorf("Rotate error = %v", err)
			}
		}
	})
	var calls, failed atomic.Int64
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ctx.Err() == nil; {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		for range 10 {
			n++
			path, node := "/plain", nodes[n%2]
			if n%10 == 0 {
				path = "/stream"
			}
			work.Go(func() {
				r, err := http.NewRequestWithContext(context.WithoutCancel(ctx), "GET", origin+path, http.NoBody)
				if err != nil {
					t.Error(err)
					return
				}
				calls.Add(1)
				response, err := node.RoundTrip(r)
				if err == nil {
					_, err = io.Copy(io.Discard, response.Body)
					_ = response.Body.Close()
				}
				if err != nil || response.StatusCode != http.StatusOK {
					failed.Add(1)
				}
			})
		}
	}
	work.Wait()
	if failed.Load() > 0 || refused.Load() > 0 {
		t.Errorf("%d of %d calls failed, the provider refused %d, during %d rotations", failed.Load(), calls.Load(), refused.Load(), rotations)
	}
	t.Logf("%d calls in %v, %d rotations, %d credentials", calls.Load(), lasts, rotations, p.creations())
	deadline := time.After(time.Minute)
	for len(p.ids()) != 1 {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			t.Fatalf("live credentials = %q, want one", p.ids())
		}
	}
	if c := current(t, rotators[0]); !p.accepts(c) {
		t.Errorf("live credentials = %q, want %s", p.ids(), c.ID)
	}
}
