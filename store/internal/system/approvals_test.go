// SPDX-License-Identifier: Apache-2.0

package system_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
)

// claimerConfig is the configuration of a claimer, which it reads from standard input.
type claimerConfig struct {
	nodeConfig
	Claims  int    // concurrent ones of the call raced; it prints how many have succeeded
	Calls   int    // or: calls that it claims and dispatches, one after the other, in several workers
	File    string // to which a call is dispatched: a line with its number
	Between bool   // wait for ever after the first claim, before its dispatch
}

var approvalRule = approval.Rule{Roles: must(gatehouse.NewRoles("admin"))}

// raced is the number of the call that many goroutines claim.
const raced = 1 << 20

// approvalCall is one of many calls.
func approvalCall(n int) approval.Call {
	agent := gatehouse.Key{Issuer: "https://tools.example.com", Subject: "helper-1"}
	return approval.Call{Tenant: "acme", Subject: agent, Actor: agent, Tool: "run_code", Arguments: `{"n":` + strconv.Itoa(n) + `}`}
}

// claimer is the main function of a process that claims approvals.
func claimer(stdin io.Reader, stdout io.Writer) {
	var config claimerConfig
	input := json.NewDecoder(stdin)
	check(input.Decode(&config))
	stores := must(openStores(config.nodeConfig, slog.New(slog.DiscardHandler)))
	approvals := must(approval.New(approval.Config{Store: stores.approvals, URL: "https://tools.example.com/approvals"}))
	if config.Claims == 0 {
		dispatch(config, approvals, stdout)
		return
	}
	if _, err := approvals.Claim(context.Background(), approvalCall(-1), approvalRule); !errors.Is(err, approval.ErrNotFound) {
		panic(fmt.Errorf("claim of a call without approval: %w", err))
	}
	fmt.Fprintln(stdout, "ready")
	var start struct{}
	check(input.Decode(&start))
	var won, failed atomic.Int64
	var all sync.WaitGroup
	begin := make(chan struct{})
	for range config.Claims {
		all.Go(func() {
			<-begin
			switch _, err := approvals.Claim(context.Background(), approvalCall(raced), approvalRule); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, approval.ErrNotFound):
				failed.Add(1)
			}
		})
	}
	begun := time.Now()
	close(begin)
	all.Wait()
	fmt.Fprintf(stdout, "%d %d %v\n", won.Load(), failed.Load(), time.Since(begun).Round(time.Millisecond))
}

// dispatch claims calls, and dispatches each after its claim.
func dispatch(config claimerConfig, approvals *approval.Approvals, stdout io.Writer) {
	file := must(os.OpenFile(config.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600))
	var next, failed atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for n := int(next.Add(1)) - 1; n < config.Calls; n = int(next.Add(1)) - 1 {
				switch _, err := approvals.Claim(context.Background(), approvalCall(n), approvalRule); {
				case errors.Is(err, approval.ErrNotFound): // it was claimed before
					continue
				case err != nil:
					failed.Add(1)
					continue
				}
				fmt.Fprintln(stdout, "claimed", n)
				if config.Between {
					select {} // until the process is killed
				}
				fmt.Fprintln(file, n)
			}
		})
	}
	all.Wait()
	fmt.Fprintln(stdout, "done", failed.Load())
}

// claimerProcess is a running claimer.
type claimerProcess struct {
	*exec.Cmd
	stdin io.Writer
	lines *bufio.Reader
}

func startClaimer(t *testing.T, e *engine, config claimerConfig) *claimerProcess {
	t.Helper()
	config.Engine, config.Store, config.Timeout = e.name, e.store, time.Minute
	p := &claimerProcess{}
	p.Cmd, p.stdin, p.lines = process(t, "GATEHOUSE_TEST_CLAIMER", config, t.Output())
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	return p
}

// line returns the next line of the claimer's output, "" at its end.
func (p *claimerProcess) line() string {
	line, err := p.lines.ReadString('\n')
	if err != nil {
		return ""
	}
	return strings.TrimSpace(line)
}

// approve requests and approves the calls with the numbers from first to last-1.
func approve(t *testing.T, e *engine, first, last int) *approval.Approvals {
	t.Helper()
	stores := must(openStores(nodeConfig{Engine: e.name, Store: e.store, Timeout: time.Minute}, slog.New(slog.DiscardHandler)))
	approvals := must(approval.New(approval.Config{Store: stores.approvals, URL: "https://tools.example.com/approvals", Lifetime: time.Hour}))
	admin := gatehouse.Principal{
		Kind: gatehouse.KindUser, Issuer: "https://id.example.com", Subject: "ada", Tenant: "acme", Method: "session", Roles: approvalRule.Roles,
	}
	for n := first; n < last; n++ {
		asked := must(approvals.Request(t.Context(), approvalCall(n), approvalRule))
		must(approvals.Decide(t.Context(), admin, asked.ID, true, ""))
	}
	return approvals
}

