// SPDX-License-Identifier: Apache-2.0

package mcp

import "github.com/gatehouse-go/gatehouse"

// The reasons of this package.
const (
	// ReasonOrigin: the request comes from a page of another origin. Status: 403. Operator: add the origin to Config.Origins if its pages may call the tools.
	ReasonOrigin gatehouse.Reason = "mcp_origin"
)
