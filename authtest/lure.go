// SPDX-License-Identifier: Apache-2.0

package authtest

import "crypto"

// lureKeyID names the key that tokens bring along or point to.
const lureKeyID = "lure"

// lure returns the attacker's own key for the algorithm.
func lure(algorithm string) crypto.Signer { return shared("lure", algorithm) }

func lureKey(algorithm string) jwk {
	return newJWK(lureKeyID, algorithm, lure(algorithm).Public())
}
