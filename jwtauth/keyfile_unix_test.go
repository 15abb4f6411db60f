// SPDX-License-Identifier: Apache-2.0

//go:build unix

package jwtauth_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// To open a named pipe does not wait for its writer.
func TestKeyFileIsRegular(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	noError(t, syscall.Mkfifo(name, 0o600))
	_, err := jwtauth.New(issuerConfig(func(i *jwtauth.Issuer) { i.Keys = jwtauth.KeyFile(name) }))
	if err == nil || !strings.Contains(err.Error(), name+": not a regular file") {
		t.Errorf("New error = %v, want not a regular file", err)
	}
}
