// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
)

// Ended returns the status code and a sentence for the caller of a stream whose
// credential has ended, or whose backend cannot say whether it has. The code of any other
// stream is 0. ctx is that of [gatehouse.UntilCredentialEnds].
func Ended(ctx context.Context) (code uint32, message string) {
	cause := context.Cause(ctx)
	if !errors.Is(cause, gatehouse.ErrCredentialEnded) {
		return 0, ""
	}
	if e, ok := errors.AsType[*gatehouse.Error](cause); ok && e.Code.Status() == http.StatusServiceUnavailable {
		return Unavailable, "The credential of the stream cannot be checked now."
	}
	return Unauthenticated, "The credential of the stream is expired."
}
