// SPDX-License-Identifier: Apache-2.0

package tenant

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

// maxTenantBytes limits the name of a tenant, like package apikey.
const maxTenantBytes = 255

// ErrNone means that the context has no tenant: neither that of a caller nor that of
// a job.
var ErrNone = errors.New("tenant: the context has no tenant: a background job must name one with tenant.Job")

// Namespace is the part of a shared store that belongs to one tenant: its names begin
// with the tenant, and no two namespaces have a name in common. The zero value belongs
// to no tenant and its methods panic.
type Namespace struct{ tenant string }

// New returns the namespace of a tenant. The name must not be empty, and must be at
// most 255 bytes of UTF-8 without control characters.
func New(tenant string) (Namespace, error) {
	if tenant == "" || !text.IsClean(tenant, maxTenantBytes) {
		return Namespace{}, fmt.Errorf("tenant: the name must be 1 to %d bytes of UTF-8 without control characters", maxTenantBytes)
	}
	return Namespace{tenant}, nil
}

// Of returns the namespace of the tenant of the context: that of the caller, see
// [gatehouse.FromContext], or that of the job, see [Job]. The error is [ErrNone] if it
// has none.
//
// The tenant of a caller comes from the credential only, so an API key with a tenant
// gives access to that namespace only.
func Of(ctx context.Context) (Namespace, error) {
	if p, ok := gatehouse.FromContext(ctx); ok {
		if p.Tenant == "" {
			return Namespace{}, ErrNone
		}
		return New(p.Tenant)
	}
	if n, ok := ctx.Value(jobKey{}).(Namespace); ok {
		return n, nil
	}
	return Namespace{}, ErrNone
}

type jobKey struct{}

// Job returns a context for a background job of a tenant, which has no caller. A request
// that starts a job for its own tenant may pass its context; the returned context has no
// caller. If ctx has another tenant, the error is that of [Check].
func Job(ctx context.Context, tenant string) (context.Context, error) {
	n, err := New(tenant)
	if err != nil {
		return nil, err
	}
	if _, err := Of(ctx); err == nil || hasCaller(ctx) {
		if err := Check(ctx, nil, tenant); err != nil {
			return nil, err
		}
	}
	return context.WithValue(job{ctx}, jobKey{}, n), nil
}

func hasCaller(ctx context.Context) bool {
	_, ok := gatehouse.FromContext(ctx)
	return ok
}

// job is a context without values, so that it does not contain the caller of a request.
type job struct{ context.Context } //nolint:containedctx // it is a context

// Value implements [context.Context].
func (job) Value(any) any { return nil }

// Tenant returns the name of the tenant.
func (n Namespace) Tenant() string {
	n.check()
	return n.tenant
}

func (n Namespace) check() {
	if n.tenant == "" {
		panic("tenant: a Namespace is made by New or Of")
	}
}

// Key returns the name of a record, a cache entry or a lock of the tenant, such as
// "t:acme:conversation:42". Build all keys of an application with it. Different tenants
// or parts have different keys: every byte other than an ASCII letter, a digit, "-", "_"
// and "." is written as %XX, so that no part contains the separator. It panics without
// parts.
func (n Namespace) Key(parts ...string) string {
	n.check()
	if len(parts) == 0 {
		panic("tenant: Namespace.Key: at least one part is required")
	}
	var b strings.Builder
	b.WriteString("t:")
	escape(&b, n.tenant)
	for _, part := range parts {
		b.WriteByte(':')
		escape(&b, part)
	}
	return b.String()
}

// Owns reports whether Key of this namespace can return key. Use it for keys that a
// caller sends or that a scan of a store returns.
func (n Namespace) Owns(key string) bool {
	n.check()
	var b strings.Builder
	b.WriteString("t:")
	escape(&b, n.tenant)
	b.WriteByte(':')
	return strings.HasPrefix(key, b.String())
}

// Blob returns the name of an object in a bucket that all tenants share, such as
// "tenants/acme/models/tuned.bin". name must be a path as in [fs.ValidPath] other than
// ".", so that it cannot leave the directory of the tenant.
func (n Namespace) Blob(name string) (string, error) {
	n.check()
	if !fs.ValidPath(name) || name == "." || !text.IsClean(name, 512) || strings.Contains(name, `\`) {
		return "", errors.New("tenant: blob: the name must be a clean relative path")
	}
	var b strings.Builder
	b.WriteString("tenants/")
	escape(&b, n.tenant)
	return b.String() + "/" + name, nil
}

// Index returns the name of a vector index or a collection of the tenant: 45 lower-case
// letters, digits and "-", which all products accept. It is a hash, because products
// limit the length of names and ignore their case: two tenants could share a name.
func (n Namespace) Index(name string) string {
	sum := sha256.Sum256([]byte(n.Key("index", name)))
	return "t-" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:27]))[:43]
}

const hexDigits = "0123456789ABCDEF"

func escape(b *strings.Builder, s string) {
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' && s != "." && s != ".." {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
}
