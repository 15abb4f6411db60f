// SPDX-License-Identifier: Apache-2.0

package approval_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/approval/approvaltest"
)

func TestMemoryContract(t *testing.T) {
	approvaltest.TestStore(t, func(*testing.T) approval.Store { return approval.NewMemory(0) })
}
