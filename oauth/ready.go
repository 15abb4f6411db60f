// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// checkAlgorithms returns an error if this client accepts no algorithm of the ID tokens
// of the authorization server. Otherwise a user would see the error, after the login.
func (c *Client) checkAlgorithms(p Provider) error {
	listed := strings.Fields(p.algorithms)
	for _, a := range c.algorithms {
		if slices.Contains(listed, string(a)) {
			return nil
		}
	}
	if len(listed) == 0 {
		return nil
	}
	return fmt.Errorf("oauth: metadata: id_token_signing_alg_values_supported: %q: none is in Config.Algorithms %q: add one of them: %w",
		listed, c.algorithms, ErrUnsupported)
}

// Ready fetches the metadata and the keys of ID tokens, and checks that a login with
// request can complete: the authorization server has the endpoint, and an algorithm for
// ID tokens that this client accepts. Call it at start or in a readiness probe, to find
// errors before a user does. The error wraps [ErrUnavailable], [ErrNotOffered] or
// [ErrUnsupported], or is that of [Client.Check].
func (c *Client) Ready(ctx context.Context, request AuthorizationRequest) error {
	if err := c.Check(request); err != nil {
		return err
	}
	p, err := c.Provider(ctx)
	switch {
	case err != nil:
		return err
	case p.AuthorizationEndpoint == "":
		return fmt.Errorf("oauth: authorization endpoint: %w", ErrNotOffered)
	case !request.Scopes.Has(openid):
		return nil
	}
	if err := c.checkAlgorithms(p); err != nil {
		return err
	}
	if err := c.verifier.Ready(ctx); err != nil {
		return fmt.Errorf("oauth: keys of ID tokens: %w: %w", ErrUnavailable, err)
	}
	return nil
}
