// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"net/http"

	"github.com/gatehouse-go/gatehouse"
)

type shim struct{}

var scopes shim

func (shim) All(s ...string) gatehouse.Policy {
	need, _ := gatehouse.NewScopes(s...)
	return func(r *http.Request, p gatehouse.Principal) error {
		if p.Scopes.HasAll(need) {
			return nil
		}
		return &gatehouse.Error{Code: gatehouse.CodeInsufficientScope, Reason: gatehouse.ReasonScope, Scopes: need}
	}
}
