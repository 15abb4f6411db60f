// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse"
)

var errSecret = errors.New("looks like a secret: every holder of a token can read its claims")

// checkCustomClaim checks a claim that the application adds to a token.
func checkCustomClaim(name string, value any) error {
	if name == "" || claimTable.Has(name) {
		return errors.New("is set by the Signer: remove it")
	}
	// Check the JSON form, which the token carries.
	text, err := json.Marshal(map[string]any{name: value})
	if err != nil {
		return err
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		return err
	}
	return checkNoSecret(plain)
}

// isSecretName reports whether claims with this name often hold secrets.
func isSecretName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{
		"password", "passwd", "secret", "private_key", "privatekey", "api_key", "apikey",
		"access_token", "refresh_token", "id_token", "credential",
	}, func(part string) bool { return strings.Contains(name, part) })
}

// looksSecret reports whether a text begins like a well-known kind of secret.
func looksSecret(text string) bool {
	return text == gatehouse.Secret{}.String() || slices.ContainsFunc([]string{
		"-----BEGIN ", "eyJ", "sk-", "ghp_", "AKIA", "xoxb-", "Bearer ", "Basic ",
	}, func(mark string) bool { return strings.HasPrefix(text, mark) })
}

// checkNoSecret looks for secrets in a value that encoding/json has decoded.
func checkNoSecret(value any) error {
	switch v := value.(type) {
	case string:
		if looksSecret(v) {
			return errSecret
		}
	case []any:
		for _, element := range v {
			if err := checkNoSecret(element); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, member := range v {
			if isSecretName(name) {
				return errSecret
			}
			if err := checkNoSecret(member); err != nil {
				return err
			}
		}
	}
	return nil
}
