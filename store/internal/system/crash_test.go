// SPDX-License-Identifier: Apache-2.0

package system_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// keyHistory is the acknowledged state of an API key and whether its revocation
// was requested.
type keyHistory struct {
	id       string
	secrets  []string // acknowledged, the newest last
	revoking bool
	revoked  bool
}

// TestKeysSurviveCrash crashes the engine during concurrent creations, rotations
// and revocations. No acknowledged change is lost, and no revoked key is valid
// again.
func TestKeysSurviveCrash(t *testing.T) {
	eachEngine(t, allEngines, func(t *testing.T, e *engine) {
		config := nodeConfig{Timeout: 5 * time.Second}
		n := e.node(t, config)
		var (
			mu        sync.Mutex
			histories []*keyHistory
		)
		for range 3 {
			untilCrash(t, n, 64, 400, func() { e.crash(t, n) }, func(i int, acknowledge func()) {
				for round := 0; ; round++ {
					key := n.create()
					if key.status != http.StatusOK {
						return
					}
					acknowledge()
					h := &keyHistory{id: key.ID, secrets: []string{key.Text}}
					mu.Lock()
					histories = append(histories, h)
					mu.Unlock()
					for range (i + round) % 4 {
						rotated := n.rotate(h.id, "1h", int64(len(h.secrets)))
						if rotated.status != http.StatusOK {
							return
						}
						acknowledge()
						h.secrets = append(h.secrets, rotated.Text)
					}
					if (i+round)%2 == 0 {
						h.revoking = true
						if n.revoke(h.id).status != http.StatusOK {
							return
						}
						acknowledge()
						h.revoked = true
					}
				}
			})
			n = e.restart(t, n, config)
			n.recovers(t, histories[0].secrets[0], http.StatusNoContent, http.StatusForbidden)
			checkKeys(t, n, histories)
		}
	})
}

// checkKeys compares the keys that the engine has with the acknowledged state.
func checkKeys(t *testing.T, n *node, histories []*keyHistory) {
	t.Helper()
	var valid, invalid, revoked int
	for _, h := range histories {
		for i, secret := range h.secrets {
			age := len(h.secrets) - 1 - i // 0 is the newest
			got := n.use(secret).status
			what := fmt.Sprintf("key %s, secret %d of %d, revoked %v", h.id, i+1, len(h.secrets), h.revoked)
			switch {
			case h.revoked || age >= 2:
				if got != http.StatusForbidden {
					t.Errorf("%s: status %d, want 403", what, got)
				}
				invalid++
			case age == 0 && !h.revoking:
				// One rotation may have been pending; its grace period is long.
				if got != http.StatusNoContent {
					t.Errorf("%s: status %d, want 204", what, got)
				}
				valid++
			case got != http.StatusNoContent && got != http.StatusForbidden:
				t.Errorf("%s: status %d, want 204 or 403", what, got)
			}
		}
		if h.revoked {
			revoked++
		}
	}
	if valid == 0 || invalid == 0 || revoked == 0 {
		t.Errorf("%d valid secrets, %d invalid ones, %d keys revoked, want some of each", valid, invalid, revoked)
	}
}

