// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/gatehouse-go/gatehouse"
)

// DecommissionEndpoint returns a handler that decommissions an agent of the caller's
// tenant. Register it behind the gate with a wildcard id:
//
//	mux.Handle("POST /agents/{id}/decommission", registry.DecommissionEndpoint("admin"), gatehouse.Authenticated)
//
// The caller must be a user with the role who calls without an agent. The response is
// 204, even if the agent is already decommissioned; 404 for an agent of another tenant;
// 403 for another caller and for a cross-origin request of a browser. Pages of the origin
// of Config.Issuer and of the request's Host are allowed.
func (r *Registry) DecommissionEndpoint(role string) http.Handler {
	var origins http.CrossOriginProtection
	if u, err := url.Parse(r.config.Issuer); err == nil {
		_ = origins.AddTrustedOrigin(u.Scheme + "://" + u.Host) // fails if the issuer is not a URL
	}
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		p, _ := gatehouse.FromContext(request.Context())
		if origins.Check(request) != nil {
			gatehouse.Refuse(w, request, &gatehouse.Error{
				Code: gatehouse.CodeAccessDenied, Reason: ReasonCrossSite, Cause: errors.New("agent: a page of another origin caused the request"),
			})
			return
		}
		if p.Kind != gatehouse.KindUser || p.Actors.Len() > 0 || p.Tenant == "" || !p.Roles.Has(role) {
			gatehouse.Refuse(w, request, &gatehouse.Error{
				Code: gatehouse.CodeAccessDenied, Reason: ReasonNotEntitled, Cause: errors.New("agent: the caller is no user with the role, or acts through an agent"),
			})
			return
		}
		_, err := r.Decommission(request.Context(), p.Tenant, request.PathValue("id"))
		switch {
		case err == nil:
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusNoContent)
		case errors.Is(err, ErrNotFound):
			gatehouse.Refuse(w, request, &gatehouse.Error{Code: codeNotFound, Reason: ReasonNotFound, Cause: err})
		default:
			gatehouse.Refuse(w, request, asError(err))
		}
	})
}
