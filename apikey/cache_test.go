// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

// twoNodes are two processes with a cache on one store.
func twoNodes(t *testing.T, ttl time.Duration) (a, b bench) {
	t.Helper()
	a = setUp(t, func(c *apikey.Config) { c.CacheTTL = ttl })
	b = setUp(t, func(c *apikey.Config) { c.Store, c.CacheTTL, c.Watcher = a.store, ttl, a.store })
	b.store = a.store
	return a, b
}

func TestCacheIsOffByDefault(t *testing.T) {
	b := setUp(t, nil)
	_, text := b.issue(t, order())
	for range 3 {
		b.want(t, text, "")
	}
	if n := b.store.count("find"); n != 3 {
		t.Errorf("the store was asked %d times", n)
	}
}

func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t, func(c *apikey.Config) { c.CacheTTL = 5 * time.Second })
		_, text := b.issue(t, order())
		_, other := b.issue(t, order())
		unknown := golden
		asked := func(want int) {
			t.Helper()
			if n := b.store.count("find"); n != want {
				t.Errorf("the store was asked %d times, want %d", n, want)
			}
		}
		for range 3 {
			b.want(t, text, "")
		}
		asked(1)
		b.want(t, withSecret(t, text, other), apikey.ReasonSecret)
		asked(1)
		for range 3 {
			b.want(t, unknown, apikey.ReasonUnknown)
		}
		asked(2)
		pass(5*time.Second - 1)
		b.want(t, text, "")
		b.want(t, unknown, apikey.ReasonUnknown)
		asked(2)
		pass(1)
		b.want(t, text, "")
		b.want(t, unknown, apikey.ReasonUnknown)
		asked(4)

		// What the cache knows is good while the store is down, and no longer.
		b.store.breakAll(errors.New("gone"))
		b.want(t, text, "")
		b.want(t, other, apikey.ReasonStoreUnavailable)
		pass(5 * time.Second)
		b.want(t, text, apikey.ReasonStoreUnavailable)
		b.store.breakAll(nil)
		b.want(t, text, "")
	})
}

// An entry is never good past the expiry of what is in it, by the clock of the
// store.
func TestCacheAndExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, grace := range []bool{false, true} {
			b := setUp(t, func(c *apikey.Config) { c.CacheTTL = 5 * time.Second })
			short := order()
			short.Lifetime = 2 * time.Second
			want := apikey.ReasonExpired
			if grace {
				short, want = order(), apikey.ReasonRotated
			}
			key, text := b.issue(t, short)
			if grace {
				b.rotate(t, key.ID, 2*time.Second)
			}
			b.want(t, text, "")
			pass(2*time.Second - 1)
			b.want(t, text, "")
			pass(1)
			b.want(t, text, want)
			if n := b.store.count("find"); n > 2 {
				t.Errorf("the store was asked %d times", n)
			}
		}
	})
}

// slowClock is a store that takes its time and whose clock is not ours.
type slowClock struct {
	*counting
	delay, ahead time.Duration
}

func (s slowClock) Find(ctx context.Context, id string) (apikey.Record, error) {
	r, err := s.counting.Find(ctx, id)
	r.AsOf = r.AsOf.Add(s.ahead)
	<-time.After(s.delay)
	return r, err
}

func TestExpiryIsByTheClockOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, ttl := range []time.Duration{0, 5 * time.Second} {
			b := setUp(t, nil)
			ahead := setUp(t, func(c *apikey.Config) { c.Store, c.CacheTTL = slowClock{b.store, 0, time.Hour}, ttl })
			behind := setUp(t, func(c *apikey.Config) { c.Store, c.CacheTTL = slowClock{b.store, 0, -time.Hour}, ttl })
			r := order()
			r.Lifetime = time.Hour
			_, text := b.issue(t, r)
			ahead.want(t, text, apikey.ReasonExpired)
			pass(90 * time.Minute)
			b.want(t, text, apikey.ReasonExpired)
			behind.want(t, text, "")
			pass(30 * time.Minute)
			behind.want(t, text, apikey.ReasonExpired)
		}
		// The time that the answer takes counts.
		b := setUp(t, nil)
		slow := setUp(t, func(c *apikey.Config) { c.Store, c.CacheTTL = slowClock{b.store, 2 * time.Second, 0}, 5*time.Second })
		_, text := b.issue(t, order())
		slow.want(t, text, "")
		pass(3*time.Second - 1)
		slow.want(t, text, "")
		if n := b.store.count("find"); n != 1 {
			t.Errorf("asked %d times", n)
		}
		pass(1)
		slow.want(t, text, "")
		if n := b.store.count("find"); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

