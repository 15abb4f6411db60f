// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/clientaddr"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

const (
	maxTextBytes     = 255
	maxMetadataBytes = 4096
	maxScopesBytes   = 4096
	maxNetworks      = 64
)

// Request describes a key to create.
type Request struct {
	// Owner is the Subject of the principals that use the key. Required, at
	// most 255 bytes of UTF-8 without control characters.
	Owner string
	// Tenant is the customer that the key belongs to, "" for none. Same limits
	// as Owner.
	Tenant string
	// Environment is the environment that accepts the key, [Config].Environment
	// if empty.
	Environment string
	// Scopes are the scopes of the key, each from [Config].Scopes. Optional.
	Scopes []string
	// Lifetime is the lifetime of the first secret and of the secret of each
	// rotation. Required, at most [Config].MaxLifetime.
	Lifetime time.Duration
	// Networks are the client networks that may use the key, all if empty; at
	// most 64.
	Networks []netip.Prefix
	// Metadata is application data, at most 4096 bytes. Handlers see it as
	// the Claims of the Principal, so it must not contain secrets. Optional.
	Metadata gatehouse.Claims
}

// Issued is a key with a new secret.
type Issued struct {
	Key Key
	// Secret is the text that the client sends. No other copy exists: show it once and do
	// not store it.
	Secret gatehouse.Secret
}

// Create creates a key. It reports all errors of the request at once, as
// [ErrInvalid]. If the
// store or the observer fails, the key may exist although its secret was not
// returned.
func (k *Keys) Create(ctx context.Context, request Request) (Issued, error) {
	record, err := k.newRecord(request)
	if err != nil {
		return Issued{}, err
	}
	key := newKeyText(Label{k.prefix, record.Environment, record.ID})
	defer clear(key)
	record.Current = k.hasher.fresh(key)
	record, err = k.store.Create(ctx, record)
	if err != nil {
		return Issued{}, k.failed("create", err)
	}
	if err := k.emit(ctx, EventCreated, record.ID); err != nil {
		return Issued{}, err
	}
	return Issued{record.Key, gatehouse.NewSecret(key)}, nil
}

// Rotate replaces the secret of a key. The previous secret stays valid for the
// grace period, but never past its own expiry. The secret before the previous one
// expires at once. The key keeps its ID and everything else, so rate limits by ID
// are not reset.
//
// The new secret is valid for the Lifetime of the key, at most for
// [Config].MaxLifetime, and is hashed with the first of [Config].Peppers.
//
// generation is the Generation of the [Key] when the caller decided to rotate it. If
// the key was rotated since, Rotate changes nothing and returns [ErrConflict]. Zero
// rotates unconditionally. Rotate also returns ErrConflict for a revoked or
// expired key, and [ErrNotFound] for an unknown ID.
func (k *Keys) Rotate(ctx context.Context, id string, grace time.Duration, generation int64) (Issued, error) {
	if grace < 0 {
		return Issued{}, invalidArgument(fmt.Errorf("apikey: rotate: grace %v: must not be negative", grace))
	}
	old, err := k.store.Find(ctx, id) // the text contains the environment, which never changes
	if err != nil {
		return Issued{}, k.failed("rotate", err)
	}
	key := newKeyText(Label{k.prefix, old.Environment, id})
	defer clear(key)
	record, err := k.store.Rotate(ctx, id, Rotation{
		Current: k.hasher.fresh(key), Grace: grace, MaxLifetime: k.maxLifetime, Generation: generation,
	})
	k.Invalidate(id)
	if err != nil {
		return Issued{}, k.failed("rotate", err)
	}
	if err := k.emit(ctx, EventRotated, record.ID); err != nil {
		return Issued{}, err
	}
	return Issued{record.Key, gatehouse.NewSecret(key)}, nil
}

func (k *Keys) newRecord(request Request) (Record, error) {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("apikey: Request."+format, args...))
		}
	}
	record := Record{Key: Key{
		ID:          newID(),
		Owner:       request.Owner,
		Tenant:      request.Tenant,
		Environment: orElse(request.Environment, k.environment),
		Lifetime:    request.Lifetime.Truncate(time.Microsecond),
	}}
	check(record.Owner != "", "Owner: required")
	check(text.IsClean(record.Owner, maxTextBytes), "Owner: must be at most %d bytes of UTF-8 without control characters", maxTextBytes)
	check(text.IsClean(record.Tenant, maxTextBytes), "Tenant: must be at most %d bytes of UTF-8 without control characters", maxTextBytes)
	check(isName(record.Environment), "Environment: must be "+nameRule)
	check(record.Lifetime > 0 && record.Lifetime <= k.maxLifetime, "Lifetime: got %v, must be greater than 0 and at most %v", request.Lifetime, k.maxLifetime)
	var err error
	record.Scopes, err = exactScopes(request.Scopes)
	check(err == nil, "Scopes: %w", err)
	for scope := range record.Scopes.All() {
		if !k.scopes.Has(scope) {
			check(false, "Scopes: %q is not in Config.Scopes", scope)
			break
		}
	}
	check(len(record.Scopes.String()) <= maxScopesBytes, "Scopes: got %d bytes, at most %d are allowed", len(record.Scopes.String()), maxScopesBytes)
	record.Networks, err = clientaddr.Normalize(request.Networks)
	check(err == nil, "Networks%w", err)
	check(len(record.Networks) <= maxNetworks, "Networks: got %d, at most %d are allowed", len(record.Networks), maxNetworks)
	record.Metadata, err = compactMetadata(request.Metadata)
	check(err == nil, "Metadata: %w", err)
	return record, invalidArgument(errs...)
}

// compactMetadata checks metadata and removes insignificant white space.
func compactMetadata(metadata gatehouse.Claims) (gatehouse.Claims, error) {
	object := metadata.String()
	if len(object) > maxMetadataBytes {
		return gatehouse.Claims{}, fmt.Errorf("got %d bytes, at most %d are allowed", len(object), maxMetadataBytes)
	}
	if !utf8.ValidString(object) {
		return gatehouse.Claims{}, errors.New("not valid UTF-8")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(object)); err != nil {
		return gatehouse.Claims{}, errors.New("not a JSON object")
	}
	return gatehouse.NewClaims(compact.String())
}
