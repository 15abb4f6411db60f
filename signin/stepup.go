// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/text"
	"github.com/gatehouse-go/gatehouse/oauth"
)

const (
	// maxACRValues and maxLoginHint bound the parameters of a login, in bytes.
	maxACRValues = 256
	maxLoginHint = 256

	// freshMargin is the time by which the clock of the authorization server may be
	// behind when a user logs in again.
	freshMargin = time.Minute

	// ageMargin is subtracted from the max_age of a policy in the request to the
	// authorization server, or half of max_age if that is less. auth_time is in whole
	// seconds, and the redirect takes time: without the margin, a login at the limit
	// would be recent enough there and too old here.
	ageMargin = 5 * time.Second
)

// wish holds the requirements of one login beyond the configuration. unmet compares the
// result with them.
type wish struct {
	ACR    []string `json:"acr,omitempty"`     // accepted values
	MaxAge int64    `json:"max_age,omitempty"` // in seconds, zero for none
	Fresh  bool     `json:"fresh,omitempty"`   // the user logs in again
}

// parameters adds the query parameters of a login to the authorization request: max_age in seconds,
// less a margin, and acr_values, which the gate adds to the LoginURL for a step-up challenge;
// login_hint; and the values login, select_account and consent of prompt. Any page can link to a
// login with them, so they never weaken a setting: it ignores a larger max_age, another prompt, a
// login_hint if one is configured, and malformed values. It returns an error if the configuration
// does not allow the acr_values.
//
// Implements RFC 9470 §4.
func (h *Handler) parameters(ctx context.Context, query url.Values) (oauth.AuthorizationRequest, wish, error) {
	request := h.request
	request.Params = maps.Clone(request.Params)
	asked := wish{ACR: h.acr}
	prompts := strings.Fields(query.Get("prompt"))
	if seconds, err := strconv.ParseUint(query.Get("max_age"), 10, 31); err == nil {
		age := time.Duration(seconds) * time.Second
		switch {
		case age == 0: // require a new authentication
			prompts = append(prompts, "login")
		case request.MaxAge == 0 || age < request.MaxAge:
			request.MaxAge = age - min(ageMargin, age/2).Truncate(time.Second)
			asked.MaxAge = int64(seconds)
		}
	}
	if i := slices.Index(prompts, "select_account"); i >= 0 {
		// Without metadata, Authorize fails too.
		if p, err := h.Client.Provider(ctx); err == nil && !p.SupportsPrompt(prompts[i]) {
			prompts[i] = "login" // the user can enter another account there
		}
	}
	configured := strings.Fields(request.Params.Get("prompt"))
	for _, prompt := range []string{"consent", "select_account", "login"} {
		if slices.Contains(prompts, prompt) && !slices.Contains(configured, prompt) && !slices.Contains(configured, "none") {
			configured = append([]string{prompt}, configured...)
		}
	}
	if len(configured) > 0 {
		request.Params.Set("prompt", strings.Join(configured, " "))
	}
	if asked.Fresh = slices.Contains(configured, "login"); asked.Fresh && (request.MaxAge == 0 || request.MaxAge > transactionLifetime) {
		request.MaxAge = transactionLifetime // with max_age, the ID token must have auth_time
	}
	if hint := query.Get("login_hint"); hint != "" && text.IsClean(hint, maxLoginHint) && !request.Params.Has("login_hint") {
		request.Params.Set("login_hint", hint)
	}
	values := query.Get("acr_values")
	if strings.TrimSpace(values) == "" || len(values) > maxACRValues || !text.IsPrintable(values) {
		return request, asked, nil
	}
	asked.ACR = strings.Fields(values)
	if request.Params.Has("acr_values") && len(h.acr) == 0 { // of Config.Params
		return request, asked, nil
	}
	if len(h.acr) > 0 {
		asked.ACR = slices.DeleteFunc(asked.ACR, func(value string) bool { return !slices.Contains(h.acr, value) })
	}
	if len(asked.ACR) == 0 {
		return request, asked, fmt.Errorf("signin: acr_values: none of the requested values is in Config.ACRValues %q", h.acr)
	}
	request.Params.Set("acr_values", strings.Join(asked.ACR, " "))
	return request, asked, nil
}

// unmet returns an error if a login does not satisfy the wish. The login is not repeated,
// because an authorization server that ignores the parameters would cause an endless
// loop. The age has no tolerance, because package stepup has none: a login that passes
// here and fails there would also be a loop.
func (asked wish) unmet(result oauth.Result, begun time.Time) error {
	var claims struct {
		ACR string `json:"acr"`
	}
	if err := result.Claims.Decode(&claims); err != nil {
		return err
	}
	age := time.Since(result.AuthTime)
	switch {
	case len(asked.ACR) > 0 && !slices.Contains(asked.ACR, claims.ACR):
		return fmt.Errorf("signin: acr is %.64q, requested was %q: check that the authorization server obeys acr_values", claims.ACR, asked.ACR)
	case asked.MaxAge > 0 && age > time.Duration(asked.MaxAge)*time.Second:
		return fmt.Errorf("signin: auth_time is %v ago, requested was max_age %d s: check that the authorization server obeys max_age, and the clocks",
			age.Truncate(time.Second), asked.MaxAge)
	case asked.Fresh && result.AuthTime.Before(begun.Add(-freshMargin)):
		return errors.New("signin: auth_time is missing or before the login, which demands prompt=login: check that the authorization server obeys prompt, and the clocks")
	}
	return nil
}

// checkACR checks Config.ACRValues.
func checkACR(values []string, params url.Values) error {
	if len(values) == 0 {
		return nil
	}
	if params.Has("acr_values") {
		return errors.New("must be empty if Params has acr_values")
	}
	for _, value := range values {
		if !text.IsVisible(value) {
			return fmt.Errorf("%q: must be visible ASCII without spaces", value)
		}
	}
	if n := len(strings.Join(values, " ")); n > maxACRValues {
		return fmt.Errorf("%d bytes together, want at most %d", n, maxACRValues)
	}
	return nil
}

// remembers reports whether a page of this origin requests a long session: another site
// must not keep a user signed in on a shared computer.
func (h *Handler) remembers(r *http.Request, query url.Values) bool {
	return query.Get("remember") == "1" && r.Header.Get("Sec-Fetch-Site") == "same-origin"
}
