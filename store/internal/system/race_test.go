// SPDX-License-Identifier: Apache-2.0

package system_test

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// shared is a key that many rotate, revoke and use at once. What it holds was
// acknowledged; what is under way is counted.
type shared struct {
	mu       sync.Mutex
	id       string
	secrets  map[int64]string    // by generation
	dead     map[int64]time.Time // when the end of a secret was acknowledged
	through  int64               // all secrets up to this one have ended
	changes  int                 // begun
	underWay int
}

// ring is the keys that are in use, and some that have been revoked.
type ring struct {
	mu      sync.Mutex
	live    []*shared
	revoked []*shared
}

func (r *ring) pick() *shared {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.revoked) > 0 && rand.IntN(6) == 0 {
		return r.revoked[rand.IntN(len(r.revoked))]
	}
	return r.live[rand.IntN(len(r.live))]
}

// retire puts a new key in the place of one that is revoked.
func (r *ring) retire(old, next *shared) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.live {
		if r.live[i] == old {
			r.live[i] = next
			if r.revoked = append(r.revoked, old); len(r.revoked) > 32 {
				r.revoked = r.revoked[1:]
			}
		}
	}
}

// race is one run: 64 goroutines that use two processes at once.
type race struct {
	t     *testing.T
	nodes []*node
	bound time.Duration // for how long a dead secret may go on, 0 for not at all
	ring  ring

	accepted, refused, afterEnd, rotated, revoked, unavailable atomic.Int64
}

func (r *race) node() *node { return r.nodes[rand.IntN(len(r.nodes))] }

func (r *race) newKey() *shared {
	key, status := r.node().create()
	if status != http.StatusOK {
		r.unavailable.Add(1)
		return nil
	}
	return &shared{id: key.ID, secrets: map[int64]string{1: key.Text}, dead: map[int64]time.Time{}}
}

// change runs a change of a key and, under its lock, what follows from the
// acknowledgement.
func (k *shared) change(call func() int, acknowledged func()) int {
	k.mu.Lock()
	k.changes++
	k.underWay++
	k.mu.Unlock()
	status := call()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.underWay--
	if status == http.StatusOK {
		acknowledged()
	}
	return status
}

// end notes that all secrets up to one have ended. A secret whose
// acknowledgement comes late may have ended before it came.
func (k *shared) end(through int64, now time.Time) {
	k.through = max(k.through, through)
	for generation := range k.secrets {
		if _, ok := k.dead[generation]; !ok && generation <= k.through {
			k.dead[generation] = now
		}
	}
}

func (r *race) rotate(k *shared) {
	grace, keeps := "0s", int64(0)
	if rand.IntN(2) == 0 {
		grace, keeps = "1h", 1
	}
	var key keyView
	status := k.change(func() (status int) {
		key, status = r.node().rotate(k.id, grace, 0)
		return status
	}, func() {
		k.secrets[key.Generation] = key.Text
		k.end(key.Generation-1-keeps, time.Now())
	})
	switch status {
	case http.StatusOK:
		r.rotated.Add(1)
	case http.StatusConflict: // revoked
	default:
		r.unavailable.Add(1)
	}
}

func (r *race) revoke(k *shared) {
	next := r.newKey()
	if next == nil {
		return
	}
	status := k.change(func() int { return r.node().revoke(k.id) }, func() { k.end(1<<62, time.Now()) })
	if status != http.StatusOK {
		r.unavailable.Add(1)
		return
	}
	r.revoked.Add(1)
	r.ring.retire(k, next)
}

// use presents one of the secrets of a key and holds the answer against what
// was known when it was asked.
func (r *race) use(k *shared) {
	k.mu.Lock()
	newest := int64(0)
	for generation := range k.secrets {
		newest = max(newest, generation)
	}
	generation := max(1, newest-rand.Int64N(3))
	text, known := k.secrets[generation]
	ended, dead := k.dead[generation]
	changes, quiet := k.changes, k.underWay == 0
	k.mu.Unlock()
	if !known {
		return // acknowledged to nobody yet
	}
	start := time.Now()
	got := r.node().use(text)
	switch got.status {
	case http.StatusNoContent:
		r.accepted.Add(1)
		if dead && start.Sub(ended) >= r.bound {
			r.t.Errorf("key %s, secret %d was accepted %v after its end was acknowledged", k.id, generation, start.Sub(ended))
		}
	case http.StatusForbidden:
		r.refused.Add(1)
		if dead {
			r.afterEnd.Add(1)
			return
		}
		k.mu.Lock()
		undisturbed := quiet && changes == k.changes && k.underWay == 0
		k.mu.Unlock()
		// A cache may not know of a new secret yet.
		if undisturbed && r.bound == 0 {
			r.t.Errorf("key %s, secret %d of %d was refused while nobody changed it", k.id, generation, newest)
		}
	default:
		r.unavailable.Add(1)
	}
}

// idle returns of what there was not yet enough, "" if of nothing.
func (r *race) idle() string {
	switch {
	case r.accepted.Load() < 100:
		return "acceptances"
	case r.afterEnd.Load() < 50:
		return "refusals after an end"
	case r.rotated.Load() < 50:
		return "rotations"
	case r.revoked.Load() < 20:
		return "revocations"
	}
	return ""
}

func (r *race) run(d time.Duration) {
	for range 12 {
		k := r.newKey()
		if k == nil {
			r.t.Fatalf("no key was made:\n%s", r.nodes[0].log)
		}
		r.ring.live = append(r.ring.live, k)
	}
	start := time.Now()
	going := func() bool {
		spent := time.Since(start)
		return !r.t.Failed() && (spent < d || spent < d+time.Minute && r.idle() != "")
	}
	var workers sync.WaitGroup
	for range 64 {
		workers.Go(func() {
			for going() {
				switch n := rand.IntN(100); {
				case n < 80:
					r.use(r.ring.pick())
				case n < 95:
					r.rotate(r.ring.pick())
				default:
					r.revoke(r.ring.pick())
				}
			}
		})
	}
	workers.Wait()
	r.t.Logf("in %v: %d accepted, %d refused (%d after an acknowledged end), %d rotations, %d revocations, %d unavailable",
		time.Since(start).Round(time.Millisecond), r.accepted.Load(), r.refused.Load(), r.afterEnd.Load(), r.rotated.Load(), r.revoked.Load(), r.unavailable.Load())
	if what := r.idle(); what != "" {
		r.t.Errorf("too few %s to show anything", what)
	}
	if n := r.unavailable.Load(); n > 0 {
		r.t.Errorf("%d requests were not answered by an engine that is up:\n%.4000s", n, r.nodes[0].log)
	}
}

// TestRace has 64 goroutines rotate, revoke and use the same keys through two
// processes. Without a cache, no secret is accepted once its end was
// acknowledged, by whichever process; with one, not for longer than the cache
// keeps its entries.
func TestRace(t *testing.T) {
	for _, name := range []string{"sqlite", "postgres", "redis"} {
		for _, ttl := range []time.Duration{0, time.Second} {
			cached := "cache off"
			if ttl > 0 {
				cached = "cache on"
			}
			t.Run(name+"/"+cached, func(t *testing.T) {
				e := newEngine(t, name)
				config := nodeConfig{Engine: name, Store: e.store, CacheTTL: ttl, Timeout: 20 * time.Second}
				r := &race{t: t, bound: ttl, nodes: []*node{startNode(t, config), startNode(t, config)}}
				r.run(soak(t))
			})
		}
	}
}
