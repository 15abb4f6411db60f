// SPDX-License-Identifier: Apache-2.0

// Package apikey creates, verifies and revokes API keys.
//
// A key is text that a client sends with each request:
//
//	acme_live_0123456789ABCDEF_abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG3NxMSK
//
// It consists of a prefix, an environment, an ID, and a secret of 256 random bits
// with a checksum. All but the last part are public. [Pattern] returns a regular
// expression for secret scanners.
//
// Call [New] with a [Store] and a prefix. The [Keys] that it returns are an
// authenticator for a gate, and manage keys: [Keys.Create], [Keys.List],
// [Keys.Describe], [Keys.Rotate], [Keys.Revoke], [Keys.RevokeAll],
// [Keys.RevokeLeaked], [Keys.Suspend]. Tools that only manage keys use Keys on the
// same store.
//
// # What is stored
//
// The store contains SHA-256 hashes of secrets, HMACs with [Config].Peppers,
// and never a secret. A slow password hash is not needed, because 256 random
// bits cannot be guessed. A key is found by its ID, and its hash is compared in
// constant time. The text of a key is returned only once, by Create or Rotate.
//
// # What is rejected
//
// A text with an invalid format or checksum is rejected without a store call. An
// unknown, expired, revoked or suspended key and a wrong secret take the same time and
// get the same response: 403 in X-API-Key, 401 in Authorization. The reason is in the
// event. A key of another environment, or used from outside its networks, gets 403. A
// request with a key in its URL is always rejected, even if it has a valid credential
// too. If the store is unavailable, the response is 503.
//
// Every key expires. Scopes have no wildcards and come from a configured list.
//
// # Rotation
//
// A rotated key keeps its ID and has two valid secrets during the grace period.
// The previous secret is never valid after its own expiry. Another rotation
// expires it immediately, and revoking the key revokes both secrets.
//
// # Revocation and the cache
//
// Without a cache, a revocation takes effect when [Keys.Revoke] returns, in every
// process on the same store. With [Config].CacheTTL it takes effect at once in the
// process that revoked the key, and in the others within that time, at most 5 s,
// or when [Keys.Watch] receives the change. A store that reads from a replica adds
// the delay of the replica.
//
// # What the application must do
//
// Show a new key once, and do not log it. Before revoking or describing a key for
// a caller, check that it belongs to that caller: IDs are not secret. Record the
// events. Rotate the keys that [Keys.List] returns with ExpiresWithin. Accept
// reports of leaked keys and pass them to [Keys.RevokeLeaked]. Limit the request
// rate of each key, as in the example of a policy.
package apikey
