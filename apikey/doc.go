// SPDX-License-Identifier: Apache-2.0

// Package apikey makes, verifies and withdraws API keys.
//
// A key is text that a program sends with each request:
//
//	acme_live_0123456789ABCDEF_abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG3NxMSK
//
// It names its issuer, its environment and itself; then come 256 random bits
// and a checksum. All but the last part may be seen by anybody. [Pattern] is a
// regular expression for secret scanners.
//
// Call [New] with a [Store] and a prefix. The [Keys] that it returns are two
// things: a [gatehouse.Authenticator], to be put into a gate, and the means to
// manage keys: [Keys.Create], [Keys.List], [Keys.Describe], [Keys.Rotate],
// [Keys.Revoke], [Keys.RevokeAll], [Keys.RevokeLeaked], [Keys.Suspend]. Tools
// that only manage keys make Keys too, over the same store.
//
// # What is kept
//
// The store holds SHA-256 hashes of secrets, HMACs with [Config].Peppers, and
// never a secret. That is enough, and a slow hash would be none the better,
// because nobody can guess 256 random bits. A key is found by its ID and its
// hash is compared in constant time. Its text can be seen once, in the result
// of Create or Rotate.
//
// # What is refused
//
// A text with a wrong shape or checksum is refused without a look at the store.
// A key that does not exist, is expired, revoked or suspended, and a wrong
// secret, cost the same and are refused with the same answer: 403 in X-API-Key,
// 401 in Authorization. The observer learns which it was. A key for another
// environment, and one from outside its networks, is 403. A key in the URL is
// refused whatever else the request carries. A store that does not answer is
// 503, and nobody gets in.
//
// Every key has an end. Scopes are exact and from a catalogue.
//
// # Rotation
//
// A key that is rotated stays what it is, with the same ID, and has two secrets
// for as long as the grace lasts. The older one never outlives its own end, a
// further rotation ends it at once, and to revoke the key ends both.
//
// # Revocation and the cache
//
// Without a cache a revocation holds from the moment that [Keys.Revoke]
// returns, for every process on the same store. With [Config].CacheTTL it does
// so in the process that made it, and in the others within that time, 5 s at
// most, or as soon as [Keys.Watch] hears of it. A store that answers from a
// replica adds the delay of the replica.
//
// # What the application must still do
//
// Show a new key once, and keep it out of its own logs. Check that a key belongs
// to the caller before it revokes or describes one for them: IDs are no secret.
// Listen to [Config].Events. Rotate what [Keys.List] with ExpiresWithin finds.
// Take reports of leaked keys and hand them to [Keys.RevokeLeaked]. Limit how
// often a key is used, as the example of a policy shows.
package apikey
