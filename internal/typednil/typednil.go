// SPDX-License-Identifier: Apache-2.0

// Package typednil finds nil pointers in interface values, such as the result of a
// failed constructor whose error the program does not check.
package typednil

import "reflect"

// Is reports whether v is nil or holds a nil pointer, function, map, slice or channel.
func Is(v any) bool {
	value := reflect.ValueOf(v)
	switch value.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan:
		return value.IsNil()
	}
	return false
}
