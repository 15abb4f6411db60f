// SPDX-License-Identifier: Apache-2.0

package stepup

import "github.com/gatehouse-go/gatehouse"

// CodeInsufficientUserAuthentication is the code of a step-up challenge.
//
//	RFC 9470 §3 (code): "The authentication event associated with the access token
//	presented with the request does not meet the authentication requirements of the
//	protected resource."
var CodeInsufficientUserAuthentication = gatehouse.NewCode(401, "insufficient_user_authentication",
	"This resource requires a more recent or a stronger authentication of the user.")

// The reasons for which the policy requires another login.
const (
	// ReasonAuthTime: the last login of the user is older than the route allows, in the future or
	// unknown. Status: 401. Operator: nothing; the client has the user log in again; if the cause
	// says unknown, have the issuer put auth_time into its tokens.
	ReasonAuthTime gatehouse.Reason = "stepup_auth_time"
	// ReasonACR: the claim acr is missing or none of the values that the route accepts. Status:
	// 401. Operator: nothing; the client has the user log in again; if this follows each login,
	// check that the issuer obeys acr_values.
	ReasonACR gatehouse.Reason = "stepup_acr"
)
