// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/jwtauth/jwtauthtest"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

func TestFamiliesContract(t *testing.T) {
	client := connect(t, enginetest.StartRedis(t, "appendonly no").URL())
	jwtauthtest.TestFamilies(t, func(t *testing.T) jwtauth.FamilyStore { return newStore(t, client).Families() })
}

func TestRevocationsContract(t *testing.T) {
	client := connect(t, enginetest.StartRedis(t, "appendonly no").URL())
	jwtauthtest.TestRevocations(t, func(t *testing.T) jwtauth.RevocationStore { return newStore(t, client).Revocations() })
}
