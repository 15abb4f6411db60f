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
// Measured on two cores under foreign load, with PostgreSQL 15 and Redis 7, for 60 s
// each; no budget was exceeded, and no account was charged less than was counted:
//
//	engine            calls   observations   processes, engines killed   charged, counted
//	Postgres          6,320         91,786                      30, 15   489,523, 377,117
//	Postgres, chunks  3,027        265,528                      32, 16   342,295, 180,324
//	Redis            12,287        154,386                      42, 21   836,643, 685,863
//	Redis, chunks     5,216        452,528                      42, 21   577,078, 313,378
//
// The difference is what killed processes and disconnected clients held.
package budgetstorm
