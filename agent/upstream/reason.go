// SPDX-License-Identifier: Apache-2.0

package upstream

import "github.com/gatehouse-go/gatehouse"

// The reason of the package.
const (
	// ReasonNoAnswer: the store or the provider of a Rotator failed or did not respond. Status: 503. Operator: the event upstream_failed has the step that failed and the cause.
	ReasonNoAnswer gatehouse.Reason = "upstream_no_answer"
)
