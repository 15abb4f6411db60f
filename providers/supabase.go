// SPDX-License-Identifier: Apache-2.0

package providers

import (
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Supabase accepts the access tokens of people in a Supabase project with JWT signing
// keys, and rejects those of anonymous users, of third-party OAuth clients, and the
// keys anon and service_role. project is the reference of the project, such as
// "abcdefghijklmnopqrst", and algorithm that of its signing key, [jwtauth.ES256] or
// [jwtauth.RS256]. For a custom domain, change URL.
//
// The role is the claim role, "authenticated" by default. Your own tenant and roles
// belong in app_metadata: set TenantClaim to "/app_metadata/tenant" and RolesClaims to
// "/app_metadata/roles". Never use user_metadata, which users write themselves.
func Supabase(project string, algorithm jwtauth.Algorithm) jwtauth.Issuer {
	issuer := supabase(project)
	issuer.Algorithms = []jwtauth.Algorithm{algorithm}
	var err error
	if algorithm != jwtauth.ES256 && algorithm != jwtauth.RS256 {
		err = fmt.Errorf("algorithm: got %q, want ES256 or RS256; the legacy secret needs SupabaseLegacy", string(algorithm))
	}
	return checked("Supabase", issuer, label("project", project, "abcdefghijklmnopqrst"), err)
}

// SupabaseLegacy is [Supabase] for a project that still signs with the legacy JWT secret
// (HS256). Every verifier of such a token can also sign one: migrate to signing keys. The
// published secrets of local and self-hosted installations are refused.
func SupabaseLegacy(project string, secret gatehouse.Secret) jwtauth.Issuer {
	issuer := supabase(project)
	issuer.Algorithms = []jwtauth.Algorithm{jwtauth.HS256}
	issuer.Keys = jwtauth.SharedSecret(secret)
	var err error
	if secret.Len() == 0 {
		err = errors.New("secret: is empty")
	}
	return checked("SupabaseLegacy", issuer, label("project", project, "abcdefghijklmnopqrst"), err)
}

func supabase(project string) jwtauth.Issuer {
	issuer := compatible("https://"+project+".supabase.co/auth/v1", "authenticated")
	issuer.MaxLifetime = 7 * 24 * time.Hour
	issuer.RolesClaims = []string{"role"}
	issuer.Require = []jwtauth.Mark{{Claim: "session_id"}}
	issuer.Refuse = []jwtauth.Mark{
		{Claim: "is_anonymous", Values: []string{"true"}},
		{Claim: "client_id"}, // a third-party OAuth client
	}
	return issuer
}