// TestApprovalsAreUsedOnce uses approvals by several processes.
func TestApprovalsAreUsedOnce(t *testing.T) {
	eachEngineWith(t, allEngines, map[string][]string{"postgres": {"max_connections=300"}}, func(t *testing.T, e *engine) {
		t.Run("claims of two processes", func(t *testing.T) { oneOfManyClaimsWins(t, e) })
		t.Run("killed between claim and dispatch", func(t *testing.T) { killedBetweenClaimAndDispatch(t, e) })
	})
}

// oneOfManyClaimsWins claims one approval in many goroutines of two processes at the
// same time. GATEHOUSE_APPROVAL_CLAIMS is the number of claims, 1,000 if empty.
func oneOfManyClaimsWins(t *testing.T, e *engine) {
	t.Helper()
	claims := 1000
	if text := os.Getenv("GATEHOUSE_APPROVAL_CLAIMS"); text != "" {
		var err error
		if claims, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	approvals := approve(t, e, raced, raced+1)
	processes := []*claimerProcess{
		startClaimer(t, e, claimerConfig{Claims: claims / 2}), startClaimer(t, e, claimerConfig{Claims: claims - claims/2}),
	}
	for _, p := range processes {
		if got := p.line(); got != "ready" {
			t.Fatalf("the process says %q, want ready", got)
		}
	}
	for _, p := range processes {
		fmt.Fprintln(p.stdin, "{}")
	}
	total := 0
	for i, p := range processes {
		var won, failed int
		var took string
		if _, err := fmt.Sscan(p.line(), &won, &failed, &took); err != nil || failed > 0 {
			t.Fatalf("process %d: %d claims failed, %v, want none", i, failed, err)
		}
		t.Logf("process %d: %d of its claims won, in %s", i, won, took)
		total += won
	}
	if total != 1 {
		t.Errorf("%d of %d claims won, want 1", total, claims)
	}
	if _, err := approvals.Claim(t.Context(), approvalCall(raced), approvalRule); !errors.Is(err, approval.ErrNotFound) {
		t.Errorf("Claim after all = %v, want %v", err, approval.ErrNotFound)
	}
}

// killedBetweenClaimAndDispatch kills processes, first exactly between a claim and its
// dispatch and then at any time. No call is dispatched twice.
func killedBetweenClaimAndDispatch(t *testing.T, e *engine) {
	t.Helper()
	const calls, kills = 200, 4
	approvals := approve(t, e, 0, calls)
	file := filepath.Join(t.TempDir(), "dispatched")
	p := startClaimer(t, e, claimerConfig{Calls: 1, File: file, Between: true})
	if got := p.line(); got != "claimed 0" {
		t.Fatalf("the process says %q, want claimed 0", got)
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
	if _, err := approvals.Claim(t.Context(), approvalCall(0), approvalRule); !errors.Is(err, approval.ErrNotFound) {
		t.Errorf("Claim after the process was killed = %v, want %v", err, approval.ErrNotFound)
	}

	claimed := 1
	// next returns the next line, and counts claims.
	next := func(p *claimerProcess) string {
		line := p.line()
		if strings.HasPrefix(line, "claimed") {
			claimed++
		}
		return line
	}
	rest := func(p *claimerProcess) (last string) {
		for line := next(p); line != ""; line = next(p) {
			last = line
		}
		return last
	}
	for n := range kills {
		p := startClaimer(t, e, claimerConfig{Calls: calls, File: file})
		for range 10 + 7*n {
			next(p)
		}
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		rest(p)
		_ = p.Wait()
	}
	p = startClaimer(t, e, claimerConfig{Calls: calls, File: file})
	if last := rest(p); last != "done 0" {
		t.Errorf("the last process says %q, want done 0", last)
	}
	text := must(os.ReadFile(file))
	dispatched := make(map[string]int)
	for line := range strings.Lines(string(text)) {
		if dispatched[line]++; dispatched[line] > 1 {
			t.Errorf("call %s was dispatched twice", strings.TrimSpace(line))
		}
	}
	if dispatched["0\n"] != 0 {
		t.Error("the call of the killed process was dispatched")
	}
	lost := calls - len(dispatched)
	if lost < 1 || lost > 1+kills*8 {
		t.Errorf("%d of %d calls were dispatched, and %d claims acknowledged, want all but those that were killed in between", len(dispatched), calls, claimed)
	}
	t.Logf("%d calls dispatched once, %d claimed by processes that were killed before the dispatch", len(dispatched), lost)
}
