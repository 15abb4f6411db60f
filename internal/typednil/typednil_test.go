// SPDX-License-Identifier: Apache-2.0

package typednil_test

import (
	"errors"
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

func TestIs(t *testing.T) {
	var err error
	for name, test := range map[string]struct {
		value any
		want  bool
	}{
		"nil": {nil, true}, "nil interface": {err, true}, "nil pointer": {(*int)(nil), true}, "nil func": {(func())(nil), true},
		"nil map": {map[string]int(nil), true}, "nil slice": {[]int(nil), true}, "nil channel": {(chan int)(nil), true},
		"pointer": {new(int), false}, "func": {func() {}, false}, "struct": {struct{}{}, false}, "error": {errors.New("x"), false}, "zero": {0, false},
	} {
		if got := typednil.Is(test.value); got != test.want {
			t.Errorf("Is(%s) = %t, want %t", name, got, test.want)
		}
	}
}
