// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/adapter/internal/rpc"
)

// TestEnded: a credential that cannot be checked is not reported as expired, or clients
// would drop it, and neither is one that lost a permission.
func TestEnded(t *testing.T) {
	for name, test := range map[string]struct {
		cause error
		want  uint32
	}{
		"deadline":    {gatehouse.ErrCredentialEnded, rpc.Unauthenticated},
		"revoked":     {fmt.Errorf("%w: %w", gatehouse.ErrCredentialEnded, &gatehouse.Error{Code: gatehouse.CodeInvalidToken}), rpc.Unauthenticated},
		"unavailable": {fmt.Errorf("%w: %w", gatehouse.ErrCredentialEnded, &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable}), rpc.Unavailable},
		"overloaded":  {fmt.Errorf("%w: %w", gatehouse.ErrCredentialEnded, &gatehouse.Error{Code: gatehouse.NewCode(503, "overloaded", "Overloaded.")}), rpc.Unavailable},
		"changed":     {fmt.Errorf("%w: %w", gatehouse.ErrCredentialEnded, &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: gatehouse.ReasonChanged}), rpc.PermissionDenied},
		"key":         {fmt.Errorf("%w: %w", gatehouse.ErrCredentialEnded, &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: "apikey_revoked"}), rpc.Unauthenticated},
		"another":     {errors.New("hung up"), 0},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(test.cause)
		if code, message := rpc.Ended(ctx); code != test.want || (message == "") != (code == 0) {
			t.Errorf("%s: Ended = %d, %q, want %d", name, code, message, test.want)
		}
	}
}
