// SPDX-License-Identifier: Apache-2.0

package safeurl_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/safeurl"
)

func TestCheckLogin(t *testing.T) {
	for login, good := range map[string]bool{
		"":                              true,
		"/":                             true,
		"/login":                        true,
		"/login?hint=a%20b":             true,
		"https://auth.example/login":    true,
		"http://localhost:8080/login":   true,
		"login":                         false,
		"//auth.example/login":          false,
		"/\\auth.example/login":         false,
		"/login\r\nSet-Cookie: a=b":     false,
		"/log in":                       false,
		"/l\u00f6gin":                   false,
		"http://auth.example/login":     false,
		"javascript:alert(1)":           false,
		"https://user@auth.example/":    false,
		"https://auth.example/#/signin": false,
	} {
		if err := safeurl.CheckLogin(login); (err == nil) != good {
			t.Errorf("%q: %v", login, err)
		}
	}
}