// Changes made here are seen here at once, those made elsewhere within the TTL.
func TestCacheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := twoNodes(t, 3*time.Second)
		type change struct {
			name  string
			make  func(id string) error
			wants gatehouse.Reason
		}
		for _, c := range []change{
			{"revoke", func(id string) error { _, err := here.Revoke(t.Context(), id); return err }, apikey.ReasonRevoked},
			{"revoke all", func(string) error { _, err := here.RevokeAll(t.Context(), apikey.Filter{Tenant: "t1"}); return err }, apikey.ReasonRevoked},
			{"suspend", func(id string) error { _, err := here.Suspend(t.Context(), id); return err }, apikey.ReasonSuspended},
			{"rotate", func(id string) error { _, err := here.Rotate(t.Context(), id, 0, 0); return err }, apikey.ReasonRotated},
		} {
			key, text := here.issue(t, order())
			here.want(t, text, "")
			there.want(t, text, "")
			if err := c.make(key.ID); err != nil {
				t.Fatal(err)
			}
			here.want(t, text, c.wants)
			there.want(t, text, "")
			pass(3*time.Second - 1)
			there.want(t, text, "")
			pass(1)
			there.want(t, text, c.wants)

			// Word of it makes it at once.
			key, text = here.issue(t, order())
			there.want(t, text, "")
			if err := c.make(key.ID); err != nil {
				t.Fatal(err)
			}
			there.Invalidate(key.ID)
			there.want(t, text, c.wants)
			key, text = here.issue(t, order())
			there.want(t, text, "")
			if err := c.make(key.ID); err != nil {
				t.Fatal(err)
			}
			there.Invalidate("")
			there.want(t, text, c.wants)
		}
		// A key that was not there.
		there.want(t, golden, apikey.ReasonUnknown)
		// A key that comes back.
		key, text := here.issue(t, order())
		if _, err := here.Suspend(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
		here.want(t, text, apikey.ReasonSuspended)
		if _, err := here.Resume(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
		here.want(t, text, "")
	})
}

// A change whose outcome is not known is taken to have been made.
func TestCacheAfterAFailedChange(t *testing.T) {
	b := setUp(t, func(c *apikey.Config) { c.CacheTTL = 5 * time.Second })
	key, text := b.issue(t, order())
	for verb, call := range map[string]func() error{
		"revoke":     func() error { _, err := b.Revoke(t.Context(), key.ID); return err },
		"rotate":     func() error { _, err := b.Rotate(t.Context(), key.ID, 0, 0); return err },
		"suspend":    func() error { _, err := b.Suspend(t.Context(), key.ID); return err },
		"revoke all": func() error { _, err := b.RevokeAll(t.Context(), apikey.Filter{Tenant: "t1"}); return err },
	} {
		b.want(t, text, "")
		before := b.store.count("find")
		b.store.broken[verb] = errors.New("the connection broke before the answer")
		if call() == nil {
			t.Fatal("no error")
		}
		if verb == "rotate" {
			before++ // it looks the key up
		}
		b.want(t, text, "")
		if b.store.count("find") != before+1 {
			t.Errorf("%s: the store was not asked again", verb)
		}
	}
}

// A fill that began before a revocation does not outlive it, and the request
// that it was for goes by the revocation too.
func TestFillOverRevocation(t *testing.T) {
	for name, revoke := range map[string]func(t *testing.T, b, elsewhere bench, id string){
		"here": func(t *testing.T, b, _ bench, id string) {
			if _, err := b.Revoke(t.Context(), id); err != nil {
				t.Error(err)
			}
		},
		"elsewhere": func(t *testing.T, b, elsewhere bench, id string) {
			if _, err := elsewhere.Revoke(t.Context(), id); err != nil {
				t.Error(err)
			}
			b.Invalidate(id)
		},
		"elsewhere, not known which": func(t *testing.T, b, elsewhere bench, id string) {
			if _, err := elsewhere.Revoke(t.Context(), id); err != nil {
				t.Error(err)
			}
			b.Invalidate("")
		},
	} {
		t.Run(name, func(t *testing.T) {
			inner := newCounting()
			store := &pausing{counting: inner}
			elsewhere := setUp(t, func(c *apikey.Config) { c.Store = inner })
			b := setUp(t, func(c *apikey.Config) { c.Store, c.CacheTTL = store, 5*time.Second })
			key, text := b.issue(t, order())
			// Find has read the old record, and has not yet returned it.
			store.after = func() {
				store.after = nil
				revoke(t, b, elsewhere, key.ID)
			}
			b.want(t, text, apikey.ReasonRevoked)
			b.want(t, text, apikey.ReasonRevoked)
		})
	}
}

// Nor does a slow fill push out what a quicker one has seen of a revocation that
// nobody has told of.
func TestFillOverNewerFill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newCounting()
		store := &pausing{counting: inner}
		elsewhere := setUp(t, func(c *apikey.Config) { c.Store = inner })
		b := setUp(t, func(c *apikey.Config) { c.Store, c.CacheTTL = store, 5*time.Second })
		key, text := b.issue(t, order())
		store.after = func() {
			store.after = nil
			pass(time.Millisecond)
			if _, err := elsewhere.Revoke(t.Context(), key.ID); err != nil {
				t.Error(err)
			}
			b.want(t, text, apikey.ReasonRevoked)
		}
		b.want(t, text, apikey.ReasonRevoked)
		b.want(t, text, apikey.ReasonRevoked)
		if n := store.count("find"); n != 3 {
			t.Errorf("asked %d times", n)
		}
	})
}

