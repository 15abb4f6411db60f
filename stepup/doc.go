// SPDX-License-Identifier: Apache-2.0

// Package stepup provides a policy that requires a recent or a strong login of the user.
// If a request lacks one, the response is the step-up challenge of RFC 9470.
//
// A request whose login does not satisfy the [Requirement] is refused with 401 and
// insufficient_user_authentication. The challenge has max_age and acr_values, with which
// the client redirects the user to the authorization server. Behind a gate with
// [gatehouse.Config].LoginURL, a browser navigation is redirected to the LoginURL with
// the same parameters, and package signin passes them on.
//
// The policy reads the time of the login from [gatehouse.Principal].AuthTime and its
// strength from the claim acr, and never from the request. A caller without them is
// refused: API keys, client certificates, and tokens of an issuer that omits auth_time or
// acr. The claims of an API key are its metadata: do not let users write a member acr
// into it.
//
// An authorization server that cannot satisfy acr_values should respond
// unmet_authentication_requirements, RFC 9470 section 5. If it ignores acr_values,
// package signin refuses the login with a page; with other login code, each login could
// lead to the next challenge.
package stepup
