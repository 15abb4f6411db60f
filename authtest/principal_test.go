// SPDX-License-Identifier: Apache-2.0

package authtest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/scopes"
)

func TestPrincipal(t *testing.T) {
	p := authtest.Principal("alice", "b", "a")
	if p.IsZero() || p.Subject != "alice" || p.Scopes.String() != "a b" || p.Kind != gatehouse.KindUser || p.Issuer == "" {
		t.Errorf("Principal = %+v, want the user alice with a and b", p)
	}
	if left := time.Until(p.Expires); left < 59*time.Minute || left > time.Hour {
		t.Errorf("Expires in %v, want an hour", left)
	}
	defer func() {
		if recover() == nil {
			t.Error("Principal(malformed scope) does not panic")
		}
	}()
	authtest.Principal("alice", "a b")
}

func TestRequestAndHandler(t *testing.T) {
	var seen gatehouse.Principal
	handler := gatehouse.Require(scopes.All("read"))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen, _ = gatehouse.FromContext(r.Context())
	}))
	for _, test := range []struct {
		scope string
		want  int
	}{{"read", http.StatusOK}, {"write", http.StatusForbidden}} {
		seen = gatehouse.Principal{}
		w := httptest.NewRecorder()
		authtest.Handler(authtest.Principal("alice", test.scope), handler).
			ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if w.Code != test.want || (seen.Subject == "alice") != (test.want == http.StatusOK) {
			t.Errorf("scope %s: status %d, caller %+v, want %d", test.scope, w.Code, seen, test.want)
		}
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if handler.ServeHTTP(w, authtest.Request(r, gatehouse.Principal{})); w.Code != http.StatusUnauthorized {
		t.Errorf("no caller: status %d, want 401", w.Code)
	}
	if _, ok := gatehouse.FromContext(r.Context()); ok {
		t.Error("Request changes its argument")
	}
}
