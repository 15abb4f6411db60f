// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
)

// Ended returns the status code and a sentence for the caller of a stream whose
// credential has ended or lost a permission, or could not be checked. The code of any
// other stream is 0. ctx is that of [gatehouse.UntilCredentialEnds].
func Ended(ctx context.Context) (code uint32, message string) {
	cause := context.Cause(ctx)
	if !errors.Is(cause, gatehouse.ErrCredentialEnded) {
		return 0, ""
	}
	switch e, _ := errors.AsType[*gatehouse.Error](cause); {
	case e == nil: // expired by the clock of this process
	case e.Code.Status() == http.StatusServiceUnavailable:
		return Unavailable, "The credential of the stream cannot be checked now."
	case e.Reason == gatehouse.ReasonChanged: // the credential may still be valid for another call
		return PermissionDenied, "The caller of the stream has lost a permission."
	}
	return Unauthenticated, "The credential of the stream is expired."
}
