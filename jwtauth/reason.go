// SPDX-License-Identifier: Apache-2.0

package jwtauth

import "github.com/gatehouse-go/gatehouse"

// Method is the value of [gatehouse.Principal.Method] for a caller that a JWT has
// authenticated.
const Method gatehouse.Method = "jwt"

// CodeInvalidTokenHeader is the code for an invalid token in the header of
// Issuer.Header. Its status is 403 and not 401, because there is no challenge for
// such a header.
var CodeInvalidTokenHeader = gatehouse.NewCode(403, "invalid_token", "The token in the request header is expired, revoked, malformed or invalid for other reasons.")

// The reasons why a token is rejected.
const (
	// ReasonOversized: the token or its header is longer than MaxTokenBytes allows. Status: 401. Operator: raise Issuer.MaxTokenBytes, or have the issuer put fewer claims into its tokens.
	ReasonOversized gatehouse.Reason = "jwtauth_oversized"
	// ReasonMalformed: the token is not a JWS in compact form, or its JSON is ambiguous. Status: 401. Operator: check which token the client sends; several of these tokens from one client may be an attack.
	ReasonMalformed gatehouse.Reason = "jwtauth_malformed"
	// ReasonHeader: the header has a parameter that is never accepted, such as crit or jku. Status: 401. Operator: treat it as an attack unless the issuer is known to send it.
	ReasonHeader gatehouse.Reason = "jwtauth_header"
	// ReasonType: typ, a claim or a Mark of Issuer shows that the token is not an access token. Status: 401. Operator: have the client send the access token; see the cause for the mark; set Profile: Compatible if the issuer does not send at+jwt.
	ReasonType gatehouse.Reason = "jwtauth_type"
	// ReasonIssuer: the iss claim is not a configured Issuer.URL. Status: 401. Operator: compare both character by character, including a trailing slash.
	ReasonIssuer gatehouse.Reason = "jwtauth_issuer"
	// ReasonCarrier: the token is in a header that is not the one configured for its issuer. Status: 401, 403. Operator: send it in the header that the cause names, or set Issuer.Header.
	ReasonCarrier gatehouse.Reason = "jwtauth_carrier"
	// ReasonAudience: the token is for another audience or, without aud, of another client. Status: 401. Operator: check the audience that the client requests, Issuer.Audiences and Issuer.Clients.
	ReasonAudience gatehouse.Reason = "jwtauth_audience"
	// ReasonAlgorithm: alg is not one of Issuer.Algorithms. Status: 401. Operator: add the algorithm if the issuer has changed it; otherwise treat it as an attack.
	ReasonAlgorithm gatehouse.Reason = "jwtauth_algorithm"
	// ReasonKey: the key set has no key for the kid and alg of the token, or several without a kid. Status: 401. Operator: check the key set of the issuer and whether the issuer removed the key.
	ReasonKey gatehouse.Reason = "jwtauth_key"
	// ReasonSignature: the signature does not verify with the key of the token. Status: 401. Operator: treat it as an attack unless the issuer has published a wrong key.
	ReasonSignature gatehouse.Reason = "jwtauth_signature"
	// ReasonExpired: the token is expired. Status: 401. Operator: nothing, unless clients fail to refresh; then check their clocks.
	ReasonExpired gatehouse.Reason = "jwtauth_expired"
	// ReasonNotYetValid: nbf or iat is in the future. Status: 401. Operator: synchronize the clocks of the issuer and of this machine, or raise Config.Skew.
	ReasonNotYetValid gatehouse.Reason = "jwtauth_not_yet_valid"
	// ReasonLifetime: the token is valid for longer than Issuer.MaxLifetime. Status: 401. Operator: shorten the lifetime at the issuer, or raise MaxLifetime.
	ReasonLifetime gatehouse.Reason = "jwtauth_lifetime"
	// ReasonClaims: a required claim is missing or a claim is malformed. Status: 401. Operator: see the cause; set Profile: Compatible or a claim name of Issuer for the provider.
	ReasonClaims gatehouse.Reason = "jwtauth_claims"
	// ReasonTenant: the tenant of the token is not one of Issuer.Tenants, or the token has no tenant. Status: 401, 403. Operator: add the tenant to Issuer.Tenants if it belongs to this issuer; otherwise treat it as an attack by the issuer or its administrators.
	ReasonTenant gatehouse.Reason = "jwtauth_tenant"
	// ReasonRevoked: the token is revoked. Status: 401. Operator: nothing; many requests with one revoked token may be a stolen token.
	ReasonRevoked gatehouse.Reason = "jwtauth_revoked"
	// ReasonKeyPending: the key set has no key for the kid and alg of the token and was fetched less than KeySets.MinInterval ago, so that a new key may be missing. Status: 503. Operator: nothing after a key rotation; many may be an attack with random kids, which costs no fetch.
	ReasonKeyPending gatehouse.Reason = "jwtauth_key_pending"
	// ReasonCanceled: the caller closed the request while it waited for the key set. Status: 503. Operator: nothing; the key set may be slow, see jwtauth_keys_unavailable and the events.
	ReasonCanceled gatehouse.Reason = "jwtauth_canceled"
	// ReasonKeysUnavailable: the key set of the issuer is unavailable or too old. Status: 503. Operator: check the issuer and the network; see the cause.
	ReasonKeysUnavailable gatehouse.Reason = "jwtauth_keys_unavailable"
	// ReasonRevocationsUnavailable: the revocation store is unavailable. Status: 503. Operator: check the store; see the cause.
	ReasonRevocationsUnavailable gatehouse.Reason = "jwtauth_revocations_unavailable"
)

// The events. Those of key sets have Issuer and Cause, and no Decision. They are reported
// in the background, one after the other, and errors of the observer are ignored. Close
// waits up to 5 s for them.
const (
	// EventFetchFailed: a key set could not be fetched. The old one is used until
	// KeySets.MaxStale.
	EventFetchFailed gatehouse.EventType = "jwtauth_fetch_failed"
	// EventKeyDropped: a key of a fetched set cannot be used and was ignored.
	EventKeyDropped gatehouse.EventType = "jwtauth_key_dropped"
	// EventKeysWithdrawn: the new key set has no usable key. The response to all tokens
	// of the issuer is 503 until it has one.
	EventKeysWithdrawn gatehouse.EventType = "jwtauth_keys_withdrawn"
	// EventClaimMissing: no token so far has a claim that the Issuer names, such as one
	// of RolesClaims. Often the name is misspelt. It is reported once for each issuer and
	// claim, with the attributes [AttrClaim] and [AttrPresent].
	EventClaimMissing gatehouse.EventType = "jwtauth_claim_missing"
	// EventPlainHTTP: [New] accepts plain http for the hosts of Issuer.PlainHTTPHosts.
	// The attribute [AttrHosts] contains them.
	EventPlainHTTP gatehouse.EventType = "jwtauth_plain_http"
)

// The attributes of the events.
const (
	AttrClaim   = "claim"   // the name that is configured
	AttrPresent = "present" // names of the members that the token has instead
	AttrHosts   = "hosts"
)
