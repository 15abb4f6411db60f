// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
)

// me returns the principal. The page requests it each time the page becomes visible.
func (a *app) me(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	said := describe(p)
	if notice, err := a.notice.Take(r.Context()); err == nil && notice != "" { // what is left for the next page
		said["notice"] = notice
	}
	writeJSON(w, http.StatusOK, said)
}

// saveByForm saves the note of a form without the script, and redirects to the page with
// a message for it (flash message). The form says which user it shows: see
// [session.RequireUser].
func (a *app) saveByForm(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	text, notice := r.PostFormValue("note"), "Saved"
	switch {
	case !r.PostForm.Has("note") || !utf8.ValidString(text):
		notice = "Not saved: this is no note"
	case len(text) > maxNote:
		notice = "Not saved: the note is too long"
	case !a.notes.put(p.Key(), text):
		notice = "Not saved: the server has no space for another note"
	}
	if err := a.notice.Set(r.Context(), notice); err != nil {
		gatehouse.Refuse(w, r, err)
		return
	}
	http.Redirect(w, r, a.base+"/", http.StatusSeeOther)
}

// describe returns a principal for its user.
func describe(p gatehouse.Principal) map[string]any {
	// Claims of the ID token, if the scopes include them.
	var claims struct {
		Name  string `json:"name"`
		Email string `json:"email"`
	}
	_ = p.Claims.Decode(&claims) // claims of other types are left out
	granted := []string{}        // never null
	for scope := range p.Scopes.All() {
		granted = append(granted, scope)
	}
	said := map[string]any{
		"subject": p.Subject,
		"issuer":  p.Issuer,
		"user":    session.UserTag(p),
		"client":  p.Client,
		"method":  p.Method,
		"session": p.Credential,
		"scopes":  granted,
		"expires": p.Expires.UTC().Format(time.RFC3339),
	}
	if !p.AuthTime.IsZero() {
		said["auth_time"] = p.AuthTime.UTC().Format(time.RFC3339)
	}
	if claims.Name != "" {
		said["name"] = claims.Name
	}
	if claims.Email != "" {
		said["email"] = claims.Email
	}
	return said
}

// export shows all data of the user.
func (a *app) export(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	writeJSON(w, http.StatusOK, map[string]any{"user": describe(p), "note": a.notes.of(p.Key())})
}

// asksAgain reports whether the export requires a step-up.
func (a *app) asksAgain() bool { return a.stepUp.MaxAge != 0 || len(a.stepUp.ACRValues) != 0 }

// listSessions returns all sessions of the user.
func (a *app) listSessions(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	sessions, err := a.signin.Sessions.List(r.Context(), p.Issuer, p.Subject)
	if err != nil {
		gatehouse.Refuse(w, r, err)
		return
	}
	type entry struct {
		ID       string    `json:"id"`
		Label    string    `json:"label"`
		Created  time.Time `json:"created"`
		LastSeen time.Time `json:"last_seen"`
		Expires  time.Time `json:"expires"`
		Current  bool      `json:"current"` // the session of this request
	}
	list := make([]entry, len(sessions))
	for i, s := range sessions {
		list[i] = entry{s.ID, s.Label, s.Created, s.LastSeen, s.Expires, s.ID == p.Credential}
	}
	writeJSON(w, http.StatusOK, map[string]any{"sessions": list})
}

// endSession ends one session of the user.
func (a *app) endSession(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	id := r.PathValue("id")
	var tokens session.Tokens
	var err error
	if id == p.Credential {
		tokens, err = a.signin.Sessions.End(w, r) // clears the cookie too
	} else {
		tokens, err = a.signin.Sessions.EndOne(r.Context(), p.Issuer, p.Subject, id)
	}
	a.revoke(r.Context(), tokens)
	switch {
	case errors.Is(err, session.ErrNotFound):
		writeError(w, http.StatusNotFound, "not_found", "No such session.")
	case err != nil:
		gatehouse.Refuse(w, r, err)
	default:
		writeJSON(w, http.StatusOK, map[string]string{"ended": id})
	}
}

// revokeTimeout bounds the revocation of the tokens of an ended session.
const revokeTimeout = 3 * time.Second

// revoke revokes the refresh token of an ended session. If that fails, the failure is
// only logged.
func (a *app) revoke(ctx context.Context, tokens session.Tokens) {
	if tokens.Refresh.Len() == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
	defer cancel()
	if err := a.signin.Client.Revoke(ctx, tokens.Refresh, oauth.RefreshToken); err != nil {
		a.logger.WarnContext(ctx, "revocation", "problem", err.Error())
	}
}

// browserName returns a name such as "Firefox on Linux" for a User-Agent header. It
// copies nothing from the header, which the client controls.
func browserName(header string) string {
	// Most browsers name several browsers, so the order matters.
	browser := first(header,
		"Edg/", "Edge", "OPR/", "Opera", "SamsungBrowser/", "Samsung Internet", "Firefox/", "Firefox", "FxiOS/", "Firefox",
		"CriOS/", "Chrome", "Chrome/", "Chrome", "Chromium/", "Chromium", "Safari/", "Safari",
	)
	system := first(header,
		"Windows", "Windows", "Android", "Android", "iPhone", "iOS", "iPad", "iPadOS", "Mac OS X", "macOS",
		"CrOS", "ChromeOS", "Linux", "Linux",
	)
	switch {
	case browser == "" && system == "":
		return "Unknown browser"
	case browser == "":
		return "A browser on " + system
	case system == "":
		return browser
	}
	return browser + " on " + system
}

// first takes pairs of a word and a name. It returns the name of the first word in
// the header.
func first(header string, words ...string) string {
	for i := 0; i+1 < len(words); i += 2 {
		if strings.Contains(header, words[i]) {
			return words[i+1]
		}
	}
	return ""
}
