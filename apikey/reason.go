// SPDX-License-Identifier: Apache-2.0

package apikey

import "github.com/gatehouse-go/gatehouse"

// Method is the Method of the principals.
const Method gatehouse.Method = "api_key"

// The codes of a rejected key. Both are named invalid_api_key.
var (
	// CodeInvalidKey: an invalid key in X-API-Key, 403.
	CodeInvalidKey = gatehouse.NewCode(403, "invalid_api_key", "The API key is not valid.")
	// CodeInvalidKeyScheme: an invalid key in Authorization with the scheme
	// ApiKey, 401. With the scheme Bearer the code is
	// [gatehouse.CodeInvalidToken].
	CodeInvalidKeyScheme = gatehouse.NewCode(401, "invalid_api_key", "The API key is not valid.")
)

// The reasons for rejected keys.
const (
	// ReasonMalformed: the key has the right prefix and an invalid format or checksum. Status: 401, 403. Operator: check for a truncated or mistyped key in the configuration of the client.
	ReasonMalformed gatehouse.Reason = "apikey_malformed"
	// ReasonEnvironment: the key belongs to another environment. Status: 403. Operator: have the client use a key of this environment.
	ReasonEnvironment gatehouse.Reason = "apikey_environment"
	// ReasonUnknown: the key ID does not exist. Status: 401, 403. Operator: check for guessed keys, and for a client with a key of another store.
	ReasonUnknown gatehouse.Reason = "apikey_unknown"
	// ReasonSecret: the key ID exists and the secret is wrong, or older than the previous secret. Status: 401, 403. Operator: check whether the client missed a rotation, or an attacker guesses secrets.
	ReasonSecret gatehouse.Reason = "apikey_secret"
	// ReasonExpired: the key has expired. Status: 401, 403. Operator: rotate or replace keys before they expire; Keys.List finds them with ExpiresWithin.
	ReasonExpired gatehouse.Reason = "apikey_expired"
	// ReasonRotated: the secret was replaced by a rotation and its grace period has ended. Status: 401, 403. Operator: give the client the new secret.
	ReasonRotated gatehouse.Reason = "apikey_rotated"
	// ReasonRevoked: the key is revoked. Status: 401, 403. Operator: find the client that still uses it; after a leak it may be an attacker.
	ReasonRevoked gatehouse.Reason = "apikey_revoked"
	// ReasonSuspended: the key is suspended. Status: 401, 403. Operator: check the event of the suspension, then resume or revoke the key.
	ReasonSuspended gatehouse.Reason = "apikey_suspended"
	// ReasonNetwork: the client is outside the networks of the key, or its address is unknown. Status: 403. Operator: check for a stolen key; check Networks and Config.Proxies.
	ReasonNetwork gatehouse.Reason = "apikey_network"
	// ReasonStoreUnavailable: the store of the keys failed. Status: 503. Operator: check the database that the cause names.
	ReasonStoreUnavailable gatehouse.Reason = "apikey_store_unavailable"
)
