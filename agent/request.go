// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

const (
	grantClientCredentials = "client_credentials"
	grantExchange          = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeAccessToken        = "urn:ietf:params:oauth:token-type:access_token"

	maxForm    = 64 << 10 // bytes of a request
	retryAfter = 5        // seconds
)

// ServeHTTP serves token requests. Register it as a public route, such as POST /token.
//
// The client authenticates with a private_key_jwt assertion (iss and sub are the ID of
// the agent, aud is the issuer identifier, at most one minute, a jti for each request), a
// JWT-SVID or a client certificate. The response follows RFC 6749 sections 5.1 and 5.2
// and RFC 8693 section 2.2. If a backend fails, it is 503 temporarily_unavailable. The
// observer of the registry receives an event for each issued token and for each refusal.
//
// If the attestation of the agent has Issue set, a request for an own token needs two
// more parameters: attestation, the evidence, and attestation_nonce, the nonce from
// [Server.Challenge].
//
// Implements RFC 6749 §4.4; RFC 8693 §2.2.2.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	if r.Method != http.MethodPost {
		h.Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	t, e := s.answer(w, r)
	if e == nil {
		if err := s.reportIssued(r, t, start); err != nil {
			e = asError(err)
			s.write(w, e)
			return
		}
		maps.Copy(h, t.header)
		writeJSON(w, http.StatusOK, t.response())
		return
	}
	if err := gatehouse.Report(r.Context(), s.registry.config.Observer, gatehouse.NewEvent(r, e, start)); err != nil {
		e = asError(err)
	}
	s.write(w, e)
}

// answer returns the token for a request.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) (*issue, *gatehouse.Error) {
	if cause := parseForm(w, r); cause != nil {
		return nil, refuse(codeInvalidRequest, ReasonRequest, "", cause)
	}
	form := r.PostForm
	grant := form.Get("grant_type")
	switch grant {
	case grantClientCredentials, grantExchange:
	case "":
		return nil, refuse(codeInvalidRequest, ReasonRequest, "", errors.New("grant_type: required"))
	default:
		return nil, refuse(codeUnsupportedGrantType, ReasonRequest, "", errors.New("grant_type is not client_credentials or token exchange"))
	}
	c, e := s.authenticate(r)
	if e != nil {
		return nil, e
	}
	id := c.entry.agent.ID
	// Details are refused, not ignored, because this server does not know what they
	// restrict or permit.
	if form.Has("authorization_details") {
		return nil, refuse(codeInvalidDetails, ReasonDetails, id, errors.New("authorization_details are not supported"))
	}
	for _, name := range []string{"resource", "audience"} {
		for _, value := range form[name] {
			if value != s.config.Audience {
				return nil, refuse(codeInvalidTarget, ReasonTarget, id, fmt.Errorf("%s is not the audience of this server", name))
			}
		}
	}
	asked, err := gatehouse.ParseScopes(form.Get("scope"))
	if err != nil {
		return nil, refuse(codeInvalidScope, ReasonScope, id, err)
	}
	if grant == grantClientCredentials {
		return s.mint(r, c, asked)
	}
	return s.exchange(r, c, asked)
}

// parseForm parses the form of a token request strictly.
//
// Implements RFC 6749 §2.3.1 (body).
func parseForm(w http.ResponseWriter, r *http.Request) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return errors.New("content type: must be application/x-www-form-urlencoded")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if r.ParseForm() != nil { // the error may quote the form
		return fmt.Errorf("form: malformed, or larger than %d bytes", maxForm)
	}
	if r.URL.RawQuery != "" {
		return errors.New("query: parameters must be in the body") // URLs are logged
	}
	for name, values := range r.PostForm {
		// Several of resource and audience are allowed.
		if len(values) > 1 && name != "resource" && name != "audience" {
			return errors.New("form: repeated parameter")
		}
		// A parameter without a value counts as omitted.
		if len(values) == 1 && values[0] == "" {
			delete(r.PostForm, name)
		}
	}
	return nil
}

func refuse(code gatehouse.Code, reason gatehouse.Reason, client string, cause error) *gatehouse.Error {
	return &gatehouse.Error{Code: code, Reason: reason, Credential: client, Cause: fmt.Errorf("agent: token request: %w", cause)}
}

// write writes an error response, RFC 6749 section 5.2.
func (s *Server) write(w http.ResponseWriter, e *gatehouse.Error) {
	for name, values := range e.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	switch e.Code.Status() {
	case http.StatusUnauthorized:
		// A 401 must have a challenge.
		challenge := gatehouse.Challenge{Scheme: "Bearer", Params: []gatehouse.Param{{Name: "realm", Value: "token endpoint"}}}
		w.Header().Set("WWW-Authenticate", challenge.String())
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	writeJSON(w, e.Code.Status(), map[string]string{"error": e.Code.String(), "error_description": e.Code.Description()})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails only if the client has disconnected
}

// reportIssued reports an issued token before it is sent.
func (s *Server) reportIssued(r *http.Request, t *issue, start time.Time) error {
	event := gatehouse.Event{
		Type: EventMinted, Level: slog.LevelInfo, Issuer: s.registry.config.Issuer, Credential: t.signed.ID,
		Method: r.Method, Host: r.Host, Path: r.URL.Path, Route: r.Pattern, Duration: time.Since(start),
		Principal: t.principal(),
		Attrs: []slog.Attr{
			slog.String(AttrAgent, t.agent.ID), slog.String(AttrTenant, t.agent.Tenant), slog.Int64(AttrGeneration, t.agent.Generation),
		},
	}
	if t.token.Actors.Len() > 0 {
		event.Type = EventExchanged
		event.Attrs = append(event.Attrs, slog.String(AttrParent, t.parent))
	}
	return gatehouse.Report(r.Context(), s.registry.config.Observer, event)
}
