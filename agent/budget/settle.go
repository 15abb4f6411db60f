// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/gatehouse-go/gatehouse"
)

// settle settles a hold in the store and reports the thresholds that were reached.
func (l *Ledger) settle(ctx context.Context, tenant, id string, charges []Charge, used []int64) error {
	result, err := l.charge(ctx, tenant, id, used)
	if err == nil {
		l.thresholds(ctx, charges, used, result)
	}
	return err
}

// charge settles a hold in the store.
func (l *Ledger) charge(ctx context.Context, tenant, id string, used []int64) (Result, error) {
	result, err := l.store.Settle(ctx, tenant, id, used)
	if err == nil && result.Outcome != Settled && result.Outcome != Absent { // Absent: it expired long ago and was charged then
		err = fmt.Errorf("budget: store: outcome %q of Settle", result.Outcome)
	}
	return result, err
}

// thresholds reports the thresholds that the settlement has reached.
func (l *Ledger) thresholds(ctx context.Context, charges []Charge, used []int64, result Result) {
	if len(result.Counts) != len(charges) { // a replay
		return
	}
	for i := range charges {
		c, count := &charges[i], result.Counts[i]
		if len(c.Line.Warn) == 0 {
			continue
		}
		balance := c.balance(result.At, count)
		if c.Line.Window.kind == rolling {
			if b, err := l.read(ctx, &c.Line, result.At); err == nil {
				balance = b
			}
		}
		c.Line.thresholds(balance.Spent-used[i], balance.Spent, func(part float64) {
			l.report(ctx, EventThreshold, slog.LevelWarn, balance, slog.Float64("part", part))
		})
	}
}

// report reports an event about a budget. It ignores errors of the observer: the change
// is already made.
func (l *Ledger) report(ctx context.Context, kind gatehouse.EventType, level slog.Level, b Balance, attrs ...slog.Attr) {
	if l.observer == nil {
		return
	}
	p, _ := gatehouse.FromContext(ctx)
	if p.Tenant == "" {
		p.Tenant = b.Account.Tenant
	}
	_ = gatehouse.Report(ctx, l.observer, gatehouse.Event{
		Type: kind, Level: level, Principal: p, Issuer: p.Issuer, Credential: p.Credential,
		Attrs: append([]slog.Attr{
			slog.String("per", b.Account.Per), slog.String("account", b.Account.Name),
			slog.String("window", b.Window.String()), slog.String("unit", string(b.Unit)),
			slog.Int64("max", b.Max), slog.Int64("spent", b.Spent), slog.Int64("held", b.Held),
		}, attrs...),
	})
}
