// SPDX-License-Identifier: Apache-2.0

package budget

import "github.com/gatehouse-go/gatehouse"

// The error codes. CodeExceeded and CodeExhausted have the same name and different
// statuses: only after 429 can a retry succeed.
var (
	// CodeExceeded: the call may cost more than the caller's limit for one call or for a
	// whole window.
	CodeExceeded = gatehouse.NewCode(403, "budget_exceeded", "The request can cost more than the budget allows.")
	// CodeExhausted: the rest of the budget is too small now. Retry-After says when the
	// call may fit.
	CodeExhausted = gatehouse.NewCode(429, "budget_exceeded", "The budget has too little left for the request.")
	// CodeReplayed: the ID of the request was used before.
	CodeReplayed = gatehouse.NewCode(409, "request_replayed", "A request with this ID was received before.")
)

// The reasons why a call is refused.
const (
	// ReasonCap: the worst case of the call is above the caller's limit for one request. Status:
	// 403. Operator: nothing; raise max_tokens_per_request if the caller needs a larger call.
	ReasonCap gatehouse.Reason = "budget_cap"
	// ReasonTooLarge: the worst case of the call is above the whole limit of a budget. Status: 403. Operator: nothing; raise the limit that the cause names if the caller needs more.
	ReasonTooLarge gatehouse.Reason = "budget_too_large"
	// ReasonExhausted: the budget is spent until its window ends, or permanently if the window has no end. Status: 429, 403. Operator: nothing; the cause names the budget.
	ReasonExhausted gatehouse.Reason = "budget_exhausted"
	// ReasonBusy: calls in progress hold the rest of the budget. Status: 429. Operator: nothing; if
	// it is frequent, the worst cases of the calls are far above their use: lower their output
	// limits.
	ReasonBusy gatehouse.Reason = "budget_busy"
	// ReasonUnbounded: the application cannot bound the cost of the call, or has no price for the model. Status: 403. Operator: see the cause; add the price.
	ReasonUnbounded gatehouse.Reason = "budget_unbounded"
	// ReasonReplayed: the ID of the call was used before. Status: 409. Operator: have the client use a new ID for each call.
	ReasonReplayed gatehouse.Reason = "budget_replayed"
	// ReasonClaims: a limit in the token or in the metadata of the key is not an integer from 0 to
	// 2^53 - 1, or a token with token_budget has no jti. Status: 403. Operator: correct the token
	// or the key.
	ReasonClaims gatehouse.Reason = "budget_claims"
	// ReasonUnavailable: the store of the budgets is unavailable. Status: 503. Operator: check the
	// store that the cause names.
	ReasonUnavailable gatehouse.Reason = "budget_unavailable"
	// ReasonInvalid: the application described the call wrongly. Status: 503. Operator: see the cause; it is a defect of the program.
	ReasonInvalid gatehouse.Reason = "budget_invalid"
)

// The types of events. Their attributes are per, account, window, unit, max, spent and
// held of the budget.
const (
	// EventThreshold: the account has spent a part of Line.Warn of its limit, attribute
	// part.
	EventThreshold gatehouse.EventType = "budget_threshold"
	// EventOverrun: a call has used more than its hold, attributes hold and used.
	EventOverrun gatehouse.EventType = "budget_overrun"
	// EventUnrecorded: the store is unavailable and the call was admitted without it,
	// attributes hold and left.
	EventUnrecorded gatehouse.EventType = "budget_unrecorded"
	// EventUnsettled: the use of a call could not be recorded, attribute used. The
	// ledger tries again; until then the whole hold counts.
	EventUnsettled gatehouse.EventType = "budget_unsettled"
)
