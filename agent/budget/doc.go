// SPDX-License-Identifier: Apache-2.0

// Package budget keeps the cost of calls within budgets, for any number of processes,
// and meters the responses of LLM APIs.
//
//   - A [Line] is a budget: an [Account], a [Window] of time, and a limit in tokens or
//     in another [Unit].
//   - A [Ledger] holds the worst case of a call in all its budgets before the call, or
//     refuses the call. After the call it settles the hold with the actual use. Whenever
//     it admits a call, the spent and held amounts of every budget are together at most
//     the limit.
//   - A [Meter] does this for HTTP requests: as a middleware ([Meter.Handler]) or as a
//     round tripper ([Meter.Transport]). It reads the usage from the response, plain or
//     streamed.
//   - [Caps] are limits that a token or an API key carries.
//
// If a budget were only checked before a call and charged after it, concurrent calls
// could exceed it. Therefore the worst case is held first: an upper bound of the input,
// plus the output limit for each choice. [ForModel] takes both from a [model.Call], and
// writes the output limit into the forwarded body, so that the call cannot use more.
//
// # Refusals
//
// A call that can never fit is refused with 403, and a call that does not fit now with
// 429 and Retry-After; both have the code budget_exceeded. The reason and the
// [ExceededError] say whether the budget is exhausted or calls in progress hold the rest.
// If the store is unavailable, calls are refused with 503; [Config.AllowUnrecorded] can
// admit some.
//
// # Stores
//
// The counters are in a [Store]: [Memory] for one process, or one of module store:
// SQLite, Postgres or Redis. The clock of the store selects the window of a call. Redis
// loses acknowledged changes if it fails over to a replica: use PostgreSQL or SQLite if a
// limit is contractual.
package budget
