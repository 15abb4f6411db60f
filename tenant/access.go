// SPDX-License-Identifier: Apache-2.0

package tenant

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
)

// EventCrossTenant reports that the caller or the job of one tenant requested data of
// another tenant. It has [AttrOwner].
const EventCrossTenant gatehouse.EventType = "tenant_cross_tenant"

// AttrOwner is the tenant to which the requested data belongs.
const AttrOwner = "owner"

// Check returns nil if the tenant of the context is owner: the tenant to which a record
// belongs. Otherwise it reports [EventCrossTenant] and returns a [*gatehouse.Error] of
// [gatehouse.CodeAccessDenied]. If the caller must not learn that the record exists,
// respond as if it did not.
//
// Use it for data that is not separated by tenant in another way. The observer may be
// nil.
func Check(ctx context.Context, observer gatehouse.Observer, owner string) error {
	n, err := Of(ctx)
	if err == nil && n.tenant == owner {
		return nil
	}
	denied := errForeign
	if err != nil {
		denied = errNoTenant
	}
	p, _ := gatehouse.FromContext(ctx)
	if err := gatehouse.Report(ctx, observer, gatehouse.Event{
		Type: EventCrossTenant, Level: slog.LevelWarn, Reason: denied.Reason, Principal: p, Credential: p.Credential,
		Cause: denied.Cause, Attrs: []slog.Attr{slog.String(AttrOwner, owner), slog.String("tenant", n.tenant)},
	}); err != nil {
		return err
	}
	return denied
}

// Required allows every caller with a tenant.
func Required() gatehouse.Policy {
	return gatehouse.PolicyFunc(func(_ *http.Request, p gatehouse.Principal) error {
		if p.Tenant == "" {
			return errNoTenant
		}
		return nil
	})
}
