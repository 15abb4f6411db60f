// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"strings"
	"unicode"

	"github.com/gatehouse-go/gatehouse/oauth"
)

// user is the logged-in user. Identify users by issuer and subject: names and
// email addresses change hands.
type user struct{ subject, name, email string }

// displayName returns the name and email address, or the subject without them.
func (p user) displayName() string {
	switch {
	case p.name != "" && p.email != "":
		return p.name + " (" + p.email + ")"
	case p.name != "":
		return p.name
	case p.email != "":
		return p.email
	}
	return p.subject
}

// userinfo returns the user with the claims of the userinfo endpoint, if the
// authorization server has one.
func userinfo(ctx context.Context, client *oauth.Client, result oauth.Result) (user, error) {
	claims, err := client.Userinfo(ctx, result.Tokens.Access, result.Subject)
	if errors.Is(err, oauth.ErrNotOffered) {
		return user{subject: result.Subject}, nil // from the ID token
	}
	if err != nil {
		return user{}, err
	}
	var named struct {
		Name  string `json:"name"`
		Email string `json:"email"`
	}
	_ = claims.Decode(&named) // claims of other types are left out
	return user{subject: result.Subject, name: named.Name, email: named.Email}, nil
}

// printable replaces control characters, which could move the cursor, and limits
// the length.
//
// Implements RFC 6749 §10.14.
func printable(text string) string {
	const most = 200
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
