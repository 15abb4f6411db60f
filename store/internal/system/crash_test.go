// SPDX-License-Identifier: Apache-2.0

package system_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// life is what is known of a key for sure, because it was acknowledged, and
// what may have happened, because it was asked for and not answered.
type life struct {
	id       string
	secrets  []string // acknowledged, the newest last
	revoking bool
	revoked  bool
}

// TestCrash kills the engine, or where there is none the process, in the
// middle of 64 concurrent creations, rotations and revocations. Nothing that
// was acknowledged is lost, and no key comes back.
func TestCrash(t *testing.T) {
	for _, name := range []string{"sqlite", "postgres", "redis"} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, name)
			config := nodeConfig{Engine: name, Store: e.store, Timeout: 5 * time.Second}
			n := startNode(t, config)
			var lives []*life
			for range 3 {
				lives = append(lives, liveUntil(t, n, func() {
					if e.server != nil {
						e.server.Kill(t)
					} else {
						n.kill()
					}
				})...)
				if e.server != nil {
					e.server.Start(t) // the node goes on and recovers by itself
				} else {
					n = startNode(t, config)
				}
				probe := lives[0].secrets[0]
				enginetest.Eventually(t, time.Minute, "the node recovers", func() bool {
					s := n.use(probe).status
					return s != http.StatusServiceUnavailable && s != 0
				})
				judge(t, n, lives)
			}
		})
	}
}

// liveUntil has 64 workers create, rotate and revoke keys, calls crash when
// they are well under way, and returns what they know.
func liveUntil(t *testing.T, n *node, crash func()) []*life {
	t.Helper()
	const enough = 400 // acknowledgements before the crash
	var (
		workers      sync.WaitGroup
		acknowledged atomic.Int64
		started      = make(chan struct{})
		mu           sync.Mutex
		lives        []*life
	)
	acknowledge := func() {
		if acknowledged.Add(1) == enough {
			close(started)
		}
	}
	ended := make(chan struct{})
	for i := range 64 {
		workers.Go(func() {
			for round := 0; ; round++ {
				key, status := n.create()
				if status != http.StatusOK {
					return
				}
				acknowledge()
				l := &life{id: key.ID, secrets: []string{key.Text}}
				mu.Lock()
				lives = append(lives, l)
				mu.Unlock()
				for range (i + round) % 4 {
					rotated, status := n.rotate(l.id, "1h", int64(len(l.secrets)))
					if status != http.StatusOK {
						return
					}
					acknowledge()
					l.secrets = append(l.secrets, rotated.Text)
				}
				if (i+round)%2 == 0 {
					l.revoking = true
					if n.revoke(l.id) != http.StatusOK {
						return
					}
					acknowledge()
					l.revoked = true
				}
			}
		})
	}
	go func() {
		workers.Wait()
		close(ended)
	}()
	select {
	case <-started:
	case <-ended:
		t.Fatalf("the workers ended after %d acknowledgements\n%s", acknowledged.Load(), n.log)
	case <-time.After(2 * time.Minute):
		t.Fatalf("%d acknowledgements in two minutes", acknowledged.Load())
	}
	crash()
	<-ended
	t.Logf("%d changes were acknowledged, to %d keys", acknowledged.Load(), len(lives))
	return lives
}

// judge holds what the engine kept against what is known.
func judge(t *testing.T, n *node, lives []*life) {
	t.Helper()
	var live, dead, revoked int
	for _, l := range lives {
		for i, secret := range l.secrets {
			age := len(l.secrets) - 1 - i // 0 is the newest
			got := n.use(secret).status
			switch {
			case l.revoked || age >= 2:
				if got != http.StatusForbidden {
					t.Errorf("key %s, secret %d of %d, revoked %v: answer %d", l.id, i+1, len(l.secrets), l.revoked, got)
				}
				dead++
			case age == 0 && !l.revoking:
				// At most one rotation was under way, and its grace is long.
				if got != http.StatusNoContent {
					t.Errorf("key %s, newest secret of %d: answer %d", l.id, len(l.secrets), got)
				}
				live++
			default:
				if got != http.StatusNoContent && got != http.StatusForbidden {
					t.Errorf("key %s, secret %d of %d: answer %d", l.id, i+1, len(l.secrets), got)
				}
			}
		}
		if l.revoked {
			revoked++
		}
	}
	if live == 0 || dead == 0 || revoked == 0 {
		t.Errorf("the workers did too little: %d good secrets, %d bad ones, %d keys revoked", live, dead, revoked)
	}
}
