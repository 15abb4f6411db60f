// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
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

// userinfo calls the userinfo endpoint with the access token, OpenID Connect Core
// 1.0 section 5.3.
func userinfo(ctx context.Context, client *oauth.Client, result oauth.Result) (user, error) {
	p, err := client.Provider(ctx)
	if err != nil {
		return user{}, err
	}
	if p.UserinfoEndpoint == "" { // the ID token has the subject
		return user{subject: result.Subject}, nil
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.UserinfoEndpoint, http.NoBody)
	if err != nil {
		return user{}, err
	}
	r.Header.Set("Accept", "application/json")
	// RFC 9700 §2.3 and RFC 6750 §2.3: in the header, never in the URL.
	r.Header.Set("Authorization", "Bearer "+string(result.Tokens.Access.Reveal()))
	// A redirect would send the token to another address.
	calls := http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := calls.Do(r)
	if err != nil {
		return user{}, fmt.Errorf("userinfo: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return user{}, fmt.Errorf("userinfo: HTTP status %d", response.StatusCode)
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind != "application/json" {
		return user{}, errors.New("userinfo: the response is not JSON")
	}
	var claims map[string]any
	if err := json.NewDecoder(io.LimitReader(response.Body, 256<<10)).Decode(&claims); err != nil {
		return user{}, errors.New("userinfo: the response is too long or not a JSON object")
	}
	text := func(name string) string { s, _ := claims[name].(string); return s }
	// OpenID Connect Core 1.0 §5.3.2: "The sub Claim in the UserInfo Response MUST
	// be verified to exactly match the sub Claim in the ID Token; if they do not
	// match, the UserInfo Response values MUST NOT be used."
	if text("sub") != result.Subject {
		return user{}, errors.New("userinfo: sub is not the subject of the ID token")
	}
	return user{subject: result.Subject, name: text("name"), email: text("email")}, nil
}

// printable replaces control characters, which could move the cursor, and limits
// the length.
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
