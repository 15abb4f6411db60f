// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/MicahParks/jwkset"

	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

const (
	maxSetBytes = 512 << 10
	maxSetKeys  = 100
)

var errNotASet = errors.New("not a JWK Set")

// parseSet reads a JWK Set key by key, so that one odd key never spoils a set.
// It returns the keys that may verify and, for each of the others, why not. A
// set without any key that may verify is an error: it is more often a mistake
// than the end of an issuer, and the keys at hand stay good until they are
// stale.
//
//	RFC 7517 §5: "Implementations SHOULD ignore JWKs within a JWK Set that use
//	"kty" (key type) values that are not understood by them, that are missing
//	required members, or for which values are out of the supported ranges."
func parseSet(document []byte, configured []Algorithm) (keys []*key, dropped []error, err error) {
	if len(document) > maxSetBytes {
		return nil, nil, fmt.Errorf("%w: more than %d bytes", errNotASet, maxSetBytes)
	}
	var set map[string]json.RawMessage // a struct would take "KEYS" for keys
	var raw []json.RawMessage
	_ = json.Unmarshal(document, &set) // what is no object has no keys
	if json.Unmarshal(set["keys"], &raw) != nil {
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
	if len(keys) == 0 {
		return nil, dropped, errors.New("the set has no key that may verify")
	}
	return keys, dropped, nil
}

// parseKey reads one JWK. Its own text is read strictly; the library turns the
// numbers in it into a key.
func parseKey(text string, configured []Algorithm) (*key, error) {
	var jwk jwkset.JWKMarshal
	verifies, private := true, false
	err := strictjson.Object(text, strictjson.Limits{Depth: 4, Members: 64}, func(name, value string) error {
		var field *string
		switch name {
		case "kty":
			field = (*string)(&jwk.KTY)
		case "crv":
			field = (*string)(&jwk.CRV)
		case "alg":
			field = (*string)(&jwk.ALG)
		case "use":
			field = (*string)(&jwk.USE)
		case "kid":
			field = &jwk.KID
		case "n":
			field = &jwk.N
		case "e":
			field = &jwk.E
		case "x":
			field = &jwk.X
		case "y":
			field = &jwk.Y
		case "d", "k", "p", "q", "dp", "dq", "qi", "oth":
			private = true
			return nil
		case "key_ops":
			verifies = false
			if !strictjson.Strings(value, func(op string) bool { verifies = verifies || op == "verify"; return true }) {
				return errors.New("key_ops is not an array of strings")
			}
			return nil
		default:
			return nil
		}
		s, ok := strictjson.String(value)
		if !ok {
			return fmt.Errorf("%s is not a string", name)
		}
		*field = s
		return nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("is not a JWK: %w", err)
	case private:
		// A private key that is published is no longer a key: everyone can
		// sign with it.
		return nil, errors.New("is a private or symmetric key, in the open")
	case jwk.USE != "" && jwk.USE != jwkset.UseSig, !verifies:
		return nil, errors.New("is not for verifying signatures")
	}
	return fromJWK(jwk, configured)
}

func fromJWK(jwk jwkset.JWKMarshal, configured []Algorithm) (*key, error) {
	material := jwkset.JWKMarshal{KTY: jwk.KTY, CRV: jwk.CRV, N: jwk.N, E: jwk.E, X: jwk.X, Y: jwk.Y}
	parsed, err := jwkset.NewJWKFromMarshal(material, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %v", err)
	}
	return newKey(jwk.KID, parsed.Key(), Algorithm(jwk.ALG), slices.Clone(configured))
}
