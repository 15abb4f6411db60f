// SPDX-License-Identifier: Apache-2.0

// Package josepeer runs npm jose, a JOSE implementation that shares no code with
// Gatehouse, as an issuer and as a verifier of tokens.
package josepeer
