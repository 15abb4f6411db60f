// SPDX-License-Identifier: Apache-2.0

package tenant

import (
	"context"
	"io"
)

// KeyValue is a store of values that all tenants share, such as a cache.
type KeyValue interface {
	Get(ctx context.Context, key string) ([]byte, error)
	Set(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
}

// Separated returns a store in which each tenant has its own keys: those of the tenant
// of the context. Without one, methods return [ErrNone] and do not call store.
func Separated(store KeyValue) KeyValue { return separated{store} }

type separated struct{ store KeyValue }

func (s separated) Get(ctx context.Context, key string) ([]byte, error) {
	n, err := Of(ctx)
	if err != nil {
		return nil, err
	}
	return s.store.Get(ctx, n.Key(key))
}

func (s separated) Set(ctx context.Context, key string, value []byte) error {
	n, err := Of(ctx)
	if err != nil {
		return err
	}
	return s.store.Set(ctx, n.Key(key), value)
}

func (s separated) Delete(ctx context.Context, key string) error {
	n, err := Of(ctx)
	if err != nil {
		return err
	}
	return s.store.Delete(ctx, n.Key(key))
}

// Blobs is a store of objects that all tenants share, such as a bucket.
type Blobs interface {
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	Write(ctx context.Context, name string, content io.Reader) error
	Remove(ctx context.Context, name string) error
}

// SeparatedBlobs returns a store in which each tenant has its own objects: those of the
// tenant of the context. Without one, or for a name that [Namespace.Blob] refuses,
// methods return an error and do not call store.
func SeparatedBlobs(store Blobs) Blobs { return separatedBlobs{store} }

type separatedBlobs struct{ store Blobs }

func blobName(ctx context.Context, name string) (string, error) {
	n, err := Of(ctx)
	if err != nil {
		return "", err
	}
	return n.Blob(name)
}

func (s separatedBlobs) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	name, err := blobName(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.store.Open(ctx, name)
}

func (s separatedBlobs) Write(ctx context.Context, name string, content io.Reader) error {
	name, err := blobName(ctx, name)
	if err != nil {
		return err
	}
	return s.store.Write(ctx, name, content)
}

func (s separatedBlobs) Remove(ctx context.Context, name string) error {
	name, err := blobName(ctx, name)
	if err != nil {
		return err
	}
	return s.store.Remove(ctx, name)
}
