// SPDX-License-Identifier: Apache-2.0

package cookie

import (
	"errors"

	"github.com/gatehouse-go/gatehouse"
)

// The refusals. Each call makes a new one, because an authenticator may add
// where to log in.

func errDuplicate() *gatehouse.Error {
	return &gatehouse.Error{Code: gatehouse.CodeInvalidRequest, Reason: gatehouse.ReasonCookieDuplicate}
}

func errOversized() *gatehouse.Error {
	return &gatehouse.Error{
		Code: gatehouse.CodeInvalidRequest, Reason: gatehouse.ReasonCookieMalformed,
		Cause: errors.New("cookie: the Cookie header is too large"),
	}
}

func errMalformed() *gatehouse.Error {
	return &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: gatehouse.ReasonCookieMalformed}
}

func errUnsealed(cause error) *gatehouse.Error {
	e := &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: gatehouse.ReasonCookieSeal, Cause: cause}
	if errors.Is(cause, ErrExpired) {
		e.Reason = gatehouse.ReasonCookieExpired
	}
	return e
}

func errCrossSite(cause error) *gatehouse.Error {
	return &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: gatehouse.ReasonCrossSite, Cause: cause}
}
