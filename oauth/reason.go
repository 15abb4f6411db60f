// SPDX-License-Identifier: Apache-2.0

package oauth

import "github.com/gatehouse-go/gatehouse"

// The reasons why [Client.Redeem] rejects an authorization response.
const (
	// ReasonTransaction: the response has another state than the transaction, or the transaction was redeemed before. Status: 400. Operator: nothing for a single one, such as a reload; many for one user are login CSRF attempts.
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
	// ReasonStepUp: the last authentication of the user is older than MaxAge allows, auth_time is missing, or the authorization server cannot satisfy the request. Status: 403. Operator: check that the authorization server obeys max_age, and the clocks.
	ReasonStepUp gatehouse.Reason = "oauth_step_up"
	// ReasonUnavailable: the authorization server or its keys are unavailable. Status: 503. Operator: check the authorization server and the network.
	ReasonUnavailable gatehouse.Reason = "oauth_unavailable"
)

// The reasons of [Introspector].
const (
	// ReasonIntrospectionInactive: no introspection endpoint says that the token is active. Status: 401. Operator: nothing; the token is expired, revoked or forged.
	ReasonIntrospectionInactive gatehouse.Reason = "oauth_introspection_inactive"
	// ReasonIntrospectionIssuer: the iss of the response is not that of the configuration. Status: 401. Operator: compare both character by character, including a trailing slash.
	ReasonIntrospectionIssuer gatehouse.Reason = "oauth_introspection_issuer"
	// ReasonIntrospectionAudience: the token is for another API, or the response does not say for which. Status: 401. Operator: check the audience that the client requests, Audiences, and whether the authorization server sends aud.
	ReasonIntrospectionAudience gatehouse.Reason = "oauth_introspection_audience"
	// ReasonIntrospectionExpired: the response has an exp in the past or an nbf in the future. Status: 401. Operator: synchronize the clocks if many tokens are affected.
	ReasonIntrospectionExpired gatehouse.Reason = "oauth_introspection_expired"
	// ReasonIntrospectionClaims: a member of the response is missing or malformed, or the token is not an access token. Status: 401. Operator: see the cause.
	ReasonIntrospectionClaims gatehouse.Reason = "oauth_introspection_claims"
	// ReasonIntrospectionTenant: the tenant of the token is not one of IntrospectionEndpoint.Tenants, or the token has no tenant. Status: 401. Operator: add the tenant to Tenants if it belongs to this authorization server.
	ReasonIntrospectionTenant gatehouse.Reason = "oauth_introspection_tenant"
	// ReasonIntrospectionUnavailable: an introspection endpoint does not respond, refuses the client, redirects, or sends a malformed response. Status: 503. Operator: check the authorization server, the client registration and the network; see the cause.
	ReasonIntrospectionUnavailable gatehouse.Reason = "oauth_introspection_unavailable"
)
