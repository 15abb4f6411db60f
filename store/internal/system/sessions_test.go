// SPDX-License-Identifier: Apache-2.0

package system_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// swappers is how many sessions are swapped at once.
const swappers = 32

// openSessions opens a store of sessions.
func openSessions(engine, dsn string) (session.Store, error) {
	if engine == "redis" {
		options, err := redis.ParseURL(dsn)
		if err != nil {
			return nil, err
		}
		options.ContextTimeoutEnabled = true
		store, err := redisstore.New(redisstore.Config{Client: redis.NewClient(options), Timeout: 2 * time.Second})
		if err != nil {
			return nil, err
		}
		return store.Sessions(), store.Check(context.Background())
	}
	db, err := sql.Open(map[string]string{"sqlite": "sqlite", "postgres": "pgx"}[engine], dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(swappers)
	store, err := sqlstore.New(sqlstore.Config{DB: db, Timeout: 2 * time.Second})
	if err != nil {
		return nil, err
	}
	return store.Sessions(), errors.Join(store.Migrate(context.Background()), store.Check(context.Background()))
}

// swapAll makes sessions and swaps each of them again and again, with the
// number of the version as its tokens, until that fails. It tells of each
// version that was acknowledged. Every fourth one also gets a new id.
func swapAll(sessions session.Store, acknowledged func(i int, id string, version int64)) {
	var all sync.WaitGroup
	for i := range swappers {
		all.Go(func() {
			ctx := context.Background()
			r, err := sessions.Create(ctx, session.Record{
				Session: session.Session{ID: fmt.Sprintf("%d-1", i), Issuer: "i", Subject: "s", Idle: time.Hour}, Tokens: "1",
			}, time.Hour)
			for err == nil {
				acknowledged(i, r.ID, r.Version)
				c := session.Change{ID: r.ID, Tokens: strconv.FormatInt(r.Version+1, 10)}
				if r.Version%4 == 0 {
					c.ID = fmt.Sprintf("%d-%d", i, r.Version+1)
				}
				r, err = sessions.Swap(ctx, r.ID, r.Version, c)
			}
		})
	}
	all.Wait()
}

// swapMain is main of a process that swaps until it is killed.
func swapMain(dsn string) {
	sessions, err := openSessions("sqlite", dsn)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var mu sync.Mutex
	swapAll(sessions, func(i int, id string, version int64) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(i, id, version)
	})
}

// swapElsewhere has another process swap, and kills it when it is told to.
func swapElsewhere(t *testing.T, dsn string, kill <-chan struct{}, acknowledged func(i int, id string, version int64)) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), "GATEHOUSE_TEST_SWAP="+dsn)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		<-kill
		_ = cmd.Process.Kill()
	}()
	reader := bufio.NewReader(stdout)
	for {
		line, err := reader.ReadString('\n')
		if err != nil { // a line that was cut is none
			break
		}
		var i int
		var id string
		var version int64
		if _, err := fmt.Sscanln(line, &i, &id, &version); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		acknowledged(i, id, version)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the process ended by itself: %v\n%s", err, &stderr)
	}
}

// TestSessionsCrash kills the engine, or where there is none the process, in
// the middle of concurrent swaps. Nothing that was acknowledged is lost, and
// nothing is there that was not asked for. While the engine is down no session
// is said to be missing or to have changed; when it is back, so is the store.
func TestSessionsCrash(t *testing.T) {
	const enough = 300
	for _, name := range []string{"sqlite", "postgres", "redis"} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, name)
			sessions, err := openSessions(name, e.store)
			if err != nil {
				t.Fatal(err)
			}
			type state struct {
				id      string
				version int64
			}
			var mu sync.Mutex
			count, last := 0, make(map[int]state)
			kill := make(chan struct{})
			begin := sync.OnceFunc(func() { close(kill) })
			acknowledged := func(i int, id string, version int64) {
				mu.Lock()
				defer mu.Unlock()
				count++
				last[i] = state{id, version}
				if count >= enough && len(last) == swappers {
					begin()
				}
			}
			if e.server == nil {
				swapElsewhere(t, e.store, kill, acknowledged)
			} else {
				var swapping sync.WaitGroup
				swapping.Go(func() {
					defer begin() // or nobody would see why
					swapAll(sessions, acknowledged)
				})
				<-kill
				e.server.Kill(t)
				swapping.Wait()
				cannotTell(t, sessions, last[0].id)
				e.server.Start(t)
			}
			enginetest.Eventually(t, time.Minute, "the store recovers", func() bool {
				_, err := sessions.Get(t.Context(), "none")
				return errors.Is(err, session.ErrNotFound)
			})

			found, err := sessions.List(t.Context(), session.Selector{Issuer: "i", Subject: "s"}, 10*swappers)
			if err != nil || len(found) != swappers || len(last) != swappers {
				t.Fatalf("%d sessions of %d that were acknowledged, %v", len(found), len(last), err)
			}
			under := 0
			for _, r := range found {
				r, err := sessions.Get(t.Context(), r.ID)
				if err != nil {
					t.Fatal(err)
				}
				var i int
				if _, err := fmt.Sscanf(r.ID, "%d-", &i); err != nil {
					t.Fatal(err)
				}
				// One swap of each session may have been under way.
				if want := last[i]; r.Version != want.version && r.Version != want.version+1 || r.Tokens != strconv.FormatInt(r.Version, 10) {
					t.Errorf("session %s has version %d and the tokens of %s; %d of %s was acknowledged", r.ID, r.Version, r.Tokens, want.version, want.id)
				} else if r.Version > want.version {
					under++
				} else if r.ID != want.id {
					t.Errorf("session %s was %s when it was acknowledged", r.ID, want.id)
				}
			}
			t.Logf("%d versions were acknowledged, and %d more were made", count, under)
		})
	}
}

// cannotTell checks what a store says whose engine is down.
func cannotTell(t *testing.T, sessions session.Store, id string) {
	t.Helper()
	sel := session.Selector{Issuer: "i", Subject: "s"}
	var all sync.WaitGroup
	defer all.Wait()
	for name, call := range map[string]func(context.Context) error{
		"create": func(ctx context.Context) error {
			_, err := sessions.Create(ctx, session.Record{Session: session.Session{ID: id, Idle: time.Hour}}, time.Hour)
			return err
		},
		"get":      func(ctx context.Context) error { _, err := sessions.Get(ctx, id); return err },
		"get none": func(ctx context.Context) error { _, err := sessions.Get(ctx, "none"); return err },
		"swap": func(ctx context.Context) error {
			_, err := sessions.Swap(ctx, id, 1, session.Change{ID: id})
			return err
		},
		"touch":      func(ctx context.Context) error { _, err := sessions.Touch(ctx, id, 0); return err },
		"delete":     func(ctx context.Context) error { return sessions.Delete(ctx, id) },
		"delete all": func(ctx context.Context) error { _, err := sessions.DeleteAll(ctx, sel); return err },
		"list":       func(ctx context.Context) error { _, err := sessions.List(ctx, sel, 1); return err },
	} {
		all.Go(func() {
			if err := call(t.Context()); err == nil || errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrConflict) {
				t.Errorf("%s of a store that is down: error %v", name, err)
			}
		})
	}
}
