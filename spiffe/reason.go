// SPDX-License-Identifier: Apache-2.0

package spiffe

import (
	"errors"

	"github.com/gatehouse-go/gatehouse"
)

// The reasons why a JWT-SVID is rejected.
const (
	// ReasonMalformed: the token is not a JWT-SVID: its form, its header, its algorithm or a claim is wrong. Status: 401. Operator: see the cause.
	ReasonMalformed gatehouse.Reason = "spiffe_malformed"
	// ReasonID: sub is not the SPIFFE ID of a workload in a configured trust domain. Status: 401. Operator: add the trust domain to Config.TrustDomains if it is trusted.
	ReasonID gatehouse.Reason = "spiffe_id"
	// ReasonAudience: aud is not one of Config.Audiences alone. Status: 401. Operator: have the workload request an SVID for this audience only.
	ReasonAudience gatehouse.Reason = "spiffe_audience"
	// ReasonExpired: the SVID is expired, not valid yet or valid for more than a day. Status: 401. Operator: synchronize the clocks.
	ReasonExpired gatehouse.Reason = "spiffe_expired"
	// ReasonSignature: no key of the trust bundle has this kid and fits the algorithm, or the signature is invalid. Status: 401. Operator: check that the bundle is current; otherwise treat it as an attack.
	ReasonSignature gatehouse.Reason = "spiffe_signature"
	// ReasonBundleUnavailable: the trust bundle cannot be read. Status: 503. Operator: check the file or the bundle endpoint that the cause names.
	ReasonBundleUnavailable gatehouse.Reason = "spiffe_bundle_unavailable"
)

func reject(reason gatehouse.Reason, cause string) *gatehouse.Error {
	return &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: reason, Cause: errors.New("spiffe: " + cause)}
}
