// SPDX-License-Identifier: Apache-2.0

// Package budgetstorm tests that budgets are never exceeded while processes and
// engines are killed, clients disconnect and calls are replayed.
//
// The tests are slow and run with GATEHOUSE_SLOW=1, for some seconds on each engine.
// GATEHOUSE_BUDGET_STORM is the duration of the long run, with 64 goroutines in each of
// four processes:
//
//	GATEHOUSE_SLOW=1 GATEHOUSE_BUDGET_STORM=60s go test -v -timeout 20m ./store/internal/budgetstorm
package budgetstorm
