// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-go/gatehouse"
)

const (
	maxTextBytes     = 255
	maxMetadataBytes = 4096
	maxScopesBytes   = 4096
	maxNetworks      = 64
)

// Request describes a key to make.
type Request struct {
	// Owner is whom the key will speak for. Required, at most 255 bytes.
	Owner string
	// Tenant is the customer to whom it belongs, "" for none, at most 255
	// bytes.
	Tenant string
	// Environment is where it will be good, that of this server if empty.
	Environment string
	// Scopes is what it may be used for, each of the catalogue. Optional.
	Scopes []string
	// Lifetime is for how long its secret is good, and after each rotation the
	// next one. Required, at most [Config].MaxLifetime.
	Lifetime time.Duration
	// Networks is from where it may be used, everywhere if empty; at most 64.
	Networks []netip.Prefix
	// Metadata is what the application wants to put beside it, at most 4096
	// bytes. It is shown to handlers as the Claims of the Principal and must
	// hold no secrets. Optional.
	Metadata gatehouse.Claims
}

// Issued is a new key, or a new secret of one.
type Issued struct {
	Key Key
	// Secret is the text that the client sends. This is the only time that it
	// can be seen: show it once and keep it nowhere.
	Secret gatehouse.Secret
}

// Create makes a key. All mistakes in the request are reported at once. If the
// store fails, there may be a key whose secret nobody knows.
func (k *Keys) Create(ctx context.Context, request Request) (Issued, error) {
	record, err := k.newRecord(request)
	if err != nil {
		return Issued{}, err
	}
	text := newKeyText(Label{k.prefix, record.Environment, record.ID})
	defer clear(text)
	record.Current = k.hasher.fresh(text)
	record, err = k.store.Create(ctx, record)
	if err != nil {
		return Issued{}, fmt.Errorf("apikey: create: %w", err)
	}
	k.Invalidate(record.ID)
	if err := k.emit(ctx, Event{Type: EventCreated, Key: record.Key}); err != nil {
		return Issued{}, err
	}
	return Issued{record.Key, gatehouse.NewSecret(text)}, nil
}

func (k *Keys) newRecord(request Request) (Record, error) {
	var errs []error
	record := Record{Key: Key{
		ID:          newID(),
		Owner:       request.Owner,
		Tenant:      request.Tenant,
		Environment: orElse(request.Environment, k.environment),
		Lifetime:    request.Lifetime.Truncate(time.Microsecond),
	}}
	if record.Owner == "" {
		errs = append(errs, errors.New("apikey: Request.Owner: required"))
	} else if !isText(record.Owner) {
		errs = append(errs, errors.New("apikey: Request.Owner: must be at most 255 bytes of text"))
	}
	if !isText(record.Tenant) {
		errs = append(errs, errors.New("apikey: Request.Tenant: must be at most 255 bytes of text"))
	}
	if !isName(record.Environment) {
		errs = append(errs, errors.New("apikey: Request.Environment: must be at most 16 lower-case letters and digits, a letter first"))
	}
	if record.Lifetime <= 0 || record.Lifetime > k.maxLifetime {
		errs = append(errs, fmt.Errorf("apikey: Request.Lifetime: required, at most %v", k.maxLifetime))
	}
	var err error
	switch record.Scopes, err = exactScopes(request.Scopes); {
	case err != nil:
		errs = append(errs, fmt.Errorf("apikey: Request.Scopes: %w", err))
	case !k.catalogue.HasAll(record.Scopes):
		errs = append(errs, errors.New("apikey: Request.Scopes: not all are in the catalogue"))
	case len(record.Scopes.String()) > maxScopesBytes:
		errs = append(errs, errors.New("apikey: Request.Scopes: too many"))
	}
	if record.Networks, err = plainPrefixes(request.Networks); err != nil {
		errs = append(errs, fmt.Errorf("apikey: Request.Networks: %w", err))
	} else if len(record.Networks) > maxNetworks {
		errs = append(errs, fmt.Errorf("apikey: Request.Networks: at most %d are allowed", maxNetworks))
	}
	if record.Metadata, err = compactMetadata(request.Metadata); err != nil {
		errs = append(errs, fmt.Errorf("apikey: Request.Metadata: %w", err))
	}
	return record, errors.Join(errs...)
}

func isText(s string) bool {
	return len(s) <= maxTextBytes && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// compactMetadata checks metadata and takes out the white space between its
// tokens, which may hold line breaks.
func compactMetadata(metadata gatehouse.Claims) (gatehouse.Claims, error) {
	text := metadata.String()
	if len(text) > maxMetadataBytes {
		return gatehouse.Claims{}, fmt.Errorf("has %d bytes, at most %d are allowed", len(text), maxMetadataBytes)
	}
	if !utf8.ValidString(text) {
		return gatehouse.Claims{}, errors.New("not UTF-8")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(text)); err != nil {
		return gatehouse.Claims{}, errors.New("not a JSON object")
	}
	return gatehouse.NewClaims(compact.String())
}
