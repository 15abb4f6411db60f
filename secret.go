// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
)

const redacted = "[redacted]"

// maxSecretBytes bounds what LoadSecret reads: a secret is not a video.
const maxSecretBytes = 64 << 10

// Secret is bytes that must not be seen: a key, a password, a pepper. It
// redacts itself in every verb of fmt, in encoding/json and in log/slog, also
// as an unexported field of another struct. It cannot be compared with ==, only
// with [Secret.Equal]. The zero value is empty.
type Secret struct {
	// A function, because nothing looks into one. fmt does not call the methods
	// of unexported fields: it would print a slice, and a verb that does not fit
	// makes it follow a pointer, too.
	bytes func() []byte
}

// NewSecret makes a Secret of a copy of b. Secrets that come from outside the
// process are better loaded by [LoadSecret].
func NewSecret(b []byte) Secret {
	b = slices.Clone(b)
	return Secret{func() []byte { return b }}
}

// LoadSecret reads a secret of at least minBytes bytes from where ref says:
// "env:NAME" is an environment variable, "file:PATH" a file. One line break, LF
// or CRLF, at the end is not part of the secret. A literal secret is refused, so that none
// ends up in a configuration file by accident.
//
// A file that others may read or write, or that the group may write, is
// refused: for a secret mounted by Kubernetes set defaultMode to 0440. Windows
// keeps permissions elsewhere, so there they are not looked at.
//
// Errors name ref and never what it holds.
func LoadSecret(ref string, minBytes int) (Secret, error) {
	kind, name, _ := strings.Cut(ref, ":")
	var value []byte
	switch {
	case kind == "env" && name != "":
		text, ok := os.LookupEnv(name)
		if !ok {
			return Secret{}, fmt.Errorf("gatehouse: secret %s: not set", ref)
		}
		value = []byte(text)
	case kind == "file" && name != "":
		var err error
		if value, err = readSecretFile(name); err != nil {
			return Secret{}, fmt.Errorf("gatehouse: secret %s: %w", ref, err)
		}
	default:
		return Secret{}, errors.New("gatehouse: a secret is given as env:NAME or file:PATH, never itself")
	}
	value = trimLineBreak(value)
	if len(value) < max(minBytes, 1) {
		return Secret{}, fmt.Errorf("gatehouse: secret %s: has %d bytes, needs at least %d", ref, len(value), max(minBytes, 1))
	}
	return NewSecret(value), nil
}

func readSecretFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, errors.Unwrap(err) // without the path, which ref names already
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	const tooOpen fs.FileMode = 0o027
	if runtime.GOOS != "windows" && info.Mode().Perm()&tooOpen != 0 {
		return nil, fmt.Errorf("mode %04o lets others at it; at most 0640 is allowed", info.Mode().Perm())
	}
	if info.Size() > maxSecretBytes {
		return nil, fmt.Errorf("has %d bytes, at most %d are allowed", info.Size(), maxSecretBytes)
	}
	value, err := os.ReadFile(name)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	return value, nil
}

func trimLineBreak(b []byte) []byte {
	if line, ok := bytes.CutSuffix(b, []byte("\n")); ok {
		return bytes.TrimSuffix(line, []byte("\r"))
	}
	return b
}

// Reveal returns a copy of the secret bytes. Every call is a place to review.
func (s Secret) Reveal() []byte { return slices.Clone(s.view()) }

// Len is the number of secret bytes.
func (s Secret) Len() int { return len(s.view()) }

// Equal reports whether both hold the same bytes, in time that depends on
// their length alone.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare(s.view(), other.view()) == 1
}

func (s Secret) view() []byte {
	if s.bytes == nil {
		return nil
	}
	return s.bytes()
}

// String implements fmt.Stringer.
func (Secret) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return redacted }

// Format implements fmt.Formatter for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler, and so encoding/json too.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
