// SPDX-License-Identifier: Apache-2.0

package kinds

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"
)

func TestKinds(t *testing.T) {
	if err := Order("both", nil); err == nil || err.Error() != "first" {
		t.Error("Order")
	}
	if err := Order("", func(string) {}); err != nil {
		t.Error("Order")
	}
	if time.Since(Clock()) > time.Hour {
		t.Error("Clock")
	}
	if now := time.Now(); !Expired(now, now.Add(-time.Hour)) || Expired(now, now.Add(time.Hour)) {
		t.Error("Expired")
	}
	if Variable("both", "a", 1) != true {
		t.Error("Variable")
	}
	if _, err := Drop(func() error { return errors.New("full") }); err == nil {
		t.Error("Drop")
	}
	if !Boundary(8) || Boundary(9) {
		t.Error("Boundary")
	}
	s := []int{1}
	if Slice(s)[0] = 2; s[0] != 1 {
		t.Error("Slice")
	}
	if Map(map[string]int{"a": 1})["a"] != 1 {
		t.Error("Map")
	}
	n, all := 1, 0
	if Statement(&n, &all) != 1 || n != 0 {
		t.Error("Statement")
	}
	if !Field(Span{From: 1}) || !OtherField(Span{1, 1}) {
		t.Error("Field")
	}
	if Sum([]int{1, 2, -1}) != 3 {
		t.Error("Sum")
	}
	if !Near("a", "a", http.Header{"X": {"1"}}) || Near("ab", "a", http.Header{}) || Near("a", "a", http.Header{"X": {"1", "2"}}) {
		t.Error("Near")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Wait(ctx, func(ctx context.Context) error { return errors.Join(ctx.Err(), errors.New("down")) }); err == nil {
		t.Error("Wait")
	}
}
