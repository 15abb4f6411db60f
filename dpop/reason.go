// SPDX-License-Identifier: Apache-2.0

package dpop

import "github.com/gatehouse-go/gatehouse"

// Binding is the value of [gatehouse.Principal.Binding] for a caller whose proof
// was verified.
const Binding gatehouse.Binding = "dpop"

// The error codes of RFC 9449 section 12.2.
var (
	// CodeInvalidProof: the proof is missing or invalid, RFC 9449 section 7.1.
	CodeInvalidProof = gatehouse.NewCode(401, "invalid_dpop_proof", "The DPoP proof is missing or invalid.")
	// CodeUseNonce: the proof needs the nonce of the header DPoP-Nonce, RFC 9449
	// section 9.
	CodeUseNonce = gatehouse.NewCode(401, "use_dpop_nonce", "The DPoP proof must contain the nonce of the DPoP-Nonce header.")
)

// The reasons why a proof is rejected.
const (
	// ReasonMissing: the request has the scheme DPoP and no header DPoP. Status: 401. Operator: check whether a proxy removes the header.
	ReasonMissing gatehouse.Reason = "dpop_missing"
	// ReasonSeveral: the request has more than one header DPoP. Status: 401. Operator: check whether a proxy adds one; otherwise treat it as an attack.
	ReasonSeveral gatehouse.Reason = "dpop_several"
	// ReasonMalformed: the proof is not a JWT in compact form, is too long, or a parameter or claim is missing or malformed. Status: 401. Operator: see the cause; check the client.
	ReasonMalformed gatehouse.Reason = "dpop_malformed"
	// ReasonType: typ is not dpop+jwt. Status: 401. Operator: treat it as an attack: another JWT was sent as a proof.
	ReasonType gatehouse.Reason = "dpop_type"
	// ReasonAlgorithm: alg is not one of Config.Algorithms, or does not fit the key. Status: 401. Operator: add the algorithm, or have the client use another one.
	ReasonAlgorithm gatehouse.Reason = "dpop_algorithm"
	// ReasonKey: jwk is not an acceptable public key, or contains a private one. Status: 401. Operator: see the cause; if it is a private key, have the client make a new one.
	ReasonKey gatehouse.Reason = "dpop_key"
	// ReasonOtherKey: the key of the proof is not the one to which the token is bound. Status: 401. Operator: treat it as a stolen token unless the client has just changed its key.
	ReasonOtherKey gatehouse.Reason = "dpop_other_key"
	// ReasonMethod: htm is not the method of the request. Status: 401. Operator: treat it as a stolen proof unless a proxy changes the method.
	ReasonMethod gatehouse.Reason = "dpop_method"
	// ReasonURL: htu is not the URL of the request. Status: 401. Operator: compare Config.PublicOrigin with the URL that clients use, and set Config.Path if a proxy rewrites paths; otherwise treat it as a stolen proof.
	ReasonURL gatehouse.Reason = "dpop_url"
	// ReasonToken: ath is missing or is not the hash of the access token. Status: 401. Operator: check the client; otherwise treat it as a stolen proof.
	ReasonToken gatehouse.Reason = "dpop_token"
	// ReasonTime: the proof is too old, or is from the future. Status: 401. Operator: have the client synchronize its clock; check the clock of this machine.
	ReasonTime gatehouse.Reason = "dpop_time"
	// ReasonNonce: the proof has no current nonce of the server. Status: 401. Operator: nothing, the client repeats the request with the new nonce.
	ReasonNonce gatehouse.Reason = "dpop_nonce"
	// ReasonSignature: the signature does not verify with the key of the proof. Status: 401. Operator: treat it as an attack.
	ReasonSignature gatehouse.Reason = "dpop_signature"
	// ReasonReplayed: the proof was used before. Status: 401. Operator: treat many of them as stolen proofs; a single one is usually a retry after a broken connection.
	ReasonReplayed gatehouse.Reason = "dpop_replayed"
	// ReasonReplaysUnavailable: the replay store is unavailable or full. Status: 503. Operator: check the store; see the cause.
	ReasonReplaysUnavailable gatehouse.Reason = "dpop_replays_unavailable"
)
