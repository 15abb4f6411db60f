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
	// Ledger keeps the budgets. Required.
	Ledger *Ledger

	// Call returns the maximum cost of a request and the budgets that pay for it.
	// Required. If it returns an error, the request is refused: a [*gatehouse.Error]
	// determines the response, [ErrUnbounded] is 403, any other error is 503. It may read
	// the body if it sets r.Body to a new reader with the same content.
	Call func(r *http.Request) (Call, error)

	// Price returns the cost of a usage of a model in a unit other than [Tokens] and
	// [Requests], from 0 to [MaxAmount]. A larger usage must not cost less. For a usage
	// with Worst set, the cost must be an upper bound. Return [ErrUnbounded] if the model
	// has no price. Optional: without it, lines can have only those two units.
	Price func(model string, unit Unit, u Usage) (int64, error)
}

// ErrUnbounded means that the cost of a call has no upper bound or no price.
var ErrUnbounded = errors.New("budget: the cost of the call cannot be bounded")

// Meter holds the worst case of a request before the request is served, reads the usage
// from the response, and settles the hold when the response ends, even if it ends with a
// panic or a disconnect. It is safe for concurrent use.
//
// A call is charged:
//   - for a response with a usage record: the reported usage, even if it is above the
//     hold;
//   - for a response of status 300 or above without a record, and for a failure before
//     any response: nothing;
//   - otherwise, such as for a response without a record, a stream that was cut, a client
//     that disconnected or a panic: the whole hold. If an Anthropic stream has already
//     reported its input: that input and the whole output limit.
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

// begin admits or refuses a request: it returns the call in progress and the request to
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

// refusal converts an error of the application to a refusal.
func refusal(err error) *gatehouse.Error {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e
	}
	if errors.Is(err, ErrUnbounded) {
		return &gatehouse.Error{Code: model.CodeUnbounded, Reason: ReasonUnbounded, Cause: err}
	}
	return invalid(err)
}
