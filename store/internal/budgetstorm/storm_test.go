// SPDX-License-Identifier: Apache-2.0

package budgetstorm_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/model"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// upstream streams and counts the tokens of each account.
type upstream struct {
	mu      sync.Mutex
	counted map[string]int64
	calls   int
}

func (u *upstream) count(account string, tokens int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.counted[account] += tokens
}

// ServeHTTP uses 10 tokens of input and up to the output limit.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	c, err := model.Parse(model.ChatCompletions, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	u.mu.Lock()
	u.calls++
	u.mu.Unlock()
	if rand.IntN(50) == 0 {
		http.Error(w, "overloaded", http.StatusServiceUnavailable)
		return
	}
	account, output := r.Header.Get("X-Account"), 1+rand.Int64N(c.Limit)
	w.Header().Set("Content-Type", "text/event-stream")
	u.count(account, 10)
	for range output {
		u.count(account, 1)
		if _, err := fmt.Fprint(w, "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n"); err != nil || r.Context().Err() != nil {
			return
		}
	}
	fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\ndata: [DONE]\n\n", output, 10+output)
}

// server is an engine that can be killed.
type server interface {
	Kill(tb testing.TB)
	Start(tb testing.TB)
}

// worker is a process that makes calls.
type worker struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

func start(t *testing.T, c workerConfig) *worker {
	t.Helper()
	w := &worker{cmd: exec.Command(must(os.Executable()))}
	w.cmd.Env = append(os.Environ(), workerVariable+"="+string(must(json.Marshal(c))))
	w.cmd.Stderr = os.Stderr
	w.stdin = must(w.cmd.StdinPipe())
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.kill)
	return w
}

func (w *worker) kill() {
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
}

// stop lets the worker end its calls.
func (w *worker) stop(t *testing.T) {
	t.Helper()
	w.stdin.Close()
	if err := w.cmd.Wait(); err != nil {
		t.Errorf("worker: %v", err)
	}
}

// size is the size of a storm.
type size struct {
	duration              time.Duration
	processes, goroutines int
	tokens                int64 // of an account, which lives for a second
}

func sizeOf(t *testing.T) size {
	t.Helper()
	text := os.Getenv("GATEHOUSE_BUDGET_STORM")
	if text == "" {
		return size{2500 * time.Millisecond, 2, 8, 1500}
	}
	duration, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("GATEHOUSE_BUDGET_STORM: %v", err)
	}
	return size{duration, 4, 64, 5_000}
}

// observe checks until stop is closed that no budget is exceeded, and returns the number
// of budgets that it has seen.
func observe(t *testing.T, ledger *budget.Ledger, stop <-chan struct{}) (observations int) {
	for {
		select {
		case <-stop:
			return observations
		default:
		}
		balances, err := ledger.Tenant(context.Background(), tenantName)
		if err != nil {
			select { // the engine is down
			case <-time.After(10 * time.Millisecond):
			case <-stop:
			}
			continue
		}
		for _, b := range balances {
			observations++
			if b.Spent+b.Held > b.Max || b.Held < 0 {
				t.Errorf("%s %s: spent %d, held %d, max %d", b.Account.Per, b.Account.Name, b.Spent, b.Held, b.Max)
			}
		}
	}
}

func engines(t *testing.T, test func(t *testing.T, name, address string, s server)) {
	enginetest.Slow(t)
	t.Run("postgres", func(t *testing.T) {
		p := enginetest.StartPostgres(t, "max_connections=200", "fsync=off") // SIGKILL loses no written page
		address := p.Database(t)
		db := must(sql.Open("pgx", address))
		defer db.Close()
		if err := must(sqlstore.New(sqlstore.Config{DB: db})).Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		test(t, "postgres", address, p)
	})
	t.Run("redis", func(t *testing.T) {
		r := enginetest.StartRedis(t)
		test(t, "redis", r.URL(), r)
	})
}

// TestStorm kills processes and the engine while calls are made, disconnected and
// replayed.
func TestStorm(t *testing.T) {
	long := os.Getenv("GATEHOUSE_BUDGET_STORM") != ""
	engines(t, func(t *testing.T, engine, address string, s server) {
		if long || engine == "postgres" {
			t.Run("direct", func(t *testing.T) { storm(t, engine, address, s, 0) })
		}
		if long || engine == "redis" {
			t.Run("chunks", func(t *testing.T) { storm(t, engine, address, s, 400) })
		}
	})
}

