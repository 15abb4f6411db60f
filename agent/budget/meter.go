// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
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

// Call is what a request costs at most, and who pays.
type Call struct {
	// ID identifies the call within its tenant. Random if empty. A request with the ID
	// of another call is refused with 409.
	ID string

	// Model is the resolved name of the model, for [MeterConfig.Price].
	Model string

	// Format is the API of the response. Required.
	Format Format

	// Lines are the budgets. At least one.
	Lines []Line

	// Input is an upper bound of the input tokens.
	Input int64

	// Output is the most output tokens of one choice: the smaller of what the request
	// asks for and what the model can. MinOutput is the least that makes sense, 1 if
	// zero. Both are ignored for [Embeddings].
	Output, MinOutput int64

	// Choices is the number of answers, 1 if zero.
	Choices int64

	// Cap is the caller's limit of tokens for one request, nil for none: see [Caps].
	Cap *int64

	// Rewrite sets the output limit in the body of r, which is a copy of the request, to
	// the limit on which the worst case is based, and has a stream report its usage.
	// Optional, but without it the upstream may use more than the hold.
	Rewrite func(r *http.Request, limit int64) error

	// HideUsage removes the event of a stream of [ChatCompletions] that only reports the
	// usage: Rewrite has asked for it and the client has not.
	HideUsage bool

	// Step is the number of output tokens that a stream holds at first; the hold grows by
	// it, up to the whole limit, while Count says that the stream comes near. A stream
	// that cannot grow is cut. Count returns an upper bound of the output tokens of one
	// event, with all tokens that it does not show, such as those of reasoning. Optional:
	// without both, the whole limit is held from the beginning.
	Step  int64
	Count func(data []byte) int64
}

// Meter holds the worst case of a request before it is served, meters the response by
// the usage that it reports, and settles the hold when the response ends, in whatever
// way. It is safe for concurrent use.
//
// What a call is charged:
//   - a response with a usage record: what it reports, also if it is more than the hold;
//   - a response with a status of 300 or more without one, and a failure before any
//     response: nothing;
//   - everything else, such as a response without a record, a stream that was cut, a
//     client that disconnected and a panic: the whole hold. If an Anthropic stream has
//     reported its input before, that and the whole output limit.
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
	f := &flow{meter: m, call: call, start: time.Now()}
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
	if f.hold, err = m.ledger.Reserve(r.Context(), f.call.ID, charges...); err != nil {
		cancel(nil)
		return nil, nil, err
	}
	if f.hold.Replayed {
		cancel(nil) // the hold belongs to the other request
		return nil, nil, &gatehouse.Error{Code: CodeReplayed, Reason: ReasonReplayed, Cause: errors.New("budget: a call with this ID is in progress")}
	}
	f.ctx, f.inner, f.cancel = r.Context(), ctx, cancel
	f.watch()
	return f, out, nil
}

// refusal returns the error of the application as a refusal.
func refusal(err error) *gatehouse.Error {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e
	}
	if errors.Is(err, ErrUnbounded) {
		return &gatehouse.Error{Code: CodeUnbounded, Reason: ReasonUnbounded, Cause: err}
	}
	return invalid(err)
}

// admit completes the call and finds its output limit. It refuses a call that is above
// the cap, before the store is asked.
func (f *flow) admit() error {
	c := &f.call
	if c.Choices == 0 {
		c.Choices = 1
	}
	if c.MinOutput == 0 {
		c.MinOutput = 1
	}
	if c.ID == "" {
		c.ID = rand.Text()
	}
	switch c.Format {
	case Embeddings:
		c.Output, c.MinOutput = 0, 0
	case ChatCompletions, Responses, Messages:
	default:
		return invalid(fmt.Errorf("budget: Call.Format: %q is unknown", c.Format))
	}
	if c.Input < 0 || c.Output < 0 || c.Choices < 0 || len(c.Lines) == 0 {
		return invalid(errors.New("budget: Call: Input, Output and Choices must not be negative, and at least one of Lines is required"))
	}
	if c.Input > MaxAmount || c.Choices > 1<<20 {
		return &gatehouse.Error{Code: CodeExceeded, Reason: ReasonCap, Cause: errors.New("budget: the call has no end")}
	}
	f.limit = min(c.Output, MaxAmount/c.Choices)
	if c.Cap != nil {
		if c.Input > *c.Cap {
			return overCap(c.Input, *c.Cap)
		}
		f.limit = min(f.limit, (*c.Cap-c.Input)/c.Choices)
	}
	if f.limit < c.MinOutput {
		if c.Cap == nil {
			return invalid(fmt.Errorf("budget: Call.Output: %d: must be at least %d", c.Output, c.MinOutput))
		}
		return overCap(c.Input+c.MinOutput*c.Choices, *c.Cap)
	}
	f.held = f.limit * c.Choices
	if c.Step > 0 && c.Count != nil {
		f.held = min(f.held, c.Step)
	}
	return nil
}

func overCap(need, limit int64) *gatehouse.Error {
	return &gatehouse.Error{
		Code: CodeExceeded, Reason: ReasonCap,
		Cause: fmt.Errorf("budget: the call needs %d tokens or more, and the caller may use %d for one request", need, limit),
	}
}

// charges returns what the call holds.
func (f *flow) charges() ([]Charge, error) {
	amounts, err := f.amounts(bound(f.call.Input, f.held))
	if err != nil {
		return nil, err
	}
	charges := make([]Charge, len(amounts))
	for i, amount := range amounts {
		charges[i] = Charge{Line: f.call.Lines[i], Amount: amount}
	}
	return charges, nil
}

// amounts returns what a usage costs each budget.
func (f *flow) amounts(u Usage) ([]int64, error) {
	amounts := make([]int64, len(f.call.Lines))
	for i := range amounts {
		switch unit := f.call.Lines[i].Unit; {
		case unit == Tokens:
			amounts[i] = u.Total
		case unit == Requests:
			amounts[i] = 1
		case f.meter.price == nil:
			return nil, fmt.Errorf("budget: Line.Unit: %q has no price: %w", unit, ErrUnbounded)
		default:
			price, err := f.meter.price(f.call.Model, unit, u)
			if err != nil {
				return nil, fmt.Errorf("budget: price of %q in %s: %w", f.call.Model, unit, err)
			}
			if price < 0 || price > MaxAmount {
				return nil, fmt.Errorf("budget: price of %q in %s: %d: must be from 0 to %d", f.call.Model, unit, price, int64(MaxAmount))
			}
			amounts[i] = price
		}
	}
	return amounts, nil
}
