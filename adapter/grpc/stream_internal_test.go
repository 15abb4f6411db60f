// SPDX-License-Identifier: Apache-2.0

package gategrpc

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

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
		want  codes.Code
	}{
		"deadline":    {gatehouse.ErrCredentialEnded, codes.Unauthenticated},
		"revoked":     {fmt.Errorf("%w: %w", gatehouse.ErrCredentialEnded, &gatehouse.Error{Code: gatehouse.CodeInvalidToken}), codes.Unauthenticated},
		"unavailable": {fmt.Errorf("%w: %w", gatehouse.ErrCredentialEnded, &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable}), codes.Unavailable},
	} {
		if got := status.Code(ended(test.cause)); got != test.want {
			t.Errorf("%s: code %v, want %v", name, got, test.want)
		}
	}
	if err := ended(errors.New("hung up")); err != nil {
		t.Errorf("another cause: %v, want none", err)
	}
}
