// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// Issuer is an authorization server whose access tokens are accepted. Package
// providers has values for well-known identity providers.
//
// The fields whose names end in Claim or Claims, and those of a [Mark], name
// claims: "scp" is a member of the token, and a name that begins with "/" is an RFC
// 6901 pointer into nested objects, such as "/realm_access/roles", in which "~1"
// stands for "/" and "~0" for "~". Elements of arrays cannot be named.
type Issuer struct {
	// URL is the issuer identifier, compared with the iss claim character by
	// character. Required. For Discover it is an https URL; plain http is accepted
	// for loopback addresses and for PlainHTTPHosts. With other Keys nothing is
	// fetched from it, and it may be any http URL or name, such as
	// "accounts.google.com".
	URL string

	// Audiences are the identifiers of this API, one of which the aud claim must
	// contain. At least one is required, unless Clients or AcceptMissingAudience is
	// set.
	Audiences []string

	// Clients accepts a token without an aud claim if its client_id or azp claim is
	// one of these. If the token has both claims, they must be equal. An aud claim
	// that is present must contain one of Audiences, and is rejected if there are
	// none. For issuers that send no aud, such as Amazon Cognito. Requires
	// Compatible. Optional.
	Clients []string

	// AcceptMissingAudience accepts every token without an aud claim: the issuer
	// issues tokens for this API only. With another API of the same issuer, a token
	// for one is accepted by both: use Audiences or Clients instead. An aud claim
	// that is present is validated as for Clients. Requires Compatible.
	AcceptMissingAudience bool

	// Algorithms are the signature algorithms of the issuer. Required. A key is
	// used only with the algorithms that match its type and curve and, if the key
	// has an alg, only with that algorithm.
	//
	// Implements RFC 8725 §3.1 (algorithms); ASVS 5.0 §9.1.2.
	Algorithms []Algorithm

	// Keys is the source of the issuer's keys. Required.
	Keys Keys

	// Profile is the token profile of this issuer: [RFC9068] by default.
	Profile Profile

	// MaxLifetime is the maximum of exp - iat: 24 hours by default, at most 7 days,
	// and with Config.Revocations at most their MaxLifetime.
	MaxLifetime time.Duration

	// MaxTokenBytes is the maximum size of the compact token: 8 KiB by default, at
	// most 16 KiB. The header may have a quarter of this size.
	MaxTokenBytes int

	// Header is the request header that contains the tokens of this issuer, and
	// nothing else, such as "X-Goog-IAP-JWT-Assertion". Tokens of this issuer are
	// then rejected in the Authorization header, and tokens of other issuers in this
	// one. The gate removes the header. An invalid token in it is answered with 403,
	// because there is no challenge for such a header. Optional.
	Header string

	// Require are conditions that each token must satisfy, such as marks that only the
	// access tokens of the issuer have. Refuse are conditions that no token may
	// satisfy. Optional.
	Require, Refuse []Mark

	// AcceptNonce accepts tokens with a nonce claim under Compatible, although nonce
	// marks ID tokens. Without this setting they are accepted only with a mark of
	// access tokens: the header typ at+jwt, or a claim typ of Bearer or DPoP or a claim
	// token_use of access. Set Require as well, if ID tokens can have an audience of
	// Audiences.
	AcceptNonce bool

	// SubjectClaims are claims for the subject: the first one that is present and not
	// empty, "sub" by default. The values of two claims must not identify two different
	// subjects, and users must not be able to choose them.
	SubjectClaims []string

	// ClientClaims are claims for the client: the first one that is present. By
	// default "client_id", and under Compatible "client_id", "azp", "cid" and
	// "appid". A list that is empty but not nil stands for no client.
	ClientClaims []string

	// ScopeClaims and RolesClaims are claims with scopes and roles, all of which are
	// used: "scope" and "roles" by default. TenantClaim is the claim with the
	// tenant, "tenant" by default.
	//
	// A malformed value of a claim that is configured is an error; a malformed value of
	// the default tenant or roles claim is ignored. A configured claim that no token so
	// far has is reported once, as [EventClaimMissing].
	ScopeClaims, RolesClaims []string
	TenantClaim              string

	// RolesAreNames accepts an object in a claim of RolesClaims: the names of its
	// members are the roles.
	RolesAreNames bool

	// Services are the conditions for a service: the Kind of the caller is KindService
	// if the token satisfies one of them, or if its subject is its client. Every token
	// satisfies the [Mark] {Claim: "iss"}.
	Services []Mark

	// Tenants are the tenants that the issuer may speak for: a token with another
	// tenant or none is rejected. AnyTenant accepts every tenant. If there are
	// several issuers, each must have one of the two, because an issuer could
	// otherwise let its users into the tenants of another.
	Tenants   []string
	AnyTenant bool

	// AllowedScopes and AllowedRoles are the scopes and roles that the issuer may
	// give: others are removed from the Principal. nil allows all.
	AllowedScopes, AllowedRoles []string

	// PlainHTTPHosts are hosts, exactly as host:port, from which the metadata and the
	// key set of this issuer may be fetched with plain http: an attacker in the network
	// between can replace the keys, and so issue tokens. It is for networks that are
	// protected in another way, such as that of a compose file or of a cluster. [New]
	// reports them as [EventPlainHTTP]. Optional.
	PlainHTTPHosts []string

	// Err is the reason why this Issuer cannot be used: [New] returns it instead of
	// other errors of this Issuer. Functions that fill an Issuer, such as those of
	// package providers, set it.
	Err error

	// Principal completes the principal from the claims, after a token is verified
	// and before it enters the cache. Changes of Issuer, Method, Credential,
	// Binding, Expires and Claims are ignored; Tenants, AllowedScopes and
	// AllowedRoles apply to the result. If it returns an error, the token is
	// rejected. It must be safe for concurrent use. Optional.
	Principal func(gatehouse.Claims, gatehouse.Principal) (gatehouse.Principal, error)
}

// Profile is a profile of access tokens: their type and required claims.
type Profile uint8

const (
	// RFC9068 is the JWT profile for access tokens of RFC 9068: typ is at+jwt,
	// and iss, exp, aud, sub, client_id, iat and jti are required.
	RFC9068 Profile = iota

	// Compatible is for providers that send JWT as typ, or no typ: iss, exp, aud
	// and sub are required, iat, client_id and jti are optional, azp, cid or appid
	// may replace client_id, scopes and roles may be arrays or strings, and the
	// header may have the thumbprint of a certificate (x5t), which is ignored.
	// Tokens with a claim that marks an ID token, a refresh token, a logout token or
	// a security event are rejected.
	//
	// Use it for a provider that cannot issue at+jwt. If the provider issues other
	// kinds of tokens with the same audience and without such a claim, set Require
	// or Refuse: they would be accepted as access tokens.
	Compatible
)
