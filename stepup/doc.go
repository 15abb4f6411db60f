// SPDX-License-Identifier: Apache-2.0

// Package stepup provides a policy that demands a recent or a strong login of the
// user, and asks the client for one: the step-up challenge of RFC 9470.
//
// A request whose login does not satisfy the [Requirement] is refused with 401 and
// insufficient_user_authentication. The challenge has max_age and acr_values, with
// which the client sends the user to the authorization server again. Behind a gate
// with [gatehouse.Config].LoginURL, a browser navigation is redirected there with
// the same parameters, which package signin passes on.
//
// The policy reads the time of the login from [gatehouse.Principal].AuthTime and its
// strength from the claim acr, and never from the request. A caller without them is
// refused: API keys, client certificates, and tokens of an issuer that leaves out
// auth_time or acr. The claims of an API key are its metadata: do not let users write
// a member acr into it.
//
// An authorization server should answer unmet_authentication_requirements if it
// cannot do what acr_values demand, as RFC 9470 section 5 says. With one that ignores
// them, package signin refuses the login with a page; with another login, each login
// could lead to the next challenge.
package stepup
