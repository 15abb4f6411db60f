// SPDX-License-Identifier: Apache-2.0

package gateconnect

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"connectrpc.com/connect"

	"github.com/gatehouse-go/gatehouse"
)

// TestEnded: a credential that cannot be checked is not reported as expired, or clients
// would drop it.
func TestEnded(t *testing.T) {
	ended := func(cause error) error {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		return ended(ctx)
	}
	for name, test := range map[string]struct {
		cause error
		want  connect.Code
	}{
		"deadline":    {gatehouse.ErrCredentialEnded, connect.CodeUnauthenticated},
		"revoked":     {fmt.Errorf("%w: %w", gatehouse.ErrCredentialEnded, &gatehouse.Error{Code: gatehouse.CodeInvalidToken}), connect.CodeUnauthenticated},
		"unavailable": {fmt.Errorf("%w: %w", gatehouse.ErrCredentialEnded, &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable}), connect.CodeUnavailable},
	} {
		if got := connect.CodeOf(ended(test.cause)); got != test.want {
			t.Errorf("%s: code %v, want %v", name, got, test.want)
		}
	}
	if err := ended(errors.New("hung up")); err != nil {
		t.Errorf("another cause: %v, want none", err)
	}
}
