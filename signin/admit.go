// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

const defaultGroupsClaim = "groups"

// Admit defines which users may sign in, by the claims of the login. A user must satisfy
// every field that is set. It is checked at each login only: it does not end a session
// that has begun. Config.Complete can refuse users for other reasons.
type Admit struct {
	// Groups are the allowed groups: the user must be in at least one of them. Names
	// are compared character by character. If the claim is missing, or omits the groups
	// because there are too many, the login is refused with [ReasonGroups].
	Groups []string

	// GroupsClaim is the claim with the list of groups: "groups" if empty.
	GroupsClaim string

	// EmailDomains are the allowed domains of the address in the claim email, in lower
	// case; subdomains do not match. The claim email_verified must be true, because a
	// user can choose an address that is not verified.
	EmailDomains []string
}

func (a Admit) clone() Admit {
	a.Groups, a.EmailDomains = slices.Clone(a.Groups), slices.Clone(a.EmailDomains)
	if a.GroupsClaim == "" {
		a.GroupsClaim = defaultGroupsClaim
	}
	return a
}

func (a Admit) check() error {
	var errs []error
	for i, group := range a.Groups {
		if group == "" {
			errs = append(errs, fmt.Errorf("Groups[%d]: empty", i))
		}
	}
	for i, domain := range a.EmailDomains {
		if !text.IsVisible(domain) || strings.ContainsAny(domain, "@*") || domain != strings.ToLower(domain) {
			errs = append(errs, fmt.Errorf("EmailDomains[%d]: %q: must be a domain in lower case, such as acme.example, without @ and *", i, domain))
		}
	}
	return errors.Join(errs...)
}

// decide returns an error and its reason if a user with the claims may not sign in.
func (a Admit) decide(claims gatehouse.Claims) (gatehouse.Reason, error) {
	if len(a.Groups) > 0 {
		groups, err := groupsOf(claims, a.GroupsClaim)
		if err != nil {
			return ReasonGroups, err
		}
		if !slices.ContainsFunc(groups, func(group string) bool { return slices.Contains(a.Groups, group) }) {
			return ReasonNotAllowed, fmt.Errorf("signin: the claim %s has %d groups, and none of Admit.Groups", a.GroupsClaim, len(groups))
		}
	}
	if len(a.EmailDomains) > 0 {
		return ReasonNotAllowed, a.checkEmail(claims)
	}
	return "", nil
}

// groupsOf returns the groups in a claim. Some authorization servers omit a long list
// from the token and mark the omission: with _claim_names, OIDC Core §5.6.2, and
// Microsoft Entra also with hasgroups.
func groupsOf(claims gatehouse.Claims, name string) ([]string, error) {
	var all map[string]json.RawMessage
	if err := claims.Decode(&all); err != nil {
		return nil, err
	}
	if value, ok := all[name]; ok {
		var groups []string
		if err := json.Unmarshal(value, &groups); err != nil || groups == nil {
			return nil, fmt.Errorf("signin: the claim %s is no list of strings", name)
		}
		return groups, nil
	}
	var elsewhere map[string]json.RawMessage
	_ = json.Unmarshal(all["_claim_names"], &elsewhere)
	if _, ok := elsewhere[name]; ok || string(all["hasgroups"]) == "true" {
		return nil, fmt.Errorf("signin: the user has too many groups for the claim %s: have the authorization server send only those of this application, or app roles", name)
	}
	return nil, fmt.Errorf("signin: the claim %s is missing: request its scope, have the authorization server add it, or set Config.Userinfo", name)
}

// checkEmail returns an error unless the address of the user is verified and in one of
// the domains.
func (a Admit) checkEmail(claims gatehouse.Claims) error {
	var c struct {
		Email    string          `json:"email"`
		Verified json.RawMessage `json:"email_verified"`
	}
	if err := claims.Decode(&c); err != nil {
		return err
	}
	at := strings.IndexByte(c.Email, '@') // a second @ matches no domain
	// Letters outside ASCII could become another domain in lower case.
	switch {
	case at < 1 || !text.IsVisible(c.Email[at:]):
		return errors.New("signin: the claim email is missing or no address: request the scope email, or set Config.Userinfo")
	case string(c.Verified) != "true" && string(c.Verified) != `"true"`: // some servers send a string
		return errors.New("signin: the claim email_verified is not true")
	case !slices.Contains(a.EmailDomains, strings.ToLower(c.Email[at+1:])):
		return errors.New("signin: the domain of the claim email is none of Admit.EmailDomains")
	}
	return nil
}
