// SPDX-License-Identifier: Apache-2.0

package assertion

import (
	"errors"

	"github.com/gatehouse-go/gatehouse"
)

// CodeInvalidClient is the code of a client that fails to authenticate, RFC 6749
// section 5.2.
var CodeInvalidClient = gatehouse.NewCode(401, "invalid_client", "Client authentication failed.")

// The reasons why an assertion is rejected.
const (
	// ReasonRequest: the request has another client_assertion_type, several authentication methods, a repeated parameter or another client_id. Status: 401. Operator: have the client use private_key_jwt only.
	ReasonRequest gatehouse.Reason = "assertion_request"
	// ReasonClient: the assertion is malformed, or its iss is not a registered client. Status: 401. Operator: register the client; check its client_id.
	ReasonClient gatehouse.Reason = "assertion_client"
	// ReasonInvalid: the signature, the key, a time or the audience is invalid. Status: 401. Operator: see the cause; check the registered keys and the clock of the client.
	ReasonInvalid gatehouse.Reason = "assertion_invalid"
	// ReasonAudience: aud is not the issuer identifier of this server alone. Status: 401. Operator: have the client use the issuer as the only audience, not the address of an endpoint.
	ReasonAudience gatehouse.Reason = "assertion_audience"
	// ReasonClaims: typ is that of another kind of JWT, sub is not iss, or jti is missing. Status: 401. Operator: see the cause.
	ReasonClaims gatehouse.Reason = "assertion_claims"
	// ReasonReplayed: the jti was used before. Status: 401. Operator: have the client create a new
	// assertion for each request; otherwise treat it as an attack.
	ReasonReplayed gatehouse.Reason = "assertion_replayed"
	// ReasonStoreUnavailable: the replay store or Config.Find failed. Status: 503. Operator: check the store that the cause names.
	ReasonStoreUnavailable gatehouse.Reason = "assertion_store_unavailable"
)

func reject(reason gatehouse.Reason, client, cause string) *gatehouse.Error {
	return &gatehouse.Error{Code: CodeInvalidClient, Reason: reason, Credential: client, Cause: errors.New("assertion: " + cause)}
}
