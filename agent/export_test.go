// SPDX-License-Identifier: Apache-2.0

package agent

// MethodKey is the Method that counts as that of API keys.
const MethodKey = methodKey
