// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/session/sessiontest"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

func TestSessionsContract(t *testing.T) {
	client := connect(t, enginetest.StartRedis(t, "appendonly no").URL())
	sessiontest.TestStore(t, func(t *testing.T) session.Store { return newStore(t, client).Sessions() })
}
