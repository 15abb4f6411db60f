// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"
)

// Finding is something that a handler did wrong.
type Finding struct {
	Attempt string // its Name
	Kind    Kind
	Detail  string
}

// String returns the finding on one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s", f.Kind, f.Attempt, f.Detail)
}

// Kind says what sort of a [Finding] it is, the worst first.
type Kind string

// The kinds of findings.
const (
	// GotThrough: a hostile request was answered with success.
	GotThrough Kind = "got through"
	// Panicked: the handler panicked.
	Panicked Kind = "panicked"
	// Lured: the handler asked for an address that a token named.
	Lured Kind = "lured"
	// Leaked: eight or more characters of a credential are in the answer.
	Leaked Kind = "leaked"
	// Telltale: what must look alike from outside can be told apart.
	Telltale Kind = "telltale"
	// RefusedGood: a request that is unusual but good was refused.
	RefusedGood Kind = "refused although good"
	// WrongStatus: refused, but with a status that says something else.
	WrongStatus Kind = "wrong status"
	// WrongHeader: refused with a header that is malformed, missing or says
	// something else: WWW-Authenticate or Cache-Control.
	WrongHeader Kind = "wrong header"
)

// Try sends the request to handler and returns what the answer has shown. It
// can be called any number of times until the token expires, after five
// minutes.
func (a Attempt) Try(handler http.Handler) []Finding {
	_, findings := a.try(handler)
	return findings
}

func (a Attempt) try(handler http.Handler) (*httptest.ResponseRecorder, []Finding) {
	ctx, cancel := context.WithTimeout(a.Request.Context(), time.Minute)
	defer cancel()
	request := a.Request.Clone(ctx)
	if request.GetBody != nil {
		request.Body, _ = request.GetBody() // never fails on a string
	}
	answer := httptest.NewRecorder()
	if panicked := serve(handler, answer, request); panicked != nil {
		return answer, []Finding{{a.Name, Panicked, fmt.Sprint(panicked)}}
	}
	return answer, a.examine(answer)
}

func serve(handler http.Handler, w http.ResponseWriter, r *http.Request) (panicked any) {
	defer func() { panicked = recover() }()
	handler.ServeHTTP(w, r)
	return nil
}

func (a Attempt) examine(answer *httptest.ResponseRecorder) (findings []Finding) {
	add := func(kind Kind, format string, args ...any) {
		findings = append(findings, Finding{a.Name, kind, fmt.Sprintf(format, args...)})
	}
	status := answer.Code
	switch {
	case status < http.StatusMultipleChoices && a.Good():
		return nil
	case status < http.StatusMultipleChoices:
		add(GotThrough, "answered with %d", status)
		return findings
	case slices.Equal(a.Want, []int{http.StatusOK}):
		add(RefusedGood, "answered with %d", status)
	case !slices.Contains(a.Want, status):
		add(WrongStatus, "answered with %d, not %s", status, list(a.Want))
	}
	for _, wrong := range a.wrongHeaders(status, answer.Header()) {
		add(WrongHeader, "%s", wrong)
	}
	if where := a.leak(answer); where != "" {
		add(Leaked, "a part of the credential is in the %s", where)
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
		wrong = append(wrong, "WWW-Authenticate: has an error code although there was no credential")
	case a.code != "" && a.code != noCode && slices.Contains(a.Want, status) &&
		status != http.StatusServiceUnavailable && code != a.code:
		wrong = append(wrong, fmt.Sprintf("WWW-Authenticate: error is not %s", a.code))
	}
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		if !strings.Contains(strings.ToLower(header.Get("Cache-Control")), "no-store") {
			wrong = append(wrong, "Cache-Control: no-store is missing")
		}
	}
	for name, values := range header {
		if strings.ContainsAny(name+strings.Join(values, ""), "\r\n") {
			wrong = append(wrong, name+": has a line break")
		}
	}
	return wrong
}

// leakLength is the number of characters of a credential, in a row, that must
// not be in an answer.
const leakLength = 8

// leak says in which part of the answer a part of a credential is, "" if in
// none.
func (a Attempt) leak(answer *httptest.ResponseRecorder) string {
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
	// An echo of a very long one has its beginning or its end in it.
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

// telltale remembers the first answer of each group of attempts that must look
// alike.
type telltale map[string]seen

type seen struct{ name, answer string }

func (t *telltale) compare(a Attempt, answer *httptest.ResponseRecorder) []Finding {
	if a.alike == "" || answer.Code == http.StatusServiceUnavailable {
		return nil
	}
	if *t == nil {
		*t = make(telltale)
	}
	text := fmt.Sprint(answer.Code, answer.Header(), answer.Body)
	first, ok := (*t)[a.alike]
	if !ok {
		(*t)[a.alike] = seen{a.Name, text}
		return nil
	}
	if first.answer == text {
		return nil
	}
	return []Finding{{a.Name, Telltale, "answered otherwise than " + first.name}}
}

func list(statuses []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(statuses), "[]"), " ", " or ")
}
