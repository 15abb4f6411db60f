// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/jwtauth/jwtauthtest"
)

func TestMemoryContracts(t *testing.T) {
	jwtauthtest.TestFamilies(t, func(*testing.T) jwtauth.FamilyStore { return jwtauth.NewMemoryFamilies(0) })
	jwtauthtest.TestRevocations(t, func(*testing.T) jwtauth.RevocationStore { return jwtauth.NewMemoryRevocations(0) })
}