// TestSessionsSurviveCrash crashes the engine during concurrent swaps, of which
// each fourth changes the ID. No acknowledged version is lost, and no version
// that was not requested exists. While the engine is down, no session is missing
// or in conflict.
func TestSessionsSurviveCrash(t *testing.T) {
	const workers = 32
	eachEngine(t, allEngines, func(t *testing.T, e *engine) {
		config := nodeConfig{Timeout: 2 * time.Second}
		n := e.node(t, config)
		opened := must(openStores(nodeConfig{Engine: e.name, Store: e.store, Timeout: 2 * time.Second}, slog.New(slog.DiscardHandler)))
		sessions := opened.sessions
		var last [workers]view // acknowledged
		for i := range last {
			last[i] = n.ok(t, "create", n.post("/session/create", "id", fmt.Sprintf("%d-1", i))).view
		}
		untilCrash(t, n, workers, 300, func() { e.crash(t, n) }, func(i int, acknowledge func()) {
			for {
				old := last[i]
				next := strconv.FormatInt(old.Generation+1, 10)
				id := old.ID
				if old.Generation%4 == 0 {
					id = fmt.Sprintf("%d-%s", i, next)
				}
				r := n.post("/session/swap", "id", old.ID, "version", strconv.FormatInt(old.Generation, 10), "new_id", id, "tokens", next)
				if r.status != http.StatusOK {
					return
				}
				acknowledge()
				last[i] = r.view
			}
		})
		if e.server != nil {
			_, get := sessions.Get(t.Context(), "none")
			_, swap := sessions.Swap(t.Context(), last[0].ID, 1, session.Change{ID: last[0].ID})
			for _, err := range []error{get, swap} {
				if err == nil || errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrConflict) {
					t.Errorf("without an engine: error = %v, want one other than ErrNotFound and ErrConflict", err)
				}
			}
		}
		e.restart(t, n, config)
		enginetest.Eventually(t, time.Minute, "the store recovers", func() bool {
			_, err := sessions.Get(t.Context(), "none")
			return errors.Is(err, session.ErrNotFound)
		})

		found, err := sessions.List(t.Context(), session.Selector{Issuer: "i", Subject: "s"}, 10*workers)
		if err != nil || len(found) != workers {
			t.Fatalf("List() = %d sessions, %v, want %d", len(found), err, workers)
		}
		for _, s := range found {
			r := must(sessions.Get(t.Context(), s.ID))
			var i int
			if _, err := fmt.Sscanf(r.ID, "%d-", &i); err != nil {
				t.Fatal(err)
			}
			// One swap of each session may have been pending.
			want := last[i]
			if r.Version != want.Generation && r.Version != want.Generation+1 || r.Tokens != strconv.FormatInt(r.Version, 10) ||
				r.Version == want.Generation && r.ID != want.ID {
				t.Errorf("session %s has version %d and the tokens of version %s, acknowledged is %+v", r.ID, r.Version, r.Tokens, want)
			}
		}
	})
}

// TestRefreshSurvivesCrash kills a process during a refresh. The token has one
// successor, which the other process returns to clients that got no response.
func TestRefreshSurvivesCrash(t *testing.T) {
	eachEngine(t, allEngines, func(t *testing.T, e *engine) {
		config := nodeConfig{Timeout: time.Minute}
		survivor := e.node(t, config)
		for range 4 {
			victim := e.node(t, config)
			first := survivor.ok(t, "login", survivor.login())
			var mu sync.Mutex
			successors := make(map[view]int)
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() {
					got := victim.refresh(first.Text)
					mu.Lock()
					defer mu.Unlock()
					switch got.status {
					case http.StatusOK:
						successors[got.view]++
					case 0:
					default:
						t.Errorf("refresh: status %d, want 200 or none", got.status)
					}
				})
			}
			delay, start := time.Duration(rand.IntN(25_000))*time.Microsecond, time.Now()
			enginetest.Eventually(t, time.Minute, "the refresh is under way", func() bool { return time.Since(start) >= delay })
			victim.kill()
			all.Wait()
			second := survivor.ok(t, "refresh at the other process", survivor.refresh(first.Text))
			successors[second.view]++
			if len(successors) != 1 || second.Generation != 2 {
				t.Errorf("the token has %d successors, the last one of generation %d, want one of generation 2", len(successors), second.Generation)
			}
			t.Logf("killed after %v: %d of 16 requests were answered", delay, successors[second.view]-1)
			if third := survivor.refresh(second.Text); third.status != http.StatusOK || third.Generation != 3 {
				t.Errorf("refresh of the successor: status %d, generation %d, want 200 and 3", third.status, third.Generation)
			}
		}
	})
}
