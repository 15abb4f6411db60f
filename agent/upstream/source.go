// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// Credential is a credential of the application at a provider.
type Credential struct {
	// ID is the public identifier of the credential, for events.
	ID string
	// Secret is the credential: visible ASCII characters, at most 4,096.
	Secret gatehouse.Secret
}

// Source returns the current credential. Its methods must be safe for concurrent use.
type Source interface {
	// Acquire returns the credential for one call. The caller must call release once,
	// when the call has ended. release is not nil if err is nil. A [Transport] does not
	// return the text of the error.
	Acquire(ctx context.Context) (c Credential, release func(), err error)

	// Rejected tells the source that the provider responded 401 to c. It returns when
	// Acquire returns a replacement, or when there is no replacement.
	Rejected(ctx context.Context, c Credential)
}

// A file may be read while another program writes it, and be empty then.
const (
	readAttempts = 3
	readPause    = 5 * time.Millisecond
)

// secretSource reads a secret at each call.
type secretSource string

// NewSecretSource returns the source for "env:NAME" or "file:PATH", see
// [gatehouse.LoadSecret]. It reads the secret once, to find errors at start, and then for
// each call: a changed file takes effect with the next call. If the file is missing or
// empty, calls fail; write a new file and rename it over the old one.
func NewSecretSource(ref string) (Source, error) {
	if _, err := gatehouse.LoadSecret(ref, 1); err != nil {
		return nil, err
	}
	return secretSource(ref), nil
}

// Acquire implements [Source].
func (s secretSource) Acquire(ctx context.Context) (Credential, func(), error) {
	for attempt := 1; ; attempt++ {
		secret, err := gatehouse.LoadSecret(string(s), 1)
		if err == nil {
			return Credential{ID: string(s), Secret: secret}, func() {}, nil
		}
		if attempt == readAttempts {
			return Credential{}, nil, err
		}
		if err := sleep(ctx, readPause); err != nil {
			return Credential{}, nil, err
		}
	}
}

// Rejected implements [Source]: the next Acquire reads the secret again anyway.
func (secretSource) Rejected(context.Context, Credential) {}

// sleep waits for d, or returns the error of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
