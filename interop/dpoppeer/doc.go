// SPDX-License-Identifier: Apache-2.0

// Package dpoppeer runs npm oauth4webapi and openid-client as clients that use DPoP,
// and npm jose as a verifier of proofs.
package dpoppeer
