// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// request is a request to the token endpoint or the revocation endpoint.
type request struct {
	w      http.ResponseWriter
	r      *http.Request
	tokens *Tokens
	start  time.Time
}

// parse parses the form and returns the value of the first of the required parameters.
// For a malformed request it writes the response and returns false.
//
// Implements RFC 6749 §3.2; RFC 7009 §2 (POST).
func (q request) parse(required ...string) (string, bool) {
	if q.r.Method != http.MethodPost {
		q.w.Header().Set("Allow", http.MethodPost)
		q.noStore()
		q.w.WriteHeader(http.StatusMethodNotAllowed)
		return "", false
	}
	if err := q.parseForm(required); err != nil {
		q.refuse(codeInvalidRequest, ReasonRequest, err)
		return "", false
	}
	return q.r.PostForm.Get(required[0]), true
}

// parseForm parses the form.
//
// Implements RFC 6749 §2.3.1 (body), §4.1.2 (unknown).
func (q request) parseForm(required []string) error {
	if kind, _, err := mime.ParseMediaType(q.r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return errors.New("refresh: content type: must be application/x-www-form-urlencoded")
	}
	q.r.Body = http.MaxBytesReader(q.w, q.r.Body, maxForm)
	if q.r.ParseForm() != nil { // the error may quote the form
		return fmt.Errorf("refresh: form: malformed, or larger than %d bytes", maxForm)
	}
	query := q.r.URL.Query()
	// URLs are logged.
	for _, name := range []string{"client_secret", "client_assertion", "refresh_token", "token"} {
		if query.Has(name) {
			return fmt.Errorf("refresh: parameter %s: must not be in the URL", name)
		}
	}
	for name, values := range q.r.PostForm {
		// RFC 6749 §3.2 (once): "Request and response parameters MUST NOT be included
		// more than once." RFC 8707 §2 allows several of resource.
		if len(values) > 1 && name != "resource" {
			return errors.New("refresh: form: repeated parameter")
		}
	}
	for _, name := range required {
		// RFC 6749 §3.2 (empty): "Parameters sent without a value MUST be
		// treated as if they were omitted from the request."
		if q.r.PostForm.Get(name) == "" {
			return fmt.Errorf("refresh: parameter %s: required", name)
		}
	}
	return nil
}

// authenticate returns the client_id of the client. If the client fails to authenticate,
// it writes the response and returns false.
func (q request) authenticate(authenticate ClientAuthenticator) (string, bool) {
	if authenticate == nil {
		authenticate = publicClient
	}
	client, err := authenticate(q.r)
	if e, ok := errors.AsType[*gatehouse.Error](err); errors.Is(err, gatehouse.ErrNoCredentials) || ok && e.Code.Status() != http.StatusServiceUnavailable {
		err = fmt.Errorf("%w: %w", ErrInvalidClient, err)
	}
	// A client_id beside the credentials must name the same client (RFC 7521
	// section 4.2).
	if id := q.r.PostForm.Get("client_id"); err == nil && (client == "" || id != "" && id != client) {
		err = ErrInvalidClient
	}
	switch {
	case err == nil:
		return client, true
	case !errors.Is(err, ErrInvalidClient):
		q.refuse(gatehouse.CodeTemporarilyUnavailable, ReasonUnavailable, fmt.Errorf("refresh: client authentication: %w", err))
	case q.r.Header.Get("Authorization") != "":
		// RFC 6749 §5.2 (401): "If the client attempted to authenticate via the
		// "Authorization" request header field, the authorization server MUST
		// respond with an HTTP 401 (Unauthorized) status code".
		q.refuse(codeInvalidClientHeader, ReasonClientAuthentication, err)
	default:
		q.refuse(codeInvalidClient, ReasonClientAuthentication, err)
	}
	return "", false
}

// publicClient accepts public clients only.
func publicClient(r *http.Request) (string, error) {
	if r.Header.Get("Authorization") != "" || r.PostForm.Get("client_secret") != "" || r.PostForm.Get("client_assertion") != "" {
		return "", fmt.Errorf("%w: client credentials cannot be verified without a ClientAuthenticator", ErrInvalidClient)
	}
	return r.PostForm.Get("client_id"), nil
}

// refuse reports a refusal and writes the response.
func (q request) refuse(code gatehouse.Code, reason gatehouse.Reason, cause error) {
	refusal := &gatehouse.Error{Code: code, Reason: reason, Issuer: q.tokens.issuer, Cause: cause}
	if gatehouse.Report(q.r.Context(), q.tokens.observer, gatehouse.NewEvent(q.r, refusal, q.start)) != nil {
		code = gatehouse.CodeTemporarilyUnavailable
	}
	q.write(code)
}

// write writes an error response, RFC 6749 section 5.2.
func (q request) write(code gatehouse.Code) {
	switch code.Status() {
	case http.StatusUnauthorized:
		challenge := gatehouse.Challenge{Scheme: "Basic", Params: []gatehouse.Param{{Name: "realm", Value: "token endpoint"}}}
		q.w.Header().Set("WWW-Authenticate", challenge.String())
	case http.StatusServiceUnavailable:
		q.w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	}
	q.writeJSON(code.Status(), map[string]string{"error": code.String(), "error_description": code.Description()})
}

func (q request) writeJSON(status int, body any) {
	q.noStore()
	q.w.Header().Set("Content-Type", "application/json")
	q.w.WriteHeader(status)
	_ = json.NewEncoder(q.w).Encode(body) // fails only if the client has disconnected
}

// noStore prevents caches from storing the response.
//
//	RFC 6749 §5.1 (no-store): "The authorization server MUST include the HTTP
//	"Cache-Control" response header field [RFC2616] with a value of "no-store" in
//	any response containing tokens, credentials, or other sensitive information,
//	as well as the "Pragma" response header field [RFC2616] with a value of
//	"no-cache"."
func (q request) noStore() {
	q.w.Header().Set("Cache-Control", "no-store")
	q.w.Header().Set("Pragma", "no-cache")
}

// isAccessToken reports whether a token to be revoked is an access token.
func isAccessToken(text, hint string) bool {
	return !strings.HasPrefix(text, prefix) && (hint == "access_token" || strings.Count(text, ".") == 2)
}
