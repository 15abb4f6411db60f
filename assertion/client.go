// SPDX-License-Identifier: Apache-2.0

package assertion

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/text"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// ErrUnknownClient means that no client has the ID.
var ErrUnknownClient = errors.New("assertion: unknown client")

// Client is a registered client.
type Client struct {
	// ID is the client_id. Required, at most 255 bytes.
	ID string

	// Keys are the public keys of the client, and Algorithms their algorithms, which
	// must be asymmetric. Both are required.
	Keys       jwtauth.Keys
	Algorithms []jwtauth.Algorithm
}

// newVerifier returns the verifier of a client.
func (v *Verifier) newVerifier(field string, c Client) (*jwtauth.Verifier, error) {
	var errs []error
	if c.ID == "" || !text.IsClean(c.ID, maxText) {
		errs = append(errs, fmt.Errorf("%s.ID: required, at most %d bytes of UTF-8 without control characters", field, maxText))
	}
	for _, a := range c.Algorithms {
		if strings.HasPrefix(string(a), "HS") {
			errs = append(errs, fmt.Errorf("%s.Algorithms: %s is symmetric", field, a))
		}
	}
	verifier, err := jwtauth.NewVerifier(jwtauth.VerifierConfig{
		Issuer: jwtauth.Issuer{
			URL: c.ID, Audiences: []string{v.config.Issuer}, Algorithms: c.Algorithms, Keys: c.Keys,
			MaxLifetime: v.config.MaxLifetime, MaxTokenBytes: maxBytes,
		},
		Skew: skew, Transport: v.config.Transport, Observer: v.config.Observer,
	})
	if err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", field, err))
	}
	return verifier, errors.Join(errs...)
}

// verifierOf returns the verifier of the client with an unverified ID.
func (v *Verifier) verifierOf(ctx context.Context, id string) (*jwtauth.Verifier, error) {
	if verifier := v.clients[id]; verifier != nil {
		return verifier, nil
	}
	if v.config.Find == nil || id == "" || !text.IsClean(id, maxText) {
		return nil, reject(ReasonClient, "", "malformed, or iss is not a registered client")
	}
	client, err := v.config.Find(ctx, id)
	if errors.Is(err, ErrUnknownClient) {
		return nil, reject(ReasonClient, "", "iss is not a registered client")
	}
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return nil, e
	}
	var verifier *jwtauth.Verifier
	if err == nil && client.ID != id {
		err = errors.New("assertion: Config.Find: returned another client")
	}
	if err == nil {
		verifier, err = v.newVerifier("assertion: Config.Find: the client", client)
	}
	if err != nil {
		return nil, &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: ReasonStoreUnavailable, Cause: err}
	}
	return verifier, nil
}
