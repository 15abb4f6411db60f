// SPDX-License-Identifier: Apache-2.0

package gatehouse

// Reason says, to operators only, why a request was not let through. The set
// of reasons is closed, so that a reason can be a metric label; what callers
// see is the coarser [Code].
type Reason string

// What was wrong with the way credentials were presented.
const (
	// ReasonNoCredentials: the request carries nothing that any authenticator reads.
	ReasonNoCredentials Reason = "no_credentials"
	// ReasonSeveralCredentials: more than one explicit credential.
	ReasonSeveralCredentials Reason = "several_credentials"
	// ReasonMalformedCredentials: the Authorization header breaks its grammar.
	ReasonMalformedCredentials Reason = "malformed_credentials"
	// ReasonCredentialInURL: the credential is in the query, and so in logs. It has leaked.
	ReasonCredentialInURL Reason = "credential_in_url"
	// ReasonUnclaimed: a Bearer credential of a shape that no authenticator reads.
	ReasonUnclaimed Reason = "credential_unclaimed"
	// ReasonOutsideGate: the handler stands outside every gate, a mistake in the wiring.
	ReasonOutsideGate Reason = "outside_gate"
)

// What was wrong with a token.
const (
	// ReasonTokenOversized: longer than the limit, or its header is.
	ReasonTokenOversized Reason = "token_oversized"
	// ReasonTokenMalformed: not a JWS in compact form, or JSON that can be read in two ways.
	ReasonTokenMalformed Reason = "token_malformed"
	// ReasonTokenHeader: a header parameter that is never accepted, such as crit or jku.
	ReasonTokenHeader Reason = "token_header"
	// ReasonTokenType: typ, or a claim, says that this is another kind of token.
	ReasonTokenType Reason = "token_type"
	// ReasonTokenIssuer: no configured issuer has this name.
	ReasonTokenIssuer Reason = "token_issuer"
	// ReasonTokenAudience: meant for another audience.
	ReasonTokenAudience Reason = "token_audience"
	// ReasonTokenAlgorithm: the algorithm is not one of the issuer's.
	ReasonTokenAlgorithm Reason = "token_algorithm"
	// ReasonTokenKey: the issuer has no such key, or several that could be meant.
	ReasonTokenKey Reason = "token_key"
	// ReasonTokenSignature: the signature is not one of the chosen key.
	ReasonTokenSignature Reason = "token_signature"
	// ReasonTokenExpired: the signature is good and the time is over.
	ReasonTokenExpired Reason = "token_expired"
	// ReasonTokenNotYetValid: nbf or iat lies in the future.
	ReasonTokenNotYetValid Reason = "token_not_yet_valid"
	// ReasonTokenLifetime: valid for longer than the issuer may make it.
	ReasonTokenLifetime Reason = "token_lifetime"
	// ReasonTokenClaims: a required claim is missing or of the wrong form.
	ReasonTokenClaims Reason = "token_claims"
	// ReasonTokenBinding: bound to a key that was not shown, or in a way that nothing here can check.
	ReasonTokenBinding Reason = "token_binding"
	// ReasonTokenRevoked: withdrawn before its time.
	ReasonTokenRevoked Reason = "token_revoked"
)

// What was wrong with an API key. Callers are not told which it was.
const (
	// ReasonKeyMalformed: our prefix, and not the shape or the checksum of a key.
	ReasonKeyMalformed Reason = "key_malformed"
	// ReasonKeyUnknown: there is no key of this id.
	ReasonKeyUnknown Reason = "key_unknown"
	// ReasonKeySecret: the secret is none of this key's.
	ReasonKeySecret Reason = "key_secret"
	// ReasonKeyRotated: the secret before the newest one, whose grace is over.
	ReasonKeyRotated Reason = "key_rotated"
	// ReasonKeyExpired: the secret is good and the time is over.
	ReasonKeyExpired Reason = "key_expired"
	// ReasonKeyRevoked: withdrawn for good.
	ReasonKeyRevoked Reason = "key_revoked"
	// ReasonKeySuspended: out of use until resumed.
	ReasonKeySuspended Reason = "key_suspended"
	// ReasonKeyEnvironment: a key for another environment, such as live on test.
	ReasonKeyEnvironment Reason = "key_environment"
	// ReasonKeyNetwork: used from an address that the key does not allow, or from one that cannot be told.
	ReasonKeyNetwork Reason = "key_network"
)

