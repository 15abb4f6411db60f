// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/model"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// MeterConfig configures a [Meter].
type MeterConfig struct {
	// Ledger has the budgets. Required.
	Ledger *Ledger

	// Call describes what a request costs at most, and who pays. Required. An error
	// refuses the request: a [*gatehouse.Error] as it says, [ErrUnbounded] with 403, any
	// other with 503. It may read the body if it puts a readable one back.
	Call func(r *http.Request) (Call, error)

	// Price returns what a usage of a model costs in a unit other than [Tokens] and
	// [Requests], from 0 to [MaxAmount]. It must not be lower for more usage, and for a
	// usage that is Worst it must be an upper bound. The error [ErrUnbounded] says that
	// the model has no price. Optional: without it only those two units are known.
	Price func(model string, unit Unit, u Usage) (int64, error)
}

// ErrUnbounded says that the cost of a call has no upper bound, or no price.
var ErrUnbounded = errors.New("budget: the cost of the call cannot be bounded")

// Meter holds the worst case of a request before it is served, meters the response by
// the usage that it reports, and settles the hold when the response ends, in whatever
// way. It is safe for concurrent use.
//
// What a call is charged:
//   - a response with a usage record: what it reports, also if it is more than the hold;
//   - a response with a status of 300 or more without one, and a failure before any
//     response: nothing;
//   - everything else, such as a response without a record, a stream that was cut, a
//     client that disconnected and a panic: the whole hold; if an Anthropic stream has
//     already reported its input, that input and the whole output limit.
type Meter struct {
	ledger *Ledger
	call   func(*http.Request) (Call, error)
	price  func(string, Unit, Usage) (int64, error)
}

// NewMeter returns a meter, or an error that names every invalid field.
func NewMeter(config MeterConfig) (*Meter, error) {
	var errs []error
	if typednil.Is(config.Ledger) {
		errs = append(errs, errors.New("budget: MeterConfig.Ledger: required"))
	}
	if config.Call == nil {
		errs = append(errs, errors.New("budget: MeterConfig.Call: required"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Meter{ledger: config.Ledger, call: config.Call, price: config.Price}, nil
}

// begin decides on a request: it returns the call in progress and the request to
// serve, or a [*gatehouse.Error].
func (m *Meter) begin(r *http.Request) (*flow, *http.Request, error) {
	call, err := m.call(r)
	if err != nil {
		return nil, nil, refusal(err)
	}
	f, random := &flow{meter: m, call: call, start: time.Now()}, call.ID == ""
	if err := f.admit(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	out := r.Clone(ctx)
	// Compressed responses could not be metered.
	out.Header.Set("Accept-Encoding", "identity")
	if call.Rewrite != nil {
		if err := call.Rewrite(out, f.limit); err != nil {
			cancel(nil)
			return nil, nil, refusal(err)
		}
	}
	charges, err := f.charges()
	if err != nil {
		cancel(nil)
		return nil, nil, refusal(err)
	}
	if f.hold, err = m.ledger.hold(r.Context(), f.call.ID, random, charges); err != nil {
		cancel(nil)
		return nil, nil, err
	}
	if f.hold.Replayed {
		cancel(nil) // the hold belongs to the other request
		return nil, nil, &gatehouse.Error{Code: CodeReplayed, Reason: ReasonReplayed, Cause: errors.New("budget: a call with this ID is in progress")}
	}
	f.ctx, f.cancel = ctx, cancel
	f.watch()
	return f, out, nil
}

// refusal returns the error of the application as a refusal.
func refusal(err error) *gatehouse.Error {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e
	}
	if errors.Is(err, ErrUnbounded) {
		return &gatehouse.Error{Code: model.CodeUnbounded, Reason: ReasonUnbounded, Cause: err}
	}
	return invalid(err)
}
