// SPDX-License-Identifier: Apache-2.0

package approval

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// ServeHTTP serves the page and the JSON API. Mount it behind a gate, at the path of
// Config.URL and below: mux.Handle("/approvals", a, gatehouse.Authenticated) and
// mux.Handle("/approvals/", a, gatehouse.Authenticated).
//
//   - GET URL lists the approvals that the caller may decide on: {"approvals": […]}.
//     Arguments of more than 128 KiB are null.
//   - GET URL/ID returns one approval, for its deciders and for the caller of the tool.
//   - POST URL/ID decides: {"decision": "approve" or "deny", "reason": text} as
//     application/json, with the approval as the response; or the form of the page, with
//     a redirect as the response. See [Approvals.Decide] for the refusals.
//
// The response to GET is JSON if Accept contains application/json and not text/html, and
// otherwise a page. A cross-origin POST of a browser is refused with 403, with any
// credential. Pages have no script, are not cached and not framed, and show control,
// format and other invisible characters as escapes.
func (s *Approvals) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{s, w, r, gatehouse.Principal{}, time.Now()}
	h := w.Header()
	for _, field := range [][2]string{
		{"Cache-Control", "no-store"},
		{"Content-Security-Policy", contentSecurityPolicy},
		{"X-Frame-Options", "DENY"},
		{"X-Content-Type-Options", "nosniff"},
		{"Referrer-Policy", "same-origin"}, // with no-referrer, browsers send Origin: null
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
	} {
		h.Set(field[0], field[1])
	}
	h.Add("Vary", "Accept")
	var ok bool
	if x.caller, ok = gatehouse.FromContext(r.Context()); !ok {
		gatehouse.Refuse(w, r, &gatehouse.Error{Code: gatehouse.CodeMissingCredentials, Reason: gatehouse.ReasonOutsideGate})
		return
	}
	id, one := strings.CutPrefix(r.URL.Path, s.path+"/")
	switch {
	case one == (r.URL.Path == s.path):
		x.refuse(CodeNotFound, ReasonNotFound, errors.New("approval: the path is not that of Config.URL"))
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		if one {
			x.show(id)
		} else {
			x.list()
		}
	case r.Method == http.MethodPost && one:
		x.decide(id)
	default:
		h.Set("Allow", "GET, HEAD")
		if one {
			h.Set("Allow", "GET, HEAD, POST")
		}
		x.refuse(CodeMethod, ReasonMalformed, errors.New("approval: the method is not supported"))
	}
}

// exchange is one request with its response.
type exchange struct {
	*Approvals
	w      http.ResponseWriter
	r      *http.Request
	caller gatehouse.Principal
	start  time.Time
}

func (x *exchange) list() {
	found, err := x.List(x.r.Context(), x.caller)
	switch {
	case err != nil:
		x.refuse(gatehouse.CodeTemporarilyUnavailable, ReasonUnavailable, errors.Unwrap(err))
	case x.wantsJSON():
		x.json(struct {
			Approvals []Approval `json:"approvals"`
		}{append([]Approval{}, found...)})
	default:
		x.page(http.StatusOK, x.listPage(found))
	}
}

func (x *exchange) show(id string) {
	a, err := x.find(x.r.Context(), x.caller.Tenant, id)
	switch {
	case errors.Is(err, ErrNotFound):
		x.refuse(CodeNotFound, ReasonNotFound, err)
	case err != nil:
		x.refuse(gatehouse.CodeTemporarilyUnavailable, ReasonUnavailable, err)
	case !mayRead(x.caller, a):
		x.refuse(gatehouse.CodeAccessDenied, ReasonNotEntitled, errRule)
	case x.wantsJSON():
		x.json(a)
	default:
		x.page(http.StatusOK, x.approvalPage(a))
	}
}

// mayRead reports whether p may decide on a, requested a, or is the agent that requested
// a on behalf of its subject.
func mayRead(p gatehouse.Principal, a Approval) bool {
	if isPerson(p) && filter(p).entitled(a) || p.Key() == a.Subject || p.Key() == a.Actor {
		return true
	}
	actor, _ := p.Actors.Current()
	return actor.Subject == a.Actor.Subject && p.Subject == a.Subject.Subject
}

