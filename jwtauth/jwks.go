// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/MicahParks/jwkset"

	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

const (
	maxSetBytes = 512 << 10
	maxSetKeys  = 100
)

var errNotASet = errors.New("not a JWK Set")

// parseSet parses a JWK Set key by key, so that one invalid key does not affect the
// others. It returns the verification keys, possibly none, and an error for each dropped
// key. A non-nil err means that the document is not a JWK Set.
//
//	RFC 7517 §5: "Implementations SHOULD ignore JWKs within a JWK Set that use
//	"kty" (key type) values that are not understood by them, that are missing
//	required members, or for which values are out of the supported ranges."
func parseSet(document []byte, configured []Algorithm) (keys []*key, dropped []error, err error) {
	if len(document) > maxSetBytes {
		return nil, nil, fmt.Errorf("%w: more than %d bytes", errNotASet, maxSetBytes)
	}
	var set map[string]json.RawMessage // a struct would accept "KEYS" as keys
	var raw []json.RawMessage
	_ = json.Unmarshal(document, &set)                          // set stays nil unless it is an object
	if json.Unmarshal(set["keys"], &raw) != nil || raw == nil { // null is not an array
		return nil, nil, errNotASet
	}
	if len(raw) > maxSetKeys {
		return nil, nil, fmt.Errorf("%w: more than %d keys", errNotASet, maxSetKeys)
	}
	for n, text := range raw {
		k, err := parseKey(string(text), configured)
		if err != nil {
			dropped = append(dropped, fmt.Errorf("key %d %w", n, err))
			continue
		}
		keys = append(keys, k)
	}
	return keys, dropped, nil
}

// jwkTable lists the members of a JWK that parseKey reads, in this order. The members
// from d on are private or symmetric key material.
var jwkTable = strictjson.NewTable(
	"kty", "crv", "alg", "use", "kid", "n", "e", "x", "y", "key_ops", "d", "k", "p", "q", "dp", "dq", "qi", "oth",
)

// parseKey parses one JWK strictly; the jwkset library turns its numbers into a
// key.
//
// Implements RFC 7517 §4, §4.2, §4.3.
func parseKey(text string, configured []Algorithm) (*key, error) {
	var jwk jwkset.JWKMarshal
	var operations, private string
	members := [...]*string{
		(*string)(&jwk.KTY), (*string)(&jwk.CRV), (*string)(&jwk.ALG), (*string)(&jwk.USE), &jwk.KID, &jwk.N, &jwk.E, &jwk.X, &jwk.Y,
	}
	err := jwkTable.Read(text, strictjson.Limits{Depth: 4, Members: 64},
		append(members[:], &operations, &private, &private, &private, &private, &private, &private, &private, &private)...)
	if err != nil {
		return nil, fmt.Errorf("is not a JWK: %w", err)
	}
	if private != "" {
		// Everyone who reads the key set can sign with such a key.
		return nil, errors.New("is a private or symmetric key in a public key set")
	}
	for _, member := range members {
		value, ok := strictjson.String(*member)
		if !ok && *member != "" {
			return nil, errors.New("is not a JWK: kty, crv, alg, use, kid, n, e, x or y is not a string")
		}
		*member = value
	}
	verifies := operations == ""
	if !verifies && !strictjson.Strings(operations, func(op string) bool { verifies = verifies || op == "verify"; return true }) {
		return nil, errors.New("is not a JWK: key_ops is not an array of strings")
	}
	if !verifies || jwk.USE != "" && jwk.USE != jwkset.UseSig {
		return nil, errors.New("is not for verifying signatures")
	}
	return fromJWK(jwk, configured)
}

func fromJWK(jwk jwkset.JWKMarshal, configured []Algorithm) (*key, error) {
	material := jwkset.JWKMarshal{KTY: jwk.KTY, CRV: jwk.CRV, N: jwk.N, E: jwk.E, X: jwk.X, Y: jwk.Y}
	parsed, err := jwkset.NewJWKFromMarshal(material, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return nil, fmt.Errorf("is not a JWK: %v", err)
	}
	return newKey(jwk.KID, parsed.Key(), Algorithm(jwk.ALG), configured)
}
