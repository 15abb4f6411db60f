// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/navigation"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
)

// Page is the content of a page for a refused navigation. It contains nothing from the
// authorization server or the error.
type Page struct {
	Status int
	// Reason is the reason of a refusal by the [Handler], "" for one by a gate.
	Reason gatehouse.Reason
	// Title and Text tell the user in English what has happened and what to do.
	Title, Text string
	// Link is the text of a link to Href: a login with the return_to of the failed one,
	// or Home. If NewTab is true, the link should open in another tab: the user can then
	// reload this one to send a form again.
	Link, Href string
	NewTab     bool
}

// body returns the response with a page: that of the application, or the default.
func (h *Handler) body(r *http.Request, p Page) gatehouse.Body {
	if h.custom != nil {
		if body := h.custom(r, p); body.ContentType != "" {
			return body
		}
	}
	return render(p)
}

// ErrorBody is for [gatehouse.Config].ErrorBody. It returns pages for navigations that a
// gate refuses, such as a form that is sent after the session has ended, and JSON for all
// other requests. [Handler.Gate] uses it. It is safe for concurrent use.
func (h *Handler) ErrorBody(r *http.Request, refusal gatehouse.Refusal) gatehouse.Body {
	if !navigation.ShowsResponse(r) {
		return gatehouse.Body{}
	}
	return h.body(r, h.gatePage(r, refusal.Status))
}

// gatePage returns the page for a refusal by a gate.
func (h *Handler) gatePage(r *http.Request, status int) Page {
	p := Page{Status: status, Link: "Go on", Href: h.home}
	switch status {
	case http.StatusUnauthorized:
		p.Title, p.Link, p.Href = "Please sign in", "Sign in", h.loginFor(pageBefore(r), "")
		p.Text = "This page is for users who have signed in."
		if r.Method != http.MethodGet {
			p.Title, p.NewTab = "Your session has ended", true
			p.Text = "Nothing was saved. Sign in in another tab, then reload this page to send the form again."
		}
	case http.StatusForbidden:
		p.Title, p.Text = "This is not possible", "Your account may not do this, or another site has tried to do it for you. Nothing was changed."
	case http.StatusConflict:
		p.Title, p.Text = "Another user has signed in", "The page before belongs to another user than the one who is signed in now. Nothing was saved."
	case http.StatusServiceUnavailable:
		p.Title, p.Text = "This is not possible at the moment", "A server that this application needs is unavailable. Please try again in a moment."
	default:
		p.Title, p.Text = "This is not possible", "The application does not understand the request. Nothing was changed."
	}
	return p
}

// pageOf returns the page for a login or logout that has failed.
func (h *Handler) pageOf(r *http.Request, status int, reason gatehouse.Reason) Page {
	again := h.loginFor(returnToOf(r), "")
	p := Page{Status: status, Reason: reason, Link: "Sign in", Href: again}
	logout := r.URL.Path == h.logout
	switch {
	case reason == oauth.ReasonIDToken, reason == ReasonProvider:
		p.Title, p.Link, p.Href = "This sign-in could not be verified", "Go on", h.home
		p.Text = "The answer of the sign-in server does not fit the settings or the clock of this application. Its operator finds the cause in the log; to start again does not help."
	case reason == ReasonStepUp, reason == oauth.ReasonStepUp:
		p.Title, p.Link, p.Href = "A stronger sign-in is needed", "Go on", h.home
		p.Text = "The sign-in server did not ask for what this page needs, such as a second factor or the password again. You are still signed in as before."
	case reason == ReasonNotAllowed, reason == ReasonGroups:
		p.Title, p.Link, p.Href = "This account may not sign in here", "Use another account", h.loginFor(returnToOf(r), "login") // not select_account, which some servers reject
		p.Text = "You have signed in at the sign-in server, and this application does not admit the account."
	case reason == ReasonPath:
		p.Title, p.Link, p.Href = "This address does not arrive", "Go on", h.home
		p.Text = "A proxy in front of this application changes the path of the address. Its operator finds the cause in the log."
	case reason == session.ReasonOtherUser:
		return h.gatePage(r, status)
	case logout && status == http.StatusForbidden:
		p.Title, p.Text = "You are still signed in", "Another site has tried to sign you out. Nothing was changed."
		p.Link, p.Href = "Go on", h.home
	case logout && status == http.StatusUnauthorized:
		p.Title, p.Text = "Please sign in", "This browser has no session. Sign in again to sign out everywhere."
	case logout && r.FormValue("everywhere") == "1": // the session in this browser may remain too
		p.Title, p.Link, p.Href = "You may still be signed in", "Go on", h.home
		p.Text = "A server that the sign-out needs is unavailable. Please sign out again in a moment."
	case logout:
		p.Title, p.Link, p.Href = "You are signed out of this browser", "Go on", h.home
		p.Text = "The session store is unavailable. Until it is available again, a session may still be in your list of sessions."
	case status == http.StatusForbidden:
		p.Title, p.Text = "The sign-in was refused", "Nothing was changed. You can sign in again."
	case status == http.StatusServiceUnavailable:
		p.Title, p.Link = "Sign-in is not possible at the moment", "Try again"
		p.Text = "A server that the sign-in needs is unavailable. Please try again later."
	case status == http.StatusUnauthorized:
		p.Title, p.Text, p.NewTab = "Please sign in", "Sign-in needs a window or tab of its own.", true
	default:
		p.Title = "This sign-in could not be completed"
		p.Text = "The address was used before, has expired, or belongs to another browser. Please start again."
	}
	return p
}

// loginFor returns the address of a login with return_to set to returnTo, if that is a
// path on this host.
func (h *Handler) loginFor(returnTo, prompt string) string {
	query := make(url.Values)
	if returnTo != "" && returnTo != h.home && isLocal(returnTo) {
		query.Set("return_to", returnTo)
	}
	if prompt != "" {
		query.Set("prompt", prompt)
	}
	if len(query) == 0 {
		return h.LoginURL
	}
	return h.LoginURL + "?" + query.Encode()
}

const style = "body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:0 auto;padding:3rem 1rem}:root{color-scheme:light dark}"

// document is the page of this package. The Content-Security-Policy allows its style by
// hash.
const document = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title><style>` + style + `</style></head>
<body><main><h1>{{.Title}}</h1><p>{{.Text}}</p>
<p><a href="{{.Href}}"{{if .NewTab}} target="_blank" rel="noopener"{{end}}>{{.Link}}</a></p></main></body></html>
`

func render(p Page) gatehouse.Body {
	var b bytes.Buffer
	_ = template.Must(template.New("").Parse(document)).Execute(&b, p) // cannot fail: the template is constant, and b takes all
	sum := sha256.Sum256([]byte(style))
	return gatehouse.Body{
		ContentType: "text/html; charset=utf-8", Content: b.Bytes(),
		Header: http.Header{"Content-Security-Policy": {strings.Join([]string{
			"default-src 'none'", "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
		}, "; ")}},
	}
}
