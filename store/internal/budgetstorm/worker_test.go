// SPDX-License-Identifier: Apache-2.0

package budgetstorm_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/model"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// workerVariable holds the configuration of a worker, as JSON. It makes the test binary
// a worker.
const workerVariable = "GATEHOUSE_TEST_BUDGET_WORKER"

func TestMain(m *testing.M) {
	if text := os.Getenv(workerVariable); text != "" {
		var c workerConfig
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			panic(err)
		}
		work(c)
		return
	}
	os.Exit(m.Run())
}

type workerConfig struct {
	Name, Engine, Store, Upstream string
	Goroutines                    int
	Faults                        bool // disconnects and replays
	Max, Chunk                    int64
}

const (
	tenantName = "acme"
	maxOutput  = 200
	holdTime   = 2 * time.Second
)

// openStore returns the store of an engine.
func openStore(engine, address string, connections int) budget.Store {
	if engine == "redis" {
		options := must(redis.ParseURL(address))
		options.ContextTimeoutEnabled, options.PoolSize = true, connections
		return must(redisstore.New(redisstore.Config{Client: redis.NewClient(options)})).Budgets()
	}
	db := must(sql.Open("pgx", address))
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return must(sqlstore.New(sqlstore.Config{DB: db})).Budgets()
}

// lines are the budgets of a call: that of its key, and the hot one of the tenant,
// which is a new one each second.
func lines(second int64, key int, limit, chunk int64) []budget.Line {
	account := func(per, name string) budget.Account {
		return budget.Account{Tenant: tenantName, Per: per, Name: name}
	}
	return []budget.Line{
		{Account: account("tenant", strconv.FormatInt(second, 10)), Window: budget.Month(nil), Max: limit, Chunk: chunk},
		{Account: account("key", fmt.Sprintf("%d-%d", second, key)), Window: budget.Rolling24h(), Max: limit / 2},
	}
}

// work makes metered calls until standard input ends.
func work(c workerConfig) {
	ledger := must(budget.New(budget.Config{Store: openStore(c.Engine, c.Store, 16), Hold: holdTime, Nodes: 8}))
	type lineKey struct{}
	meter := must(budget.NewMeter(budget.MeterConfig{Ledger: ledger, Call: func(r *http.Request) (budget.Call, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return budget.Call{}, err
		}
		call, err := model.Parse(model.ChatCompletions, body)
		if err != nil {
			return budget.Call{}, err
		}
		described := budget.ForModel(call, model.Model{Name: "small", MaxOutput: maxOutput}, r.Context().Value(lineKey{}).([]budget.Line), nil)
		described.ID = r.Header.Get("X-Id")
		return described, nil
	}}))
	client := meter.Transport(&http.Transport{MaxIdleConnsPerHost: c.Goroutines})
	stop, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- ledger.Run(stop) }()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	var all sync.WaitGroup
	var calls atomic.Int64
	for g := range c.Goroutines {
		all.Go(func() {
			for stop.Err() == nil {
				second := time.Now().Unix()
				budgets := lines(second, g%8, c.Max, c.Chunk)
				ctx, end := context.WithCancel(context.WithValue(context.Background(), lineKey{}, budgets))
				id := fmt.Sprintf("%s-%d", c.Name, calls.Add(1))
				err := call(ctx, client, c, strconv.FormatInt(second, 10), id, end)
				end()
				if c.Faults && rand.IntN(50) == 0 {
					// The same ID again, while the first call may be in progress.
					_, _ = ledger.Reserve(context.Background(), id, budget.Charge{Line: budgets[0], Amount: 1})
				}
				if err != nil {
					select {
					case <-time.After(time.Duration(1+rand.IntN(20)) * time.Millisecond):
					case <-stop.Done():
					}
				}
			}
		})
	}
	all.Wait()
	if err := <-ran; err != nil { // what it could not settle expires, and is charged in full
		fmt.Fprintln(os.Stderr, err)
	}
}

var errRefused = errors.New("refused")

// call makes one call; with faults it disconnects from some.
func call(ctx context.Context, client http.RoundTripper, c workerConfig, account, id string, disconnect func()) error {
	body := `{"model":"small","stream":true,"messages":[{"role":"user","content":"hi"}],"max_tokens":` + strconv.Itoa(1+rand.IntN(maxOutput)) + `}`
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Upstream, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("X-Account", account)
	r.Header.Set("X-Id", id)
	response, err := client.RoundTrip(r)
	if err != nil {
		return errRefused
	}
	defer response.Body.Close()
	if c.Faults && rand.IntN(10) == 0 {
		_, _ = response.Body.Read(make([]byte, 1+rand.IntN(100)))
		disconnect()
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
