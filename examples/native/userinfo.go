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

// person is who has signed in. Only the subject is theirs for good: names and
// addresses change hands.
type person struct{ subject, name, email string }

// called is how to call the person.
func (p person) called() string {
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

// userinfo asks the server about the person, with the access token, OpenID
// Connect Core 1.0 section 5.3.
func userinfo(ctx context.Context, client *oauth.Client, result oauth.Result) (person, error) {
	p, err := client.Provider(ctx)
	if err != nil {
		return person{}, err
	}
	if p.UserinfoEndpoint == "" { // the ID token has said who it is
		return person{subject: result.Subject}, nil
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.UserinfoEndpoint, http.NoBody)
	if err != nil {
		return person{}, err
	}
	r.Header.Set("Accept", "application/json")
	// RFC 9700 §2.3 and RFC 6750 §2.3: in the header, never in the address.
	r.Header.Set("Authorization", "Bearer "+string(result.Tokens.Access.Reveal()))
	// A redirect would take the token to where nobody has said that it belongs.
	calls := http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := calls.Do(r)
	if err != nil {
		return person{}, fmt.Errorf("userinfo: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return person{}, fmt.Errorf("userinfo: the server answers with status %d", response.StatusCode)
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind != "application/json" {
		return person{}, errors.New("userinfo: the answer is not JSON")
	}
	var claims map[string]any
	if err := json.NewDecoder(io.LimitReader(response.Body, 256<<10)).Decode(&claims); err != nil {
		return person{}, errors.New("userinfo: the answer cannot be read")
	}
	text := func(name string) string { s, _ := claims[name].(string); return s }
	// OpenID Connect Core 1.0 §5.3.2: "The sub Claim in the UserInfo Response MUST
	// be verified to exactly match the sub Claim in the ID Token; if they do not
	// match, the UserInfo Response values MUST NOT be used."
	if text("sub") != result.Subject {
		return person{}, errors.New("userinfo: the answer is about somebody else")
	}
	return person{subject: result.Subject, name: text("name"), email: text("email")}, nil
}

// printable keeps what a server says from moving the cursor, or from filling the
// terminal.
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
