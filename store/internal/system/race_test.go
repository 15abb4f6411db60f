// SPDX-License-Identifier: Apache-2.0

package system_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/refresh"
)

// keyState is what is acknowledged of an API key, and how many changes of it are
// pending.
type keyState struct {
	mu      sync.Mutex
	id      string
	secrets map[int64]string    // by generation
	ended   map[int64]time.Time // when the end of a secret was acknowledged
	through int64               // all secrets up to this generation have ended
	changes int                 // begun
	pending int
}

// race is 64 goroutines that rotate, revoke and use the same keys through two
// processes.
type race struct {
	t     *testing.T
	nodes []*node
	bound time.Duration // for which an ended secret may be accepted

	mu      sync.Mutex
	live    []*keyState
	revoked []*keyState

	accepted, rejected, rejectedAfterEnd, rotations, revocations, unavailable atomic.Int64
}

func (r *race) node() *node { return r.nodes[rand.IntN(len(r.nodes))] }

// pick returns a random key, in one of six cases a revoked one.
func (r *race) pick() *keyState {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.revoked) > 0 && rand.IntN(6) == 0 {
		return r.revoked[rand.IntN(len(r.revoked))]
	}
	return r.live[rand.IntN(len(r.live))]
}

func (r *race) newKey() *keyState {
	key := r.node().create()
	if key.status != http.StatusOK {
		r.unavailable.Add(1)
		return nil
	}
	return &keyState{id: key.ID, secrets: map[int64]string{1: key.Text}, ended: map[int64]time.Time{}}
}

// change makes a change of a key. It calls acknowledged under the key's lock if
// the change succeeded.
func (k *keyState) change(call func() response, acknowledged func(response)) int {
	k.mu.Lock()
	k.changes++
	k.pending++
	k.mu.Unlock()
	got := call()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pending--
	if got.status == http.StatusOK {
		acknowledged(got)
	}
	return got.status
}

// end records that all secrets up to a generation have ended. A secret may have
// ended before its own acknowledgement arrives.
func (k *keyState) end(through int64) {
	k.through = max(k.through, through)
	for generation := range k.secrets {
		if _, ok := k.ended[generation]; !ok && generation <= k.through {
			k.ended[generation] = time.Now()
		}
	}
}

func (r *race) rotate(k *keyState) {
	grace, keeps := "0s", int64(0)
	if rand.IntN(2) == 0 {
		grace, keeps = "1h", 1
	}
	switch k.change(func() response { return r.node().rotate(k.id, grace, 0) }, func(got response) {
		k.secrets[got.Generation] = got.Text
		k.end(got.Generation - 1 - keeps)
	}) {
	case http.StatusOK:
		r.rotations.Add(1)
	case http.StatusConflict: // revoked
	default:
		r.unavailable.Add(1)
	}
}

// revoke revokes a key and replaces it by a new one.
func (r *race) revoke(k *keyState) {
	next := r.newKey()
	if next == nil {
		return
	}
	if k.change(func() response { return r.node().revoke(k.id) }, func(response) { k.end(1 << 62) }) != http.StatusOK {
		r.unavailable.Add(1)
		return
	}
	r.revocations.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.live {
		if r.live[i] == k {
			r.live[i] = next
			if r.revoked = append(r.revoked, k); len(r.revoked) > 32 {
				r.revoked = r.revoked[1:]
			}
		}
	}
}

// use presents one of the last three secrets of a key and compares the response
// with what was acknowledged before the request.
func (r *race) use(k *keyState) {
	k.mu.Lock()
	newest := int64(0)
	for generation := range k.secrets {
		newest = max(newest, generation)
	}
	generation := max(1, newest-rand.Int64N(3))
	text, known := k.secrets[generation]
	endedAt, ended := k.ended[generation]
	changes, quiet := k.changes, k.pending == 0
	k.mu.Unlock()
	if !known {
		return // its rotation is not acknowledged yet
	}
	start := time.Now()
	switch r.node().use(text).status {
	case http.StatusNoContent:
		r.accepted.Add(1)
		if ended && start.Sub(endedAt) >= r.bound {
			r.t.Errorf("key %s, secret %d was accepted %v after its end was acknowledged, want at most %v", k.id, generation, start.Sub(endedAt), r.bound)
		}
	case http.StatusForbidden:
		r.rejected.Add(1)
		if ended {
			r.rejectedAfterEnd.Add(1)
			return
		}
		k.mu.Lock()
		undisturbed := quiet && changes == k.changes && k.pending == 0
		k.mu.Unlock()
		// A cache may not have a new secret yet.
		if undisturbed && r.bound == 0 {
			r.t.Errorf("key %s, secret %d of %d was rejected without a pending change", k.id, generation, newest)
		}
	default:
		r.unavailable.Add(1)
	}
}

