// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
)

func TestSignIn(t *testing.T) {
	p := webtest.NewProvider(t)
	s := open(t, p, nil)
	b := s.browser()
	me := s.fetch(b, "GET", "/api/me")
	if me.Status != 200 {
		t.Fatal(me)
	}
	t.Log(me.Body)
	t.Log(s.fetch(b, "GET", "/api/upstream"), s.fetch(b, "GET", "/api/sessions"), b.Cookies())
	t.Log(s.fetch(b, "POST", "/logout").Header, b.Cookies(), p.Revoked())
}