func storm(t *testing.T, engine, address string, s server, chunk int64) {
	size := sizeOf(t)
	up := &upstream{counted: make(map[string]int64)}
	fake := httptest.NewServer(up)
	defer fake.Close()
	ledger := must(budget.New(budget.Config{Store: openStore(engine, address, 4), Hold: holdTime}))
	stop, observed := make(chan struct{}), make(chan int)
	go func() { observed <- observe(t, ledger, stop) }()
	workers, kills, restarts := make([]*worker, size.processes), 0, 0
	config := workerConfig{Engine: engine, Store: address, Upstream: fake.URL, Goroutines: size.goroutines, Faults: true, Max: size.tokens, Chunk: chunk}
	begin := func(i int) {
		config.Name = fmt.Sprintf("w%d-%d", i, kills)
		workers[i] = start(t, config)
	}
	for i := range workers {
		begin(i)
	}
	end := time.NewTimer(size.duration)
	for done := false; !done; {
		pause := time.NewTimer(time.Duration(300+rand.IntN(700)) * time.Millisecond)
		select {
		case <-end.C:
			done = true
		case <-pause.C:
			i := rand.IntN(len(workers))
			workers[i].kill()
			kills++
			if kills%2 == 0 {
				s.Kill(t)
				s.Start(t)
				restarts++
			}
			begin(i)
		}
	}
	for _, w := range workers {
		w.stop(t)
	}
	// The holds of killed processes expire.
	enginetest.Eventually(t, 4*holdTime+10*time.Second, "no hold outlives its deadline", func() bool {
		balances, err := ledger.Tenant(t.Context(), tenantName)
		for _, b := range balances {
			if b.Held > 0 {
				return false
			}
		}
		return err == nil
	})
	close(stop)
	observations := <-observed
	charged, counted, full := up.check(t, ledger, size.tokens)
	up.mu.Lock()
	defer up.mu.Unlock()
	t.Logf("%d calls, %d observations, %d processes and %d engines killed; %d accounts, %d of them full; %d tokens charged, %d counted",
		up.calls, observations, kills, restarts, len(up.counted), full, charged, counted)
	if up.calls < 20 || full == 0 && size.processes == 4 {
		t.Errorf("%d calls, %d full accounts: the storm was too weak to show anything", up.calls, full)
	}
}

// check compares what was charged with what was counted, and shows that what is left
// can be used.
func (u *upstream) check(t *testing.T, ledger *budget.Ledger, limit int64) (charged, counted int64, full int) {
	t.Helper()
	u.mu.Lock()
	counts := maps.Clone(u.counted)
	u.mu.Unlock()
	for account, tokens := range counts {
		second := must(strconv.ParseInt(account, 10, 64))
		line := lines(second, 0, limit, 0)[0]
		b := must(ledger.Usage(t.Context(), line))[0]
		charged, counted = charged+b.Spent, counted+tokens
		if b.Spent < tokens || b.Spent > b.Max {
			t.Errorf("account %s: %d charged, %d counted, max %d", account, b.Spent, tokens, b.Max)
		}
		if b.Left() < maxOutput {
			full++
		}
		if h, err := ledger.Reserve(t.Context(), "rest-"+account, budget.Charge{Line: line, Amount: b.Left()}); err != nil {
			t.Errorf("account %s: Reserve of the rest, %d: %v", account, b.Left(), err)
		} else if err := h.Settle(t.Context(), 0); err != nil {
			t.Error(err)
		}
	}
	return charged, counted, full
}

// TestWithoutFaultsChargesWhatIsCounted has several processes, and no faults.
func TestWithoutFaultsChargesWhatIsCounted(t *testing.T) {
	engines(t, func(t *testing.T, engine, address string, _ server) {
		up := &upstream{counted: make(map[string]int64)}
		fake := httptest.NewServer(up)
		defer fake.Close()
		ledger := must(budget.New(budget.Config{Store: openStore(engine, address, 4)}))
		var workers []*worker
		for i := range 2 {
			workers = append(workers, start(t, workerConfig{
				Name: fmt.Sprint("w", i), Engine: engine, Store: address, Upstream: fake.URL, Goroutines: 8, Max: 2000, Chunk: int64(i * 400),
			}))
		}
		enginetest.Eventually(t, time.Minute, "the workers make calls", func() bool {
			up.mu.Lock()
			defer up.mu.Unlock()
			return up.calls >= 100
		})
		for _, w := range workers {
			w.stop(t)
		}
		if charged, counted, _ := up.check(t, ledger, 2000); charged != counted || counted == 0 {
			t.Errorf("%d tokens charged, %d counted", charged, counted)
		}
	})
}

// TestCheckThenChargeOvershoots is the control: what the ledger replaces.
func TestCheckThenChargeOvershoots(t *testing.T) {
	engines(t, func(t *testing.T, engine, address string, _ server) {
		ledger := must(budget.New(budget.Config{Store: openStore(engine, address, 16)}))
		line := lines(1, 0, 2000, 0)[0]
		upstream := httptest.NewServer(http.NotFoundHandler())
		defer upstream.Close()
		var all sync.WaitGroup
		var calls atomic.Int64
		for range 64 {
			all.Go(func() {
				for {
					balances, err := ledger.Usage(context.Background(), line)
					if err != nil {
						t.Error(err)
						return
					}
					if balances[0].Spent+100 > line.Max {
						return
					}
					if response, err := http.Get(upstream.URL); err == nil {
						response.Body.Close()
					}
					h, err := ledger.Reserve(context.Background(), fmt.Sprint(calls.Add(1)), budget.Charge{Line: line})
					if err == nil {
						err = h.Settle(context.Background(), 100)
					}
					if err != nil {
						t.Error(err, errors.Unwrap(err))
						return
					}
				}
			})
		}
		all.Wait()
		spent := must(ledger.Usage(t.Context(), line))[0].Spent
		if spent <= line.Max {
			t.Errorf("check-then-charge spent %d of %d: the control must overshoot", spent, line.Max)
		}
		t.Logf("check-then-charge spent %d of %d", spent, line.Max)
	})
}
