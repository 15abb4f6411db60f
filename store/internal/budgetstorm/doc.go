// SPDX-License-Identifier: Apache-2.0

// Package budgetstorm tests that budgets are never exceeded while processes and
// engines are killed, clients disconnect and calls are replayed.
//
// The tests are slow and run with GATEHOUSE_SLOW=1, for some seconds on each engine.
// GATEHOUSE_BUDGET_STORM is the duration of the long run, with 64 goroutines in each of
// four processes:
//
//	GATEHOUSE_SLOW=1 GATEHOUSE_BUDGET_STORM=60s go test -v -timeout 20m ./store/internal/budgetstorm
//
// Measured on two cores with a load of 30, with PostgreSQL 15 and Redis 7, for 60 s each;
// no budget was exceeded, and no account was charged less than was counted:
//
//	engine            calls   observations   processes, engines killed   charged, counted
//	Postgres          4,747        137,410                      32, 16   303,702, 247,453
//	Postgres, chunks  3,335        388,169                      40, 20   309,151, 196,432
//	Redis             1,911         45,275                      36, 18   157,808, 103,150
//	Redis, chunks     2,247        356,807                      44, 22   200,865, 127,197
//
// The difference is what killed processes and disconnected clients held.
package budgetstorm
