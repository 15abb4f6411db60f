// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each service refuses the request as it must, but for one fault.
func TestRefusals(t *testing.T) {
	accepted := &recording{ResponseRecorder: httptest.NewRecorder()}
	accepted.Header().Set("Last-Modified", "today")
	_, _ = accepted.WriteString("\n 8 bytes.\n")
	short := &recording{ResponseRecorder: httptest.NewRecorder()}
	_, _ = short.WriteString("7 bytes\n")
	attempt := Attempt{
		Name: "a", Request: httptest.NewRequest(http.MethodGet, "/", http.NoBody), Want: []int{401, 503}, code: "invalid_token",
		credentials: []string{"the first credential", "another one"},
	}
	refuse := func(w http.ResponseWriter, status int) {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
	}
	ran := func(w http.ResponseWriter, r *http.Request) {
		Witness(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	}
	const body = "a: status 401, and the handler ran: the refusal contains the body of an accepted request"
	for _, test := range []struct {
		name     string
		accepted *recording
		service  http.HandlerFunc
		want     []string
	}{
		{"none", accepted, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401) }, nil},
		{"status 299", accepted, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(299) }, []string{"accepted: a: status 299"}},
		{"status 101", accepted, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(101) }, []string{"accepted: a: status 101"}},
		{"status 103 before the refusal", accepted, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); refuse(w, 401) }, nil},
		{"status 103 after the refusal", accepted, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401); w.WriteHeader(103) }, []string{"accepted: a: status 401, and the handler ran: it wrote status 103 after the refusal"}},
		{"status 300", accepted, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 300) }, []string{"wrong status: a: status 300, want 401 or 503"}},
		{"status 300 and handler", accepted, func(w http.ResponseWriter, r *http.Request) { refuse(w, 300); ran(w, r) }, []string{"wrong status: a: status 300, want 401 or 503", "accepted: a: status 300, and the handler ran: the Witness was called"}},
		{"status 399 and handler", nil, func(w http.ResponseWriter, r *http.Request) { ran(w, r); refuse(w, 399) }, []string{"wrong status: a: status 399, want 401 or 503", "accepted: a: status 399, and the handler ran: the Witness was called"}},
		{"panic", accepted, func(http.ResponseWriter, *http.Request) { panic("oh") }, []string{"panicked: a: oh"}},
		{"panic of the handler", accepted, func(w http.ResponseWriter, r *http.Request) { ran(w, r); panic("oh") }, []string{"panicked: a: oh", "accepted: a: status 200, and the handler ran: the Witness was called"}},
		{"the same status again", nil, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401); w.WriteHeader(401) }, []string{"accepted: a: status 401, and the handler ran: it wrote status 401 after the refusal"}},
		{"three statuses", accepted, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401); w.WriteHeader(204); w.WriteHeader(500) }, []string{"accepted: a: status 401, and the handler ran: it wrote status 204 after the refusal"}},
		{"body inside", accepted, func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, 401)
			_, _ = io.WriteString(w, "no: 8 bytes.!")
		}, []string{"accepted: " + body}},
		{"short body inside", short, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401); _, _ = io.WriteString(w, "no: 7 bytes!") }, nil},
		{"short body at the start", short, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401); _, _ = io.WriteString(w, " 7 bytes!") }, []string{"accepted: " + body}},
		{"short body at the end", short, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401); _, _ = io.WriteString(w, "no: 7 bytes ") }, []string{"accepted: " + body}},
		{"header of the handler", accepted, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401); w.Header().Set("Last-Modified", "today") }, []string{"accepted: a: status 401, and the handler ran: it set Last-Modified after the refusal"}},
		{"header of the gate", accepted, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Last-Modified", "today"); refuse(w, 401) }, nil},
		{"another header too late", accepted, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401); w.Header().Set("X-Id", "1") }, nil},
		{"leak of the first", nil, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-A", "the first"); refuse(w, 401) }, []string{"leaked: a: part of the credential in the header X-A"}},
		{"seven characters of the second", nil, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401); _, _ = io.WriteString(w, "no: another") }, nil},
		{"leak of the second", nil, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401); _, _ = io.WriteString(w, "another one") }, []string{"leaked: a: part of the credential in the body"}},
		{"leak in the second value", nil, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["X-A"] = []string{"no", "the first"}
			refuse(w, 401)
		}, []string{"leaked: a: part of the credential in the header X-A"}},
	} {
		_, findings := attempt.try(test.service, test.accepted)
		var got []string
		for _, f := range findings {
			got = append(got, f.String())
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestWrongHeaders(t *testing.T) {
	const invalid = `Bearer error="invalid_token"`
	noStore := []string{"no-store"}
	for _, test := range []struct {
		name   string
		code   string
		status int
		header http.Header
		want   []string
	}{
		{"right", "invalid_token", 401, http.Header{"Www-Authenticate": {invalid}, "Cache-Control": noStore}, nil},
		{"two challenges", "invalid_token", 401, http.Header{"Www-Authenticate": {"Basic realm=a", invalid}, "Cache-Control": noStore}, nil},
		{"two challenges, the other last", "invalid_token", 401, http.Header{"Www-Authenticate": {invalid, "Basic realm=a"}, "Cache-Control": noStore}, nil},
		{"second challenge malformed", "invalid_token", 401, http.Header{"Www-Authenticate": {invalid, `Basic realm="`}, "Cache-Control": noStore}, []string{"WWW-Authenticate: malformed, RFC 9110 section 11.6.1"}},
		{"another code", "invalid_token", 401, http.Header{"Www-Authenticate": {`Bearer error="invalid_request"`}, "Cache-Control": noStore}, []string{`WWW-Authenticate: error = "invalid_request", want invalid_token`}},
		{"no code", "insufficient_scope", 403, http.Header{"Www-Authenticate": {"Bearer"}, "Cache-Control": noStore}, []string{`WWW-Authenticate: error = "", want insufficient_scope`}},
		{"no challenge, 403", "insufficient_scope", 403, http.Header{"Cache-Control": noStore}, []string{`WWW-Authenticate: error = "", want insufficient_scope`}},
		{"no challenge, 401", "", 401, http.Header{"Cache-Control": noStore}, []string{"WWW-Authenticate: missing"}},
		{"no challenge, 503", "invalid_token", 503, http.Header{}, nil},
		{"no challenge, unexpected status", "invalid_token", 404, http.Header{}, nil},
		{"any code", "", 400, http.Header{"Www-Authenticate": {`Bearer error="x"`}, "Cache-Control": noStore}, nil},
		{"code without credentials", noCode, 401, http.Header{"Www-Authenticate": {"Basic realm=a", invalid}, "Cache-Control": noStore}, []string{"WWW-Authenticate: error code for a request without credentials"}},
		{"code without credentials, 400", noCode, 400, http.Header{"Www-Authenticate": {invalid}, "Cache-Control": noStore}, nil},
		{"no-store in the second header", noCode, 401, http.Header{"Www-Authenticate": {"Bearer"}, "Cache-Control": {"private", "max-age=0, No-Store"}}, nil},
		{"no-storefront", noCode, 401, http.Header{"Www-Authenticate": {"Bearer"}, "Cache-Control": {"no-storefront"}}, []string{"Cache-Control: no no-store"}},
		{"LF in the second value", noCode, 404, http.Header{"X-A": {"a", "b\nc"}}, []string{"X-A: line break"}},
		{"CR in the last value", noCode, 404, http.Header{"X-A": {"a", "b", "c\r"}}, []string{"X-A: line break"}},
		{"line break in a name", noCode, 404, http.Header{"X\nA": {}}, []string{"X\nA: line break"}},
		{"three faults", "invalid_token", 401, http.Header{"X-A": {"\r\n"}}, []string{"WWW-Authenticate: missing", "Cache-Control: no no-store", "X-A: line break"}},
	} {
		a := Attempt{code: test.code, Want: []int{400, 401, 403, 503}}
		if diff := cmp.Diff(test.want, a.wrongHeaders(test.status, test.header)); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", test.name, diff)
		}
	}
}
