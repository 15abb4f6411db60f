// SPDX-License-Identifier: Apache-2.0

package jwtauth

// Mark is a condition on a token: a claim or a header parameter is present, has a
// certain value, or equals another claim. A claim that is null is not present.
type Mark struct {
	// Claim is the name of a claim, as described for [Issuer]. Header is the name of
	// a parameter of the JOSE header; the value of typ is compared as a media type.
	// Exactly one of the two is required.
	Claim, Header string

	// Values are the accepted values: strings as they are, numbers, true and false
	// by their JSON text. Without Values and Equals, the claim must be present.
	Values []string

	// Equals is the name of another claim that must have the same value, instead of
	// Values.
	Equals string
}
