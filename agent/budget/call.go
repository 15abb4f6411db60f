// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/model"
)

// Call describes the maximum cost of a request and the budgets that pay for it.
type Call struct {
	// ID identifies the call within its tenant. Random if empty. A request with an ID
	// that was used before is refused with 409.
	ID string

	// Model is the resolved name of the model, for [MeterConfig.Price].
	Model string

	// Shape is the API of the response. Required.
	Shape model.Shape

	// Lines are the budgets. At least one.
	Lines []Line

	// Input is an upper bound of the input tokens.
	Input int64

	// Output is the maximum number of output tokens of one choice: the limit of the
	// request or of the model, whichever is smaller. MinOutput is the smallest useful
	// number, 1 if zero. For [model.Embeddings] Output may be zero.
	Output, MinOutput int64

	// Choices is the number of choices in the response, 1 if zero.
	Choices int64

	// Cap is the caller's limit of tokens for one request, nil for none: see [Caps].
	Cap *int64

	// Rewrite changes the body of r, a copy of the request. It must set the output limit
	// of each choice to limit, and make a stream report its usage. Optional, but without
	// it the upstream may use more than the hold.
	Rewrite func(r *http.Request, limit int64) error

	// HideUsage removes the event of a [model.ChatCompletions] stream that reports only the
	// usage. Set it if Rewrite requested the event and the client did not.
	HideUsage bool

	// Step is the number of output tokens that a stream holds at first. When the sum of
	// Count comes near the hold, the hold grows by Step, up to the whole limit; if it
	// cannot grow, the stream is cut. Count returns an upper bound of the output tokens
	// of one event, including tokens that the event does not show, such as reasoning.
	// Optional: unless both are set, the whole limit is held from the beginning.
	Step  int64
	Count func(data []byte) int64
}

// ForModel returns the Call for a request that m serves. Its Rewrite sets the model to m,
// sets the output limit of the worst case, and makes a stream report its usage.
// perRequest is the caller's limit for one request, nil for none: see [Caps].
func ForModel(c *model.Call, m model.Model, lines []Line, perRequest *int64) Call {
	call := Call{
		Model: m.Name, Shape: c.Shape, Lines: lines, Input: c.InputBound(m), Choices: c.Choices, Cap: perRequest,
		HideUsage: !c.IncludeUsage,
		Rewrite: func(r *http.Request, limit int64) error {
			setBody(r, c.Rewrite(model.Changes{Model: m.Name, Limit: limit, IncludeUsage: true}))
			return nil
		},
	}
	if c.Output() {
		call.Output, call.MinOutput = m.MaxOutput, c.Thinking+1
		if c.Limit > 0 {
			call.Output = min(call.Output, c.Limit)
		}
	}
	return call
}

// setBody replaces the body of an outgoing request.
func setBody(r *http.Request, body []byte) {
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, _ = r.GetBody() // returns no error
	r.ContentLength = int64(len(body))
	r.Header.Del("Content-Length")
	r.TransferEncoding = nil
}

// admit sets the defaults of the call and its output limit. It refuses a call above the
// cap, without calling the store.
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
	switch c.Shape {
	case model.Embeddings:
		if c.Output == 0 {
			c.MinOutput = 0
		}
	case model.ChatCompletions, model.Responses, model.Messages:
	default:
		return invalid(fmt.Errorf("budget: Call.Shape: %q is unknown", c.Shape))
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
		if c.Output == 0 {
			return invalid(errors.New("budget: Call.Output: required"))
		}
		if c.Cap == nil || c.Output < c.MinOutput {
			return &gatehouse.Error{
				Code: CodeExceeded, Reason: ReasonCap,
				Cause: fmt.Errorf("budget: the call needs more than %d output tokens, its limit", c.Output),
			}
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

// charges returns the charges that the call must hold.
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

// amounts returns the cost of a usage for each budget.
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
