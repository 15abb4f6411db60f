// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

func TestCredentialsAreTakenOff(t *testing.T) {
	good := bearer{tokens: map[string]*gatehouse.Principal{"good": person()}}
	for _, test := range []struct {
		name           string
		authenticators []gatehouse.Authenticator
		header, want   http.Header
	}{
		{
			"nothing to take off",
			[]gatehouse.Authenticator{admit(person())},
			http.Header{"Accept": {"*/*"}, "X-Many": {"1", "2"}},
			http.Header{"Accept": {"*/*"}, "X-Many": {"1", "2"}},
		},
		{
			"no header at all", []gatehouse.Authenticator{admit(person())}, nil, http.Header{},
		},
		{
			"token and proof of possession",
			[]gatehouse.Authenticator{good},
			http.Header{"Authorization": {"Bearer good"}, "Dpop": {"a.b.c", "d.e.f"}, "Accept": {"*/*"}},
			http.Header{"Accept": {"*/*"}},
		},
		{
			"key",
			[]gatehouse.Authenticator{xAPIKey{"k1"}},
			http.Header{"X-Api-Key": {"k1"}, "Accept": {"*/*"}},
			http.Header{"Accept": {"*/*"}},
		},
		{
			"a header of an authenticator's own",
			[]gatehouse.Authenticator{proof(gatehouse.Proof{Principal: machine(), Source: gatehouse.SourceHeader, Name: "x-assertion"})},
			http.Header{"X-Assertion": {"a.b.c"}, "X-Assertions": {"1"}},
			http.Header{"X-Assertions": {"1"}},
		},
		{
			"a key that did not count",
			[]gatehouse.Authenticator{proof(gatehouse.Proof{Principal: machine(), Source: gatehouse.SourceHeader, Name: "X-Assertion"})},
			http.Header{"X-Assertion": {"a.b.c"}, "X-Api-Key": {"k1"}, "Dpop": {"a.b.c"}},
			http.Header{},
		},
		{
			"a token that did not count",
			[]gatehouse.Authenticator{proof(gatehouse.Proof{Principal: machine(), Source: gatehouse.SourceHeader, Name: "X-Assertion"})},
			http.Header{"X-Assertion": {"a.b.c"}, "Authorization": {"Basic YTpi"}},
			http.Header{},
		},
		{
			"a cookie has no header",
			[]gatehouse.Authenticator{proof(gatehouse.Proof{Principal: machine(), Source: gatehouse.SourceCookie, Name: "accept"})},
			http.Header{"Accept": {"*/*"}, "Cookie": {"accept=1; b=2"}},
			http.Header{"Accept": {"*/*"}, "Cookie": {"b=2"}},
		},
		{
			"a header is no cookie",
			[]gatehouse.Authenticator{proof(gatehouse.Proof{Principal: machine(), Source: gatehouse.SourceHeader, Name: "sid"})},
			http.Header{"Sid": {"1"}, "Cookie": {"sid=1"}},
			http.Header{"Cookie": {"sid=1"}},
		},
		{
			"a header is no cookie beside a session either",
			[]gatehouse.Authenticator{
				proof(gatehouse.Proof{Principal: machine(), Source: gatehouse.SourceHeader, Name: "theme"}), sloppyCookie{"sid", "s1"},
			},
			http.Header{"Theme": {"1"}, "Cookie": {"theme=dark; sid=s1"}},
			http.Header{"Cookie": {"theme=dark"}},
		},
		{
			"a connection has no name",
			[]gatehouse.Authenticator{proof(gatehouse.Proof{Principal: machine(), Source: gatehouse.SourceConnection, Name: "Accept"})},
			http.Header{"Accept": {"*/*"}, "Cookie": {"Accept=1"}},
			http.Header{"Accept": {"*/*"}, "Cookie": {"Accept=1"}},
		},
		{
			"cookies stay as they are where nobody reads them",
			[]gatehouse.Authenticator{good},
			http.Header{"Authorization": {"Bearer good"}, "Cookie": {"a=1;b=2 ;; c", " d=4"}},
			http.Header{"Cookie": {"a=1;b=2 ;; c", " d=4"}},
		},
		{
			"session cookie",
			[]gatehouse.Authenticator{sloppyCookie{"sid", "s1"}},
			http.Header{"Cookie": {"theme=dark; sid=s1; lang=en"}},
			http.Header{"Cookie": {"theme=dark; lang=en"}},
		},
		{
			"the only cookie",
			[]gatehouse.Authenticator{sloppyCookie{"sid", "s1"}},
			http.Header{"Cookie": {"sid=s1"}},
			http.Header{},
		},
		{
			"session cookie beside a token",
			[]gatehouse.Authenticator{sloppyCookie{"sid", "s1"}, good},
			http.Header{"Authorization": {"Bearer good"}, "Cookie": {"sid=s1; theme=dark"}},
			http.Header{"Cookie": {"theme=dark"}},
		},
		{
			"all sessions",
			[]gatehouse.Authenticator{sloppyCookie{"sid", "s1"}, sloppyCookie{"__Host-other", "o1"}},
			http.Header{"Cookie": {"__Host-other=o2; sid=s1; __host-other=3"}},
			http.Header{"Cookie": {"__host-other=3"}},
		},
		{
			"every one of several",
			[]gatehouse.Authenticator{sloppyCookie{"sid", "s1"}},
			http.Header{"Cookie": {"sid=s1; sid=s2", "a=1", "sid=s3; sid=s4; b=2", "sid"}},
			http.Header{"Cookie": {"a=1", "b=2"}},
		},
		{
			"parts of a large one",
			[]gatehouse.Authenticator{sloppyCookie{"sid", "s1"}},
			http.Header{"Cookie": {"sid=s1; sid.0=a; sid.1=b; sid.27=c; sid.=d; sid.x=e; sid.1x=f; sid.1.2=g; sid1=h; sid-1=i; xsid.1=j; SID=k; sid.\u0661=l; sid. 1=m; .1=n"}},
			http.Header{"Cookie": {"sid.=d; sid.x=e; sid.1x=f; sid.1.2=g; sid1=h; sid-1=i; xsid.1=j; SID=k; sid.\u0661=l; sid. 1=m; .1=n"}},
		},
		{
			"odd spaces and empty pairs",
			[]gatehouse.Authenticator{sloppyCookie{"sid", "s1"}},
			http.Header{"Cookie": {";;  a=1 ;sid=s1;\tsid =s2; b; ;c=\"x\";"}},
			http.Header{"Cookie": {"a=1; b; c=\"x\""}},
		},
		{
			"what some take for a space",
			[]gatehouse.Authenticator{sloppyCookie{"sid", "s1"}},
			http.Header{"Cookie": {"\vsid=s1; sid=s1; sid\f=s2; a\v; \u00a0sid=s3"}},
			http.Header{"Cookie": {"a\v"}},
		},
		{
			"the cookie that the proof names",
			[]gatehouse.Authenticator{proof(gatehouse.Proof{Principal: person(), Source: gatehouse.SourceCookie, Name: "jwt"})},
			http.Header{"Cookie": {"jwt=a; jwt.1=b; jwtx=c"}},
			http.Header{"Cookie": {"jwtx=c"}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := request()
			r.Header = test.header
			before := r.Header.Clone()
			a := send(gateOf(t, test.authenticators...), r)
			a.check(t, 200, "")
			if a.seen == nil {
				t.FailNow()
			}
			if !reflect.DeepEqual(a.seen.Header, test.want) {
				t.Errorf("header %q, want %q", a.seen.Header, test.want)
			}
			if !reflect.DeepEqual(r.Header, before) {
				t.Errorf("original header %q, was %q", r.Header, before)
			}
		})
	}
}

// What is left of the cookies is what net/http reads there, less the
// credential, in its order.
func FuzzStripCookies(f *testing.F) {
	for _, seed := range []string{
		"sid=s1", "a=1; sid=s1; b=2", "sid.1=a; sid.x=b", ";;sid;a", " sid = x;a", "a=\"sid=1\"; sid=\"x\"", "sid=a=b; a==", "\tsid=1\x00; b", "sid.12 =1;s", "a\v; b",
	} {
		f.Add(seed)
	}
	gate := gateOf(f, admit(person()), sloppyCookie{"sid", "s1"})
	isOurs := func(name string) bool {
		digits, part := strings.CutPrefix(name, "sid.")
		return name == "sid" || part && digits != "" && strings.Trim(digits, "0123456789") == ""
	}
	f.Fuzz(func(t *testing.T, line string) {
		r := request()
		r.Header["Cookie"] = []string{line}
		var want, got []string
		for _, cookie := range r.Cookies() {
			if !isOurs(cookie.Name) {
				want = append(want, cookie.String())
			}
		}
		a := send(gate, r)
		for _, cookie := range a.seen.Cookies() {
			got = append(got, cookie.String())
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("cookies %q, want %q", got, want)
		}
	})
}
