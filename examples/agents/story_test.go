// SPDX-License-Identifier: Apache-2.0

package main

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var approvalID = regexp.MustCompile(`apr_[a-z0-9]{26}`)

// normalized replaces what is random.
func normalized(text string) string { return approvalID.ReplaceAllString(text, "apr_…") }

// checkFields fails the test unless the README names each field of the configuration.
func checkFields(t *testing.T, readme, prefix string, config any) {
	t.Helper()
	for field := range reflect.TypeOf(config).Fields() {
		var name strings.Builder
		name.WriteString(strings.TrimSuffix(field.Tag.Get("json"), ",omitempty"))
		kind := field.Type
		for kind.Kind() == reflect.Pointer || kind.Kind() == reflect.Slice && kind.Elem().Kind() == reflect.Struct {
			if kind.Kind() == reflect.Slice {
				name.WriteString("[]")
			}
			kind = kind.Elem()
		}
		if kind == reflect.TypeFor[issuerConfig]() {
			continue // in the README of resourceserver
		}
		if kind.Kind() == reflect.Struct && kind.NumField() > 0 {
			checkFields(t, readme, prefix+name.String()+".", reflect.New(kind).Elem().Interface())
			continue
		}
		if !strings.Contains(readme, "`"+prefix+name.String()+"`") {
			t.Errorf("README.md has no row for %s", prefix+name.String())
		}
	}
}
