// SPDX-License-Identifier: Apache-2.0

package failing

import "testing"

func TestZero(t *testing.T) {
	if zero() != 1 {
		t.Error("as it should")
	}
}
