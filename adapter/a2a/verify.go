// SPDX-License-Identifier: Apache-2.0

package gatea2a

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	sdk "github.com/a2aproject/a2a-go/a2a"

	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/internal/base64url"
	"github.com/gatehouse-go/gatehouse/internal/jose"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

const (
	maxCard       = 1 << 20 // bytes of a card or of a key set
	maxSignatures = 8       // of a card
	maxKeys       = 100     // of a key set
)

// VerifyCard is for clients. It verifies the text of an agent card as it was received, and
// returns the card if one of its signatures is that of a key of the JWK Set keySet. Get
// the key set from an address that is configured: never from the jku of the card, which
// is ignored. Card and key set have at most 1 MiB, 8 signatures and 100 keys.
//
// A signature is a JWS with detached content over the canonical JSON, RFC 8785, of the
// card without signatures. Its protected header has alg, kid and the typ JOSE, and may
// have jku. The key must have this kid and a matching type and, if it has an alg, a
// matching alg. A duplicate name, another header parameter such as crit, or a key without
// kid makes the card or the signature invalid.
func VerifyCard(card, keySet []byte) (*sdk.AgentCard, error) {
	fail := func(err error) (*sdk.AgentCard, error) { return nil, fmt.Errorf("gatea2a: VerifyCard: %w", err) }
	keys, err := parseKeys(keySet)
	if err != nil {
		return fail(err)
	}
	signed, signatures, err := detach(card)
	if err != nil {
		return fail(err)
	}
	for _, s := range signatures {
		if !s.isValid(signed, keys) {
			continue
		}
		verified := new(sdk.AgentCard)
		if err := json.Unmarshal(card, verified); err != nil {
			return fail(err)
		}
		return verified, nil
	}
	return fail(errors.New("no signature by a key of the set"))
}

// detach returns the encoded payload of the signatures of a card, and the signatures.
func detach(card []byte) (signed string, signatures []cardSignature, err error) {
	if len(card) > maxCard {
		return "", nil, fmt.Errorf("the card has %d bytes, at most %d are allowed", len(card), maxCard)
	}
	if _, err := approval.Canonical(card); err != nil { // strict, where encoding/json is not
		return "", nil, fmt.Errorf("the card: %w", err)
	}
	var members map[string]json.RawMessage
	_ = json.Unmarshal(card, &members) // what is no object has no signatures
	if err := json.Unmarshal(members["signatures"], &signatures); err != nil || len(signatures) > maxSignatures {
		return "", nil, fmt.Errorf("the card must have an array of 1 to %d signatures", maxSignatures)
	}
	delete(members, "signatures")
	text, _ := json.Marshal(members) // valid JSON, as before
	canonical, err := approval.Canonical(text)
	return base64.RawURLEncoding.EncodeToString([]byte(canonical)), signatures, err
}

type cardSignature struct{ Protected, Signature string }

// isValid reports whether the signature is that of one of the keys.
func (s cardSignature) isValid(signed string, keys []cardKey) bool {
	header, _ := base64url.Decode(nil, s.Protected) // nil if it is malformed, which is no object
	signature, _ := base64url.Decode(nil, s.Signature)
	var alg, kid, typ string
	err := strictjson.Object(string(header), strictjson.Limits{Depth: 1, Members: 4}, func(name, value string) error {
		text, ok := strictjson.String(value)
		switch name {
		case "alg":
			alg = text
		case "kid":
			kid = text
		case "typ":
			typ = text
		case "jku":
		default:
			ok = false
		}
		if !ok {
			return errors.New("unexpected parameter")
		}
		return nil
	})
	if err != nil || typ != "JOSE" {
		return false
	}
	for _, k := range keys {
		if k.id == kid && (k.Algorithm == "" || k.Algorithm == alg) && jose.Verify(alg, k.Public, s.Protected+"."+signed, signature) {
			return true
		}
	}
	return false
}

type cardKey struct {
	jose.Key
	id string
}

// parseKeys returns the keys of a JWK Set that have a kid and can verify signatures.
func parseKeys(keySet []byte) (keys []cardKey, err error) {
	var set struct{ Keys []json.RawMessage }
	err = strictjson.Object(string(keySet[:min(len(keySet), maxCard+1)]), strictjson.Limits{Depth: 8, Members: 64 * maxKeys}, func(string, string) error { return nil })
	if err == nil {
		err = json.Unmarshal(keySet, &set)
	}
	if err != nil || len(keySet) > maxCard || len(set.Keys) > maxKeys {
		return nil, errors.New("the key set is malformed or too large")
	}
	for _, jwk := range set.Keys {
		var named map[string]any
		key, err := jose.ParseKey(string(jwk))
		if err != nil {
			continue // of another type or for another use
		}
		_ = json.Unmarshal(jwk, &named) // a key is an object
		if id, _ := named["kid"].(string); id != "" {
			keys = append(keys, cardKey{key, id})
		}
	}
	return keys, nil
}
