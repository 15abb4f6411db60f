// SPDX-License-Identifier: Apache-2.0

package jose

// AppendASN1 is appendASN1.
var AppendASN1 = appendASN1