// pausing is a store that does something between reading and answering.
type pausing struct {
	*counting
	after func()
}

func (p *pausing) Find(ctx context.Context, id string) (apikey.Record, error) {
	r, err := p.counting.Find(ctx, id)
	if p.after != nil {
		p.after()
	}
	return r, err
}

// Where each answer is overtaken, the request goes by the last one and nothing
// is kept.
func TestFillOvertakenTwice(t *testing.T) {
	store := &pausing{counting: newCounting()}
	b := setUp(t, func(c *apikey.Config) { c.Store, c.CacheTTL = store, 5*time.Second })
	_, text := b.issue(t, order())
	store.after = func() { b.Invalidate("") }
	b.want(t, text, "")
	if n := store.count("find"); n != 2 {
		t.Errorf("asked %d times", n)
	}
	if found, missing := b.Cached(); found+missing > 0 {
		t.Errorf("%d entries were kept", found+missing)
	}
}

// Ids that do not exist fill no more than their own room.
func TestCacheIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t, func(c *apikey.Config) { c.CacheTTL = 5 * time.Second })
		const secret = "0000000000000000000000000000000000000000000"
		ids := apikey.SameShard(10 + 3*apikey.MaxEntries)
		var texts []string
		for i, id := range ids {
			body := fmt.Sprintf("acme_live_%s_%s", id, secret)
			if i >= 10 {
				b.want(t, body+checksum(body), apikey.ReasonUnknown)
				continue
			}
			record := apikey.Record{
				Key:     apikey.Key{ID: id, Owner: "o", Environment: "live", Lifetime: day},
				Current: apikey.Hash{Sum: sha256.Sum256([]byte(body))},
			}
			if _, err := b.store.Create(t.Context(), record); err != nil {
				t.Fatal(err)
			}
			texts = append(texts, body+checksum(body))
			b.want(t, texts[i], "")
		}
		if found, missing := b.Cached(); found != 10 || missing != apikey.MaxEntries {
			t.Errorf("%d found, %d missing", found, missing)
		}
		before := b.store.count("find")
		for _, text := range texts {
			b.want(t, text, "")
		}
		if n := b.store.count("find") - before; n > 0 {
			t.Errorf("%d keys were pushed out", n)
		}
	})
}

// Watch drops what changes elsewhere, and all if it cannot know.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := twoNodes(t, 5*time.Second)
		if err := here.Watch(t.Context()); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("without a Watcher: %v", err)
		}
		key, text := here.issue(t, order())
		missed, missedText := here.issue(t, order())
		there.want(t, text, "")
		there.want(t, missedText, "")
		if _, err := here.Revoke(t.Context(), missed.ID); err != nil {
			t.Fatal(err)
		}
		there.want(t, missedText, "")

		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- there.Watch(ctx) }()
		synctest.Wait()
		there.want(t, missedText, apikey.ReasonRevoked)
		there.want(t, text, "")
		if _, err := here.Revoke(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
		there.want(t, text, apikey.ReasonRevoked)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

// With a cache and nobody to tell of changes, no secret is accepted longer than
// the bound after its revocation was acknowledged.
func TestCacheUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ttl = 2 * time.Second
		here, there := twoNodes(t, ttl)
		type victim struct {
			text string
			end  atomic.Int64
		}
		start := time.Now()
		victims := make([]*victim, 20)
		var wg sync.WaitGroup
		for i := range victims {
			key, text := here.issue(t, order())
			victims[i] = &victim{text: text}
			wg.Go(func() {
				pass(time.Duration(i) * 317 * time.Millisecond)
				if _, err := here.Revoke(t.Context(), key.ID); err != nil {
					t.Error(err)
				}
				victims[i].end.Store(int64(time.Since(start)) + 1)
			})
		}
		var late, accepted atomic.Int64
		for n := range 8 {
			wg.Go(func() {
				for time.Since(start) < 10*time.Second {
					for _, v := range victims {
						end := v.end.Load()
						now := int64(time.Since(start))
						node, bound := there, int64(ttl)
						if n%2 == 0 {
							node, bound = here, 0
						}
						if _, err := node.Authenticate(get(v.text)); err == nil {
							accepted.Add(1)
							if end > 0 && now > end+bound {
								late.Add(1)
							}
						}
					}
					pass(time.Duration(50+n) * time.Millisecond)
				}
			})
		}
		wg.Wait()
		if late.Load() > 0 || accepted.Load() == 0 {
			t.Errorf("%d accepted, %d of them too late", accepted.Load(), late.Load())
		}
	})
}
