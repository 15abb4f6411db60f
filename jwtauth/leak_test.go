// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