func (x *exchange) decide(id string) {
	if err := x.checkOrigin(); err != nil {
		x.refuse(gatehouse.CodeAccessDenied, ReasonCrossSite, err)
		return
	}
	approve, reason, form, err := readDecision(x.w, x.r)
	if err != nil {
		x.refuse(CodeMalformed, ReasonMalformed, err)
		return
	}
	a, err := x.Decide(x.r.Context(), x.caller, id, approve, reason)
	switch {
	case err != nil: // reported
		refusal, _ := errors.AsType[*gatehouse.Error](err) // Decide returns no other
		x.write(refusal.Code, form)
	case form:
		x.w.Header().Set("Location", x.path+"/"+url.PathEscape(a.ID))
		x.w.WriteHeader(http.StatusSeeOther)
	default:
		x.json(a)
	}
}

// checkOrigin rejects cross-origin requests of browsers, with any credential.
func (x *exchange) checkOrigin() error {
	if err := x.protection.Check(x.r); err != nil {
		return err
	}
	origins := x.r.Header["Origin"]
	if len(origins) > 1 || len(x.r.Header["Sec-Fetch-Site"]) > 1 {
		return errors.New("approval: several Origin or Sec-Fetch-Site headers")
	}
	if len(origins) == 0 || origins[0] == x.origin {
		return nil
	}
	// net/http ignores Origin if there is a Sec-Fetch-Site header, and always ignores its
	// scheme.
	u, err := url.Parse(origins[0])
	if err != nil || u.Host == "" || !strings.EqualFold(u.Host, x.r.Host) || x.r.TLS != nil && u.Scheme != "https" {
		return errors.New("approval: Origin is neither that of Config.URL nor the host of the request")
	}
	return nil
}

func (x *exchange) wantsJSON() bool {
	accept := strings.Join(x.r.Header["Accept"], ",")
	has := func(media string) bool {
		return slices.ContainsFunc(strings.Split(accept, ","), func(s string) bool {
			name, _, _ := strings.Cut(s, ";")
			return strings.EqualFold(strings.TrimSpace(name), media)
		})
	}
	return has("application/json") && !has("text/html")
}

func (x *exchange) json(v any) {
	body, err := json.Marshal(v)
	if err != nil {
		x.refuse(gatehouse.CodeTemporarilyUnavailable, ReasonUnavailable, err)
		return
	}
	x.body(http.StatusOK, "application/json", append(body, '\n'))
}

func (x *exchange) body(status int, contentType string, body []byte) {
	x.w.Header().Set("Content-Type", contentType)
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		_, _ = x.w.Write(body) // fails only if the client has disconnected
	}
}

// refuse reports a refusal and writes it.
func (x *exchange) refuse(code gatehouse.Code, reason gatehouse.Reason, cause error) {
	event := gatehouse.NewEvent(x.r, &gatehouse.Error{Code: code, Reason: reason, Cause: cause}, x.start)
	event.Principal = x.caller
	if event.Decision == gatehouse.Rejected { // the caller is authenticated
		event.Decision = gatehouse.Denied
	}
	if err := gatehouse.Report(x.r.Context(), x.config.Observer, event); err != nil {
		code = gatehouse.CodeTemporarilyUnavailable
	}
	x.write(code, !x.wantsJSON() && !strings.Contains(x.r.Header.Get("Content-Type"), "json"))
}

// write writes a refusal as JSON or as a page.
func (x *exchange) write(code gatehouse.Code, page bool) {
	if code.Status() == http.StatusServiceUnavailable {
		x.w.Header().Set("Retry-After", "5")
	}
	if page {
		x.page(code.Status(), x.refusalPage(code))
		return
	}
	x.body(code.Status(), "application/json", []byte(`{"error":"`+code.String()+`","error_description":"`+code.Description()+`"}`+"\n"))
}
