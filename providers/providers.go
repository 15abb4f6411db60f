// SPDX-License-Identifier: Apache-2.0

// Package providers has a function for each of the common identity providers. Each
// returns a [jwtauth.Issuer] that accepts the access tokens of the provider and rejects
// its other tokens: ID tokens, refresh tokens, tokens of another organization.
//
//	tokens, err := jwtauth.New(jwtauth.Config{
//		Issuers: []jwtauth.Issuer{providers.Auth0("acme.eu.auth0.com", "https://api.acme.example")},
//	})
//
// You can change every field of the result before you pass it to [jwtauth.New], such as
// Tenants with several issuers, AllowedRoles and RolesClaims. Append to Require and
// Refuse, but keep their elements: without them the issuer accepts tokens that are not
// access tokens.
//
// The functions return no error. If a parameter is invalid, they set the field Err of the
// issuer, and [jwtauth.New] returns it.
//
// docs/providers.md has, for each provider, the settings that are necessary at the
// provider, and what the log says if they are missing.
package providers

import (
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// day is the longest lifetime at most providers, plus an hour.
const day = 25 * time.Hour

// compatible returns the settings that most presets share: RS256, discovery and
// lifetimes of up to 25 hours.
func compatible(url string, audiences ...string) jwtauth.Issuer {
	return jwtauth.Issuer{
		URL:         url,
		Audiences:   slices.Clone(audiences),
		Algorithms:  []jwtauth.Algorithm{jwtauth.RS256},
		Keys:        jwtauth.Discover(),
		Profile:     jwtauth.Compatible,
		MaxLifetime: day,
	}
}