// missing names the kind of event of which there were too few, "" for none.
func (r *race) missing() string {
	switch {
	case r.accepted.Load() < 100:
		return "acceptances"
	case r.rejectedAfterEnd.Load() < 50:
		return "rejections after an end"
	case r.rotations.Load() < 50:
		return "rotations"
	case r.revocations.Load() < 20:
		return "revocations"
	}
	return ""
}

func (r *race) run(d time.Duration) {
	for range 12 {
		k := r.newKey()
		if k == nil {
			r.t.Fatalf("no key was created:\n%s", r.nodes[0].log)
		}
		r.live = append(r.live, k)
	}
	start := time.Now()
	going := func() bool {
		spent := time.Since(start)
		return !r.t.Failed() && (spent < d || spent < d+time.Minute && r.missing() != "")
	}
	var workers sync.WaitGroup
	for range 64 {
		workers.Go(func() {
			for going() {
				switch n := rand.IntN(100); {
				case n < 80:
					r.use(r.pick())
				case n < 95:
					r.rotate(r.pick())
				default:
					r.revoke(r.pick())
				}
			}
		})
	}
	workers.Wait()
	r.t.Logf("in %v: %d accepted, %d rejected (%d after an acknowledged end), %d rotations, %d revocations, %d unavailable",
		time.Since(start).Round(time.Millisecond), r.accepted.Load(), r.rejected.Load(), r.rejectedAfterEnd.Load(), r.rotations.Load(), r.revocations.Load(), r.unavailable.Load())
	if what := r.missing(); what != "" {
		r.t.Errorf("too few %s", what)
	}
	if n := r.unavailable.Load(); n > 0 {
		r.t.Errorf("%d requests were not answered while the engine was up:\n%.4000s", n, r.nodes[0].log)
	}
}

// TestKeysRace has two processes rotate, revoke and use the same keys. Once the
// end of a secret is acknowledged, no process accepts it: at once without a
// cache, within CacheTTL with one. GATEHOUSE_SOAK is the duration of a run, 2s by
// default.
func TestKeysRace(t *testing.T) {
	duration := 2 * time.Second
	if text := os.Getenv("GATEHOUSE_SOAK"); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil {
			t.Fatalf("GATEHOUSE_SOAK: %v", err)
		}
	}
	eachEngine(t, allEngines, func(t *testing.T, e *engine) {
		for _, ttl := range []time.Duration{0, time.Second} {
			t.Run(fmt.Sprintf("cache %v", ttl), func(t *testing.T) {
				config := nodeConfig{CacheTTL: ttl, Timeout: time.Minute}
				r := &race{t: t, bound: ttl, nodes: []*node{e.node(t, config), e.node(t, config)}}
				r.run(duration)
			})
		}
	})
}

// TestRefreshRace has 64 requests present a refresh token to two processes at
// once: all get the same successor. Reuse after the successor was used is
// rejected by both processes and reported once. No secret is in the dump of the
// engine or in a log.
func TestRefreshRace(t *testing.T) {
	const rounds, requests = 6, 64
	eachEngine(t, allEngines, func(t *testing.T, e *engine) {
		config := nodeConfig{Timeout: time.Minute}
		nodes := []*node{e.node(t, config), e.node(t, config)}
		secrets, families := pieces{}, map[string]bool{}
		for round := range rounds {
			first := nodes[round%2].ok(t, "login", nodes[round%2].login())
			families[first.ID] = true
			token, second := first.Text, ""
			for step := range int64(2) {
				secrets.addRefresh(t, token)
				var got [requests]response
				var all sync.WaitGroup
				start := make(chan struct{})
				for i := range got {
					all.Go(func() {
						<-start
						got[i] = nodes[i%2].refresh(token)
					})
				}
				close(start)
				all.Wait()
				for i, r := range got {
					if nodes[i%2].ok(t, "refresh", r); r.view != got[0].view || r.Generation != step+2 {
						t.Fatalf("the token has two successors: generations %d and %d, want one of generation %d", r.Generation, got[0].Generation, step+2)
					}
				}
				second, token = token, got[0].Text
			}
			secrets.addRefresh(t, token)
			for i, reused := range []string{first.Text, second, first.Text} {
				if got := nodes[(round+i)%2].refresh(reused); got.status != http.StatusBadRequest {
					t.Errorf("reuse %d: status %d, want 400", i, got.status)
				}
			}
		}
		logs := nodes[0].log.String() + nodes[1].log.String()
		if n := strings.Count(logs, `"`+string(refresh.ReasonReused)+`"`); n != rounds {
			t.Errorf("reuse was reported %d times, want %d", n, rounds)
		}
		places := map[string]string{"dump": e.dump(), "logs": logs}
		checkNoSecrets(t, secrets, places)
		checkPublic(t, families, places, "dump", "logs")
	})
}
