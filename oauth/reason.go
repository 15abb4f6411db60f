// SPDX-License-Identifier: Apache-2.0

package oauth

import "github.com/gatehouse-go/gatehouse"

// The reasons why [Client.Redeem] rejects an authorization response.
const (
	// ReasonTransaction: the response has another state than the transaction, or the transaction was redeemed before. Status: 400. Operator: nothing for single ones, such as a reload; many for one user are login CSRF attempts.
	ReasonTransaction gatehouse.Reason = "oauth_transaction"
	// ReasonIssuer: the response comes from another authorization server or is for another client (mix-up). Status: 400. Operator: treat it as an attack, unless iss differs by a slash: then correct Config.Issuer.
	ReasonIssuer gatehouse.Reason = "oauth_issuer"
	// ReasonDenied: the authorization server returned an error, such as access_denied. Status: 400, 403. Operator: see the code in the cause; the user canceled, or the client registration is incomplete.
	ReasonDenied gatehouse.Reason = "oauth_denied"
	// ReasonResponse: the response has no code, or a parameter twice. Status: 400. Operator: check whether a proxy changes the query; otherwise treat it as an attack.
	ReasonResponse gatehouse.Reason = "oauth_response"
	// ReasonCode: the token endpoint rejected the code. Status: 400. Operator: see the code in the cause: invalid_client is a configuration error, invalid_grant an expired or replayed code.
	ReasonCode gatehouse.Reason = "oauth_code"
	// ReasonIDToken: the ID token is missing, is invalid or belongs to another login. Status: 400. Operator: see the cause; check Config.Algorithms and the clocks, otherwise treat it as an attack (code injection).
	ReasonIDToken gatehouse.Reason = "oauth_id_token"
	// ReasonUnavailable: the authorization server or its keys are unavailable. Status: 503. Operator: check the authorization server and the network.
	ReasonUnavailable gatehouse.Reason = "oauth_unavailable"
)