// What was wrong with a cookie, or with the request that carried it.
const (
	// ReasonCookieDuplicate: several cookies of one name, one of which may be another's.
	ReasonCookieDuplicate Reason = "cookie_duplicate"
	// ReasonCookieMalformed: cookies that this server cannot have set: too large, in pieces, or of other characters.
	ReasonCookieMalformed Reason = "cookie_malformed"
	// ReasonCookieSeal: not sealed by a key of ours under this name and for this purpose.
	ReasonCookieSeal Reason = "cookie_seal"
	// ReasonCookieExpired: the seal is good and the time is over.
	ReasonCookieExpired Reason = "cookie_expired"
	// ReasonCrossSite: the page that caused the request is of another site, or cannot be told.
	ReasonCrossSite Reason = "cross_site"
)

// What was wrong with a session.
const (
	// ReasonSessionUnknown: there is no such session, or it is over.
	ReasonSessionUnknown Reason = "session_unknown"
	// ReasonSessionRefresh: the authorization server does not renew the tokens of the session any more.
	ReasonSessionRefresh Reason = "session_refresh"
)

// What went wrong with a login at an authorization server.
const (
	// ReasonLoginTransaction: this browser has not begun this login, or too long ago, or has ended it already.
	ReasonLoginTransaction Reason = "login_transaction"
	// ReasonLoginResponse: parameters of the callback are missing, doubled or malformed.
	ReasonLoginResponse Reason = "login_response"
	// ReasonLoginIssuer: the callback is not of the authorization server that was asked.
	ReasonLoginIssuer Reason = "login_issuer"
	// ReasonLoginRefused: the authorization server, or the person, said no.
	ReasonLoginRefused Reason = "login_refused"
	// ReasonLoginCode: the code could not be redeemed, perhaps because it is of another login.
	ReasonLoginCode Reason = "login_code"
	// ReasonLoginToken: the tokens are not those of this login, or the ID token does not verify.
	ReasonLoginToken Reason = "login_token"
	// ReasonLoginBackground: a login was to begin where nobody sees it.
	ReasonLoginBackground Reason = "login_background"
	// ReasonLogoutToken: a back-channel logout without a logout token that verifies.
	ReasonLogoutToken Reason = "logout_token"
	// ReasonReturnTo: the way back from a login leads elsewhere, and was cut to "/".
	ReasonReturnTo Reason = "return_to"
	// ReasonServerUnavailable: the authorization server does not answer, or not as it should.
	ReasonServerUnavailable Reason = "authorization_server_unavailable"
)

// What was wrong with a refresh token. Clients are not told which it was.
const (
	// ReasonRefreshMalformed: not the shape of a refresh token of ours, or presented by nobody.
	ReasonRefreshMalformed Reason = "refresh_malformed"
	// ReasonRefreshUnknown: there is no such family, or the secret of the family is not its own.
	ReasonRefreshUnknown Reason = "refresh_unknown"
	// ReasonRefreshOver: the family has ended, or its time is over.
	ReasonRefreshOver Reason = "refresh_over"
	// ReasonRefreshReused: a token that has been used before. It may be stolen: the family was ended.
	ReasonRefreshReused Reason = "refresh_reused"
	// ReasonRefreshClient: presented by another client than its own. It was stolen: the family was ended.
	ReasonRefreshClient Reason = "refresh_client"
	// ReasonRefreshScope: asks for a scope that was not granted.
	ReasonRefreshScope Reason = "refresh_scope"
)

// Why a caller who is known was not let through.
const (
	// ReasonScope: a scope is missing.
	ReasonScope Reason = "scope_missing"
	// ReasonRole: a role is missing.
	ReasonRole Reason = "role_missing"
	// ReasonTenant: the resource belongs to another tenant, or the caller to none.
	ReasonTenant Reason = "tenant_mismatch"
	// ReasonPolicy: a policy of the application said no, or failed.
	ReasonPolicy Reason = "policy_refused"
)

// What could not be reached.
const (
	// ReasonKeysUnavailable: the issuer's key set is not at hand, or too old.
	ReasonKeysUnavailable Reason = "keys_unavailable"
	// ReasonRevocationsUnavailable: whether the token is revoked cannot be told.
	ReasonRevocationsUnavailable Reason = "revocations_unavailable"
	// ReasonRefreshUnavailable: the store of refresh tokens, or that of revocations, does not answer.
	ReasonRefreshUnavailable Reason = "refresh_unavailable"
	// ReasonKeyStoreUnavailable: the store of API keys does not answer.
	ReasonKeyStoreUnavailable Reason = "key_store_unavailable"
	// ReasonSessionStoreUnavailable: the store of sessions does not answer.
	ReasonSessionStoreUnavailable Reason = "session_store_unavailable"
	// ReasonAuthenticatorFailed: an authenticator broke.
	ReasonAuthenticatorFailed Reason = "authenticator_failed"
	// ReasonObserverFailed: the decision could not be recorded, so it does not stand.
	ReasonObserverFailed Reason = "observer_failed"
)
