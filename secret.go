// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

const redacted = "[redacted]"

// maxSecretBytes limits what LoadSecret reads.
const maxSecretBytes = 64 << 10

// Secret is a key, a password or a pepper: bytes that must not be printed. All verbs of
// fmt, encoding/json and log/slog print a placeholder instead, even if the Secret is an
// unexported field of another struct. It cannot be compared with ==, only with
// [Secret.Equal]. The zero value is empty.
type Secret struct {
	// A function, because fmt cannot print the contents of a function. fmt does not call
	// the methods of unexported fields, so it would print a slice, or the target of a
	// pointer.
	bytes func() []byte
}

// NewSecret returns a Secret with a copy of b. For secrets from outside the
// process use [LoadSecret].
func NewSecret(b []byte) Secret {
	b = slices.Clone(b)
	return Secret{func() []byte { return b }}
}

// LoadSecret reads a secret of at least minBytes and at most 65,536 bytes from
// an environment variable ("env:NAME") or a file ("file:PATH"). LoadSecret
// removes one line break, LF or CRLF, at the end. It rejects a literal secret,
// so that secrets are not written into configuration files by accident.
//
// LoadSecret rejects a file that other users can read or write, or that the
// group can write: for a secret mounted by Kubernetes set defaultMode to 0440.
// On Windows it does not check permissions.
//
// Errors contain ref but never the secret.
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
		return Secret{}, errors.New("gatehouse: secret: must be env:NAME or file:PATH, not the secret itself")
	}
	value = trimLineBreak(value)
	if len(value) < max(minBytes, 1) {
		return Secret{}, fmt.Errorf("gatehouse: secret %s: got %d bytes, at least %d are required", ref, len(value), max(minBytes, 1))
	}
	return NewSecret(value), nil
}

// readSecretFile opens the file once, so that it checks and reads the same file. It does
// not wait for the writer of a pipe.
func readSecretFile(name string) ([]byte, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, errors.Unwrap(err) // without the path, which ref contains
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	const tooOpen fs.FileMode = 0o027
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return nil, errors.New("not a regular file")
	case runtime.GOOS != "windows" && mode.Perm()&tooOpen != 0:
		return nil, fmt.Errorf("mode %04o gives other users access: at most 0640 is allowed", mode.Perm())
	}
	value, err := io.ReadAll(io.LimitReader(file, maxSecretBytes+1))
	switch {
	case err != nil:
		return nil, errors.Unwrap(err)
	case len(value) > maxSecretBytes:
		return nil, fmt.Errorf("has more than %d bytes", maxSecretBytes)
	}
	return value, nil
}

func trimLineBreak(b []byte) []byte {
	if line, ok := bytes.CutSuffix(b, []byte("\n")); ok {
		return bytes.TrimSuffix(line, []byte("\r"))
	}
	return b
}

// Reveal returns a copy of the secret bytes. Review each call.
func (s Secret) Reveal() []byte { return slices.Clone(s.view()) }

// Len returns the number of secret bytes.
func (s Secret) Len() int { return len(s.view()) }

// Equal reports whether s and other have the same bytes. The comparison takes constant
// time for a given length.
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

// MarshalText implements encoding.TextMarshaler, which encoding/json uses too.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
