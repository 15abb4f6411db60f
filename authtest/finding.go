// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Finding is an incorrect response of a handler.
type Finding struct {
	Attempt string // its Name
	Kind    Kind
	Detail  string
}

// String returns the finding on one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s", f.Kind, f.Attempt, f.Detail)
}

// Kind is the kind of a [Finding].
type Kind string

// The kinds of findings, the worst first.
const (
	// Accepted: a hostile request got a success status, or it was refused but the handler
	// ran.
	Accepted Kind = "accepted"
	// Panicked: the handler panicked.
	Panicked Kind = "panicked"
	// AttackerURLFetched: the handler fetched a URL that a token named.
	AttackerURLFetched Kind = "attacker-controlled URL fetched"
	// Leaked: the response contains eight or more characters of a credential.
	Leaked Kind = "leaked"
	// Oracle: responses differ that must be equal for a client without a valid token.
	Oracle Kind = "oracle"
	// RejectedValid: an unusual but valid request was rejected.
	RejectedValid Kind = "rejected although valid"
	// WrongStatus: the request was rejected with another status than RFC 6750 requires.
	WrongStatus Kind = "wrong status"
	// WrongHeader: WWW-Authenticate or Cache-Control of a rejection is missing,
	// malformed or wrong.
	WrongHeader Kind = "wrong header"
)

// Try sends the request to handler and returns the findings in the answer. It may
// be called again until the token expires, after five minutes.
func (a Attempt) Try(handler http.Handler) []Finding {
	_, findings := a.try(handler, nil)
	return findings
}

// try sends the request. accepted is the answer to a valid request, nil if it is not
// known.
func (a Attempt) try(handler http.Handler, accepted *recording) (*recording, []Finding) {
	answer, panicked := a.send(handler)
	var findings []Finding
	if panicked != nil {
		findings = []Finding{{a.Name, Panicked, fmt.Sprint(panicked)}}
	} else {
		findings = a.examine(answer)
	}
	if ran := answer.ran(accepted); ran != "" && !a.Valid() && (panicked != nil || answer.Code >= http.StatusMultipleChoices) {
		findings = append(findings, Finding{a.Name, Accepted, fmt.Sprintf("status %d, and the handler ran: %s", answer.Code, ran)})
	}
	return answer, findings
}

func (a Attempt) examine(answer *recording) (findings []Finding) {
	add := func(kind Kind, format string, args ...any) {
		findings = append(findings, Finding{a.Name, kind, fmt.Sprintf(format, args...)})
	}
	status := answer.Code
	switch {
	case status < http.StatusMultipleChoices && a.Valid():
		return nil
	case status < http.StatusMultipleChoices:
		add(Accepted, "status %d", status)
		return findings
	case slices.Equal(a.Want, []int{http.StatusOK}):
		add(RejectedValid, "status %d", status)
	case !slices.Contains(a.Want, status):
		add(WrongStatus, "status %d, want %s", status, list(a.Want))
	}
	for _, wrong := range a.wrongHeaders(status, answer.Header()) {
		add(WrongHeader, "%s", wrong)
	}
	if where := a.leak(answer); where != "" {
		add(Leaked, "part of the credential in the %s", where)
	}
	return findings
}

func (a Attempt) wrongHeaders(status int, header http.Header) (wrong []string) {
	challenges, err := parseChallenges(header.Values("WWW-Authenticate"))
	code := ""
	for _, c := range challenges {
		if value := c.params["error"]; value != "" {
			code = value
		}
	}
	switch {
	case err != nil:
		wrong = append(wrong, "WWW-Authenticate: "+err.Error())
	// RFC 9110 §15.5.2: "The server generating a 401 response MUST send a
	// WWW-Authenticate header field".
	case status == http.StatusUnauthorized && len(challenges) == 0:
		wrong = append(wrong, "WWW-Authenticate: missing")
	// RFC 6750 §3.1: "If the request lacks any authentication information …
	// the resource server SHOULD NOT include an error code".
	case status == http.StatusUnauthorized && a.code == noCode && code != "":
		wrong = append(wrong, "WWW-Authenticate: error code for a request without credentials")
	case a.code != "" && a.code != noCode && slices.Contains(a.Want, status) &&
		status != http.StatusServiceUnavailable && code != a.code:
		wrong = append(wrong, fmt.Sprintf("WWW-Authenticate: error = %q, want %s", code, a.code))
	}
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		if !noStore(header) {
			wrong = append(wrong, "Cache-Control: no no-store")
		}
	}
	for name, values := range header {
		if strings.ContainsAny(name+strings.Join(values, ""), "\r\n") {
			wrong = append(wrong, name+": line break")
		}
	}
	return wrong
}

// noStore reports whether Cache-Control has the directive no-store.
func noStore(header http.Header) bool {
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		if strings.EqualFold(strings.TrimSpace(directive), "no-store") {
			return true
		}
	}
	return false
}

// leakLength is the number of consecutive characters of a credential that must not
// be in an answer.
const leakLength = 8

// leak returns the part of the answer that contains a part of a credential, "" if
// none does.
func (a Attempt) leak(answer *recording) string {
	texts := map[string]string{"body": answer.Body.String()}
	for name, values := range answer.Header() {
		texts["header "+name] = strings.Join(values, "\n")
	}
	for _, where := range slices.Sorted(maps.Keys(texts)) {
		for _, credential := range a.credentials {
			if shares(texts[where], credential) {
				return where
			}
		}
	}
	return ""
}

func shares(text, credential string) bool {
	// An echo of a very long credential contains its start or its end.
	const long = 16 << 10
	if len(credential) > 2*long {
		return shares(text, credential[:long]) || shares(text, credential[len(credential)-long:])
	}
	for n := 0; n+leakLength <= len(text); n++ {
		if strings.Contains(credential, text[n:n+leakLength]) {
			return true
		}
	}
	return false
}

func list(statuses []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(statuses), "[]"), " ", " or ")
}
