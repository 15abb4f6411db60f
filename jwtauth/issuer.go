// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// Issuer is an authorization server whose access tokens are accepted. Package
// providers has values for well-known identity providers.
//
// The fields of a [Mark], and those whose names end in Claim or Claims, contain names of
// claims. "scp" is a top-level member of the token. A name that begins with "/" is an RFC
// 6901 pointer into nested objects, such as "/realm_access/roles", in which "~1" stands
// for "/" and "~0" for "~". A name cannot select an element of an array.
type Issuer struct {
	// URL is the issuer identifier, which must equal the iss claim character by
	// character. Required. With Discover it must be an https URL; plain http is accepted
	// for loopback addresses and for PlainHTTPHosts. Other Keys do not use it as an
	// address: it may be any http URL or a name, such as "accounts.google.com".
	URL string

	// Audiences are the identifiers of this API. The aud claim must contain one of them.
	// At least one is required, unless Clients or AcceptMissingAudience is set.
	Audiences []string

	// Clients accepts a token without an aud claim if its client_id or azp claim is one
	// of these. If the token has both claims, they must be equal. If the token has an aud
	// claim, it must contain one of Audiences; without Audiences the token is rejected.
	// Clients is for issuers that send no aud, such as Amazon Cognito. Requires
	// Compatible. Optional.
	Clients []string

	// AcceptMissingAudience accepts every token without an aud claim. Use it only if the
	// issuer issues tokens for this API alone: otherwise this API accepts the tokens for
	// other APIs of the issuer; use Audiences or Clients instead. If the token has an aud
	// claim, it is validated as with Clients. Requires Compatible.
	AcceptMissingAudience bool

	// Algorithms are the signature algorithms of the issuer. Required. A key is used only
	// with the algorithms that match its type and curve. A key with an alg is used only
	// with that algorithm.
	//
	// Implements RFC 8725 §3.1 (algorithms); ASVS 5.0 §9.1.2.
	Algorithms []Algorithm

	// Keys is the source of the issuer's keys. Required.
	Keys Keys

	// Profile is the token profile of this issuer: [RFC9068] by default.
	Profile Profile

	// MaxLifetime is the maximum of exp - iat: 24 hours by default, at most 7 days, and
	// at most Config.Revocations.MaxLifetime() if Revocations is set.
	MaxLifetime time.Duration

	// MaxTokenBytes is the maximum size of the compact token: 8 KiB by default, at most
	// 16 KiB. The maximum size of the header is a quarter of it.
	MaxTokenBytes int

	// Header is the request header whose value is a token of this issuer, such as
	// "X-Goog-IAP-JWT-Assertion". Tokens of this issuer are then rejected in the
	// Authorization header, and tokens of other issuers in Header. The handler does not
	// receive Header. The response to an invalid token in it is 403, because HTTP has no
	// challenge for such a header. Optional.
	Header string

	// Require are conditions that each token must satisfy, such as a claim that only the
	// access tokens of the issuer have. Refuse are conditions that no token may satisfy.
	// Optional.
	Require, Refuse []Mark

	// AcceptNonce accepts tokens with a nonce claim under Compatible, although nonce
	// marks ID tokens. Without this setting, such a token is accepted only if it shows
	// that it is an access token: its header typ is at+jwt, its claim typ is Bearer or
	// DPoP, or its claim token_use is access. Also set Require if ID tokens can have one
	// of Audiences as their audience.
	AcceptNonce bool

	// SubjectClaims are claims for the subject, "sub" by default. The first one that is
	// present and not empty is used. The values of two claims must not identify two
	// different subjects, and users must not be able to choose them.
	SubjectClaims []string

	// ClientClaims are claims for the client. The first one that is present is used. The
	// default is "client_id", and with Compatible "client_id", "azp", "cid" and "appid".
	// An empty list that is not nil reads no client.
	ClientClaims []string

	// ScopeClaims and RolesClaims are claims with scopes and roles, "scope" and "roles"
	// by default. The values of all of them are used. TenantClaim is the claim with the
	// tenant, "tenant" by default.
	//
	// A malformed value of a claim that is configured is an error; a malformed value of
	// the default tenant or roles claim is ignored. If no token so far has a configured
	// claim, [EventClaimMissing] is reported, once for each claim.
	ScopeClaims, RolesClaims []string
	TenantClaim              string

	// RolesAreNames accepts an object in a claim of RolesClaims: the names of its
	// members are the roles.
	RolesAreNames bool

	// Services are conditions for services: the Kind of the caller is KindService if the
	// token satisfies one of them, or if its subject equals its client. Every token
	// satisfies the [Mark] {Claim: "iss"}.
	Services []Mark

	// Tenants are the tenants that tokens of the issuer may have: a token with another
	// tenant or none is rejected. AnyTenant accepts every tenant. With several issuers,
	// each must set Tenants or AnyTenant: otherwise an issuer could give its users access
	// to the tenants of another issuer.
	Tenants   []string
	AnyTenant bool

	// AllowedScopes and AllowedRoles are the scopes and roles that the issuer may grant:
	// others are removed from the Principal. nil allows all.
	AllowedScopes, AllowedRoles []string

	// PlainHTTPHosts are hosts, exactly as host:port, from which the metadata and the key
	// set of this issuer may be fetched with plain http. An attacker on the network path
	// can then replace the keys and issue tokens. Use it only in a network that is
	// protected in another way, such as that of a compose file or a cluster. [New]
	// reports the hosts as [EventPlainHTTP]. Optional.
	PlainHTTPHosts []string

	// Err is the reason why this Issuer cannot be used: [New] returns it instead of other
	// errors of this Issuer. Functions that return an Issuer, such as those of package
	// providers, set it.
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
	// RFC9068 is the JWT profile for access tokens of RFC 9068: typ must be at+jwt, and
	// iss, exp, aud, sub, client_id, iat and jti are required.
	RFC9068 Profile = iota

	// Compatible is for providers that send JWT as typ, or no typ. iss, exp, aud and sub
	// are required; iat, client_id and jti are optional; azp, cid or appid may replace
	// client_id. Scopes and roles may be arrays or strings. A certificate thumbprint in
	// the header (x5t) is ignored. Tokens with a claim of an ID token, a refresh token, a
	// logout token or a security event are rejected.
	//
	// Use it for a provider that cannot issue at+jwt. If the provider issues other kinds
	// of tokens with the same audience and without such a claim, set Require or Refuse:
	// otherwise they are accepted as access tokens.
	Compatible
)
