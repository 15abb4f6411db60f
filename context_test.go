// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

func TestFromContext(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "outer")
	if p, ok := gatehouse.FromContext(ctx); ok || !p.IsZero() {
		t.Errorf("somebody: %+v", p)
	}

	inner := gatehouse.NewContext(ctx, *person())
	if p, ok := gatehouse.FromContext(inner); !ok || !reflect.DeepEqual(p, *person()) {
		t.Errorf("%+v, %v", p, ok)
	}
	if inner.Value(key{}) != "outer" || inner.Value("other") != nil {
		t.Error("the values of the outer context are lost")
	}

	replaced := gatehouse.NewContext(inner, *machine())
	if p, ok := gatehouse.FromContext(replaced); !ok || p.Subject != "ci" {
		t.Errorf("%+v, %v", p, ok)
	}
	if p, ok := gatehouse.FromContext(inner); !ok || p.Subject != "ada" {
		t.Errorf("the outer context has changed: %+v, %v", p, ok)
	}

	// Nobody inside of somebody is nobody.
	if p, ok := gatehouse.FromContext(gatehouse.NewContext(inner, gatehouse.Principal{})); ok || !p.IsZero() {
		t.Errorf("somebody: %+v", p)
	}
}

// A context of ours ends when the request's does, and contexts made of it too.
func TestContextEnds(t *testing.T) {
	outer, cancel := context.WithCancelCause(t.Context())
	why := errors.New("gone")
	inner, stop := context.WithCancel(gatehouse.NewContext(outer, *person()))
	defer stop()
	cancel(why)
	<-inner.Done()
	if !errors.Is(context.Cause(inner), why) {
		t.Errorf("cause %v", context.Cause(inner))
	}
}

// What a handler does with its copy is of no effect to anybody else.
func TestPrincipalIsACopy(t *testing.T) {
	shared := person()
	gate := gateOf(t, admit(shared))
	gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		p.Tenant, p.Subject = "evil", "root"
		if again, _ := gatehouse.FromContext(r.Context()); again.Tenant != "acme" || again.Subject != "ada" {
			t.Errorf("%+v", again)
		}
	})).ServeHTTP(httptest.NewRecorder(), request())
	if !reflect.DeepEqual(shared, person()) {
		t.Errorf("shared principal is now %+v", shared)
	}
}

func TestPrincipalIsZero(t *testing.T) {
	if !(gatehouse.Principal{}).IsZero() || !(gatehouse.Principal{Subject: "ada", Kind: gatehouse.KindUser}).IsZero() {
		t.Error("a principal whom nobody proved is somebody")
	}
	if (gatehouse.Principal{Method: gatehouse.MethodMTLS}).IsZero() {
		t.Error("a principal who is proved is nobody")
	}
	var p gatehouse.Principal
	if p.Scopes.Len() != 0 || p.Roles.Len() != 0 || p.Actors.Len() != 0 || p.Claims.String() != "{}" {
		t.Errorf("the zero principal has something: %+v", p)
	}
}
