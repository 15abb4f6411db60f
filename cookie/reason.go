// SPDX-License-Identifier: Apache-2.0

package cookie

import (
	"errors"

	"github.com/gatehouse-go/gatehouse"
)

// The reasons for rejected requests.
const (
	// ReasonDuplicate: the request has two cookies with the same name. Status: 400. Operator: another host of the domain may set cookies for this one; look for hosts that are not trusted.
	ReasonDuplicate gatehouse.Reason = "cookie_duplicate"
	// ReasonMalformed: the cookie has a size, characters or parts that this server never sets. Status: 400, 401. Operator: look for a proxy that truncates headers and for clients that forge cookies.
	ReasonMalformed gatehouse.Reason = "cookie_malformed"
	// ReasonSealInvalid: no key of the keyring sealed the value under this name and for this purpose. Status: 401. Operator: give all servers the same keys, and keep an old key until the values it sealed have expired.
	ReasonSealInvalid gatehouse.Reason = "cookie_seal_invalid"
	// ReasonExpired: the sealed value is authentic and has expired. Status: 401. Operator: nothing; compare the clocks of the servers if it happens right after login.
	ReasonExpired gatehouse.Reason = "cookie_expired"
	// ReasonCrossSite: a page of another origin caused the request (CSRF), or the request has neither Sec-Fetch-Site nor Origin. Status: 403. Operator: if the page is yours, add its origin to TrustedOrigins of the session or cookie configuration; otherwise nothing.
	ReasonCrossSite gatehouse.Reason = "cookie_cross_site"
)

// The refusals. Each call returns a new one.

func errDuplicate() *gatehouse.Error {
	return &gatehouse.Error{Code: gatehouse.CodeInvalidRequest, Reason: ReasonDuplicate}
}

func errOversized() *gatehouse.Error {
	return &gatehouse.Error{
		Code: gatehouse.CodeInvalidRequest, Reason: ReasonMalformed, Cause: errors.New("cookie: Cookie header: more than 64 KB"),
	}
}

func errMalformed() *gatehouse.Error {
	return &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: ReasonMalformed}
}

func errUnsealed(cause error) *gatehouse.Error {
	e := &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: ReasonSealInvalid, Cause: cause}
	if errors.Is(cause, ErrExpired) {
		e.Reason = ReasonExpired
	}
	return e
}

func errCrossSite(cause error) *gatehouse.Error {
	return &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: ReasonCrossSite, Cause: cause}
}
